<?php

declare(strict_types=1);

namespace Plasm\Wire;

/**
 * Reads a map with unsigned integer keys, in ascending order, refusing keys it is not asked for.
 *
 *     $map = CborMap::open($reader);
 *     $version = $map->required(0)->uint();
 *     $region = $map->optional(4) ? $reader->text() : null;
 *     $map->close();
 */
final class CborMap
{
    private int|string|null $key = null;
    private int|string|null $lastKey = null;

    private function __construct(private readonly CborReader $reader, private int $left)
    {
    }

    public static function open(CborReader $reader): self
    {
        return new self($reader, $reader->map());
    }

    /** Stands the reader at the value of `$key`. */
    public function required(int $key): CborReader
    {
        $this->loadKey();
        if ($this->key !== $key) {
            $unknown = is_int($this->key) && $this->key < $key;
            $what = $unknown ? "unknown key {$this->key}" : "missing key {$key}";
            throw $this->reader->wrong($what);
        }
        $this->key = null;
        return $this->reader;
    }

    /** True with the reader at the value of `$key`, or false with nothing moved. */
    public function optional(int $key): bool
    {
        $this->loadKey();
        if ($this->key !== $key) {
            return false;
        }
        $this->key = null;
        return true;
    }

    /** Fails on keys left over. */
    public function close(): void
    {
        $this->loadKey();
        if ($this->key !== null) {
            throw $this->reader->wrong("unknown key {$this->key}");
        }
    }

    /** Skips keys left over: for `claimed` only. */
    public function closeIgnoringUnknown(): void
    {
        for ($this->loadKey(); $this->key !== null; $this->loadKey()) {
            $this->key = null;
            $this->reader->skip();
        }
    }

    private function loadKey(): void
    {
        if ($this->key !== null || $this->left === 0) {
            return;
        }
        $key = $this->reader->uint64();
        if ($this->lastKey !== null && Uint64::compare($key, $this->lastKey) <= 0) {
            throw $this->reader->wrong('map keys are not in ascending order');
        }
        $this->key = $this->lastKey = $key;
        --$this->left;
    }
}
