<?php

declare(strict_types=1);

namespace Plasm;

use Plasm\Exception\ProtocolError;
use Plasm\Transport\Fields;
use Plasm\Wire\PeerId;

/** A provider on the network, as its signed node document says. */
final class Node
{
    /**
     * @param list<string> $kinds
     * @param list<string> $isolation
     */
    private function __construct(
        public readonly string $peerId,
        /** Hex. */
        public readonly string $publicKey,
        public readonly string $arch,
        public readonly string $runtime,
        public readonly int $cpuCores,
        public readonly int $memoryBytes,
        public readonly array $kinds,
        public readonly int $jobsRunning,
        public readonly int $jobsMax,
        public readonly bool $open,
        public readonly array $isolation,
        /** Unix ms. */
        public readonly int $expires,
        /** Microseconds; null: not measured. */
        public readonly ?int $rttUs,
    ) {
    }

    /** @internal */
    public static function read(Fields $provider): self
    {
        $key = $provider->hex('public_key', 32);
        if (PeerId::fromKey($key) !== $provider->string('peer_id')) {
            throw new ProtocolError('plasmd names a provider by two keys', 'protocol');
        }
        return new self(
            $provider->string('peer_id'),
            bin2hex($key),
            $provider->string('arch'),
            $provider->string('runtime'),
            $provider->int('cpu_cores'),
            $provider->int('memory_bytes'),
            $provider->strings('kinds'),
            $provider->int('jobs_running'),
            $provider->int('jobs_max'),
            $provider->bool('open'),
            $provider->strings('isolation'),
            $provider->int('expires'),
            $provider->intOrNull('rtt_us'),
        );
    }

    /** The text of the runtime before its first "-", for example "wasmtime". */
    public function runtimeClass(): string
    {
        return explode('-', $this->runtime, 2)[0];
    }
}
