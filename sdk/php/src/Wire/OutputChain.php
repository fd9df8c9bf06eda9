<?php

declare(strict_types=1);

namespace Plasm\Wire;

/**
 * The output commitment, from bytes as they come. Normative: spec/output.md.
 *
 * Consecutive bytes of one stream are joined; a segment ends where the stream changes or when it
 * holds SEGMENT_BYTES. So the commitment does not depend on timing or on how bytes were cut.
 */
final class OutputChain
{
    public const STDOUT = 1;
    public const STDERR = 2;
    public const SEGMENT_BYTES = 16384;

    private string $chain;
    private int $stream = self::STDOUT;
    private string $segment = '';
    private int $length = 0;
    private int $segments = 0;

    public function __construct()
    {
        $this->chain = hash('sha256', 'phase/output/2', true);
    }

    public function append(int $stream, string $bytes): void
    {
        if ($stream !== self::STDOUT && $stream !== self::STDERR) {
            throw new \InvalidArgumentException("No output stream {$stream}");
        }
        if ($bytes === '') {
            return;
        }
        if ($stream !== $this->stream) {
            $this->close();
            $this->stream = $stream;
        }
        $this->length += strlen($bytes);
        for ($offset = 0; $offset < strlen($bytes); $offset += $room) {
            $room = self::SEGMENT_BYTES - strlen($this->segment);
            $this->segment .= substr($bytes, $offset, $room);
            if (strlen($this->segment) === self::SEGMENT_BYTES) {
                $this->close();
            }
        }
    }

    /** As if the output ended here; the chain itself is unchanged. */
    public function summary(): OutputSummary
    {
        $end = clone $this;
        $end->close();
        return new OutputSummary($end->chain, $end->length, $end->segments);
    }

    private function close(): void
    {
        if ($this->segment === '') {
            return;
        }
        $head = chr($this->stream) . pack('N', strlen($this->segment));
        $this->chain = hash('sha256', $this->chain . $head . $this->segment, true);
        $this->segment = '';
        ++$this->segments;
    }
}
