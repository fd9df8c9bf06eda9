<?php

declare(strict_types=1);

namespace Plasm\Tests;

use PHPUnit\Framework\TestCase;
use Plasm\Deadline;
use Plasm\Exception\DaemonUnavailable;
use Plasm\Exception\PlasmException;
use Plasm\Exception\ProtocolError;
use Plasm\Exception\Timeout;
use Plasm\Http\HttpClient;
use Plasm\Http\Response;
use Plasm\Http\SseReader;
use Plasm\Tests\Support\ScriptedServer;

/** Goal: whatever a server sends or withholds, the client reads it right or stops at a limit. */
final class HttpTest extends TestCase
{
    private const BODY_MAX = 100000;

    public function testReadsContentLength(): void
    {
        $answer = $this->get("HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello");
        self::assertSame([201, 'hello'], [$answer->status, $answer->body]);
    }

    public function testReadsChunksHoweverTheyArrive(): void
    {
        $bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            . "5\r\nhello\r\nA;x=y\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n";
        self::assertSame('hello0123456789', $this->get($bytes)->body);
        $steps = [['read']];
        foreach (str_split($bytes) as $byte) {
            $steps[] = ['send', base64_encode($byte)];
            $steps[] = ['wait_ms', 1];
        }
        $server = new ScriptedServer([$steps]);
        self::assertSame('hello0123456789', self::request($server)->body);
    }

    public function testReadsToTheEndOfTheConnectionAndPastInterimAnswers(): void
    {
        $interim = "HTTP/1.1 100 Continue\r\n\r\n";
        $answer = $this->get("{$interim}HTTP/1.0 200 OK\r\nA: b\r\n\r\nto the end");
        self::assertSame('to the end', $answer->body);
        $answer = $this->get("HTTP/1.1 204 No Content\r\n\r\n");
        self::assertSame([204, ''], [$answer->status, $answer->body]);
    }

    public function testSendsTheBodyWithItsLengthAndALocalHost(): void
    {
        $server = new ScriptedServer([ScriptedServer::answer("HTTP/1.1 204 N\r\n\r\n")]);
        $body = str_repeat('x', 30000);
        self::request($server, 'POST', $body);
        $request = $server->request();
        self::assertStringStartsWith("POST /path HTTP/1.1\r\nHost: localhost\r\n", $request);
        self::assertStringContainsString("\r\nContent-Length: 30000\r\n", $request);
        self::assertStringEndsWith("\r\n\r\n" . $body, $request);
    }

    /** @dataProvider malformed */
    public function testRefusesWhatIsNotHttp(string $bytes): void
    {
        $this->expectException(ProtocolError::class);
        $this->get($bytes);
    }

    /** @return array<string, array{string}> */
    public static function malformed(): array
    {
        $head = "HTTP/1.1 200 OK\r\n";
        $chunked = "{$head}Transfer-Encoding: chunked\r\n";
        return array_map(static fn (string $bytes): array => [$bytes], [
            'another protocol' => "SSH-2.0-x\r\n\r\n",
            'HTTP/2' => "HTTP/2 200\r\n\r\n",
            'a header without name' => "{$head}: x\r\n\r\n",
            'a folded header' => "{$head}A: b\r\n c\r\n\r\n",
            'two lengths' => "{$head}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            'a negative length' => "{$head}Content-Length: -1\r\n\r\n",
            'a length in hex' => "{$head}Content-Length: 0x1\r\n\r\na",
            'length beside chunks' => "{$chunked}Content-Length: 3\r\n\r\n0\r\n\r\n",
            'another coding' => "{$head}Transfer-Encoding: gzip, chunked\r\n\r\n",
            'a chunk without size' => "{$chunked}\r\nzz\r\n",
            'a huge chunk size' => "{$chunked}\r\nfffffffff\r\n",
            'a chunk too long' => "{$chunked}\r\n2\r\nabc\r\n0\r\n\r\n",
            'an endless head' => $head . str_repeat("A: b\r\n", 20000),
            'an endless chunk line' => "{$chunked}\r\n" . str_repeat('0', 5000),
            'endless trailers' => "{$chunked}\r\n0\r\n"
                . str_repeat("A: b\r\n", 20000) . "\r\n",
            'endless interim answers' => str_repeat("HTTP/1.1 100 C\r\n\r\n", 20) . "{$head}\r\n",
        ]);
    }

    /** @dataProvider tooLarge */
    public function testStopsAtTheLimitOfAnAnswer(string $bytes): void
    {
        try {
            $this->get($bytes);
            self::fail('No limit');
        } catch (ProtocolError $error) {
            self::assertSame('too_large', $error->errorCode());
            self::assertNotSame('', $error->hint());
        }
    }

    /** @return array<string, array{string}> */
    public static function tooLarge(): array
    {
        $head = "HTTP/1.1 200 OK\r\n";
        $body = str_repeat('x', self::BODY_MAX + 1);
        return [
            'announced' => ["{$head}Content-Length: 99999999\r\n\r\n"],
            'to the end' => ["{$head}\r\n{$body}"],
            'chunked' => ["{$head}Transfer-Encoding: chunked\r\n\r\n186a1\r\n{$body}\r\n0\r\n\r\n"],
        ];
    }

    /** @dataProvider cutOff */
    public function testAnAnswerCutOffIsALostConnection(string $bytes): void
    {
        try {
            $this->get($bytes);
            self::fail('Accepted half an answer');
        } catch (PlasmException $lost) {
            self::assertSame('connection_closed', $lost->errorCode());
            self::assertTrue($lost->isRetryable());
        }
    }

    /** @return array<string, array{string}> */
    public static function cutOff(): array
    {
        $chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        return array_map(static fn (string $bytes): array => [$bytes], [
            'nothing' => '',
            'in the head' => "HTTP/1.1 200 OK\r\nA: ",
            'in the body' => "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
            'in a chunk' => "{$chunked}5\r\nhell",
            'between chunks' => "{$chunked}5\r\nhello\r\n",
        ]);
    }

    public function testASilentServerEndsAtTheDeadline(): void
    {
        foreach (['', "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"] as $sent) {
            $script = [['read'], ['send', base64_encode($sent)], ['hang']];
            $server = new ScriptedServer([$script]);
            try {
                self::request($server, 'GET', '', 0.05);
                self::fail('Waited for ever');
            } catch (Timeout $timeout) {
                self::assertSame('timed_out', $timeout->errorCode());
            }
        }
    }

    public function testAServerThatReadsNothingEndsAtTheDeadline(): void
    {
        $server = new ScriptedServer([[['wait_ms', 20000]]]);
        $this->expectException(Timeout::class);
        self::request($server, 'POST', str_repeat('x', 8 << 20), 0.05);
    }

    public function testAnAnswerBeforeTheWholeBodyWasReadIsRead(): void
    {
        $early = "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n{}";
        $server = new ScriptedServer([[['send', base64_encode($early)]]]);
        try {
            self::assertSame(413, self::request($server, 'POST', str_repeat('x', 8 << 20))->status);
        } catch (PlasmException $lost) {
            // The kernel may drop the answer together with the unread body.
            self::assertSame('connection_closed', $lost->errorCode());
        }
    }

    public function testNobodyThereIsUnavailable(): void
    {
        try {
            $client = new HttpClient('/nonexistent/plasmd.sock', self::BODY_MAX);
            $client->request('GET', '/', '', 'text/plain', Deadline::in(1));
            self::fail('Somebody was there');
        } catch (DaemonUnavailable $error) {
            self::assertSame('unavailable', $error->errorCode());
            self::assertStringContainsString('plasmd start', $error->hint());
        }
    }

    public function testReadsServerSentEvents(): void
    {
        $events = ": hello\n\nid: 1\nevent: state\ndata: {\"a\":1}\n\n"
            . "id:2\r\nevent:output\r\ndata:x\r\ndata: y\r\n\r\nid: 3\nevent: cut\ndata: off\n";
        $server = new ScriptedServer([ScriptedServer::answer(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            . dechex(strlen($events)) . "\r\n{$events}\r\n0\r\n\r\n",
        )]);
        $deadline = Deadline::in(10);
        $client = new HttpClient($server->socket, self::BODY_MAX);
        $reader = new SseReader($client->open('GET', '/', '', [], $deadline), self::BODY_MAX);
        $first = $reader->next($deadline);
        self::assertSame(['1', 'state', '{"a":1}'], [$first->id, $first->name, $first->data]);
        $second = $reader->next($deadline);
        self::assertSame(['2', 'output', "x\ny"], [$second->id, $second->name, $second->data]);
        self::assertNull($reader->next($deadline));
    }

    public function testAnEndlessEventStopsAtTheLimit(): void
    {
        foreach (['data: ' . str_repeat('x', 200000), str_repeat("data: x\n", 50000)] as $event) {
            $answer = ScriptedServer::answer("HTTP/1.1 200 OK\r\n\r\n{$event}");
            $server = new ScriptedServer([$answer]);
            $deadline = Deadline::in(10);
            $client = new HttpClient($server->socket, self::BODY_MAX);
            $reader = new SseReader($client->open('GET', '/', '', [], $deadline), self::BODY_MAX);
            try {
                $reader->next($deadline);
                self::fail('No limit');
            } catch (ProtocolError $error) {
                self::assertSame('too_large', $error->errorCode());
            }
        }
    }

    private function get(string $answer): Response
    {
        return self::request(new ScriptedServer([ScriptedServer::answer($answer)]));
    }

    private static function request(
        ScriptedServer $server,
        string $method = 'GET',
        string $body = '',
        float $seconds = 20,
    ): Response {
        $client = new HttpClient($server->socket, self::BODY_MAX);
        return $client->request($method, '/path', $body, 'text/plain', Deadline::in($seconds));
    }
}
