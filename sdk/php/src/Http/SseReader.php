<?php

declare(strict_types=1);

namespace Plasm\Http;

use Plasm\Deadline;

/** Reads server-sent events (WHATWG HTML §9.2) from the body of an answer. */
final class SseReader
{
    private string $buffer = '';
    private int $searched = 0;

    public function __construct(
        private readonly ResponseReader $body,
        private readonly int $eventBytesMax,
    ) {
    }

    /** The next event, or null where the body ends; an event cut off there is dropped. */
    public function next(Deadline $deadline): ?SseEvent
    {
        $id = null;
        $name = 'message';
        $data = null;
        $bytes = 0;
        while (($line = $this->readLine($deadline)) !== null) {
            if ($line === '') {
                if ($data !== null) {
                    return new SseEvent($id, $name, $data);
                }
                $name = 'message';
                $bytes = 0;
                continue;
            }
            $bytes += strlen($line);
            if ($bytes > $this->eventBytesMax) {
                throw ResponseReader::tooLarge($this->eventBytesMax);
            }
            [$field, $value] = explode(':', $line, 2) + [1 => ''];
            $value = str_starts_with($value, ' ') ? substr($value, 1) : $value;
            match ($field) {
                'id' => $id = $value,
                'event' => $name = $value,
                'data' => $data = $data === null ? $value : "{$data}\n{$value}",
                default => null,
            };
        }
        return null;
    }

    private function readLine(Deadline $deadline): ?string
    {
        while (($end = strpos($this->buffer, "\n", $this->searched)) === false) {
            $this->searched = strlen($this->buffer);
            if ($this->searched > $this->eventBytesMax) {
                throw ResponseReader::tooLarge($this->eventBytesMax);
            }
            $piece = $this->body->read($deadline);
            if ($piece === null) {
                return null;
            }
            $this->buffer .= $piece;
        }
        $line = rtrim(substr($this->buffer, 0, $end), "\r");
        $this->buffer = substr($this->buffer, $end + 1);
        $this->searched = 0;
        return $line;
    }
}
