<?php

declare(strict_types=1);

namespace Plasm;

/**
 * What a job asks for, before the node signs it: the module and what it may use.
 *
 * The signed document is Plasm\Wire\SignedManifest; Result::manifest() gives it.
 */
final class Manifest
{
    private const VERSION = '0.1';
    private const CPU_CORES = 1;
    private const MEMORY_MB = 128;
    private const TIMEOUT_SECONDS = 300;

    private int $cpuCores = self::CPU_CORES;
    private int $memoryMb = self::MEMORY_MB;
    private int $timeoutSeconds = self::TIMEOUT_SECONDS;
    private ?string $modulePath = null;

    private function __construct(private readonly string $moduleHash)
    {
    }

    public static function fromWasmFile(string $path): self
    {
        $self = new self('sha256:' . hash('sha256', Submission::readModule($path)));
        $self->modulePath = $path;
        return $self;
    }

    /** Keys: module_hash (required), version, cpu_cores, memory_mb, timeout_seconds. */
    public static function fromJson(string $json): self
    {
        $data = json_decode($json, true, 8);
        if (!is_array($data)) {
            throw new \InvalidArgumentException('Invalid manifest JSON');
        }
        $hash = $data['module_hash'] ?? null;
        if (!is_string($hash) || preg_match('/^sha256:[0-9a-f]{64}$/D', $hash) !== 1) {
            throw new \InvalidArgumentException('A manifest has a module_hash: sha256:<64 hex>');
        }
        if (($data['version'] ?? self::VERSION) !== self::VERSION) {
            throw new \InvalidArgumentException('Manifests here have version ' . self::VERSION);
        }
        $self = new self($hash);
        $self->setCpuCores(self::int($data, 'cpu_cores', self::CPU_CORES));
        $self->setMemoryMb(self::int($data, 'memory_mb', self::MEMORY_MB));
        return $self->setTimeoutSeconds(self::int($data, 'timeout_seconds', self::TIMEOUT_SECONDS));
    }

    public function toJson(): string
    {
        return json_encode([
            'version' => self::VERSION,
            'module_hash' => $this->moduleHash,
            'cpu_cores' => $this->cpuCores,
            'memory_mb' => $this->memoryMb,
            'timeout_seconds' => $this->timeoutSeconds,
        ], JSON_PRETTY_PRINT | JSON_THROW_ON_ERROR);
    }

    /** "sha256:<hex>". */
    public function getModuleHash(): string
    {
        return $this->moduleHash;
    }

    public function getModulePath(): string
    {
        return $this->modulePath ?? throw new \InvalidArgumentException(
            'This manifest names its module by hash only; call setModulePath()',
        );
    }

    public function getCpuCores(): int
    {
        return $this->cpuCores;
    }

    public function getMemoryMb(): int
    {
        return $this->memoryMb;
    }

    public function getTimeoutSeconds(): int
    {
        return $this->timeoutSeconds;
    }

    /** The file must have the manifest's hash. */
    public function setModulePath(string $path): static
    {
        if ('sha256:' . hash('sha256', Submission::readModule($path)) !== $this->moduleHash) {
            throw new \InvalidArgumentException("Module hash mismatch: {$path}");
        }
        $this->modulePath = $path;
        return $this;
    }

    public function setCpuCores(int $cores): static
    {
        $this->cpuCores = self::within('cpu_cores', $cores, 1024);
        return $this;
    }

    public function setMemoryMb(int $mb): static
    {
        $this->memoryMb = self::within('memory_mb', $mb, 4096);
        return $this;
    }

    public function setTimeoutSeconds(int $seconds): static
    {
        $this->timeoutSeconds = self::within('timeout_seconds', $seconds, 3600);
        return $this;
    }

    /** @return array<string, int> options of Client::submit() */
    public function toOptions(): array
    {
        return [
            'cpu' => $this->cpuCores,
            'memory' => $this->memoryMb,
            'timeout' => $this->timeoutSeconds,
        ];
    }

    private static function int(array $data, string $name, int $default): int
    {
        $value = $data[$name] ?? $default;
        return is_int($value) ? $value : throw new \InvalidArgumentException("{$name} is a number");
    }

    private static function within(string $name, int $value, int $max): int
    {
        if ($value < 1 || $value > $max) {
            throw new \InvalidArgumentException("{$name} is 1 to {$max}");
        }
        return $value;
    }
}
