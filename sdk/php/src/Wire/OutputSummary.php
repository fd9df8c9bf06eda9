<?php

declare(strict_types=1);

namespace Plasm\Wire;

/** What a job wrote: commitment (raw), bytes and canonical segments (spec/output.md). */
final class OutputSummary
{
    public function __construct(
        public readonly string $commitment,
        public readonly int|string $length,
        public readonly int|string $segments,
    ) {
    }

    public static function read(CborReader $reader): self
    {
        $map = CborMap::open($reader);
        $summary = new self(
            $map->required(0)->bytesOf(32),
            $map->required(1)->uint64(),
            $map->required(2)->uint64(),
        );
        $map->close();
        return $summary;
    }

    public function encode(): string
    {
        return CborWriter::map([
            0 => CborWriter::bytes($this->commitment),
            1 => CborWriter::uint($this->length),
            2 => CborWriter::uint($this->segments),
        ]);
    }
}
