<?php

declare(strict_types=1);

namespace Plasm\Wire;

/** Unsigned integers of 64 bits: an int, or a decimal string above 2^63-1 (never a float). */
final class Uint64
{
    private function __construct()
    {
    }

    /** Below, equal to or above zero as `$a` is below, equal to or above `$b`. */
    public static function compare(int|string $a, int|string $b): int
    {
        $a = (string) $a;
        $b = (string) $b;
        return strlen($a) <=> strlen($b) ?: strcmp($a, $b) <=> 0;
    }

    /** `$a` - `$b`, or null where they are further apart than 10^15. */
    public static function minus(int|string $a, int|string $b): ?int
    {
        $high = (int) substr((string) $a, 0, -9) - (int) substr((string) $b, 0, -9);
        $low = (int) substr((string) $a, -9) - (int) substr((string) $b, -9);
        return abs($high) > 1_000_000 ? null : $high * 1_000_000_000 + $low;
    }
}
