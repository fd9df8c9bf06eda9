<?php

declare(strict_types=1);

namespace Plasm\Http;

use Plasm\Deadline;
use Plasm\Exception\PlasmException;

/** HTTP/1.1 over a Unix socket, one connection a request, everything bounded. Retries nothing. */
final class HttpClient
{
    public function __construct(
        private readonly string $socket,
        private readonly int $responseBytesMax,
    ) {
    }

    public function request(
        string $method,
        string $target,
        string $body,
        string $contentType,
        Deadline $deadline,
    ): Response {
        $reader = $this->open($method, $target, $body, ['Content-Type' => $contentType], $deadline);
        return new Response($reader->status, $reader->readAll($this->responseBytesMax, $deadline));
    }

    /**
     * Sends a request and reads the head of the answer; the body is the caller's to read.
     *
     * @param array<string, string> $headers
     */
    public function open(
        string $method,
        string $target,
        string $body,
        array $headers,
        Deadline $deadline,
    ): ResponseReader {
        $head = "{$method} {$target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
        foreach ($headers as $name => $value) {
            $head .= "{$name}: {$value}\r\n";
        }
        if ($method !== 'GET') {
            $head .= 'Content-Length: ' . strlen($body) . "\r\n";
        }
        $connection = Connection::open($this->socket, $deadline);
        try {
            $connection->write($head . "\r\n", $deadline);
            $connection->write($body, $deadline);
        } catch (PlasmException $lost) {
            if ($lost->errorCode() !== 'connection_closed') {
                throw $lost;
            }
            // A server may answer before it read the whole body; the answer says why.
        }
        return ResponseReader::open($connection, $deadline);
    }

    /** Largest answer that is read as a whole, and largest server-sent event. */
    public function responseBytesMax(): int
    {
        return $this->responseBytesMax;
    }
}
