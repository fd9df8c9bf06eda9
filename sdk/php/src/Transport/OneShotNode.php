<?php

declare(strict_types=1);

namespace Plasm\Transport;

use Plasm\Deadline;
use Plasm\Exception\DaemonUnavailable;
use Plasm\Exception\PlasmException;
use Plasm\Exception\ProtocolError;

/**
 * A process of plasmd that lives for one job and tells its events as lines of JSON on stdout: those
 * of spec/control-api.md, `event` beside the keys of each; the first, `accepted`, has the job's id.
 *
 * Its three pipes are served together, so neither side can block the other. Ends with this object.
 */
final class OneShotNode
{
    private const READ_BYTES = 65536;
    /** Kept of stderr, for the message when the node fails. */
    private const LOG_BYTES_MAX = 8192;
    private const STOP_SECONDS = 8.0;

    private string $input = '';
    private int $fed = 0;
    private bool $inputEnds = false;
    private string $buffer = '';
    private int $searched = 0;
    private string $log = '';
    private ?int $exitCode = null;

    /**
     * @param resource $process
     * @param array<int, resource> $pipes stdin, stdout, stderr; one that is closed is missing
     */
    private function __construct(
        private $process,
        private array $pipes,
        private readonly int $lineBytesMax,
    ) {
        foreach ($pipes as $pipe) {
            stream_set_blocking($pipe, false);
        }
    }

    /** @param list<string> $command program and arguments; no shell sees them */
    public static function start(array $command, int $lineBytesMax): self
    {
        $pipes = [];
        $files = [['pipe', 'r'], ['pipe', 'w'], ['pipe', 'w']];
        $process = @proc_open($command, $files, $pipes);
        if (!is_resource($process)) {
            throw new DaemonUnavailable(
                "Failed to start plasmd process: {$command[0]}",
                'unavailable',
                'set the option plasmd_path or PLASMD_PATH',
            );
        }
        return new self($process, $pipes, $lineBytesMax);
    }

    public function __destruct()
    {
        $this->stop();
    }

    /** Takes all of stdin; false when it was taken before. It flows while events are waited for. */
    public function giveInput(string $input): bool
    {
        if ($this->inputEnds) {
            return false;
        }
        $this->input = $input;
        $this->inputEnds = true;
        return true;
    }

    /** The next event, or null when the node has ended. */
    public function nextEvent(Deadline $deadline): ?JobEvent
    {
        while (($line = $this->takeLine()) === null) {
            if (!isset($this->pipes[1])) {
                return null;
            }
            $this->pump($deadline);
        }
        $fields = Fields::parse($line);
        return new JobEvent($fields->string('event'), $fields);
    }

    /** Why it ended without a result. */
    public function failure(): PlasmException
    {
        $this->stop();
        $lines = preg_split('/\R/', trim($this->log)) ?: [];
        $said = trim((string) end($lines));
        return new DaemonUnavailable(
            "The one-shot node ended with {$this->exitCode}" . ($said === '' ? '' : ": {$said}"),
            'unavailable',
            'run the same job with: plasmd execute-job',
        );
    }

    /** Asks it to end its job; what it then tells can still be read. */
    public function interrupt(): void
    {
        if (is_resource($this->process) && $this->running()) {
            proc_terminate($this->process, 15);
        }
    }

    /** Asks it to end, and after a while makes it. */
    public function stop(): void
    {
        if (!is_resource($this->process)) {
            return;
        }
        $this->close(0);
        if ($this->running()) {
            proc_terminate($this->process, 15);
        }
        $deadline = Deadline::in(self::STOP_SECONDS);
        while ($this->running() && !$deadline->expired()) {
            $this->drain(Deadline::in(0.02));
        }
        if ($this->running()) {
            proc_terminate($this->process, 9);
        }
        $this->drain(Deadline::in(0));
        $this->close(1);
        $this->close(2);
        $code = proc_close($this->process);
        $this->exitCode ??= $code;
    }

    private function running(): bool
    {
        $status = proc_get_status($this->process);
        if (!$status['running'] && $this->exitCode === null) {
            $this->exitCode = $status['exitcode'];
        }
        return $status['running'];
    }

    /** Serves the pipes once, dropping what comes on stdout: the node is being stopped. */
    private function drain(Deadline $deadline): void
    {
        if (!isset($this->pipes[1]) && !isset($this->pipes[2])) {
            usleep(5000);
            return;
        }
        try {
            $this->pump($deadline);
        } catch (PlasmException) {
            // The deadline: nothing more to read now.
        }
        $this->buffer = '';
        $this->searched = 0;
    }

    private function takeLine(): ?string
    {
        $end = strpos($this->buffer, "\n", $this->searched);
        if ($end === false) {
            $this->searched = strlen($this->buffer);
            if ($this->searched > $this->lineBytesMax) {
                throw new ProtocolError('The one-shot node sent too long a line', 'too_large');
            }
            return null;
        }
        $line = substr($this->buffer, 0, $end);
        $this->buffer = substr($this->buffer, $end + 1);
        $this->searched = 0;
        return $line;
    }

    /** Waits until a pipe is ready and serves those that are. */
    private function pump(Deadline $deadline): void
    {
        $hungry = $this->fed < strlen($this->input);
        if ($this->inputEnds && !$hungry) {
            $this->close(0);
        }
        do {
            $deadline->check('waiting for the one-shot node');
            $read = array_intersect_key($this->pipes, [1 => true, 2 => true]);
            $write = $hungry && isset($this->pipes[0]) ? [$this->pipes[0]] : null;
            $except = null;
            $ready = @stream_select($read, $write, $except, ...$deadline->selectTime());
        } while ($ready === false || $ready === 0);
        if ($write) {
            $this->feed();
        }
        foreach (array_keys($read) as $number) {
            $this->receive($number);
        }
    }

    private function feed(): void
    {
        $piece = substr($this->input, $this->fed, self::READ_BYTES);
        $written = @fwrite($this->pipes[0], $piece);
        // On failure the job ended without reading all of it, which is its right.
        $this->fed = $written === false ? strlen($this->input) : $this->fed + $written;
    }

    private function receive(int $number): void
    {
        $bytes = @fread($this->pipes[$number], self::READ_BYTES);
        if ($bytes === false || ($bytes === '' && feof($this->pipes[$number]))) {
            $this->close($number);
        } elseif ($number === 1) {
            $this->buffer .= $bytes;
        } else {
            $this->log = substr($this->log . $bytes, -self::LOG_BYTES_MAX);
        }
    }

    private function close(int $number): void
    {
        if (isset($this->pipes[$number])) {
            fclose($this->pipes[$number]);
            unset($this->pipes[$number]);
        }
    }
}
