<?php

declare(strict_types=1);

namespace Plasm\Tests\Support;

use Plasm\Client;
use Plasm\Deadline;
use Plasm\Exception\PlasmException;
use Plasm\Options;
use Plasm\Transport\DaemonTransport;
use Plasm\Transport\Fields;

/** A running plasmd of one test: own folder, key, socket and port; ends with this object. */
final class Plasmd
{
    private const READY_SECONDS = 30;
    private const STOP_SECONDS = 20;

    public readonly string $socket;
    public readonly Fields $status;
    private readonly string $folder;
    private readonly int $port;
    /** @var resource|null */
    private $process;

    /** @param list<string> $arguments of `plasmd start` */
    public function __construct(array $arguments = ['--no-network'])
    {
        $program = Programs::plasmd();
        $this->folder = TempFolder::make();
        $this->socket = "{$this->folder}/control.sock";
        $this->port = self::freePort();
        $command = [
            $program, 'start', '--data', "{$this->folder}/data",
            '--identity-path', "{$this->folder}/identity.key", '--control-socket', $this->socket,
        ];
        if (!in_array('--no-network', $arguments, true)) {
            array_push($command, '--no-mdns', '--listen', "/ip4/127.0.0.1/tcp/{$this->port}");
        }
        $log = ['file', "{$this->folder}/log", 'a'];
        $files = [['file', '/dev/null', 'r'], $log, $log];
        $environment = ['HOME' => $this->folder, 'PATH' => getenv('PATH')];
        array_push($command, ...$arguments);
        $this->process = proc_open($command, $files, $pipes, null, $environment);
        $this->status = $this->waitReady();
    }

    public function __destruct()
    {
        $this->stop();
        TempFolder::remove($this->folder);
    }

    public function stop(): void
    {
        if ($this->process === null) {
            return;
        }
        proc_terminate($this->process, 15);
        $deadline = Deadline::in(self::STOP_SECONDS);
        while (proc_get_status($this->process)['running'] && !$deadline->expired()) {
            usleep(20000);
        }
        proc_terminate($this->process, 9);
        proc_close($this->process);
        $this->process = null;
    }

    public function peerId(): string
    {
        return $this->status->string('peer_id');
    }

    /** Where others reach it, with its peer id. */
    public function address(): string
    {
        return "/ip4/127.0.0.1/tcp/{$this->port}/p2p/{$this->peerId()}";
    }

    /** @param array<string, mixed> $options */
    public function client(array $options = []): Client
    {
        return new Client($options + ['socket' => $this->socket, 'timeout' => 60]);
    }

    public function log(): string
    {
        return (string) file_get_contents("{$this->folder}/log");
    }

    private function waitReady(): Fields
    {
        $deadline = Deadline::in(self::READY_SECONDS);
        $transport = new DaemonTransport($this->socket, new Options(['retries' => 0]));
        for (;;) {
            try {
                return $transport->status($deadline);
            } catch (PlasmException $failed) {
                $running = proc_get_status($this->process)['running'];
                if (!$running || $deadline->expired()) {
                    throw new \RuntimeException("plasmd is not ready: {$this->log()}", 0, $failed);
                }
                usleep(20000);
            }
        }
    }

    private static function freePort(): int
    {
        $server = stream_socket_server('tcp://127.0.0.1:0');
        $name = stream_socket_get_name($server, false);
        fclose($server);
        return (int) substr($name, strrpos($name, ':') + 1);
    }
}
