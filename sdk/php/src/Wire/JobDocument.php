<?php

declare(strict_types=1);

namespace Plasm\Wire;

use Plasm\Exception\Malformed;

/**
 * A job as it stands in a manifest: what is run and everything its result depends on.
 * Normative: spec/job.md. Immutable; made only from its encoding, which it keeps.
 */
final class JobDocument
{
    public const BYTES_MAX = 40960;
    public const KIND_WASM = 0;
    public const KIND_INFERENCE = 1;

    /** One argument, name or value, in bytes. */
    public const TEXT_BYTES_MAX = 4096;
    public const MODULE_BYTES_MAX = 52428800;

    /**
     * @param int $inputOffset where the commitment of stdin or prompt stands in the encoding
     */
    private function __construct(
        public readonly string $encoded,
        public readonly WasmBody|InferenceBody $body,
        private readonly int $inputOffset,
    ) {
    }

    public static function read(string $encoded): self
    {
        if (strlen($encoded) > self::BYTES_MAX) {
            throw new Malformed('The job is above ' . self::BYTES_MAX . ' bytes', 'too_large');
        }
        $reader = new CborReader($encoded);
        $map = CborMap::open($reader);
        $kind = $map->required(0)->uint64();
        $map->required(1);
        $offset = 0;
        $body = match ($kind) {
            self::KIND_WASM => WasmBody::read($reader, $offset),
            self::KIND_INFERENCE => InferenceBody::read($reader, $offset),
            default => throw new Malformed("No job kind {$kind} is known", 'version_unknown'),
        };
        $map->close();
        $reader->finish();
        return new self($encoded, $body, $offset);
    }

    public function kind(): int
    {
        return $this->body instanceof WasmBody ? self::KIND_WASM : self::KIND_INFERENCE;
    }

    /** True when stdin or prompt is streamed: its commitment exists only at its end. */
    public function isStreamed(): bool
    {
        return $this->body->input === null;
    }

    /** SHA-256 of the job with its input filled in; `$input` counts only where it is streamed. */
    public function executionId(?Commitment $input): string
    {
        if (!$this->isStreamed()) {
            return hash('sha256', $this->encoded, true);
        }
        if ($input === null) {
            throw new \LogicException('A streamed job has an ExecutionId only with its input');
        }
        $filled = substr_replace($this->encoded, $input->encode(), $this->inputOffset, 1);
        return hash('sha256', $filled, true);
    }
}
