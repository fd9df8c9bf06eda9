<?php

declare(strict_types=1);

namespace Plasm\Transport;

use Plasm\Deadline;
use Plasm\Exception\DaemonUnavailable;
use Plasm\Exception\JobNotFound;
use Plasm\Exception\PlasmException;
use Plasm\Options;
use Plasm\Submission;

/**
 * Jobs without a running daemon: each by a one-shot node (`plasmd execute-job --events`).
 *
 * A job lives in this object: another process, or another request of PHP-FPM, cannot ask for it.
 */
final class LocalTransport implements TransportInterface
{
    /** One-shot nodes at once. */
    public const NODES_MAX = 32;

    /** @var array<string, OneShotNode> by job id */
    private array $nodes = [];
    private readonly int $lineBytesMax;

    public function __construct(private readonly string $plasmdPath, ?Options $options = null)
    {
        $this->lineBytesMax = ($options ?? new Options([]))->responseBytesMax;
    }

    /** plasmd by option, PLASMD_PATH, beside this package, or on PATH. */
    public static function find(Options $options): self
    {
        $named = $options->plasmdPath ?? (getenv('PLASMD_PATH') ?: null);
        if ($named !== null && str_contains($named, '/')) {
            return new self($named, $options);
        }
        $tried = [];
        if ($named === null) {
            $tried[] = dirname(__DIR__, 4) . '/build/bin/plasmd';
        }
        foreach (explode(PATH_SEPARATOR, getenv('PATH') ?: '') as $folder) {
            if ($folder !== '') {
                $tried[] = $folder . '/' . ($named ?? 'plasmd');
            }
        }
        foreach ($tried as $path) {
            if (@is_file($path) && @is_executable($path)) {
                return new self($path, $options);
            }
        }
        throw new DaemonUnavailable(
            'No plasmd is running and none was found to start',
            'unavailable',
            'start one with: plasmd start; or set the option plasmd_path or PLASMD_PATH',
        );
    }

    public function has(string $jobId): bool
    {
        return isset($this->nodes[$jobId]);
    }

    public function submit(Submission $submission, Deadline $deadline): string
    {
        if (count($this->nodes) >= self::NODES_MAX) {
            throw new PlasmException(
                self::NODES_MAX . ' one-shot nodes run already',
                'busy',
                'take their results first, or start a daemon with: plasmd start',
            );
        }
        $node = OneShotNode::start($this->command($submission), $this->lineBytesMax);
        $given = $submission->asked('stdin');
        if ($given !== null) {
            $node->giveInput($given);
        }
        $event = $node->nextEvent($deadline) ?? throw $node->failure();
        $id = $event->data->string('id');
        $this->nodes[$id] = $node;
        return $id;
    }

    public function writeInput(string $jobId, string $input, Deadline $deadline): bool
    {
        return $this->node($jobId)->giveInput($input);
    }

    public function outcome(string $jobId, Deadline $deadline): JobOutcome
    {
        foreach ($this->events($jobId, $deadline) as $event) {
            if ($event->name === 'result') {
                return JobOutcome::read($event->data, true);
            }
        }
        throw new \LogicException('events() ends with a result or throws');
    }

    public function events(string $jobId, Deadline $deadline): \Generator
    {
        $node = $this->node($jobId);
        while (($event = $node->nextEvent($deadline)) !== null) {
            if ($event->name === 'result') {
                unset($this->nodes[$jobId]);
                yield $event;
                return;
            }
            yield $event;
        }
        unset($this->nodes[$jobId]);
        throw $node->failure();
    }

    public function cancel(string $jobId, Deadline $deadline): void
    {
        $this->node($jobId)->interrupt();
    }

    /** @return list<string> */
    private function command(Submission $submission): array
    {
        return [$this->plasmdPath, 'execute-job', '--events', $submission->path];
    }

    private function node(string $jobId): OneShotNode
    {
        return $this->nodes[$jobId] ?? throw new JobNotFound(
            "No job {$jobId} in this client",
            'not_found',
            'a one-shot job lives in the client that submitted it; for others run: plasmd start',
        );
    }
}
