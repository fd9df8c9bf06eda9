<?php

declare(strict_types=1);

namespace Plasm;

use Plasm\Exception\Malformed;
use Plasm\Wire\ArtifactRef;
use Plasm\Wire\Commitment;
use Plasm\Wire\JobDocument;
use Plasm\Wire\PeerId;

/**
 * A job as it is asked for, checked: what is sent to the daemon, and what its manifest is compared
 * with afterwards.
 */
final class Submission
{
    /** Output asked for where the caller names no limit: what a result fits in memory with. */
    public const OUTPUT_BYTES = 8 * 1024 * 1024;

    private const MIB = 1024 * 1024;

    /** Options of submit(): name => [key of the control API, type]. */
    private const OPTIONS = [
        'cpu' => ['cpu_cores', 'count'],
        'memory' => ['memory_bytes', 'mib'],
        'timeout' => ['timeout_ms', 'seconds'],
        'entry' => ['entry', 'text'],
        'args' => ['args', 'texts'],
        'env' => ['env', 'map'],
        'stdin' => ['stdin', 'bytes'],
        'fuel' => ['fuel', 'count'],
        'memory_bytes' => ['memory_bytes', 'count'],
        'table_elements' => ['table_elements', 'count'],
        'output_bytes' => ['output_bytes', 'count'],
        'timeout_ms' => ['timeout_ms', 'count'],
        'arch' => ['arch', 'text'],
        'runtime' => ['runtime', 'text'],
        'region' => ['region', 'text'],
        'profile' => ['profile', 'text'],
        'level' => ['level', 'text'],
        'private' => ['private', 'bool'],
        'checkpoint_bytes' => ['checkpoint_bytes', 'count'],
        'target' => ['target', 'target'],
    ];

    public readonly ArtifactRef $ref;

    /** @param array<string, mixed> $wanted by key of the control API; `stdin` is raw bytes */
    private function __construct(
        public readonly string $path,
        public readonly string $module,
        public readonly array $wanted,
    ) {
        $this->ref = ArtifactRef::of($module);
    }

    /**
     * A job to submit.
     *
     * @param array<string, mixed> $options see README.md
     */
    public static function of(string $wasmPath, array $options, string $target): self
    {
        $options += ['output_bytes' => self::OUTPUT_BYTES];
        return self::expected($wasmPath, $options, $target);
    }

    /**
     * A job that was submitted elsewhere; what is not named is not compared.
     *
     * @param array<string, mixed> $options
     */
    public static function expected(string $wasmPath, array $options, string $target): self
    {
        $wanted = ['target' => $target];
        $named = [];
        foreach ($options as $name => $value) {
            if (!isset(self::OPTIONS[$name])) {
                throw new \InvalidArgumentException("Unknown option: {$name}");
            }
            [$key, $type] = self::OPTIONS[$name];
            if ($value === null) {
                continue;
            }
            if (isset($named[$key])) {
                throw new \InvalidArgumentException("Options {$named[$key]} and {$name} collide");
            }
            $named[$key] = $name;
            $wanted[$key] = self::check($name, $type, $value);
        }
        return new self($wasmPath, self::readModule($wasmPath), $wanted);
    }

    /** The bytes of a module file, within the limit of spec/job.md. */
    public static function readModule(string $path): string
    {
        $bytes = is_file($path)
            ? @file_get_contents($path, length: JobDocument::MODULE_BYTES_MAX + 1)
            : false;
        if ($bytes === false) {
            throw new \InvalidArgumentException("WASM file not found: {$path}");
        }
        if ($bytes === '' || strlen($bytes) > JobDocument::MODULE_BYTES_MAX) {
            $max = JobDocument::MODULE_BYTES_MAX;
            throw new \InvalidArgumentException("A WASM file has 1 to {$max} bytes: {$path}");
        }
        return $bytes;
    }

    public function target(): string
    {
        return $this->wanted['target'];
    }

    /** What was asked for under a key of the control API, or null. */
    public function asked(string $key): mixed
    {
        return $this->wanted[$key] ?? null;
    }

    /** All of stdin where it was given at submission; null: streamed. */
    public function givenInput(): ?Commitment
    {
        $stdin = $this->asked('stdin');
        return $stdin === null ? null : Commitment::of($stdin);
    }

    /** Body of `POST /v1/jobs`. */
    public function toJson(): string
    {
        // Null says that stdin is streamed; left out, it would be empty.
        $body = ['module' => bin2hex($this->ref->sha256)] + $this->wanted + ['stdin' => null];
        if (isset($body['stdin'])) {
            $body['stdin'] = base64_encode($body['stdin']);
        }
        if (isset($body['env'])) {
            $body['env'] = (object) $body['env'];
        }
        $flags = JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE;
        try {
            return json_encode($body, $flags);
        } catch (\JsonException $wrong) {
            throw new \InvalidArgumentException("The job is not UTF-8: {$wrong->getMessage()}");
        }
    }

    private static function check(string $name, string $type, mixed $value): mixed
    {
        $valid = match ($type) {
            'count' => is_int($value) && $value >= 0,
            'mib' => is_int($value) && $value >= 1 && $value <= 4096,
            'seconds' => (is_int($value) || is_float($value)) && $value > 0 && $value <= 3600,
            'bytes' => is_string($value),
            'text' => self::isText($value),
            'target' => is_string($value) && self::isTarget($value),
            'bool' => is_bool($value),
            'texts' => is_array($value) && array_is_list($value) && self::areTexts($value),
            'map' => is_array($value) && self::areTexts($value)
                && self::areNames(array_keys($value)),
        };
        if (!$valid) {
            throw new \InvalidArgumentException("Invalid value of option {$name}");
        }
        return match ($type) {
            'mib' => $value * self::MIB,
            'seconds' => (int) ceil($value * 1000),
            default => $value,
        };
    }

    private static function isTarget(string $value): bool
    {
        try {
            return $value === 'local' || $value === 'remote' || PeerId::toKey($value) !== '';
        } catch (Malformed) {
            return false;
        }
    }

    private static function isText(mixed $value): bool
    {
        return is_string($value) && strlen($value) <= JobDocument::TEXT_BYTES_MAX
            && !str_contains($value, "\x00");
    }

    /** @param array<array-key, mixed> $values */
    private static function areTexts(array $values): bool
    {
        return array_filter($values, self::isText(...)) === $values;
    }

    /** @param list<array-key> $names of environment variables */
    private static function areNames(array $names): bool
    {
        foreach ($names as $name) {
            $name = (string) $name;
            if ($name === '' || str_contains($name, '=') || !self::isText($name)) {
                return false;
            }
        }
        return true;
    }
}
