<?php

declare(strict_types=1);

namespace Plasm\Exception;

/**
 * What went wrong, with its code of spec/errors.md and the next step for a person.
 *
 * Every exception this package throws is one of these, except \InvalidArgumentException for
 * arguments that are off before anything was sent.
 */
class PlasmException extends \RuntimeException
{
    /** Codes after which the same request may succeed (spec/errors.md, "retry helps": yes). */
    private const RETRYABLE = ['timed_out', 'unavailable', 'busy', 'connection_closed'];

    public function __construct(
        string $message,
        private readonly string $errorCode = 'internal',
        private readonly string $hint = '',
        ?\Throwable $previous = null,
    ) {
        parent::__construct($message, 0, $previous);
    }

    /** Wire name of the code, for example "timed_out". */
    final public function errorCode(): string
    {
        return $this->errorCode;
    }

    /** What to do next, or an empty string. */
    final public function hint(): string
    {
        return $this->hint;
    }

    final public function isRetryable(): bool
    {
        return in_array($this->errorCode, self::RETRYABLE, true);
    }

    /** "message (hint)". */
    final public function text(): string
    {
        return $this->hint === '' ? $this->getMessage() : "{$this->getMessage()} ({$this->hint})";
    }
}
