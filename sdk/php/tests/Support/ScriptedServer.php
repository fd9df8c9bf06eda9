<?php

declare(strict_types=1);

namespace Plasm\Tests\Support;

/** A server on a Unix socket that says what a test scripted; see Fixture/scripted_server.php. */
final class ScriptedServer
{
    public readonly string $socket;
    private readonly string $folder;
    /** @var resource */
    private $process;
    /** @var array<int, resource> */
    private array $pipes = [];

    /** @param list<list<array>> $scripts one a connection */
    public function __construct(array $scripts)
    {
        $this->folder = TempFolder::make();
        $this->socket = "{$this->folder}/s";
        $script = dirname(__DIR__) . '/Fixture/scripted_server.php';
        $command = [PHP_BINARY, '-n', $script, $this->socket];
        $files = [['pipe', 'r'], ['pipe', 'w'], STDERR];
        $this->process = proc_open($command, $files, $this->pipes);
        fwrite($this->pipes[0], json_encode($scripts, JSON_THROW_ON_ERROR));
        fclose($this->pipes[0]);
        if (fgets($this->pipes[1]) !== "ready\n") {
            throw new \RuntimeException('The scripted server did not start');
        }
    }

    public function __destruct()
    {
        proc_terminate($this->process);
        fclose($this->pipes[1]);
        proc_close($this->process);
        TempFolder::remove($this->folder);
    }

    /** Reads the request, then sends these bytes. */
    public static function answer(string $bytes): array
    {
        return [['read'], ['send', base64_encode($bytes)]];
    }

    public static function json(int $status, array $body): array
    {
        $json = json_encode($body, JSON_THROW_ON_ERROR);
        $length = strlen($json);
        return self::answer("HTTP/1.1 {$status} X\r\nContent-Length: {$length}\r\n\r\n{$json}");
    }

    public static function error(int $status, string $code): array
    {
        return self::json($status, ['error' => ['code' => $code, 'message' => 'm', 'hint' => 'h']]);
    }

    /** The next request that was read, head and body. */
    public function request(): string
    {
        return base64_decode(trim((string) fgets($this->pipes[1])));
    }
}
