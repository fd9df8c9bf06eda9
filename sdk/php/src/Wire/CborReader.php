<?php

declare(strict_types=1);

namespace Plasm\Wire;

use Plasm\Exception\Malformed;

/**
 * Reads deterministic CBOR of the subset of spec/encoding.md, item by item, from a string.
 *
 * Refuses everything else: indefinite lengths, heads that are not the shortest, floats, other
 * simple values, tags other than 18 on the outside, text that is not UTF-8, unsorted or repeated
 * keys, more than DEPTH_MAX levels. Nothing is allocated by a declared length.
 *
 * Unsigned integers above 2^63-1 do not fit PHP's int: uint64() hands them out as decimal
 * strings, uint() refuses them. No float is ever made.
 */
final class CborReader
{
    /** Containers inside containers (spec/encoding.md). */
    public const DEPTH_MAX = 16;

    private const FALSE = "\xF4";
    private const TRUE = "\xF5";
    private const NULL = "\xF6";

    private int $offset = 0;
    private readonly int $end;

    public function __construct(private readonly string $bytes)
    {
        $this->end = strlen($bytes);
    }

    public function offset(): int
    {
        return $this->offset;
    }

    public function peek(): CborType
    {
        if ($this->offset >= $this->end) {
            return CborType::End;
        }
        $lead = $this->bytes[$this->offset];
        $major = ord($lead) >> 5;
        if ($major < 7) {
            return CborType::from($major);
        }
        return match ($lead) {
            self::FALSE, self::TRUE => CborType::Boolean,
            self::NULL => CborType::Null,
            default => CborType::End,
        };
    }

    /** An unsigned integer up to 2^63-1; larger ones are refused. */
    public function uint(): int
    {
        $start = $this->offset;
        $value = $this->head(CborType::Uint, 'an unsigned integer');
        if ($value < 0) {
            $this->offset = $start;
            throw $this->wrong('integer above 2^63-1');
        }
        return $value;
    }

    /** Any unsigned integer of 64 bits: an int, or a decimal string above 2^63-1. */
    public function uint64(): int|string
    {
        $value = $this->head(CborType::Uint, 'an unsigned integer');
        return $value < 0 ? sprintf('%u', $value) : $value;
    }

    /** A signed integer of 64 bits. */
    public function integer(): int
    {
        $type = $this->peek();
        if ($type !== CborType::Uint && $type !== CborType::Negative) {
            throw $this->wrong('expected an integer');
        }
        $start = $this->offset;
        $value = $this->head($type, 'an integer');
        if ($value < 0) {
            $this->offset = $start;
            throw $this->wrong('integer beyond 64 bits with sign');
        }
        return $type === CborType::Negative ? -1 - $value : $value;
    }

    public function bytes(): string
    {
        return $this->take($this->head(CborType::Bytes, 'a byte string'));
    }

    /** A byte string of exactly `$length` bytes. */
    public function bytesOf(int $length): string
    {
        $value = $this->bytes();
        if (strlen($value) !== $length) {
            throw $this->wrong("expected a byte string of {$length} bytes");
        }
        return $value;
    }

    public function text(): string
    {
        $value = $this->take($this->head(CborType::Text, 'a text string'));
        if (preg_match('//u', $value) !== 1) {
            throw $this->wrong('text before here is not UTF-8');
        }
        return $value;
    }

    /** Text of `$least` to `$most` bytes, without NUL. */
    public function textOf(int $least, int $most): string
    {
        $value = $this->text();
        if (strlen($value) < $least) {
            throw $this->wrong('text is empty');
        }
        if (strlen($value) > $most) {
            throw $this->tooLarge("text has at most {$most} bytes");
        }
        if (str_contains($value, "\x00")) {
            throw $this->wrong('text holds a NUL');
        }
        return $value;
    }

    public function boolean(): bool
    {
        if ($this->peek() !== CborType::Boolean) {
            throw $this->wrong('expected true or false');
        }
        return $this->bytes[$this->offset++] === self::TRUE;
    }

    public function null(): void
    {
        if ($this->peek() !== CborType::Null) {
            throw $this->wrong('expected null');
        }
        ++$this->offset;
    }

    /** True with the reader behind a `null`, or false with nothing moved. */
    public function isNull(): bool
    {
        if ($this->peek() !== CborType::Null) {
            return false;
        }
        ++$this->offset;
        return true;
    }

    /** Count of items; never more than the bytes left could hold, nor than `$max`. */
    public function array(int $max = PHP_INT_MAX): int
    {
        $count = $this->head(CborType::Array, 'an array');
        if ($count < 0 || $count > $this->end - $this->offset) {
            throw $this->wrong('more items than bytes left');
        }
        if ($count > $max) {
            throw $this->tooLarge("more than {$max} items");
        }
        return $count;
    }

    /** Count of pairs; never more than the bytes left could hold, nor than `$max`. */
    public function map(int $max = PHP_INT_MAX): int
    {
        $count = $this->head(CborType::Map, 'a map');
        if ($count < 0 || $count > intdiv($this->end - $this->offset, 2)) {
            throw $this->wrong('more pairs than bytes left');
        }
        if ($count > $max) {
            throw $this->tooLarge("more than {$max} pairs");
        }
        return $count;
    }

    public function tag(): int
    {
        return $this->head(CborType::Tag, 'a tag');
    }

    /** Skips one item of any type, checking it, and returns its encoded bytes. */
    public function skip(): string
    {
        $start = $this->offset;
        $this->skipItem(0);
        return substr($this->bytes, $start, $this->offset - $start);
    }

    /** Fails unless every byte was consumed. */
    public function finish(): void
    {
        if ($this->offset !== $this->end) {
            throw $this->wrong('bytes follow the item');
        }
    }

    /** Checks that `$bytes` are one whole item of the subset. */
    public static function check(string $bytes): void
    {
        $reader = new self($bytes);
        $reader->skip();
        $reader->finish();
    }

    public function wrong(string $what): Malformed
    {
        return new Malformed("CBOR at byte {$this->offset}: {$what}", 'malformed');
    }

    public function tooLarge(string $what): Malformed
    {
        return new Malformed("CBOR at byte {$this->offset}: {$what}", 'too_large');
    }

    /** Argument of the next head. Above 2^63-1 it is negative: the same 64 bits. */
    private function head(CborType $wanted, string $name): int
    {
        if ($this->peek() !== $wanted) {
            throw $this->wrong("expected {$name}");
        }
        $info = ord($this->bytes[$this->offset]) & 31;
        if ($info < 24) {
            ++$this->offset;
            return $info;
        }
        if ($info > 27) {
            throw $this->wrong('indefinite length or reserved head');
        }
        $extra = 1 << ($info - 24);
        if ($this->end - $this->offset - 1 < $extra) {
            throw $this->wrong('ends early');
        }
        [$format, $least] = match ($extra) {
            1 => ['C', 24],
            2 => ['n', 1 << 8],
            4 => ['N', 1 << 16],
            8 => ['J', 1 << 32],
        };
        $value = unpack($format, $this->bytes, $this->offset + 1)[1];
        if ($value >= 0 && $value < $least) {
            throw $this->wrong('not the shortest form');
        }
        $this->offset += 1 + $extra;
        return $value;
    }

    private function take(int $count): string
    {
        if ($count < 0 || $count > $this->end - $this->offset) {
            throw $this->wrong('a string is longer than what is left');
        }
        $out = substr($this->bytes, $this->offset, $count);
        $this->offset += $count;
        return $out;
    }

    private function skipItem(int $depth): void
    {
        if ($depth >= self::DEPTH_MAX) {
            throw $this->wrong('nested too deep');
        }
        match ($this->peek()) {
            CborType::Uint => $this->uint64(),
            CborType::Negative => $this->integer(),
            CborType::Bytes => $this->bytes(),
            CborType::Text => $this->text(),
            CborType::Boolean => $this->boolean(),
            CborType::Null => $this->null(),
            CborType::Array => $this->skipArray($depth),
            CborType::Map => $this->skipMap($depth),
            CborType::Tag => throw $this->wrong('a tag may stand only outside an envelope'),
            CborType::End => throw $this->wrong(
                $this->offset >= $this->end ? 'ends early' : 'unexpected simple value or float',
            ),
        };
    }

    private function skipArray(int $depth): void
    {
        for ($left = $this->array(); $left > 0; --$left) {
            $this->skipItem($depth + 1);
        }
    }

    private function skipMap(int $depth): void
    {
        $last = null;
        for ($left = $this->map(); $left > 0; --$left) {
            $start = $this->offset;
            $this->skipItem($depth + 1);
            $key = substr($this->bytes, $start, $this->offset - $start);
            if ($last !== null && strcmp($last, $key) >= 0) {
                $this->offset = $start;
                throw $this->wrong('map keys are not in ascending order');
            }
            $last = $key;
            $this->skipItem($depth + 1);
        }
    }
}
