<?php

declare(strict_types=1);

namespace Plasm\Http;

/** One server-sent event as it came. */
final class SseEvent
{
    public function __construct(
        public readonly ?string $id,
        public readonly string $name,
        public readonly string $data,
    ) {
    }
}
