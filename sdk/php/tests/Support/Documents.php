<?php

declare(strict_types=1);

namespace Plasm\Tests\Support;

use Plasm\Verify\Evidence;
use Plasm\Wire\ArtifactRef;
use Plasm\Wire\CborWriter as Cbor;
use Plasm\Wire\Commitment;
use Plasm\Wire\Domain;
use Plasm\Wire\Envelope;
use Plasm\Wire\OutputChain;
use Plasm\Wire\OutputSummary;
use Plasm\Wire\Salt;
use Plasm\Wire\SignedManifest;

/** Makes signed manifests and receipts, from fixed seeds; what a test changes it names. */
final class Documents
{
    public const INPUT = 'Hello, World';
    public const OUTPUT = 'dlroW ,olleH';
    public const MODULE = "\x00asm\x01\x00\x00\x00";

    public readonly string $requesterSecret;
    public readonly string $providerSecret;
    public ?string $salt = null;
    public bool $streamed = true;
    public string $input = self::INPUT;
    public string $profile = 'fast';
    public ?string $audience;
    /** @var array<int, string> manifest keys to replace, encoded */
    public array $manifestKeys = [];
    /** @var array<int, string|null> receipt keys to replace, encoded */
    public array $receiptKeys = [];

    public function __construct(int $providerSeed = 2)
    {
        $this->requesterSecret = self::secret(1);
        $this->providerSecret = self::secret($providerSeed);
        $this->audience = self::key($this->providerSecret);
    }

    public static function secret(int $number): string
    {
        $pair = sodium_crypto_sign_seed_keypair(hash('sha256', "seed {$number}", true));
        return sodium_crypto_sign_secretkey($pair);
    }

    public static function key(string $secret): string
    {
        return sodium_crypto_sign_publickey_from_secretkey($secret);
    }

    public function job(?Commitment $input): string
    {
        return Cbor::map([0 => Cbor::uint(0), 1 => Cbor::map([
            0 => ArtifactRef::of(self::MODULE)->encode(),
            1 => Cbor::text('_start'),
            2 => Cbor::array(Cbor::text('one')),
            3 => Cbor::textMap(['A' => Cbor::text('b')]),
            4 => $input === null ? Cbor::null() : $input->encode(),
            5 => Cbor::map([
                0 => Cbor::uint('18446744073709551615'),
                1 => Cbor::uint(1 << 27),
                2 => Cbor::uint(1000),
                3 => Cbor::uint(1 << 20),
            ]),
            6 => Cbor::text($this->profile),
            7 => Cbor::uint(1_700_000_000_000_000_000),
            8 => Cbor::bytes(str_repeat("\x07", 32)),
        ])]);
    }

    public function manifest(): string
    {
        $input = $this->streamed ? null : Commitment::of($this->input);
        $payload = Cbor::map($this->manifestKeys + [
            0 => Cbor::uint(2),
            1 => $this->job($input),
            2 => Cbor::map([0 => Cbor::uint(1), 3 => Cbor::text('wasmtime')]),
            3 => Cbor::uint(30000),
            4 => $this->audience === null ? Cbor::null() : Cbor::bytes($this->audience),
            5 => Cbor::uint(1_700_000_000_000),
            6 => Cbor::uint(1_700_000_600_000),
            7 => Cbor::bytes(str_repeat("\x09", 16)),
            8 => Cbor::text('signature'),
        ]);
        return Envelope::seal(Domain::Manifest, $payload, $this->requesterSecret);
    }

    public static function output(string $stdout = self::OUTPUT): OutputSummary
    {
        $chain = new OutputChain();
        $chain->append(OutputChain::STDOUT, $stdout);
        return $chain->summary();
    }

    public function receiptPayload(): string
    {
        $module = ArtifactRef::of(self::MODULE);
        $input = Commitment::of($this->input);
        $output = self::output();
        $salted = fn (string $hash): string => Salt::apply($this->salt, $hash);
        return Cbor::map($this->receiptKeys + [
            0 => Cbor::uint(2),
            1 => Cbor::bytes(SignedManifest::read($this->manifest())->jobId()),
            2 => Cbor::bytes($salted(hash('sha256', $this->job($input), true))),
            3 => Cbor::uint(0),
            4 => Cbor::map([
                0 => Cbor::bytes($salted($module->id)),
                1 => Cbor::bytes($salted($module->sha256)),
            ]),
            5 => (new Commitment($salted($input->sha256), $input->length))->encode(),
            6 => (new OutputSummary(
                $salted($output->commitment),
                $output->length,
                $output->segments,
            ))->encode(),
            7 => Cbor::map([0 => Cbor::uint(0), 1 => Cbor::integer(0)]),
            8 => Cbor::text($this->profile),
            9 => Cbor::array(Cbor::text('landlock'), Cbor::text('seccomp')),
            11 => $this->salt === null ? null : Cbor::boolean(true),
            12 => Cbor::map([0 => Cbor::uint(1234), 7 => Cbor::text('wasmtime-48')]),
        ]);
    }

    public function receipt(): string
    {
        return Envelope::seal(Domain::Receipt, $this->receiptPayload(), $this->providerSecret);
    }

    public function evidence(): Evidence
    {
        return new Evidence(
            $this->manifest(),
            self::key($this->providerSecret),
            Commitment::of($this->input),
            self::output(),
            $this->salt,
        );
    }
}
