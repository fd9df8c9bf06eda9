<?php

declare(strict_types=1);

namespace Plasm\Wire;

use Plasm\Exception\Malformed;

/**
 * A job signed by its requester: who asks, of whom, until when. Normative: spec/manifest.md.
 *
 * read() checks the form; whether the signature holds says envelope->signatureHolds(). Whether
 * it has expired and whether it was seen before are for providers to check.
 */
final class SignedManifest
{
    public const VERSION = 2;
    public const LIFETIME_MS_MAX = 3600000;
    public const WALL_MS_MAX = 3600000;
    private const WORD_BYTES_MAX = 128;
    public const LEVELS = ['signature', 'audit', 'redundancy', 're-execute', 'dispute', 'proof'];

    /**
     * @param array<string, int|string> $requirements cpu_cores, memory_bytes, arch, runtime,
     *     region; those that are asked for
     */
    private function __construct(
        public readonly Envelope $envelope,
        public readonly JobDocument $job,
        public readonly array $requirements,
        public readonly int $wallLimitMs,
        /** Key of the one provider meant; null: any. */
        public readonly ?string $audience,
        /** Unix ms. */
        public readonly int|string $created,
        public readonly int|string $expires,
        public readonly string $nonce,
        public readonly string $level,
        public readonly int|string|null $priceCeiling,
    ) {
    }

    public static function read(string $bytes): self
    {
        $envelope = Envelope::read(Domain::Manifest, $bytes);
        $reader = new CborReader($envelope->payload);
        $map = CborMap::open($reader);
        $version = $map->required(0)->uint64();
        if ($version !== self::VERSION) {
            throw new Malformed("Manifest version {$version} is not known", 'version_unknown');
        }
        $job = JobDocument::read($map->required(1)->skip());
        $requirements = self::readRequirements($map->required(2));
        $wall = $map->required(3)->uint();
        if ($wall < 1 || $wall > self::WALL_MS_MAX) {
            throw $reader->wrong('the wall limit is 1 to ' . self::WALL_MS_MAX . ' ms');
        }
        $map->required(4);
        $audience = $reader->isNull() ? null : $reader->bytesOf(32);
        $created = $map->required(5)->uint64();
        $expires = $map->required(6)->uint64();
        $lifetime = Uint64::minus($expires, $created);
        if ($lifetime === null || $lifetime < 1 || $lifetime > self::LIFETIME_MS_MAX) {
            throw $reader->wrong('a manifest lives 1 to ' . self::LIFETIME_MS_MAX . ' ms');
        }
        $nonce = $map->required(7)->bytesOf(16);
        $level = $map->required(8)->text();
        if (!in_array($level, self::LEVELS, true)) {
            throw new Malformed("The level {$level} is not known", 'version_unknown');
        }
        $price = $map->optional(9) ? $reader->uint64() : null;
        $map->close();
        $reader->finish();
        return new self(
            $envelope,
            $job,
            $requirements,
            $wall,
            $audience,
            $created,
            $expires,
            $nonce,
            $level,
            $price,
        );
    }

    /** SHA-256(Sig_structure), raw. */
    public function jobId(): string
    {
        return $this->envelope->signedHash();
    }

    /** Raw key of the requester. */
    public function requester(): string
    {
        return $this->envelope->signer;
    }

    /** @return array<string, int|string> */
    private static function readRequirements(CborReader $reader): array
    {
        $map = CborMap::open($reader);
        $out = [];
        foreach (['cpu_cores', 'memory_bytes'] as $key => $name) {
            if ($map->optional($key)) {
                $out[$name] = $reader->uint64();
            }
        }
        foreach ([2 => 'arch', 3 => 'runtime', 4 => 'region'] as $key => $name) {
            if ($map->optional($key)) {
                $out[$name] = $reader->textOf(0, self::WORD_BYTES_MAX);
            }
        }
        $map->close();
        return $out;
    }
}
