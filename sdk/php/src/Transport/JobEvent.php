<?php

declare(strict_types=1);

namespace Plasm\Transport;

/** An event of spec/control-api.md, by its name. */
final class JobEvent
{
    public function __construct(
        public readonly string $name,
        public readonly Fields $data,
    ) {
    }
}
