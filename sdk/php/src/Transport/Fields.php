<?php

declare(strict_types=1);

namespace Plasm\Transport;

use Plasm\Exception\ProtocolError;

/** A JSON object from the daemon, read field by field with its types checked. */
final class Fields
{
    private const DEPTH_MAX = 32;

    /** @param array<array-key, mixed> $values */
    private function __construct(private readonly array $values)
    {
    }

    public static function parse(string $json): self
    {
        // Integers above 2^63-1 stay exact, as strings; no float stands in the control API.
        $flags = JSON_THROW_ON_ERROR | JSON_BIGINT_AS_STRING | JSON_OBJECT_AS_ARRAY;
        try {
            $values = json_decode($json, true, self::DEPTH_MAX, $flags);
        } catch (\JsonException $wrong) {
            throw new ProtocolError("plasmd sent no JSON: {$wrong->getMessage()}", 'protocol');
        }
        if (!is_array($values)) {
            throw new ProtocolError('plasmd sent JSON that is no object', 'protocol');
        }
        return new self($values);
    }

    public function has(string $name): bool
    {
        return isset($this->values[$name]);
    }

    public function string(string $name): string
    {
        $value = $this->values[$name] ?? null;
        return is_string($value) ? $value : throw self::wrong($name, 'text');
    }

    public function stringOrNull(string $name): ?string
    {
        return $this->has($name) ? $this->string($name) : null;
    }

    public function int(string $name): int
    {
        $value = $this->values[$name] ?? null;
        return is_int($value) ? $value : throw self::wrong($name, 'an integer');
    }

    public function intOrNull(string $name): ?int
    {
        return $this->has($name) ? $this->int($name) : null;
    }

    public function bool(string $name): bool
    {
        $value = $this->values[$name] ?? null;
        return is_bool($value) ? $value : throw self::wrong($name, 'true or false');
    }

    public function base64(string $name): string
    {
        $bytes = base64_decode($this->string($name), true);
        return $bytes === false ? throw self::wrong($name, 'base64') : $bytes;
    }

    /** `$bytes` bytes of lower-case hex, raw. */
    public function hex(string $name, int $bytes): string
    {
        $text = $this->string($name);
        if (strlen($text) !== 2 * $bytes || strspn($text, '0123456789abcdef') !== 2 * $bytes) {
            throw self::wrong($name, "{$bytes} bytes of lower-case hex");
        }
        return hex2bin($text);
    }

    public function hexOrNull(string $name, int $bytes): ?string
    {
        return $this->has($name) ? $this->hex($name, $bytes) : null;
    }

    public function object(string $name): self
    {
        $value = $this->values[$name] ?? null;
        return is_array($value) ? new self($value) : throw self::wrong($name, 'an object');
    }

    public function objectOrNull(string $name): ?self
    {
        return $this->has($name) ? $this->object($name) : null;
    }

    /** @return list<self> */
    public function objects(string $name): array
    {
        $value = $this->values[$name] ?? null;
        if (!is_array($value) || !array_is_list($value)) {
            throw self::wrong($name, 'an array');
        }
        return array_map(
            static fn (mixed $item): self => is_array($item)
                ? new self($item)
                : throw self::wrong($name, 'an array of objects'),
            $value,
        );
    }

    /** @return list<string> */
    public function strings(string $name): array
    {
        $value = $this->values[$name] ?? null;
        $valid = is_array($value) && array_is_list($value)
            && array_filter($value, 'is_string') === $value;
        return $valid ? $value : throw self::wrong($name, 'an array of text');
    }

    private static function wrong(string $name, string $wanted): ProtocolError
    {
        return new ProtocolError("plasmd sent no {$name}, or not {$wanted}", 'protocol');
    }
}
