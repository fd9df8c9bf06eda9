<?php

declare(strict_types=1);

namespace Plasm\Tests;

use PHPUnit\Framework\TestCase;
use Plasm\Client;
use Plasm\Deadline;
use Plasm\Exception\DaemonUnavailable;
use Plasm\Exception\PlasmException;
use Plasm\Manifest;
use Plasm\Options;
use Plasm\Retry;
use Plasm\Submission;
use Plasm\Tests\Support\Documents;
use Plasm\Tests\Support\TempFolder;
use Plasm\Transport\SocketPath;

/** Goal: what a caller gets wrong is said before anything is sent. */
final class ClientTest extends TestCase
{
    private string $folder;
    private string $module;
    /** @var array<string, string|false> */
    private array $environment = [];

    protected function setUp(): void
    {
        $this->folder = TempFolder::make();
        $this->module = "{$this->folder}/m.wasm";
        file_put_contents($this->module, Documents::MODULE);
    }

    protected function tearDown(): void
    {
        TempFolder::remove($this->folder);
        foreach ($this->environment as $name => $value) {
            putenv($value === false ? $name : "{$name}={$value}");
        }
    }

    /** @dataProvider wrongOptions */
    public function testRefusesWrongOptions(array $options, string $message): void
    {
        $this->expectException(\InvalidArgumentException::class);
        $this->expectExceptionMessage($message);
        new Client($options);
    }

    /** @return list<array{array, string}> */
    public static function wrongOptions(): array
    {
        return [
            [['mode' => 'X'], 'Invalid mode: X'],
            [['mode' => ['local']], 'Invalid mode: array'],
            [['mod' => 'local'], 'Unknown option: mod'],
            [['timeout' => 0], 'Option timeout'],
            [['timeout' => 'soon'], 'Option timeout'],
            [['timeout' => NAN], 'Option timeout'],
            [['retries' => 21], 'Option retries'],
            [['socket' => ''], 'Option socket'],
            [['plasmd_path' => 5], 'Option plasmd_path'],
        ];
    }

    public function testStdinIsStreamedUnlessItIsGiven(): void
    {
        $streamed = Submission::of($this->module, [], 'local')->toJson();
        self::assertStringContainsString('"stdin":null', $streamed);
        $given = Submission::of($this->module, ['stdin' => ''], 'local')->toJson();
        self::assertStringContainsString('"stdin":""', $given);
    }

    /** @dataProvider wrongJobs */
    public function testRefusesWrongJobs(array $options): void
    {
        $this->expectException(\InvalidArgumentException::class);
        Submission::of($this->module, $options, 'local')->toJson();
    }

    /** @return list<array{array}> */
    public static function wrongJobs(): array
    {
        return array_map(static fn (array $options): array => [$options], [
            ['cpus' => 1],
            ['cpu' => '1'],
            ['cpu' => -1],
            ['memory' => 0],
            ['memory' => 4097],
            ['timeout' => 0],
            ['timeout' => 3601],
            ['args' => 'one'],
            ['args' => ['a' => 'b']],
            ['args' => ["a\x00b"]],
            ['args' => [1]],
            ['args' => ["\xFF"]],
            ['env' => ['A=B' => 'c']],
            ['env' => ['' => 'c']],
            ['env' => ['A' => 1]],
            ['private' => 1],
            ['target' => 'elsewhere'],
            ['timeout' => 1, 'timeout_ms' => 1000],
            ['memory' => 1, 'memory_bytes' => 1 << 20],
            ['entry' => str_repeat('x', 4097)],
        ]);
    }

    public function testRefusesModulesThatAreNotThere(): void
    {
        $client = new Client(['socket' => '/nonexistent/s']);
        $this->expectException(\InvalidArgumentException::class);
        $this->expectExceptionMessage('WASM file not found: nowhere.wasm');
        $client->submit('nowhere.wasm');
    }

    public function testALocalClientRunsNothingElsewhere(): void
    {
        $this->expectException(\InvalidArgumentException::class);
        (new Client(['mode' => 'local']))->submit($this->module, ['target' => 'remote']);
    }

    public function testWithoutDaemonAndProgramTheHintNamesTheNextStep(): void
    {
        $this->env('PATH', $this->folder);
        $this->env('PLASMD_PATH', 'plasmd-that-is-nowhere');
        try {
            (new Client(['socket' => '/nonexistent/s']))->submit($this->module);
            self::fail('Ran nowhere');
        } catch (DaemonUnavailable $nobody) {
            self::assertSame('unavailable', $nobody->errorCode());
            self::assertStringContainsString('plasmd start', $nobody->hint());
        }
    }

    public function testAProgramThatIsNoPlasmdIsSaidToFail(): void
    {
        $program = "{$this->folder}/plasmd";
        file_put_contents($program, "#!/bin/sh\necho 'no such command' >&2\nexit 3\n");
        chmod($program, 0755);
        try {
            $options = ['socket' => '/nonexistent/s', 'plasmd_path' => $program];
            (new Client($options))->submit($this->module);
            self::fail('Ran nowhere');
        } catch (DaemonUnavailable $failed) {
            self::assertStringContainsString('with 3: no such command', $failed->getMessage());
        }
    }

    public function testFindsTheSocketInTheOrderOfTheSpecification(): void
    {
        $this->env('PHASE_CONTROL_SOCKET', null);
        $this->env('XDG_RUNTIME_DIR', '/run/user/7');
        $this->env('XDG_DATA_HOME', null);
        $this->env('HOME', '/at/home');
        self::assertSame([
            '/run/user/7/phase/plasmd.sock',
            '/at/home/.local/share/plasm/plasmd.sock',
            '/var/lib/plasm/plasmd.sock',
        ], SocketPath::candidates(null));
        $this->env('XDG_RUNTIME_DIR', null);
        $this->env('XDG_DATA_HOME', '/data');
        self::assertSame(
            ['/data/plasm/plasmd.sock', '/var/lib/plasm/plasmd.sock'],
            SocketPath::candidates(null),
        );
        $this->env('PHASE_CONTROL_SOCKET', '/named');
        self::assertSame(['/named'], SocketPath::candidates(null));
        self::assertSame(['/option'], SocketPath::candidates('/option'));
    }

    public function testManifestsReadAndWriteTheirJson(): void
    {
        $manifest = Manifest::fromWasmFile($this->module)->setCpuCores(2)->setTimeoutSeconds(5);
        $hash = 'sha256:' . hash('sha256', Documents::MODULE);
        self::assertSame($hash, $manifest->getModuleHash());
        $again = Manifest::fromJson($manifest->toJson());
        self::assertSame($manifest->toJson(), $again->toJson());
        self::assertSame([2, 128, 5], array_values($again->toOptions()));
        self::assertSame($this->module, $again->setModulePath($this->module)->getModulePath());
        $this->expectExceptionMessage('Module hash mismatch');
        $again->setModulePath(__FILE__);
    }

    /** @dataProvider wrongManifests */
    public function testRefusesWrongManifests(string $json): void
    {
        $this->expectException(\InvalidArgumentException::class);
        Manifest::fromJson($json);
    }

    /** @return list<array{string}> */
    public static function wrongManifests(): array
    {
        $hash = '"module_hash":"sha256:' . str_repeat('0', 64) . '"';
        return [
            [''],
            ['[]'],
            ['{"module_hash":"abc"}'],
            ["{{$hash},\"version\":\"9.9\"}"],
            ["{{$hash},\"cpu_cores\":0}"],
            ["{{$hash},\"memory_mb\":\"128\"}"],
            ["{{$hash},\"timeout_seconds\":3601}"],
        ];
    }

    public function testBackOffDoublesWithinItsLimits(): void
    {
        $retry = new Retry(5, 100, 1000);
        foreach ([100, 200, 400, 800, 1000, 1000] as $number => $whole) {
            for ($i = 0; $i < 50; ++$i) {
                $wait = $retry->waitMs($number);
                self::assertGreaterThanOrEqual(intdiv($whole, 2), $wait);
                self::assertLessThanOrEqual($whole, $wait);
            }
        }
        self::assertLessThanOrEqual(1000, $retry->waitMs(63));
    }

    public function testRetriesEndWithTheDeadline(): void
    {
        $tries = 0;
        try {
            (new Retry(20, 60000, 60000))->run(function () use (&$tries): void {
                ++$tries;
                throw new PlasmException('busy', 'busy');
            }, Deadline::in(0.05));
        } catch (PlasmException) {
            self::assertSame(1, $tries);
        }
    }

    public function testOptionsHaveTheirDefaults(): void
    {
        $options = new Options([]);
        self::assertSame(['auto', 300.0, 30.0, 3], [
            $options->mode, $options->timeout, $options->requestTimeout, $options->retries,
        ]);
    }

    private function env(string $name, ?string $value): void
    {
        $this->environment[$name] ??= getenv($name);
        putenv($value === null ? $name : "{$name}={$value}");
    }
}
