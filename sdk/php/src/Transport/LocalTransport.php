<?php

declare(strict_types=1);

namespace Plasm\Transport;

use Plasm\Deadline;
use Plasm\Exception\DaemonUnavailable;
use Plasm\Exception\JobNotFound;
use Plasm\Exception\PlasmException;
use Plasm\Options;
use Plasm\Submission;
use Plasm\Wire\Profile;

/**
 * Jobs without a running daemon: each by a one-shot node (`plasmd execute-job --events`).
 *
 * A job lives in this object: another process, or another request of PHP-FPM, cannot ask for it.
 */
final class LocalTransport implements TransportInterface
{
    /** One-shot nodes at once. */
    public const NODES_MAX = 32;

    /** Keys of the control API that are flags with a value. */
    private const FLAGS = [
        'entry' => '--entry',
        'cpu_cores' => '--cpu',
        'memory_bytes' => '--memory-bytes',
        'table_elements' => '--table-elements',
        'output_bytes' => '--output-bytes',
        'timeout_ms' => '--timeout-ms',
        'fuel' => '--fuel',
    ];
    /** Keys that travel another way or are fixed by being local. */
    private const ELSEWHERE = ['target', 'args', 'stdin'];
    /** Keys without a flag, with the value every one-shot node has. */
    private const SAME = [
        'profile' => Profile::FAST,
        'level' => 'signature',
        'checkpoint_bytes' => 0,
        'arch' => '',
        'runtime' => '',
        'region' => '',
    ];

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

    public function writeInput(string $jobId, ?string $input, Deadline $deadline): bool
    {
        return $this->node($jobId)->giveInput($input ?? '');
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
        $command = [$this->plasmdPath, 'execute-job', '--events'];
        foreach ($submission->wanted as $key => $value) {
            if (isset(self::FLAGS[$key])) {
                array_push($command, self::FLAGS[$key], (string) $value);
            } elseif ($key === 'env') {
                foreach ($value as $name => $text) {
                    array_push($command, '--env', "{$name}={$text}");
                }
            } elseif ($key === 'private') {
                array_push($command, ...($value ? ['--private'] : []));
            } elseif (!in_array($key, self::ELSEWHERE, true) && $value !== self::SAME[$key]) {
                throw new PlasmException(
                    "A one-shot node does not take the option {$key}",
                    'unsupported',
                    'start a daemon with: plasmd start',
                );
            }
        }
        return [...$command, '--', $submission->path, ...$submission->asked('args') ?? []];
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
