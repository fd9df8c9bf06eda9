<?php

declare(strict_types=1);

namespace Plasm\Wire;

/** Private jobs carry SHA-256(salt ‖ hash) in place of each hash (spec/job.md §5). */
final class Salt
{
    public const BYTES = 32;

    private function __construct()
    {
    }

    /** `$hash` itself without a salt. */
    public static function apply(?string $salt, string $hash): string
    {
        return $salt === null ? $hash : hash('sha256', $salt . $hash, true);
    }
}
