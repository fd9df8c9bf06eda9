<?php

declare(strict_types=1);

namespace Plasm\Wire;

/** Encodes items of the subset, shortest heads. The caller keeps map keys ascending. */
final class CborWriter
{
    private function __construct()
    {
    }

    public static function uint(int|string $value): string
    {
        if (is_string($value)) {
            return "\x1B" . self::bigEndian($value);
        }
        if ($value < 0) {
            throw new \InvalidArgumentException('An unsigned integer is not below zero');
        }
        return self::head(0, $value);
    }

    public static function integer(int $value): string
    {
        return $value >= 0 ? self::head(0, $value) : self::head(1, -1 - $value);
    }

    public static function bytes(string $value): string
    {
        return self::head(2, strlen($value)) . $value;
    }

    public static function text(string $value): string
    {
        return self::head(3, strlen($value)) . $value;
    }

    /** An array of items that are already encoded. */
    public static function array(string ...$items): string
    {
        return self::head(4, count($items)) . implode('', $items);
    }

    /**
     * A map with unsigned integer keys; values are already encoded, null ones are left out.
     *
     * @param array<int, string|null> $pairs
     */
    public static function map(array $pairs): string
    {
        $pairs = array_filter($pairs, static fn (?string $value): bool => $value !== null);
        ksort($pairs);
        $out = self::head(5, count($pairs));
        foreach ($pairs as $key => $value) {
            $out .= self::head(0, $key) . $value;
        }
        return $out;
    }

    /**
     * A map with text keys in the order of their encoding; values are already encoded.
     *
     * @param array<string, string> $pairs
     */
    public static function textMap(array $pairs): string
    {
        $encoded = [];
        foreach ($pairs as $key => $value) {
            $encoded[self::text((string) $key)] = $value;
        }
        ksort($encoded, SORT_STRING);
        $out = self::head(5, count($encoded));
        foreach ($encoded as $key => $value) {
            $out .= $key . $value;
        }
        return $out;
    }

    public static function boolean(bool $value): string
    {
        return $value ? "\xF5" : "\xF4";
    }

    public static function null(): string
    {
        return "\xF6";
    }

    public static function tag(int $tag, string $item): string
    {
        return self::head(6, $tag) . $item;
    }

    private static function head(int $major, int $value): string
    {
        $lead = $major << 5;
        return match (true) {
            $value < 24 => chr($lead | $value),
            $value < 1 << 8 => chr($lead | 24) . chr($value),
            $value < 1 << 16 => chr($lead | 25) . pack('n', $value),
            $value < 1 << 32 => chr($lead | 26) . pack('N', $value),
            default => chr($lead | 27) . pack('J', $value),
        };
    }

    /** Eight bytes of a decimal string from 2^63 to 2^64-1. */
    private static function bigEndian(string $decimal): string
    {
        $top = '9223372036854775808';
        $valid = preg_match('/^[1-9][0-9]{18,19}$/D', $decimal) === 1
            && Uint64::compare($decimal, $top) >= 0
            && Uint64::compare($decimal, '18446744073709551615') <= 0;
        if (!$valid) {
            throw new \InvalidArgumentException("Not an integer from 2^63 to 2^64-1: {$decimal}");
        }
        $bytes = array_fill(0, 8, 0);
        foreach (str_split($decimal) as $digit) {
            $carry = (int) $digit;
            for ($i = 7; $i >= 0; --$i) {
                $carry += $bytes[$i] * 10;
                $bytes[$i] = $carry & 255;
                $carry >>= 8;
            }
        }
        return pack('C*', ...$bytes);
    }
}
