<?php

declare(strict_types=1);

namespace Plasm\Tests;

use PHPUnit\Framework\TestCase;
use Plasm\Client;
use Plasm\Event\OutputEvent;
use Plasm\Event\RestartEvent;
use Plasm\Event\ResultEvent;
use Plasm\Event\StateEvent;
use Plasm\Exception\DaemonUnavailable;
use Plasm\Exception\JobFailed;
use Plasm\Exception\JobNotFound;
use Plasm\Exception\NoProvider;
use Plasm\Exception\PlasmException;
use Plasm\Exception\ProtocolError;
use Plasm\Exception\Timeout;
use Plasm\Exception\VerificationFailed;
use Plasm\Result;
use Plasm\Tests\Support\Documents;
use Plasm\Tests\Support\ScriptedServer;
use Plasm\Wire\CborWriter as Cbor;
use Plasm\Wire\Commitment;

/**
 * Goal: what a daemon may do wrong (die, stall, lie) ends as the right exception.
 * Method: a scripted server on a Unix socket. What a daemon does right, EndToEndTest shows.
 */
final class DaemonTransportTest extends TestCase
{
    private const ID = '3f1c9a52-6d1b-4f0e-9f5a-1a2b3c4d5e6f';
    private const OTHER_PEER = '12D3KooWQK1wnefoLrcVHbbnf5tLzbopUd3K3bFAoJpA7YJgL5pV';
    /** Client asks first who answers: a connection without a request. */
    private const PROBE = [];

    public function testNobodyThereIsUnavailable(): void
    {
        $client = new Client(['mode' => 'remote', 'socket' => '/nonexistent/plasmd.sock']);
        $this->expectException(DaemonUnavailable::class);
        $client->discover();
    }

    public function testRetriesWhatRetryingHelpsAndThenStops(): void
    {
        $status = ['peer_id' => 'x'];
        $server = new ScriptedServer([
            self::PROBE,
            ScriptedServer::error(503, 'busy'),
            ScriptedServer::answer(''),
            ScriptedServer::json(200, $status),
            ScriptedServer::json(200, ['providers' => []]),
        ]);
        self::assertSame([], self::client($server)->discover());

        $busy = ScriptedServer::error(503, 'busy');
        $server = new ScriptedServer([self::PROBE, $busy, $busy, $busy]);
        try {
            self::client($server, ['retries' => 2])->discover();
            self::fail('Retried for ever');
        } catch (PlasmException $failed) {
            self::assertSame(['busy', 'm (h)'], [$failed->errorCode(), $failed->text()]);
        }
    }

    public function testDoesNotRetryWhatItCannotHelp(): void
    {
        // A second request would find nobody and time out.
        $server = new ScriptedServer([self::PROBE, ScriptedServer::error(404, 'not_found')]);
        $this->expectException(JobNotFound::class);
        self::client($server)->cancel(self::ID);
    }

    public function testDoesNotSubmitTwiceWhenTheAnswerIsLost(): void
    {
        $server = new ScriptedServer([
            self::PROBE,
            ScriptedServer::json(201, ['sha256' => hash('sha256', Documents::MODULE)]),
            ScriptedServer::answer(''),
            ScriptedServer::json(201, ['id' => self::ID]),
        ]);
        try {
            self::client($server)->submit(self::module());
            self::fail('Submitted twice');
        } catch (PlasmException $lost) {
            self::assertSame('connection_closed', $lost->errorCode());
        }
    }

    public function testSubmitsWhatWasAsked(): void
    {
        $server = new ScriptedServer([
            self::PROBE,
            ScriptedServer::json(201, ['sha256' => hash('sha256', Documents::MODULE)]),
            ScriptedServer::json(201, ['id' => self::ID]),
        ]);
        $options = [
            'cpu' => 1, 'memory' => 64, 'timeout' => 1.5, 'args' => ['ä'], 'env' => [],
            'stdin' => "\xFF",
        ];
        self::assertSame(self::ID, self::client($server)->submit(self::module(), $options));
        self::assertStringEndsWith(Documents::MODULE, $server->request());
        $body = explode("\r\n\r\n", $server->request(), 2)[1];
        self::assertEquals([
            'module' => hash('sha256', Documents::MODULE),
            'target' => 'remote',
            'output_bytes' => 8388608,
            'cpu_cores' => 1,
            'memory_bytes' => 67108864,
            'timeout_ms' => 1500,
            'args' => ['ä'],
            'env' => [],
            'stdin' => '/w==',
        ], json_decode($body, true));
        self::assertStringContainsString('"env":{}', $body);
    }

    public function testInputThatWasWrittenElsewhereIsTakenFromTheDaemonsRecord(): void
    {
        $server = new ScriptedServer([
            self::PROBE,
            ScriptedServer::json(200, self::state('done')),
            ScriptedServer::json(200, self::result(new Documents())),
        ]);
        self::assertSame(Documents::OUTPUT, self::client($server)->result(self::ID)->stdout());
    }

    public function testAnotherModuleHashIsAProtocolError(): void
    {
        $other = ['sha256' => str_repeat('0', 64)];
        $server = new ScriptedServer([self::PROBE, ScriptedServer::json(201, $other)]);
        $this->expectException(ProtocolError::class);
        self::client($server)->submit(self::module());
    }

    public function testNoProviderSaysWhatToDo(): void
    {
        $error = ['code' => 'unavailable', 'message' => 'no provider found', 'hint' => 'start one'];
        $server = new ScriptedServer([
            self::PROBE,
            ScriptedServer::answer("HTTP/1.1 204 N\r\n\r\n"),
            ScriptedServer::json(200, self::state('failed') + ['error' => $error]),
        ]);
        try {
            self::client($server)->result(self::ID, '');
            self::fail('A result from nobody');
        } catch (NoProvider $nobody) {
            self::assertStringEndsWith(': no provider found (start one)', $nobody->text());
        }
    }

    public function testWaitsAgainWhileTheJobRunsAndStopsAtTheTimeout(): void
    {
        $running = ScriptedServer::json(202, self::state('running'));
        $slow = [['wait_ms', 60], ...$running];
        $written = ScriptedServer::answer("HTTP/1.1 204 N\r\n\r\n");
        $server = new ScriptedServer([self::PROBE, $written, $slow, $slow, $slow, $slow]);
        $this->expectException(Timeout::class);
        self::client($server, ['timeout' => 0.15])->result(self::ID, '');
    }

    public function testAcceptsAResultOnlyWithAReceiptThatVerifies(): void
    {
        $documents = new Documents();
        $result = self::result($documents);
        $answer = self::take($result);
        self::assertSame(Documents::OUTPUT, $answer->stdout());
        self::assertSame(0, $answer->exitCode());
        self::assertTrue($answer->isSuccess());
        self::assertSame(2, $answer->getWallTimeMs());
        self::assertSame($documents->manifest(), $answer->manifestBytes());
    }

    /** @dataProvider lies */
    public function testALyingDaemonIsFoundOut(string $check, \Closure $lie): void
    {
        $documents = new Documents();
        $result = $lie($documents) + self::result($documents);
        try {
            self::take($result);
            self::fail('Believed it');
        } catch (VerificationFailed $refused) {
            self::assertSame($check, $refused->verdict()->failedCheck(), $refused->getMessage());
            self::assertSame('verification_failed', $refused->errorCode());
        }
    }

    /** @return iterable<string, array{string, \Closure(Documents): array}> */
    public static function lies(): iterable
    {
        $piece = static fn (string $bytes, int $stream = 1): array
            => [['stream' => $stream, 'data' => base64_encode($bytes)]];
        yield 'other output' => ['output_commitment', static fn (): array
            => ['transcript' => $piece('dlroW ,olleX')]];
        yield 'more output' => ['output_length', static fn (): array
            => ['transcript' => $piece(Documents::OUTPUT . '!')]];
        yield 'stdout as stderr' => ['output_commitment', static fn (): array
            => ['transcript' => $piece(Documents::OUTPUT, 2)]];
        yield 'meant for the local node' => ['audience', static function (): array {
            $local = new Documents();
            $local->audience = Documents::key($local->requesterSecret);
            return ['manifest' => base64_encode($local->manifest())];
        }];
        yield 'run by the local node' => ['provider_key', static function (): array {
            return self::result(self::ranByItself());
        }];
        yield 'meant for anybody' => ['audience', static function (): array {
            $open = new Documents();
            $open->audience = null;
            return self::result($open);
        }];
        yield 'other input' => ['input_commitment', static function (): array {
            $other = new Documents();
            $other->input = 'Hello, Daemon';
            return self::result($other);
        }];
        yield 'no receipt at all' => ['receipt_form', static fn (): array => ['receipt' => '']];
    }

    /** @dataProvider otherRequests */
    public function testAManifestOfAnotherRequestIsFoundOut(
        string $check,
        string $detail,
        array $expect,
    ): void
    {
        $result = self::result(new Documents());
        try {
            self::take($result, $expect + ['args' => ['one'], 'env' => ['A' => 'b']]);
            self::fail('Believed it');
        } catch (VerificationFailed $refused) {
            self::assertSame($check, $refused->verdict()->failedCheck(), $refused->getMessage());
            self::assertStringContainsString($detail, $refused->verdict()->detail());
        }
    }

    /** @return array<string, array{string, string, array}> */
    public static function otherRequests(): array
    {
        return [
            'module' => ['module_hash', 'module', ['module' => __FILE__]],
            'args' => ['request', 'args', ['args' => ['two']]],
            'env' => ['request', 'env', ['env' => ['A' => 'c']]],
            'more env' => ['request', 'env', ['env' => ['A' => 'b', '01' => '1']]],
            'cpu' => ['request', 'cpu_cores', ['cpu' => 2]],
            'arch' => ['request', 'arch', ['arch' => 'riscv64']],
            'runtime' => ['request', 'runtime', ['runtime' => 'other']],
            'private' => ['request', 'privately', ['private' => true]],
            'entry' => ['request', 'entry', ['entry' => 'main']],
            'fuel' => ['request', 'fuel', ['fuel' => 5]],
            'memory' => ['request', 'memory_bytes', ['memory' => 64]],
            'table' => ['request', 'table_elements', ['table_elements' => 1001]],
            'output' => ['request', 'output_bytes', ['output_bytes' => 5]],
            'timeout' => ['request', 'timeout_ms', ['timeout' => 29]],
            'profile' => ['profile', 'profile', ['profile' => 'det-1']],
            'level' => ['level', 'audit', ['level' => 'audit']],
            'peer' => ['provider_key', 'another key', ['target' => self::OTHER_PEER]],
        ];
    }

    public function testALocalJobSignedByAnotherNodeIsFoundOut(): void
    {
        try {
            self::take(['target' => 'local'] + self::result(new Documents()), mode: 'auto');
            self::fail('Believed it');
        } catch (VerificationFailed $refused) {
            self::assertSame('provider_key', $refused->verdict()->failedCheck());
        }
        $own = ['target' => 'local'] + self::result(self::ranByItself());
        self::assertTrue(self::take($own, mode: 'auto')->isSuccess());
    }

    /** @dataProvider givenOrStreamed */
    public function testARunCutOffMustHaveHadTheBeginningOfTheInput(bool $streamed): void
    {
        $documents = new Documents();
        $documents->streamed = $streamed;
        $job = $streamed ? $documents->job(Commitment::of('Hello')) : null;
        $documents->receiptKeys = [
            5 => Commitment::of('Hello')->encode(),
            7 => Cbor::map([0 => Cbor::uint(1), 2 => Cbor::text('unreachable')]),
        ] + ($job === null ? [] : [2 => Cbor::bytes(hash('sha256', $job, true))]);
        $expect = ['args' => ['one'], 'env' => ['A' => 'b']]
            + ($streamed ? [] : ['stdin' => Documents::INPUT]);
        $taken = self::take(self::result($documents), $expect);
        self::assertSame('trapped: unreachable', $taken->completion()->text());
        self::assertNull($taken->exitCode());

        $documents->receiptKeys[5] = Commitment::of('Jello')->encode();
        try {
            self::take(self::result($documents), $expect);
            self::fail('Believed it');
        } catch (VerificationFailed $refused) {
            self::assertSame('input_commitment', $refused->verdict()->failedCheck());
        }
    }

    public function testAResultSaysHowMuchOfItsInputWasConsumed(): void
    {
        $documents = new Documents();
        $documents->input = 'Hello';
        self::assertSame(5, self::take(self::result($documents))->inputConsumed());
        $documents->input = 'Hello, World and more';
        $this->expectException(VerificationFailed::class);
        self::take(self::result($documents));
    }

    /** @return array<string, array{bool}> */
    public static function givenOrStreamed(): array
    {
        return ['streamed' => [true], 'given at submission' => [false]];
    }

    public function testARemoteClientTakesNoLocalResult(): void
    {
        $this->expectException(VerificationFailed::class);
        self::take(['target' => 'local'] + self::result(self::ranByItself()));
    }

    public function testFollowsOnWhereTheConnectionBroke(): void
    {
        $documents = new Documents();
        $head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
        $event = static fn (int $id, string $name, array $data): string
            => "id: {$id}\nevent: {$name}\ndata: " . json_encode($data) . "\n\n";
        $output = static fn (string $bytes): array
            => ['stream' => 1, 'data' => base64_encode($bytes)];
        $server = new ScriptedServer([
            self::PROBE,
            ScriptedServer::answer("HTTP/1.1 204 N\r\n\r\n"),
            ScriptedServer::answer($head . $event(1, 'state', self::state('running'))
                . $event(2, 'output', $output('lost')) . "id: 3\nevent: output\n"),
            ScriptedServer::answer($head . $event(3, 'restart', [])
                . $event(4, 'output', $output('dlroW ,'))),
            ScriptedServer::answer($head . $event(5, 'later_invention', [])
                . $event(6, 'output', $output('olleH'))
                . $event(7, 'result', self::result($documents))),
        ]);
        $stream = self::client($server)->stream(self::ID, Documents::INPUT);
        $events = iterator_to_array($stream, false);
        self::assertSame(
            [
                StateEvent::class, OutputEvent::class, RestartEvent::class,
                OutputEvent::class, OutputEvent::class, ResultEvent::class,
            ],
            array_map('get_class', $events),
        );
        self::assertSame(Documents::OUTPUT, $stream->getReturn()->stdout());
        $server->request();
        self::assertStringNotContainsString('Last-Event-ID', $server->request());
        self::assertStringContainsString("Last-Event-ID: 2\r\n", $server->request());
        self::assertStringContainsString("Last-Event-ID: 4\r\n", $server->request());
    }

    public function testStreamedOutputIsVerifiedAsItWasHandedOut(): void
    {
        // The result's own transcript is right; what was streamed is not.
        $events = "id: 1\nevent: output\ndata: {\"stream\":1,\"data\":\"QQ==\"}\n\n"
            . "id: 2\nevent: result\ndata: " . json_encode(self::result(new Documents())) . "\n\n";
        $server = new ScriptedServer([
            self::PROBE,
            ScriptedServer::answer("HTTP/1.1 204 N\r\n\r\n"),
            ScriptedServer::answer("HTTP/1.1 200 OK\r\n\r\n{$events}"),
        ]);
        $this->expectException(VerificationFailed::class);
        iterator_to_array(self::client($server)->stream(self::ID, Documents::INPUT), false);
    }

    /** @dataProvider wrongAnswers */
    public function testAnAnswerThatIsNotTheApiIsAProtocolError(string $json): void
    {
        $server = new ScriptedServer([
            self::PROBE,
            ScriptedServer::answer("HTTP/1.1 204 N\r\n\r\n"),
            ScriptedServer::answer("HTTP/1.1 200 OK\r\n\r\n{$json}"),
        ]);
        $this->expectException(ProtocolError::class);
        self::client($server)->result(self::ID, '');
    }

    /** @return list<array{string}> */
    public static function wrongAnswers(): array
    {
        $result = self::result(new Documents());
        return [
            ['no json'],
            ['5'],
            ['{"state":"done"}'],
            [json_encode(['receipt' => '***'] + $result)],
            [json_encode(['stdin_sha256' => 'abc'] + $result)],
            [json_encode(['transcript' => [['stream' => 3, 'data' => '']]] + $result)],
            [json_encode(['transcript' => 'x'] + $result)],
            [json_encode(['salt' => 7] + $result)],
            [json_encode(['stdin_length' => '5'] + $result)],
            [str_repeat('[', 100000)],
        ];
    }

    public function testAFailedJobWithoutAReasonIsStillAFailure(): void
    {
        $server = new ScriptedServer([
            self::PROBE,
            ScriptedServer::answer("HTTP/1.1 204 N\r\n\r\n"),
            ScriptedServer::json(200, self::state('failed')),
        ]);
        $this->expectException(JobFailed::class);
        self::client($server)->result(self::ID, '');
    }

    public function testOutputThatIsNotKeptAnyMoreIsAFailure(): void
    {
        $this->expectException(JobFailed::class);
        $this->expectExceptionMessage('does not keep the output');
        self::take(['transcript' => null] + self::result(new Documents()));
    }

    public function testJobIdsCannotReachOtherPaths(): void
    {
        $server = new ScriptedServer([self::PROBE]);
        $this->expectException(\InvalidArgumentException::class);
        self::client($server)->result('../status?');
    }

    private static function client(ScriptedServer $server, array $options = []): Client
    {
        return new Client($options + [
            'mode' => 'remote',
            'socket' => $server->socket,
            'timeout' => 20,
            'request_timeout' => 10,
            'retry_base_ms' => 1,
        ]);
    }

    /** The result a client takes from a daemon that answers so. */
    private static function take(
        array $result,
        array $expect = [],
        string $mode = 'remote',
    ): Result {
        $given = isset($expect['stdin']);
        $server = new ScriptedServer([
            self::PROBE,
            ...($given ? [] : [ScriptedServer::answer("HTTP/1.1 204 N\r\n\r\n")]),
            ScriptedServer::json(200, $result),
        ]);
        $expect = $expect === [] ? [] : $expect + ['module' => self::module()];
        $client = self::client($server, ['mode' => $mode]);
        return $client->result(self::ID, $given ? null : Documents::INPUT, $expect);
    }

    private static function state(string $state): array
    {
        return ['id' => self::ID, 'state' => $state, 'target' => 'remote', 'provider' => null];
    }

    private static function result(Documents $documents): array
    {
        $input = Commitment::of($documents->input);
        return self::state('done') + [
            // Whatever the daemon says of these, nobody reads them.
            'verdict' => ['verified' => true, 'level' => 'proof'],
            'exit_code' => 77,
            'stdout' => base64_encode('not this'),
            'transcript' => [['stream' => 1, 'data' => base64_encode(Documents::OUTPUT)]],
            'stdin_sha256' => bin2hex($input->sha256),
            'stdin_length' => $input->length,
            'receipt' => base64_encode($documents->receipt()),
            'manifest' => base64_encode($documents->manifest()),
            'salt' => null,
        ];
    }

    /** Requester and provider are one node. */
    private static function ranByItself(): Documents
    {
        return new Documents(providerSeed: 1);
    }

    private static function module(): string
    {
        $path = sys_get_temp_dir() . '/plasm-php-test-' . getmypid() . '.wasm';
        file_put_contents($path, Documents::MODULE);
        register_shutdown_function(static fn () => @unlink($path));
        return $path;
    }
}
