<?php

declare(strict_types=1);

namespace Plasm\Wire;

/** A module by its tree id, flat SHA-256 and length. Normative: spec/artifact.md. */
final class ArtifactRef
{
    /** Bytes under one leaf. Fixed by protocol 2. */
    public const CHUNK_BYTES = 262144;

    public function __construct(
        public readonly string $id,
        public readonly string $sha256,
        public readonly int|string $length,
    ) {
    }

    public static function of(string $bytes): self
    {
        $leaves = [];
        for ($offset = 0; $offset < strlen($bytes); $offset += self::CHUNK_BYTES) {
            $leaves[] = hash('sha256', "\x00" . substr($bytes, $offset, self::CHUNK_BYTES), true);
        }
        $id = hash('sha256', "\x02" . pack('J', strlen($bytes)) . self::root($leaves), true);
        return new self($id, hash('sha256', $bytes, true), strlen($bytes));
    }

    public static function read(CborReader $reader): self
    {
        $map = CborMap::open($reader);
        $ref = new self(
            $map->required(0)->bytesOf(32),
            $map->required(1)->bytesOf(32),
            $map->required(2)->uint64(),
        );
        $map->close();
        return $ref;
    }

    public function encode(): string
    {
        return CborWriter::map([
            0 => CborWriter::bytes($this->id),
            1 => CborWriter::bytes($this->sha256),
            2 => CborWriter::uint($this->length),
        ]);
    }

    public function equals(self $other): bool
    {
        return $this->length === $other->length && hash_equals($this->id, $other->id)
            && hash_equals($this->sha256, $other->sha256);
    }

    /** @param list<string> $hashes RFC 9162 §2.1.1 */
    private static function root(array $hashes): string
    {
        $count = count($hashes);
        if ($count === 0) {
            return hash('sha256', '', true);
        }
        if ($count === 1) {
            return $hashes[0];
        }
        $left = 1;
        while ($left * 2 < $count) {
            $left *= 2;
        }
        $first = self::root(array_slice($hashes, 0, $left));
        $second = self::root(array_slice($hashes, $left));
        return hash('sha256', "\x01" . $first . $second, true);
    }
}
