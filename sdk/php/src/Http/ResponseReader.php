<?php

declare(strict_types=1);

namespace Plasm\Http;

use Plasm\Deadline;
use Plasm\Exception\ProtocolError;

/**
 * Reads one HTTP/1.1 answer (RFC 9112) from a connection, piece by piece, within limits.
 *
 * Bodies: chunked, by Content-Length, or to the end of the connection. Anything ambiguous (two
 * lengths, a length beside chunks, another transfer coding) is refused.
 */
final class ResponseReader
{
    public const HEAD_BYTES_MAX = 65536;
    private const CHUNK_LINE_BYTES_MAX = 1024;
    private const INTERIM_MAX = 8;
    private const FIELD = '~^([!#$%&\'*+.^_`|\~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$~D';

    private string $buffer = '';
    /** Bytes of the body or chunk still to come; null: to the end of the connection. */
    private ?int $left = null;
    private bool $chunked = false;
    private bool $ended = false;

    private function __construct(
        private readonly Connection $connection,
        public readonly int $status,
        /** @var array<string, list<string>> names in lower case */
        private readonly array $headers,
    ) {
    }

    public static function open(Connection $connection, Deadline $deadline): self
    {
        $buffer = '';
        for ($interim = 0; $interim < self::INTERIM_MAX; ++$interim) {
            $head = self::readHead($connection, $buffer, $deadline);
            [$status, $headers] = self::parseHead($head);
            if ($status >= 200) {
                $self = new self($connection, $status, $headers);
                $self->buffer = $buffer;
                $self->frame();
                return $self;
            }
        }
        throw self::wrong('too many interim answers');
    }

    public function header(string $name): ?string
    {
        return $this->headers[$name][0] ?? null;
    }

    /** The next piece of the body, or null at its end. */
    public function read(Deadline $deadline): ?string
    {
        if ($this->chunked && $this->left === 0 && !$this->ended) {
            $this->nextChunk($deadline);
        }
        if ($this->ended || $this->left === 0) {
            return null;
        }
        if ($this->buffer === '') {
            $this->buffer = $this->connection->read($deadline);
        }
        if ($this->buffer === '') {
            if ($this->left !== null) {
                throw Connection::lost();
            }
            $this->ended = true;
            return null;
        }
        $piece = $this->left === null ? $this->buffer : substr($this->buffer, 0, $this->left);
        $this->buffer = substr($this->buffer, strlen($piece));
        if ($this->left !== null) {
            $this->left -= strlen($piece);
            if ($this->chunked && $this->left === 0) {
                $this->expectLine('', $deadline);
            }
        }
        return $piece;
    }

    /** The whole body, of at most `$bytesMax` bytes. */
    public function readAll(int $bytesMax, Deadline $deadline): string
    {
        if (!$this->chunked && ($this->left ?? 0) > $bytesMax) {
            throw self::tooLarge($bytesMax);
        }
        $body = '';
        while (($piece = $this->read($deadline)) !== null) {
            if (strlen($body) + strlen($piece) > $bytesMax) {
                throw self::tooLarge($bytesMax);
            }
            $body .= $piece;
        }
        return $body;
    }

    public static function wrong(string $what): ProtocolError
    {
        return new ProtocolError("The answer of plasmd is not HTTP/1.1: {$what}", 'protocol');
    }

    public static function tooLarge(int $bytesMax): ProtocolError
    {
        return new ProtocolError(
            "The answer of plasmd is above {$bytesMax} bytes",
            'too_large',
            'ask for less output, use stream(), or raise the option max_response_bytes',
        );
    }

    private static function readHead(
        Connection $connection,
        string &$buffer,
        Deadline $deadline,
    ): string {
        while (($end = strpos($buffer, "\r\n\r\n")) === false) {
            if (strlen($buffer) > self::HEAD_BYTES_MAX) {
                throw self::wrong('head above ' . self::HEAD_BYTES_MAX . ' bytes');
            }
            $piece = $connection->read($deadline);
            if ($piece === '') {
                throw Connection::lost();
            }
            $buffer .= $piece;
        }
        if ($end > self::HEAD_BYTES_MAX) {
            throw self::wrong('head above ' . self::HEAD_BYTES_MAX . ' bytes');
        }
        $head = substr($buffer, 0, $end);
        $buffer = substr($buffer, $end + 4);
        return $head;
    }

    /** @return array{int, array<string, list<string>>} */
    private static function parseHead(string $head): array
    {
        $lines = explode("\r\n", $head);
        $first = array_shift($lines);
        if (preg_match('~^HTTP/1\.[01] ([1-5][0-9]{2})( .*)?$~D', $first, $match) !== 1) {
            throw self::wrong('no status line');
        }
        $headers = [];
        foreach ($lines as $line) {
            if (preg_match(self::FIELD, $line, $pair) !== 1) {
                throw self::wrong('a malformed header');
            }
            $headers[strtolower($pair[1])][] = $pair[2];
        }
        return [(int) $match[1], $headers];
    }

    private function frame(): void
    {
        $codings = $this->headers['transfer-encoding'] ?? [];
        $lengths = array_unique($this->headers['content-length'] ?? []);
        if ($codings !== []) {
            if ($lengths !== [] || strtolower(implode(',', $codings)) !== 'chunked') {
                throw self::wrong('an ambiguous or unknown transfer coding');
            }
            $this->chunked = true;
            $this->left = 0;
        } elseif ($lengths !== []) {
            if (count($lengths) !== 1 || preg_match('/^[0-9]{1,15}$/D', $lengths[0]) !== 1) {
                throw self::wrong('a malformed Content-Length');
            }
            $this->left = (int) $lengths[0];
        }
        if ($this->status === 204 || $this->status === 304) {
            $this->chunked = false;
            $this->left = 0;
        }
    }

    private function nextChunk(Deadline $deadline): void
    {
        $line = $this->readLine($deadline);
        if (preg_match('/^([0-9a-fA-F]{1,8})[ \t]*(;.*)?$/D', $line, $match) !== 1) {
            throw self::wrong('a malformed chunk');
        }
        $this->left = (int) hexdec($match[1]);
        if ($this->left > 0) {
            return;
        }
        $this->ended = true;
        $bytes = 0;
        while (($trailer = $this->readLine($deadline)) !== '') {
            $bytes += strlen($trailer);
            if ($bytes > self::HEAD_BYTES_MAX) {
                throw self::wrong('trailers above ' . self::HEAD_BYTES_MAX . ' bytes');
            }
        }
    }

    private function expectLine(string $wanted, Deadline $deadline): void
    {
        if ($this->readLine($deadline) !== $wanted) {
            throw self::wrong('a chunk does not end where it should');
        }
    }

    private function readLine(Deadline $deadline): string
    {
        while (($end = strpos($this->buffer, "\r\n")) === false) {
            if (strlen($this->buffer) > self::CHUNK_LINE_BYTES_MAX) {
                throw self::wrong('a line above ' . self::CHUNK_LINE_BYTES_MAX . ' bytes');
            }
            $piece = $this->connection->read($deadline);
            if ($piece === '') {
                throw Connection::lost();
            }
            $this->buffer .= $piece;
        }
        $line = substr($this->buffer, 0, $end);
        $this->buffer = substr($this->buffer, $end + 2);
        return $line;
    }
}
