<?php

declare(strict_types=1);

namespace Plasm\Wire;

use Plasm\Exception\Malformed;

/** How equal two runs are (spec/job.md, key 6). */
final class Profile
{
    public const FAST = 'fast';
    public const DET_1 = 'det-1';
    public const ALL = [self::FAST, self::DET_1];

    private function __construct()
    {
    }

    public static function unknown(string $profile): Malformed
    {
        return new Malformed("The profile {$profile} is not known", 'version_unknown');
    }
}
