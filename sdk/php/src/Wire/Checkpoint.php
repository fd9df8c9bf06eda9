<?php

declare(strict_types=1);

namespace Plasm\Wire;

use Plasm\Exception\Malformed;

/** A provider's statement about a run that goes on (spec/receipt.md §6). */
final class Checkpoint
{
    private const VERSION = 2;

    private function __construct(
        public readonly Envelope $envelope,
        public readonly string $jobId,
        public readonly int|string $sequence,
        public readonly OutputSummary $output,
    ) {
    }

    /** Reads the form; the signature is not checked here. */
    public static function read(string $bytes): self
    {
        $envelope = Envelope::read(Domain::Checkpoint, $bytes);
        $reader = new CborReader($envelope->payload);
        $map = CborMap::open($reader);
        $version = $map->required(0)->uint64();
        if ($version !== self::VERSION) {
            throw new Malformed("Checkpoint version {$version} is not known", 'version_unknown');
        }
        $jobId = $map->required(1)->bytesOf(32);
        $sequence = $map->required(2)->uint64();
        $output = OutputSummary::read($map->required(3));
        $map->close();
        $reader->finish();
        return new self($envelope, $jobId, $sequence, $output);
    }
}
