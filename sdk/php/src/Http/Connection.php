<?php

declare(strict_types=1);

namespace Plasm\Http;

use Plasm\Deadline;
use Plasm\Exception\DaemonUnavailable;
use Plasm\Exception\PlasmException;

/** One connection to a Unix socket. Every wait ends at a deadline. Closed when destroyed. */
final class Connection
{
    private const READ_BYTES = 65536;
    private const CONNECT_SECONDS_MAX = 5.0;
    private const EACCES = 13;

    /** @param resource $stream */
    private function __construct(private $stream)
    {
    }

    public static function open(string $socket, Deadline $deadline): self
    {
        $number = 0;
        $text = '';
        $limit = min(self::CONNECT_SECONDS_MAX, $deadline->left());
        $stream = @stream_socket_client("unix://{$socket}", $number, $text, $limit);
        if ($stream === false) {
            throw self::unavailable($socket, $number, $text);
        }
        stream_set_blocking($stream, false);
        return new self($stream);
    }

    public function __destruct()
    {
        $this->close();
    }

    public function close(): void
    {
        if (is_resource($this->stream)) {
            fclose($this->stream);
        }
    }

    public function write(string $bytes, Deadline $deadline): void
    {
        for ($offset = 0; $offset < strlen($bytes); $offset += $written) {
            $this->wait(false, $deadline, 'sending to plasmd');
            $written = @fwrite($this->stream, substr($bytes, $offset, self::READ_BYTES));
            if ($written === false) {
                throw self::lost();
            }
        }
    }

    /** The next bytes, or an empty string at the end. */
    public function read(Deadline $deadline): string
    {
        for (;;) {
            $this->wait(true, $deadline, 'waiting for plasmd');
            $bytes = @fread($this->stream, self::READ_BYTES);
            if ($bytes === false) {
                throw self::lost();
            }
            if ($bytes !== '' || feof($this->stream)) {
                return $bytes;
            }
        }
    }

    public static function lost(): PlasmException
    {
        return new PlasmException(
            'The connection to plasmd broke',
            'connection_closed',
            'see the log of plasmd',
        );
    }

    private function wait(bool $forRead, Deadline $deadline, string $doing): void
    {
        do {
            $deadline->check($doing);
            $read = $forRead ? [$this->stream] : null;
            $write = $forRead ? null : [$this->stream];
            $except = null;
            // False when a signal interrupts: then the deadline is asked again.
            $ready = @stream_select($read, $write, $except, ...$deadline->selectTime());
        } while ($ready === false || $ready === 0);
    }

    private static function unavailable(
        string $socket,
        int $number,
        string $text,
    ): DaemonUnavailable {
        $denied = $number === self::EACCES;
        return new DaemonUnavailable(
            "Cannot reach plasmd at {$socket}: {$text}",
            $denied ? 'permission_denied' : 'unavailable',
            $denied ? 'join the group that owns the socket' : 'start it with: plasmd start',
        );
    }
}
