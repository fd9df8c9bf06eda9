<?php

declare(strict_types=1);

namespace Plasm\Tests\Support;

use Plasm\Deadline;

/**
 * A php-fpm of one test, on a Unix socket, and the FastCGI client to ask it (FastCGI 1.0 §3).
 *
 * Each request is served by a process that serves no other: nothing can be remembered between two.
 */
final class Fpm
{
    private const READY_SECONDS = 20;
    private const ANSWER_SECONDS = 60;

    private const BEGIN_REQUEST = 1;
    private const END_REQUEST = 3;
    private const PARAMS = 4;
    private const STDIN = 5;
    private const STDOUT = 6;

    private readonly string $folder;
    private readonly string $socket;
    /** @var resource */
    private $process;

    public function __construct()
    {
        $program = Programs::fpm();
        $this->folder = TempFolder::make();
        $this->socket = "{$this->folder}/fpm.sock";
        $asRoot = fileowner($this->folder) === 0;
        file_put_contents("{$this->folder}/fpm.conf", implode("\n", [
            '[global]',
            "pid = {$this->folder}/fpm.pid",
            "error_log = {$this->folder}/fpm.log",
            'daemonize = no',
            '[www]',
            "listen = {$this->socket}",
            'pm = static',
            'pm.max_children = 2',
            'pm.max_requests = 1',
            'catch_workers_output = yes',
            ...($asRoot ? ['user = root', 'group = root'] : []),
            '',
        ]));
        $command = [$program, '-F', '-y', "{$this->folder}/fpm.conf"];
        $null = ['file', '/dev/null', 'r+'];
        $root = $asRoot ? ['-R'] : [];
        $this->process = proc_open([...$command, ...$root], [$null, $null, $null], $pipes);
        $deadline = Deadline::in(self::READY_SECONDS);
        while (@stream_socket_client("unix://{$this->socket}") === false) {
            $log = @file_get_contents("{$this->folder}/fpm.log");
            $deadline->check("waiting for php-fpm: {$log}");
            usleep(20000);
        }
    }

    public function __destruct()
    {
        proc_terminate($this->process, 15);
        proc_close($this->process);
        TempFolder::remove($this->folder);
    }

    /**
     * Asks a script; its answer is JSON.
     *
     * @param array<string, string> $query
     * @param array<string, string> $params FastCGI parameters, seen by getenv()
     */
    public function get(string $script, array $query, array $params = []): array
    {
        $params += [
            'SCRIPT_FILENAME' => $script,
            'REQUEST_METHOD' => 'GET',
            'QUERY_STRING' => http_build_query($query),
            'SERVER_PROTOCOL' => 'HTTP/1.1',
            'GATEWAY_INTERFACE' => 'CGI/1.1',
        ];
        $pairs = '';
        foreach ($params as $name => $value) {
            $pairs .= pack('N', strlen($name) | 1 << 31) . pack('N', strlen($value) | 1 << 31)
                . $name . $value;
        }
        $stream = stream_socket_client("unix://{$this->socket}");
        stream_set_timeout($stream, self::ANSWER_SECONDS);
        fwrite($stream, self::record(self::BEGIN_REQUEST, pack('nCx5', 1, 0))
            . self::record(self::PARAMS, $pairs) . self::record(self::PARAMS, '')
            . self::record(self::STDIN, ''));
        $out = '';
        do {
            $head = unpack('Cversion/Ctype/nid/nlength/Cpadding', self::read($stream, 8));
            $body = self::read($stream, $head['length']);
            self::read($stream, $head['padding']);
            $out .= $head['type'] === self::STDOUT ? $body : '';
        } while ($head['type'] !== self::END_REQUEST);
        $answer = explode("\r\n\r\n", $out, 2)[1] ?? '';
        return json_decode($answer, true)
            ?? throw new \RuntimeException("php-fpm answered no JSON: {$out}");
    }

    private static function record(int $type, string $body): string
    {
        return pack('CCnnCx', 1, $type, 1, strlen($body), 0) . $body;
    }

    /** @param resource $stream */
    private static function read($stream, int $length): string
    {
        $bytes = $length === 0 ? '' : (string) stream_get_contents($stream, $length);
        if (strlen($bytes) !== $length) {
            throw new \RuntimeException('php-fpm ended its answer early');
        }
        return $bytes;
    }
}
