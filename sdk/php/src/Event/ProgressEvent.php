<?php

declare(strict_types=1);

namespace Plasm\Event;

/** How far a stage is, for example the upload of the module. */
final class ProgressEvent implements Event
{
    public function __construct(
        public readonly string $stage,
        public readonly int $done,
        public readonly int $total,
    ) {
    }
}
