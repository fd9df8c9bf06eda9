<?php

declare(strict_types=1);

namespace Plasm\Tests\Support;

/** Folders of one test, with paths short enough for Unix sockets. */
final class TempFolder
{
    public static function make(): string
    {
        $path = sys_get_temp_dir() . '/plasm-php-' . bin2hex(random_bytes(6));
        mkdir($path, 0700);
        return $path;
    }

    public static function remove(string $path): void
    {
        foreach (array_diff(scandir($path) ?: [], ['.', '..']) as $name) {
            $inner = "{$path}/{$name}";
            is_dir($inner) && !is_link($inner) ? self::remove($inner) : unlink($inner);
        }
        rmdir($path);
    }
}
