<?php

declare(strict_types=1);

namespace Plasm\Tests\Support;

/** Bytes from the generator that mt_srand() seeded, so that a failure replays. */
final class Seeded
{
    public static function bytes(int $length): string
    {
        $out = '';
        while (strlen($out) < $length) {
            $out .= pack('N', mt_rand());
        }
        return substr($out, 0, $length);
    }
}
