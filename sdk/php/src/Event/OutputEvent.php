<?php

declare(strict_types=1);

namespace Plasm\Event;

use Plasm\Wire\OutputChain;

/**
 * A piece of the job's output, in order. Not verified yet: the ResultEvent at the end says whether
 * it is.
 */
final class OutputEvent implements Event
{
    public function __construct(
        public readonly int $stream,
        public readonly string $data,
    ) {
    }

    public function isStdout(): bool
    {
        return $this->stream === OutputChain::STDOUT;
    }
}
