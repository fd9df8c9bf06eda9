<?php

declare(strict_types=1);

namespace Plasm\Event;

/** The job moved on: queued, discovering, offering, running, done, failed, cancelled. */
final class StateEvent implements Event
{
    public function __construct(
        public readonly string $state,
        /** Peer id, once one is chosen. */
        public readonly ?string $provider,
    ) {
    }
}
