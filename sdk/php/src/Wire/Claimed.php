<?php

declare(strict_types=1);

namespace Plasm\Wire;

/** What a provider says of itself and a receipt cannot show (spec/receipt.md, key 12). */
final class Claimed
{
    private const NAME_BYTES_MAX = 128;

    private function __construct(
        public readonly int|string|null $wallUs,
        public readonly int|string|null $cpuUs,
        public readonly int|string|null $memoryBytesPeak,
        public readonly int|string|null $fuel,
        public readonly int|string|null $energyMj,
        public readonly int|string|null $startedUnixMs,
        public readonly int|string|null $finishedUnixMs,
        public readonly ?string $runtime,
    ) {
    }

    public static function read(CborReader $reader): self
    {
        $map = CborMap::open($reader);
        $figures = [];
        for ($key = 0; $key <= 6; ++$key) {
            $figures[] = $map->optional($key) ? $reader->uint64() : null;
        }
        $runtime = $map->optional(7) ? $reader->textOf(0, self::NAME_BYTES_MAX) : null;
        $map->closeIgnoringUnknown();
        return new self(...[...$figures, $runtime]);
    }
}
