<?php

declare(strict_types=1);

namespace Plasm;

use Plasm\Exception\Timeout;

/** A point in time, passed down; not a limit that starts again at every layer. */
final class Deadline
{
    private function __construct(private readonly int $ns)
    {
    }

    public static function in(float $seconds): self
    {
        return new self(hrtime(true) + (int) ($seconds * 1e9));
    }

    /** This one or `$seconds` from now, whichever comes first. */
    public function orIn(float $seconds): self
    {
        return new self(min($this->ns, self::in($seconds)->ns));
    }

    /** Seconds left, never below zero. */
    public function left(): float
    {
        return max(0, $this->ns - hrtime(true)) / 1e9;
    }

    public function expired(): bool
    {
        return hrtime(true) >= $this->ns;
    }

    /** Whole seconds and microseconds left, as stream_select() takes them. */
    public function selectTime(): array
    {
        $us = intdiv(max(0, $this->ns - hrtime(true)), 1000);
        return [intdiv($us, 1_000_000), $us % 1_000_000];
    }

    public function check(string $doing): void
    {
        if ($this->expired()) {
            throw new Timeout("Timed out {$doing}", 'timed_out');
        }
    }
}
