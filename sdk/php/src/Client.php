<?php

declare(strict_types=1);

namespace Plasm;

use Plasm\Event\CheckpointEvent;
use Plasm\Event\Event;
use Plasm\Event\OutputEvent;
use Plasm\Event\ProgressEvent;
use Plasm\Event\RestartEvent;
use Plasm\Event\ResultEvent;
use Plasm\Event\StateEvent;
use Plasm\Exception\DaemonUnavailable;
use Plasm\Exception\VerificationFailed;
use Plasm\Transport\DaemonTransport;
use Plasm\Transport\JobEvent;
use Plasm\Transport\JobOutcome;
use Plasm\Transport\LocalTransport;
use Plasm\Transport\TransportInterface;
use Plasm\Verify\ResultVerifier;
use Plasm\Wire\OutputChain;
use Plasm\Wire\SignedManifest;

/**
 * Has WASM jobs done and verifies what comes back.
 *
 *     $client = new Plasm\Client();
 *     $jobId = $client->submit('hello.wasm', ['cpu' => 1]);
 *     $result = $client->result($jobId, 'Hello, World');
 *
 * Modes: `auto` (default) and `local` run jobs on the local node: a running plasmd, or one started
 * for the job where none runs. `auto` lets a job's option `target` say otherwise; `remote` finds a
 * provider through the running plasmd. Every method throws Plasm\Exception\PlasmException with a
 * code and a hint, and \InvalidArgumentException for arguments that are off.
 */
final class Client
{
    /** Jobs whose submission is remembered for the verification of their result. */
    private const ASKED_MAX = 1024;

    private readonly Options $options;
    private ?DaemonTransport $daemon = null;
    private ?LocalTransport $local = null;
    /** @var array<string, Submission> by job id */
    private array $asked = [];

    /** @param array<string, mixed> $options see README.md */
    public function __construct(array $options = [])
    {
        $this->options = new Options($options);
    }

    /** A job to be set up by fluent calls. */
    public function createJob(string $wasmPath): Job
    {
        return new Job($this, Manifest::fromWasmFile($wasmPath));
    }

    /**
     * Starts a job and returns its id. Its stdin stays open until result() or stream(), unless the
     * option `stdin` gives it at once.
     *
     * @param array<string, mixed> $options see README.md
     */
    public function submit(string|Manifest $module, array $options = []): string
    {
        if ($module instanceof Manifest) {
            $options += $module->toOptions();
            $module = $module->getModulePath();
        }
        $target = $this->options->mode === 'remote' ? 'remote' : 'local';
        $submission = Submission::of($module, $options, $target);
        if ($this->options->mode === 'local' && $submission->target() !== 'local') {
            throw new \InvalidArgumentException('A client in mode local runs local jobs only');
        }
        $transport = $this->transportFor($submission);
        $id = $transport->submit($submission, Deadline::in($this->options->timeout));
        if (count($this->asked) >= self::ASKED_MAX) {
            unset($this->asked[array_key_first($this->asked)]);
        }
        $this->asked[$id] = $submission;
        return $id;
    }

    /**
     * Writes `$input` as the job's stdin (none: empty), closes it, waits for the end and verifies.
     *
     * In another process than submit()'s, `$expect` says what the job was: the same options, and
     * `module`, the path of the WASM file; without, the module is known by the manifest alone.
     *
     * @param array<string, mixed> $expect
     * @throws VerificationFailed when the receipt is refused
     */
    public function result(string $jobId, ?string $input = null, array $expect = []): Result
    {
        $deadline = Deadline::in($this->options->timeout);
        $asked = $this->askedFor($jobId, $expect);
        $transport = $this->transportOf($jobId);
        $written = $this->write($transport, $jobId, $input, $asked, $deadline);
        $outcome = $transport->outcome($jobId, $deadline);
        $chain = new OutputChain();
        foreach ($outcome->transcript as [$stream, $bytes]) {
            $chain->append($stream, $bytes);
        }
        return $this->verified($outcome, $asked, $written, $chain, $outcome->transcript);
    }

    /**
     * As result(), handing out output as it comes; the last event, ResultEvent, and the generator's
     * return value carry the verified result. `$keep` false: the result holds no output.
     *
     * @return \Generator<int, Event, mixed, Result>
     * @throws VerificationFailed after the output, when the receipt is refused
     */
    public function stream(string $jobId, ?string $input = null, bool $keep = true): \Generator
    {
        $deadline = Deadline::in($this->options->timeout);
        $asked = $this->askedFor($jobId, []);
        $transport = $this->transportOf($jobId);
        $written = $this->write($transport, $jobId, $input, $asked, $deadline);
        $chain = new OutputChain();
        $kept = $keep ? [] : null;
        foreach ($transport->events($jobId, $deadline) as $told) {
            if ($told->name === 'result') {
                $outcome = JobOutcome::read($told->data, false);
                $result = $this->verified($outcome, $asked, $written, $chain, $kept);
                yield new ResultEvent($result);
                return $result;
            }
            $event = self::eventOf($told);
            if ($event instanceof RestartEvent) {
                $chain = new OutputChain();
                $kept = $keep ? [] : null;
            } elseif ($event instanceof OutputEvent) {
                $chain->append($event->stream, $event->data);
                if ($keep) {
                    $kept[] = [$event->stream, $event->data];
                }
            }
            if ($event !== null) {
                yield $event;
            }
        }
        throw new \LogicException('events() ends with a result or throws');
    }

    /** Asks a job to stop. result() then returns what it had, or throws JobCancelled. */
    public function cancel(string $jobId): void
    {
        $this->transportOf($jobId)->cancel($jobId, Deadline::in($this->options->requestTimeout));
    }

    /**
     * Providers on the network that fit, found by the running plasmd, this node left out.
     *
     * @param array{arch?: string, runtime?: string, wait?: int|float} $wanted runtime is a class,
     *     "wasmtime"; wait is how many seconds to look, default 10
     * @return list<Node>
     */
    public function discover(array $wanted = []): array
    {
        $unknown = array_diff_key($wanted, ['arch' => 1, 'runtime' => 1, 'wait' => 1]);
        if ($unknown !== []) {
            throw new \InvalidArgumentException('Unknown option: ' . array_key_first($unknown));
        }
        $deadline = Deadline::in($this->options->timeout);
        $daemon = $this->daemon();
        $own = $daemon->status($deadline)->string('peer_id');
        $found = $daemon->providers(
            (string) ($wanted['arch'] ?? ''),
            (float) ($wanted['wait'] ?? 10),
            $deadline,
        );
        $runtime = $wanted['runtime'] ?? '';
        $fits = static fn (Node $node): bool => $node->peerId !== $own
            && ($runtime === '' || $node->runtimeClass() === $runtime);
        return array_values(array_filter(array_map(Node::read(...), $found), $fits));
    }

    /** How jobs are had done now: a daemon where one answers, else one-shot nodes. */
    public function getTransport(): TransportInterface
    {
        try {
            return $this->daemon();
        } catch (DaemonUnavailable $unavailable) {
            // A daemon that is there but closed to this user is not the same as none.
            $closed = $unavailable->errorCode() === 'permission_denied';
            if ($this->options->mode === 'remote' || $closed) {
                throw $unavailable;
            }
            return $this->local ??= LocalTransport::find($this->options);
        }
    }

    private function daemon(): DaemonTransport
    {
        return $this->daemon ??= DaemonTransport::connect($this->options);
    }

    private function transportFor(Submission $submission): TransportInterface
    {
        return $submission->target() === 'local' ? $this->getTransport() : $this->daemon();
    }

    private function transportOf(string $jobId): TransportInterface
    {
        return $this->local?->has($jobId) ? $this->local : $this->getTransport();
    }

    private function askedFor(string $jobId, array $expect): ?Submission
    {
        if ($expect === []) {
            return $this->asked[$jobId] ?? null;
        }
        $module = $expect['module'] ?? null;
        if (!is_string($module)) {
            throw new \InvalidArgumentException('What to expect names its module, a path');
        }
        unset($expect['module']);
        $target = $this->options->mode === 'remote' ? 'remote' : 'local';
        return Submission::expected($module, $expect, $target);
    }

    /** Bytes of stdin that are known to be the job's; null: they were written elsewhere. */
    private function write(
        TransportInterface $transport,
        string $jobId,
        ?string $input,
        ?Submission $asked,
        Deadline $deadline,
    ): ?string {
        $given = $asked?->asked('stdin');
        if ($given !== null) {
            if ($input !== null) {
                throw new \InvalidArgumentException('The job got its stdin at submission');
            }
            return $given;
        }
        return $transport->writeInput($jobId, $input, $deadline) ? ($input ?? '') : $input;
    }

    /** @param list<array{int, string}>|null $transcript */
    private function verified(
        JobOutcome $outcome,
        ?Submission $asked,
        ?string $input,
        OutputChain $output,
        ?array $transcript,
    ): Result {
        $target = $asked?->target() ?? $this->targetOf($outcome);
        $summary = $output->summary();
        $verdict = ResultVerifier::check($outcome, $target, $asked, $input, $summary);
        $receipt = $verdict->receipt();
        if ($receipt === null) {
            throw new VerificationFailed($verdict);
        }
        $manifest = SignedManifest::read($outcome->manifest);
        return new Result(
            $outcome->id,
            $verdict,
            $receipt,
            $manifest,
            $outcome->manifest,
            $transcript,
        );
    }

    /** Where a job went that was submitted elsewhere; the mode has the last word. */
    private function targetOf(JobOutcome $outcome): string
    {
        return match ($this->options->mode) {
            'local' => 'local',
            'remote' => $outcome->target === 'local' ? 'remote' : $outcome->target,
            default => $outcome->target,
        };
    }

    private static function eventOf(JobEvent $told): ?Event
    {
        $data = $told->data;
        return match ($told->name) {
            'state' => new StateEvent($data->string('state'), $data->stringOrNull('provider')),
            'output' => new OutputEvent(JobOutcome::stream($data), $data->base64('data')),
            'checkpoint' => new CheckpointEvent($data->int('sequence'), $data->int('length')),
            'progress' => new ProgressEvent(
                $data->string('stage'),
                $data->int('done'),
                $data->int('total'),
            ),
            'restart' => new RestartEvent(),
            // Later daemons may tell more.
            default => null,
        };
    }
}
