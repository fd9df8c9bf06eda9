<?php

declare(strict_types=1);

namespace Plasm\Wire;

/** Bytes by what they are: flat SHA-256 (raw, 32 bytes) and length (spec/job.md). */
final class Commitment
{
    public function __construct(
        public readonly string $sha256,
        public readonly int|string $length,
    ) {
    }

    public static function of(string $bytes): self
    {
        return new self(hash('sha256', $bytes, true), strlen($bytes));
    }

    public static function read(CborReader $reader): self
    {
        $map = CborMap::open($reader);
        $commitment = new self($map->required(0)->bytesOf(32), $map->required(1)->uint64());
        $map->close();
        return $commitment;
    }

    public function encode(): string
    {
        return CborWriter::map([
            0 => CborWriter::bytes($this->sha256),
            1 => CborWriter::uint($this->length),
        ]);
    }

    public function equals(self $other): bool
    {
        return $this->length === $other->length && hash_equals($this->sha256, $other->sha256);
    }
}
