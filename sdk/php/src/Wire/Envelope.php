<?php

declare(strict_types=1);

namespace Plasm\Wire;

use Plasm\Exception\Malformed;

/**
 * A COSE_Sign1 envelope (RFC 9052 §4.2) of good form. Normative: spec/envelope.md.
 *
 * Says nothing of the signature until signatureHolds() was asked, and nothing of whose key it is.
 */
final class Envelope
{
    /** Largest envelope of any domain, in bytes. */
    public const BYTES_MAX = 65536;

    private const TAG_SIGN1 = 18;
    private const ALG_EDDSA = -8;

    private function __construct(
        /** Raw Ed25519 public key, 32 bytes. */
        public readonly string $signer,
        public readonly string $payload,
        public readonly string $signature,
        private readonly string $signed,
    ) {
    }

    /** Reads the form; the signature is not checked here. */
    public static function read(Domain $domain, string $bytes): self
    {
        if (strlen($bytes) > self::BYTES_MAX) {
            throw new Malformed('The envelope is above ' . self::BYTES_MAX . ' bytes', 'too_large');
        }
        $reader = new CborReader($bytes);
        if ($reader->tag() !== self::TAG_SIGN1) {
            throw $reader->wrong('expected tag 18 (COSE_Sign1)');
        }
        if ($reader->array() !== 4) {
            throw $reader->wrong('a COSE_Sign1 has four items');
        }
        $protected = $reader->bytes();
        if ($reader->map() !== 0) {
            throw $reader->wrong('the unprotected map must be empty');
        }
        $payload = $reader->bytes();
        $signature = $reader->bytesOf(SODIUM_CRYPTO_SIGN_BYTES);
        $reader->finish();
        $signer = self::readProtected($domain, $protected);
        return new self($signer, $payload, $signature, self::signed($domain, $protected, $payload));
    }

    /** Seals `$payload` with a libsodium secret key of 64 bytes. */
    public static function seal(Domain $domain, string $payload, string $secretKey): string
    {
        $protected = CborWriter::map([
            1 => CborWriter::integer(self::ALG_EDDSA),
            3 => CborWriter::text($domain->contentType()),
            4 => CborWriter::bytes(sodium_crypto_sign_publickey_from_secretkey($secretKey)),
        ]);
        $signed = self::signed($domain, $protected, $payload);
        return CborWriter::tag(self::TAG_SIGN1, CborWriter::array(
            CborWriter::bytes($protected),
            CborWriter::map([]),
            CborWriter::bytes($payload),
            CborWriter::bytes(sodium_crypto_sign_detached($signed, $secretKey)),
        ));
    }

    /** Strict Ed25519: canonical S and points, no small-order keys (libsodium). */
    public function signatureHolds(): bool
    {
        return sodium_crypto_sign_verify_detached($this->signature, $this->signed, $this->signer);
    }

    /** SHA-256(Sig_structure): covers domain, signer and payload. Of a manifest: its JobId. */
    public function signedHash(): string
    {
        return hash('sha256', $this->signed, true);
    }

    private static function signed(Domain $domain, string $protected, string $payload): string
    {
        return CborWriter::array(
            CborWriter::text('Signature1'),
            CborWriter::bytes($protected),
            CborWriter::bytes($domain->value),
            CborWriter::bytes($payload),
        );
    }

    private static function readProtected(Domain $domain, string $protected): string
    {
        $reader = new CborReader($protected);
        $map = CborMap::open($reader);
        if ($map->required(1)->integer() !== self::ALG_EDDSA) {
            throw new Malformed('The envelope is not signed with EdDSA', 'unsupported');
        }
        if ($map->required(3)->text() !== $domain->contentType()) {
            throw $reader->wrong("the content type is not {$domain->contentType()}");
        }
        $signer = $map->required(4)->bytesOf(SODIUM_CRYPTO_SIGN_PUBLICKEYBYTES);
        $map->close();
        $reader->finish();
        return $signer;
    }
}
