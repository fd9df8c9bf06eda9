<?php

declare(strict_types=1);

namespace Plasm\Transport;

use Plasm\Deadline;
use Plasm\Exception\DaemonUnavailable;
use Plasm\Exception\PlasmException;
use Plasm\Exception\ProtocolError;
use Plasm\Http\Connection;
use Plasm\Http\HttpClient;
use Plasm\Http\SseReader;
use Plasm\Options;
use Plasm\Retry;
use Plasm\Submission;

/**
 * Jobs by a running plasmd, over its control socket. Normative: spec/control-api.md.
 *
 * Holds nothing of a job: any process that reaches the socket can ask for its result.
 */
final class DaemonTransport implements TransportInterface
{
    /** Largest piece of stdin in one request (spec/control-api.md). */
    private const STDIN_PIECE_BYTES = 1024 * 1024;
    /** Longest wait of one `result` request, in ms; then it is asked again. */
    private const RESULT_WAIT_MS = 20000;
    private const DISCOVERY_WAIT_MS_MAX = 30000;

    private readonly HttpClient $http;
    private readonly Retry $retry;
    private readonly float $requestTimeout;

    public function __construct(public readonly string $socket, Options $options)
    {
        $this->http = new HttpClient($socket, $options->responseBytesMax);
        $this->retry = $options->retry();
        $this->requestTimeout = $options->requestTimeout;
    }

    /** The first daemon that answers. */
    public static function connect(Options $options): self
    {
        $failed = null;
        foreach (SocketPath::candidates($options->socket) as $socket) {
            $transport = new self($socket, $options);
            try {
                Connection::open($socket, Deadline::in($options->requestTimeout));
                return $transport;
            } catch (DaemonUnavailable $unavailable) {
                $failed ??= $unavailable;
            }
        }
        throw $failed;
    }

    public function submit(Submission $submission, Deadline $deadline): string
    {
        $module = $this->retry->run(
            fn (): Fields => Fields::parse(
                $this->send('POST', '/v1/modules', $submission->module, $deadline, [201]),
            ),
            $deadline,
        );
        if ($module->hex('sha256', 32) !== $submission->ref->sha256) {
            throw new ProtocolError('plasmd names the module by another hash', 'protocol');
        }
        $body = $submission->toJson();
        $job = $this->retry->run(
            fn (): Fields => $this->json('POST', '/v1/jobs', $deadline, $body, [201]),
            $deadline,
            // A job may exist already where the answer was lost; only a plain refusal is repeated.
            static fn (PlasmException $failed): bool => $failed->errorCode() === 'busy'
                || $failed instanceof DaemonUnavailable,
        );
        return $job->string('id');
    }

    public function writeInput(string $jobId, ?string $input, Deadline $deadline): bool
    {
        if ($input === null && $this->isOver($jobId, $deadline)) {
            return false;
        }
        $input ??= '';
        $path = $this->path($jobId, '/stdin');
        for ($offset = 0; $offset === 0 || $offset < strlen($input); $offset += strlen($piece)) {
            $piece = substr($input, $offset, self::STDIN_PIECE_BYTES);
            $end = $offset + strlen($piece) >= strlen($input) ? '?end=true' : '';
            try {
                $this->send('POST', $path . $end, $piece, $deadline, [204]);
            } catch (PlasmException $failed) {
                if ($offset === 0 && $failed->errorCode() === 'invalid_argument') {
                    return false;
                }
                throw $failed;
            }
            if ($piece === '') {
                break;
            }
        }
        return true;
    }

    public function outcome(string $jobId, Deadline $deadline): JobOutcome
    {
        do {
            $deadline->check("waiting for job {$jobId}");
            $result = $this->retry->run(
                fn (): ?Fields => $this->askResult($jobId, $deadline),
                $deadline,
            );
        } while ($result === null);
        return JobOutcome::read($result, true);
    }

    public function events(string $jobId, Deadline $deadline): \Generator
    {
        $last = null;
        $failures = 0;
        for (;;) {
            try {
                foreach ($this->follow($jobId, $last, $deadline) as $id => $event) {
                    $last = $id;
                    $failures = 0;
                    yield $event;
                    if ($event->name === 'result') {
                        return;
                    }
                }
                throw Connection::lost();
            } catch (PlasmException $failed) {
                // The place is known: following goes on where it broke, unless it breaks at once.
                $lost = $failed->errorCode() === 'connection_closed';
                if (!$lost || $failures++ >= 3 || $deadline->expired()) {
                    throw $failed;
                }
                usleep($this->retry->waitMs($failures) * 1000);
            }
        }
    }

    public function cancel(string $jobId, Deadline $deadline): void
    {
        $path = $this->path($jobId, '/cancel');
        $this->retry->run(
            fn (): Fields => $this->json('POST', $path, $deadline, '', [202]),
            $deadline,
        );
    }

    public function status(Deadline $deadline): Fields
    {
        return $this->retry->run(fn () => $this->json('GET', '/v1/status', $deadline), $deadline);
    }

    /** @return list<Fields> providers of WASM jobs, as their signed node documents say */
    public function providers(string $arch, float $waitSeconds, Deadline $deadline): array
    {
        $wait = (int) min(self::DISCOVERY_WAIT_MS_MAX, $waitSeconds * 1000);
        $query = http_build_query(['kind' => 'wasm', 'arch' => $arch, 'wait_ms' => $wait]);
        $limit = $deadline->orIn($waitSeconds + $this->requestTimeout);
        return $this->retry->run(
            fn (): Fields => $this->json('GET', "/v1/providers?{$query}", $limit),
            $limit,
        )->objects('providers');
    }

    private function isOver(string $jobId, Deadline $deadline): bool
    {
        $path = $this->path($jobId, '');
        $state = $this->retry->run(
            fn (): Fields => $this->json('GET', $path, $deadline),
            $deadline,
        )->string('state');
        return in_array($state, ['done', 'failed', 'cancelled'], true);
    }

    /** Null while the job runs. */
    private function askResult(string $jobId, Deadline $deadline): ?Fields
    {
        $wait = (int) min(self::RESULT_WAIT_MS, $deadline->left() * 1000);
        $path = $this->path($jobId, "/result?wait_ms={$wait}");
        $limit = Deadline::in($wait / 1000 + $this->requestTimeout);
        $answer = $this->http->request('GET', $path, '', 'application/json', $limit);
        return match ($answer->status) {
            200 => Fields::parse($answer->body),
            202 => null,
            default => throw Failure::ofAnswer($answer->status, $answer->body),
        };
    }

    /** @return \Generator<string, JobEvent> by event id */
    private function follow(string $jobId, ?string $last, Deadline $deadline): \Generator
    {
        $headers = ['Accept' => 'text/event-stream'];
        if ($last !== null) {
            $headers['Last-Event-ID'] = $last;
        }
        // Output comes piece by piece; the result need not repeat it.
        $path = $this->path($jobId, '/events?transcript=false');
        $body = $this->http->open('GET', $path, '', $headers, $deadline);
        if ($body->status !== 200) {
            $text = $body->readAll($this->http->responseBytesMax(), $deadline);
            throw Failure::ofAnswer($body->status, $text);
        }
        $reader = new SseReader($body, $this->http->responseBytesMax());
        while (($event = $reader->next($deadline)) !== null) {
            $last = $event->id ?? $last ?? '';
            if (preg_match('/^[0-9]{1,18}$/D', $last) !== 1) {
                throw new ProtocolError('plasmd sent an event without its number', 'protocol');
            }
            yield $last => new JobEvent($event->name, Fields::parse($event->data));
        }
    }

    private function path(string $jobId, string $rest): string
    {
        if (preg_match('/^[0-9A-Za-z-]{1,64}$/D', $jobId) !== 1) {
            throw new \InvalidArgumentException("Not a job id: {$jobId}");
        }
        return "/v1/jobs/{$jobId}{$rest}";
    }

    /** @param list<int> $expected */
    private function json(
        string $method,
        string $path,
        Deadline $deadline,
        string $body = '',
        array $expected = [200],
    ): Fields {
        return Fields::parse($this->send(
            $method,
            $path,
            $body,
            $deadline->orIn($this->requestTimeout),
            $expected,
            'application/json',
        ));
    }

    /** @param list<int> $expected statuses; any other is an error answer */
    private function send(
        string $method,
        string $path,
        string $body,
        Deadline $deadline,
        array $expected,
        string $contentType = 'application/octet-stream',
    ): string {
        $answer = $this->http->request($method, $path, $body, $contentType, $deadline);
        if (!in_array($answer->status, $expected, true)) {
            throw Failure::ofAnswer($answer->status, $answer->body);
        }
        return $answer->body;
    }
}
