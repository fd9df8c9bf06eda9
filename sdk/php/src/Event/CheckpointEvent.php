<?php

declare(strict_types=1);

namespace Plasm\Event;

/** The provider signed for this much output, in bytes. */
final class CheckpointEvent implements Event
{
    public function __construct(
        public readonly int $sequence,
        public readonly int $length,
    ) {
    }
}
