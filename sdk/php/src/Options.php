<?php

declare(strict_types=1);

namespace Plasm;

/** Settings of a Client, checked. Unknown names are refused. */
final class Options
{
    public const MODES = ['auto', 'local', 'remote'];

    public readonly string $mode;
    /** Path or name of plasmd for one-shot nodes; null: looked for. */
    public readonly ?string $plasmdPath;
    /** Control socket; null: the default order of spec/control-api.md. */
    public readonly ?string $socket;
    /** Seconds result() and stream() wait for a job, in all. */
    public readonly float $timeout;
    /** Seconds for one answer, waiting for a job excluded. */
    public readonly float $requestTimeout;
    public readonly int $retries;
    public readonly int $retryBaseMs;
    public readonly int $retryMaxMs;
    /** Largest answer read as a whole, in bytes: a result with its output as base64. */
    public readonly int $responseBytesMax;

    /** @param array<string, mixed> $options */
    public function __construct(array $options)
    {
        $mode = self::take($options, 'mode', 'auto');
        if (!in_array($mode, self::MODES, true)) {
            $named = is_string($mode) ? $mode : get_debug_type($mode);
            throw new \InvalidArgumentException("Invalid mode: {$named}");
        }
        $this->mode = $mode;
        $this->plasmdPath = self::text($options, 'plasmd_path');
        $this->socket = self::text($options, 'socket');
        $this->timeout = self::number($options, 'timeout', 300, 0.001, 86400);
        $this->requestTimeout = self::number($options, 'request_timeout', 30, 0.001, 3600);
        $this->retries = (int) self::number($options, 'retries', 3, 0, 20);
        $this->retryBaseMs = (int) self::number($options, 'retry_base_ms', 100, 1, 60000);
        $this->retryMaxMs = (int) self::number($options, 'retry_max_ms', 2000, 1, 60000);
        $this->responseBytesMax = (int) self::number(
            $options,
            'max_response_bytes',
            48 * 1024 * 1024,
            1024,
            2 * 1024 * 1024 * 1024,
        );
        if ($options !== []) {
            throw new \InvalidArgumentException('Unknown option: ' . array_key_first($options));
        }
    }

    public function retry(): Retry
    {
        return new Retry($this->retries, $this->retryBaseMs, $this->retryMaxMs);
    }

    private static function take(array &$options, string $name, mixed $default): mixed
    {
        $value = $options[$name] ?? $default;
        unset($options[$name]);
        return $value;
    }

    private static function text(array &$options, string $name): ?string
    {
        $value = self::take($options, $name, null);
        if ($value !== null && (!is_string($value) || $value === '')) {
            throw new \InvalidArgumentException("Option {$name} is a path");
        }
        return $value;
    }

    private static function number(
        array &$options,
        string $name,
        float $default,
        float $least,
        float $most,
    ): float {
        $value = self::take($options, $name, $default);
        if ((!is_int($value) && !is_float($value)) || !($value >= $least && $value <= $most)) {
            throw new \InvalidArgumentException("Option {$name} is a number, {$least} to {$most}");
        }
        return (float) $value;
    }
}
