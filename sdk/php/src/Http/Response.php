<?php

declare(strict_types=1);

namespace Plasm\Http;

/** An answer, read to its end. */
final class Response
{
    public function __construct(
        public readonly int $status,
        public readonly string $body,
    ) {
    }
}
