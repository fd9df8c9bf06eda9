<?php

declare(strict_types=1);

namespace Plasm\Tests\Support;

use PHPUnit\Framework\Assert;

/** The built programs and modules that end-to-end tests run. */
final class Programs
{
    /** Skips the test where no build is named; with PHASE_BIN_DIR set, nothing is skipped. */
    public static function folder(): string
    {
        $folder = getenv('PHASE_BIN_DIR');
        if ($folder === false || $folder === '') {
            Assert::markTestSkipped('skip: PHASE_BIN_DIR names no build');
        }
        foreach (['plasmd', 'phase-worker'] as $name) {
            $path = "{$folder}/{$name}";
            Assert::assertTrue(is_executable($path), "{$path} is not built");
        }
        return $folder;
    }

    public static function plasmd(): string
    {
        return self::folder() . '/plasmd';
    }

    public static function hello(): string
    {
        $folders = [dirname(self::folder()), dirname(__DIR__, 4)];
        foreach ($folders as $folder) {
            if (is_file("{$folder}/examples/hello.wasm")) {
                return "{$folder}/examples/hello.wasm";
            }
        }
        Assert::fail('examples/hello.wasm is not built');
    }

    public static function fpm(): string
    {
        self::folder();
        $name = 'php-fpm' . PHP_MAJOR_VERSION . '.' . PHP_MINOR_VERSION;
        $folders = [...explode(':', getenv('PATH') ?: ''), '/usr/sbin', '/usr/local/sbin'];
        foreach ($folders as $folder) {
            foreach ([$name, 'php-fpm'] as $file) {
                if ($folder !== '' && is_executable("{$folder}/{$file}")) {
                    return "{$folder}/{$file}";
                }
            }
        }
        Assert::fail("{$name} is not installed");
    }
}
