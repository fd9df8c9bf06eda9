<?php

declare(strict_types=1);

namespace Plasm\Tests;

use PHPUnit\Framework\TestCase;
use Plasm\Client;
use Plasm\Event\OutputEvent;
use Plasm\Event\ResultEvent;
use Plasm\Exception\JobNotFound;
use Plasm\Exception\NoProvider;
use Plasm\Exception\PlasmException;
use Plasm\Receipt;
use Plasm\Tests\Support\Plasmd;
use Plasm\Tests\Support\Programs;
use Plasm\Tests\Support\TempFolder;
use Plasm\Verify\Evidence;

/** Goal: the documented calls, against the real programs. */
final class EndToEndTest extends TestCase
{
    private const INPUT = 'Hello, World';
    private const OUTPUT = 'dlroW ,olleH';

    private static ?Plasmd $plasmd = null;
    private static string $home;
    private static string|false $userHome;

    /** One-shot nodes keep their key and cache under HOME: not under the user's. */
    public static function setUpBeforeClass(): void
    {
        self::$userHome = getenv('HOME');
        self::$home = TempFolder::make();
        putenv('HOME=' . self::$home);
    }

    public static function tearDownAfterClass(): void
    {
        self::$plasmd = null;
        putenv(self::$userHome === false ? 'HOME' : 'HOME=' . self::$userHome);
        TempFolder::remove(self::$home);
    }

    public function testTheThreeCallsOfTheReadme(): void
    {
        $client = self::daemon()->client();
        $jobId = $client->submit(Programs::hello(), ['cpu' => 1]);
        $uuid = '/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/D';
        self::assertMatchesRegularExpression($uuid, $jobId);
        $result = $client->result($jobId, self::INPUT);
        self::assertSame(self::OUTPUT, $result->stdout());
        self::assertSame('', $result->stderr());
        self::assertSame(0, $result->exitCode());
        self::assertTrue($result->isSuccess());
        self::assertTrue($result->verdict()->passed('module_hash'));
        self::assertTrue($result->verdict()->outputChecked());
        self::assertSame(self::daemon()->peerId(), $result->provider());
        self::assertSame(
            'sha256:' . hash_file('sha256', Programs::hello()),
            $result->receipt()->getModuleHash(),
        );
        // The result can be asked for again, also by a client that knows nothing of the job.
        self::assertSame(self::OUTPUT, $client->result($jobId)->stdout());
        self::assertSame(self::OUTPUT, self::daemon()->client()->result($jobId)->stdout());
    }

    public function testFluentJobs(): void
    {
        $job = self::daemon()->client()->createJob(Programs::hello());
        $result = $job->withCpu(1)->withMemory(64)->withTimeout(20)->withArgs('a', '-b')
            ->withEnv(['NAME' => 'value', '7' => 'seven'])->submit(self::INPUT);
        self::assertSame(self::OUTPUT, $result->getStdout());
        $body = $result->manifest()->job->body;
        self::assertSame(['a', '-b'], $body->args);
        self::assertSame(['7' => 'seven', 'NAME' => 'value'], $body->env);
        self::assertSame(64 << 20, $body->memoryBytes);
        self::assertSame(20000, $result->manifest()->wallLimitMs);
    }

    public function testInputGivenAtSubmissionAndPrivateJobs(): void
    {
        $client = self::daemon()->client();
        foreach ([false, true] as $private) {
            $options = ['stdin' => self::INPUT, 'private' => $private];
            $result = $client->result($client->submit(Programs::hello(), $options));
            self::assertSame(self::OUTPUT, $result->stdout());
            self::assertSame($private, $result->receipt()->isPrivate);
            $hash = 'sha256:' . hash_file('sha256', Programs::hello());
            self::assertSame(!$private, $result->receipt()->getModuleHash() === $hash);
        }
    }

    public function testStreamsOutputOfManyPieces(): void
    {
        $client = self::daemon()->client();
        $input = str_repeat('0123456789abcdef', 20000);
        $stream = $client->stream($client->submit(Programs::hello()), $input);
        $output = '';
        $last = null;
        foreach ($stream as $event) {
            $output .= $event instanceof OutputEvent ? $event->data : '';
            $last = $event;
        }
        self::assertInstanceOf(ResultEvent::class, $last);
        self::assertSame($output, $stream->getReturn()->stdout());
        $whole = $client->result($client->submit(Programs::hello()), $input);
        self::assertSame($whole->stdout(), $output);
        self::assertSame($whole->receipt()->output->length, strlen($output));
    }

    public function testAReceiptIsRefusedAgainstOtherOutputAndAfterEveryFlippedByte(): void
    {
        $client = self::daemon()->client();
        $result = $client->result($client->submit(Programs::hello()), self::INPUT);
        $evidence = Evidence::ofStdout($result->manifestBytes(), self::OUTPUT, self::INPUT);
        self::assertTrue($result->receipt()->verify($evidence)->ok());
        $other = Evidence::ofStdout($result->manifestBytes(), 'dlroW ,olleX', self::INPUT);
        self::assertSame('output_commitment', $result->receipt()->verify($other)->failedCheck());
        $bytes = $result->receipt()->toBytes();
        for ($at = 0; $at < strlen($bytes); ++$at) {
            $altered = substr_replace($bytes, chr(ord($bytes[$at]) ^ 1), $at, 1);
            try {
                $failed = Receipt::fromBytes($altered)->verify($evidence)->failedCheck();
                self::assertContains($failed, ['receipt_form', 'signature']);
            } catch (PlasmException $malformed) {
                self::assertContains($malformed->errorCode(), [
                    'malformed', 'too_large', 'version_unknown', 'unsupported',
                ]);
            }
        }
    }

    public function testALimitThatIsHitIsAResultThatSaysSo(): void
    {
        $client = self::daemon()->client();
        $result = $client->result($client->submit(Programs::hello(), ['fuel' => 5]), self::INPUT);
        self::assertFalse($result->isSuccess());
        self::assertNull($result->exitCode());
        self::assertSame('limited: fuel', $result->completion()->text());
    }

    public function testAJobThatWaitsForItsInputIsCancelled(): void
    {
        $client = self::daemon()->client(['timeout' => 30]);
        $jobId = $client->submit(Programs::hello(), ['timeout' => 60]);
        $client->cancel($jobId);
        try {
            $result = $client->result($jobId, self::INPUT);
            self::assertSame('cancelled', $result->completion()->name());
        } catch (PlasmException $cancelled) {
            self::assertSame('cancelled', $cancelled->errorCode());
        }
    }

    public function testAnUnknownJobIsNotFound(): void
    {
        $this->expectException(JobNotFound::class);
        self::daemon()->client()->result('00000000-0000-4000-8000-000000000000');
    }

    public function testOneShotNodes(): void
    {
        $client = self::oneShot();
        $first = $client->submit(Programs::hello(), ['cpu' => 1, 'args' => ['-x', '--', 'y']]);
        $second = $client->submit(Programs::hello(), ['memory' => 16, 'env' => ['A' => 'b=c']]);
        self::assertNotSame($first, $second);
        $large = str_repeat('abcdefgh', 100000);
        self::assertSame(strrev($large), $client->result($second, $large)->stdout());
        $result = $client->result($first, self::INPUT);
        self::assertSame(self::OUTPUT, $result->stdout());
        self::assertSame(['-x', '--', 'y'], $result->manifest()->job->body->args);
        $stream = $client->stream($client->submit(Programs::hello()), self::INPUT);
        iterator_to_array($stream, false);
        self::assertSame(self::OUTPUT, $stream->getReturn()->stdout());
        $given = $client->submit(Programs::hello(), ['stdin' => self::INPUT]);
        self::assertSame(self::OUTPUT, $client->result($given)->stdout());
        $this->expectException(JobNotFound::class);
        $client->result($first);
    }

    public function testOneShotNodesSayWhatTheyDoNotTake(): void
    {
        try {
            self::oneShot()->submit(Programs::hello(), ['region' => 'north']);
            self::fail('Took it');
        } catch (PlasmException $refused) {
            self::assertSame('unsupported', $refused->errorCode());
        }
    }

    public function testARemoteJobIsSignedByTheProviderAndNotByTheLocalNode(): void
    {
        $provider = new Plasmd(['--open']);
        $requester = new Plasmd(['--bootstrap', $provider->address(), '--requester-only']);
        $client = $requester->client(['mode' => 'remote']);
        $nodes = $client->discover(['runtime' => 'wasmtime', 'wait' => 20]);
        self::assertSame($provider->peerId(), $nodes[0]->peerId ?? null);
        self::assertSame([], $client->discover(['runtime' => 'other', 'wait' => 1]));
        $result = $client->result($client->submit(Programs::hello(), ['cpu' => 1]), self::INPUT);
        self::assertSame(self::OUTPUT, $result->stdout());
        self::assertSame($provider->peerId(), $result->provider());
        self::assertNotSame($requester->peerId(), $result->provider());
        $named = $client->submit(Programs::hello(), ['target' => $provider->peerId()]);
        self::assertSame($provider->peerId(), $client->result($named, self::INPUT)->provider());

        $provider->stop();
        try {
            $client->result($client->submit(Programs::hello()), self::INPUT);
            self::fail('Somebody ran it');
        } catch (NoProvider $nobody) {
            self::assertNotSame('', $nobody->text());
        }
    }

    /** @dataProvider examples */
    public function testTheLocalExamplePrintsItsLines(bool $withDaemon): void
    {
        [$status, $out, $err] = self::runExample('local_test.php', $withDaemon);
        self::assertSame(0, $status, $err);
        self::assertMatchesRegularExpression(
            "/^Submitting job: hello\.wasm\nJob ID: [0-9a-f-]{36}\nWaiting for result\.\.\.\n"
            . "Output: dlroW ,olleH\nExit code: 0\nReceipt verified ✓\n$/Du",
            $out,
        );
    }

    /** @return array<string, array{bool}> */
    public static function examples(): array
    {
        return ['by a daemon' => [true], 'by a one-shot node' => [false]];
    }

    private static function daemon(): Plasmd
    {
        return self::$plasmd ??= new Plasmd();
    }

    private static function oneShot(): Client
    {
        return new Client([
            'socket' => '/nonexistent/plasmd.sock',
            'plasmd_path' => Programs::plasmd(),
            'timeout' => 60,
        ]);
    }

    /** @return array{int, string, string} */
    private static function runExample(string $name, bool $withDaemon): array
    {
        $plasmd = Programs::plasmd();
        $home = TempFolder::make();
        $socket = $withDaemon ? self::daemon()->socket : "{$home}/nobody";
        $files = [['file', '/dev/null', 'r'], ['pipe', 'w'], ['file', "{$home}/err", 'w']];
        $process = proc_open(
            [PHP_BINARY, dirname(__DIR__, 3) . "/examples/{$name}", Programs::hello()],
            $files,
            $pipes,
            null,
            [
                'PATH' => getenv('PATH'),
                'HOME' => $home,
                'PHASE_CONTROL_SOCKET' => $socket,
                'PLASMD_PATH' => $plasmd,
            ],
        );
        $out = (string) stream_get_contents($pipes[1]);
        $status = proc_close($process);
        $err = (string) file_get_contents("{$home}/err");
        TempFolder::remove($home);
        return [$status, $out, $err];
    }
}
