<?php

/**
 * PSR-4 loader of this package for use without Composer: `require 'sdk/php/autoload.php';`.
 * With Composer, vendor/autoload.php does the same.
 */

declare(strict_types=1);

spl_autoload_register(static function (string $class): void {
    if (!str_starts_with($class, 'Plasm\\')) {
        return;
    }
    $file = __DIR__ . '/src/' . strtr(substr($class, 6), '\\', '/') . '.php';
    if (is_file($file)) {
        require $file;
    }
});
