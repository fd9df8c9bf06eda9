<?php

declare(strict_types=1);

namespace Plasm;

/**
 * A job being set up: `$client->createJob('hello.wasm')->withMemory(64)->submit('Hello, World')`.
 */
final class Job
{
    /** @var array<string, mixed> options of Client::submit() beyond the manifest's */
    private array $options = [];

    /** @internal */
    public function __construct(
        private readonly Client $client,
        private readonly Manifest $manifest,
    ) {
    }

    public function withCpu(int $cores): static
    {
        $this->manifest->setCpuCores($cores);
        return $this;
    }

    /** Linear memory, MiB. */
    public function withMemory(int $mb): static
    {
        $this->manifest->setMemoryMb($mb);
        return $this;
    }

    /** Wall clock, seconds, from the start of the run. */
    public function withTimeout(int $seconds): static
    {
        $this->manifest->setTimeoutSeconds($seconds);
        return $this;
    }

    /** What the module sees as argv[1…]. */
    public function withArgs(string ...$args): static
    {
        $this->options['args'] = array_values($args);
        return $this;
    }

    /** @param array<string, string> $env */
    public function withEnv(array $env): static
    {
        $this->options['env'] = $env;
        return $this;
    }

    /** `local`, `remote`, or the peer id of the one provider meant. */
    public function withTarget(string $target): static
    {
        $this->options['target'] = $target;
        return $this;
    }

    /** Only providers of this architecture, for example "aarch64". */
    public function withArch(string $arch): static
    {
        $this->options['arch'] = $arch;
        return $this;
    }

    /** Runs the job with `$stdin` (none: empty) to its verified result. */
    public function submit(?string $stdin = null): Result
    {
        return $this->client->result($this->start(), $stdin);
    }

    public function wait(?string $stdin = null): Result
    {
        return $this->submit($stdin);
    }

    /** Only starts the job; Client::result() or stream() go on from its id. */
    public function start(): string
    {
        return $this->client->submit($this->manifest, $this->options);
    }
}
