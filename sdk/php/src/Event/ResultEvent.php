<?php

declare(strict_types=1);

namespace Plasm\Event;

use Plasm\Result;

/** The last event: all output is verified. */
final class ResultEvent implements Event
{
    public function __construct(
        public readonly Result $result,
    ) {
    }
}
