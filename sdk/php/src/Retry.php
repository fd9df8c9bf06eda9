<?php

declare(strict_types=1);

namespace Plasm;

use Plasm\Exception\PlasmException;

/** Tries again where that can help: doubled waits with jitter, bounded in count and in time. */
final class Retry
{
    public function __construct(
        private readonly int $retriesMax,
        private readonly int $baseMs,
        private readonly int $waitMsMax,
    ) {
    }

    /**
     * Runs `$try` until it returns, fails with something retrying cannot help, or the limits pass.
     *
     * @template T
     * @param \Closure(): T $try
     * @param (\Closure(PlasmException): bool)|null $helps narrower than isRetryable()
     * @return T
     */
    public function run(\Closure $try, Deadline $deadline, ?\Closure $helps = null): mixed
    {
        for ($retry = 0;; ++$retry) {
            try {
                return $try();
            } catch (PlasmException $failed) {
                $again = $failed->isRetryable() && ($helps === null || $helps($failed));
                $wait = $this->waitMs($retry);
                if (!$again || $retry >= $this->retriesMax || $deadline->left() * 1000 <= $wait) {
                    throw $failed;
                }
                usleep($wait * 1000);
            }
        }
    }

    /** Half to the whole of base · 2^retry, at most waitMsMax. */
    public function waitMs(int $retry): int
    {
        $whole = min($this->waitMsMax, $this->baseMs << min($retry, 20));
        return random_int(intdiv($whole, 2), $whole);
    }
}
