<?php

declare(strict_types=1);

namespace Plasm\Tests;

use PHPUnit\Framework\TestCase;
use Plasm\Tests\Support\Fpm;
use Plasm\Tests\Support\Plasmd;
use Plasm\Tests\Support\Programs;
use Plasm\Tests\Support\TempFolder;

/** Goal: the SDK works where a web page lives: under PHP-FPM, a process a request. */
final class FpmTest extends TestCase
{
    private const SCRIPT = __DIR__ . '/Fixture/web.php';

    public function testAJobIsSubmittedInOneRequestAndTakenInAnother(): void
    {
        $fpm = new Fpm();
        $plasmd = new Plasmd();
        $params = ['PHASE_CONTROL_SOCKET' => $plasmd->socket];
        $query = ['module' => Programs::hello(), 'input' => 'Hello, World'];
        $first = $fpm->get(self::SCRIPT, ['do' => 'submit'] + $query, $params);
        self::assertArrayHasKey('id', $first, json_encode($first));
        $query += ['do' => 'result', 'id' => $first['id']];
        $second = $fpm->get(self::SCRIPT, $query, $params);
        self::assertSame(
            ['dlroW ,olleH', 0, 'receipt verified'],
            [$second['stdout'] ?? $second, $second['exit_code'], $second['verdict']],
        );
        self::assertNotSame($first['pid'], $second['pid']);
        // A third request gets the same again: nothing was taken away.
        $third = $fpm->get(self::SCRIPT, $query, $params);
        self::assertSame('dlroW ,olleH', $third['stdout'] ?? $third);
        $query['module'] = __FILE__;
        $other = $fpm->get(self::SCRIPT, $query, $params);
        self::assertSame('verification_failed', $other['error'] ?? $other);
    }

    public function testWithoutADaemonOneRequestHasAOneShotNode(): void
    {
        $fpm = new Fpm();
        $home = TempFolder::make();
        $params = [
            'PHASE_CONTROL_SOCKET' => '/nonexistent/plasmd.sock',
            'PLASMD_PATH' => Programs::plasmd(),
            'HOME' => $home,
        ];
        $query = ['do' => 'both', 'module' => Programs::hello(), 'input' => 'Hello, World'];
        $answer = $fpm->get(self::SCRIPT, $query, $params);
        self::assertSame('dlroW ,olleH', $answer['stdout'] ?? $answer);
        self::assertSame('receipt verified', $answer['verdict']);
        // A request that forgets its job ends all the same, and with it the node.
        $forgotten = $fpm->get(self::SCRIPT, ['do' => 'submit'] + $query, $params);
        self::assertArrayHasKey('id', $forgotten);
        TempFolder::remove($home);
    }
}
