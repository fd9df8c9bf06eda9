<?php

declare(strict_types=1);

namespace Plasm\Wire;

use Plasm\Exception\Malformed;

/** libp2p peer ids of Ed25519 keys: base58btc of 00 24 08 01 12 20 ‖ key (spec/envelope.md). */
final class PeerId
{
    private const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
    private const PREFIX = "\x00\x24\x08\x01\x12\x20";
    private const TEXT_BYTES_MAX = 64;
    private const BYTES = 38;

    private function __construct()
    {
    }

    /** The peer id of a raw public key of 32 bytes. */
    public static function fromKey(string $publicKey): string
    {
        return self::encode(self::PREFIX . $publicKey);
    }

    /** The raw public key in a peer id. */
    public static function toKey(string $peerId): string
    {
        $bytes = strlen($peerId) <= self::TEXT_BYTES_MAX ? self::decode($peerId) : null;
        if (
            $bytes === null || strlen($bytes) !== self::BYTES
            || !str_starts_with($bytes, self::PREFIX)
        ) {
            throw new Malformed('Not the peer id of an Ed25519 key', 'malformed');
        }
        return substr($bytes, strlen(self::PREFIX));
    }

    private static function encode(string $bytes): string
    {
        $digits = [];
        foreach (unpack('C*', $bytes) as $byte) {
            $carry = $byte;
            foreach ($digits as $i => $digit) {
                $carry += $digit << 8;
                $digits[$i] = $carry % 58;
                $carry = intdiv($carry, 58);
            }
            for (; $carry > 0; $carry = intdiv($carry, 58)) {
                $digits[] = $carry % 58;
            }
        }
        $out = str_repeat('1', strspn($bytes, "\x00"));
        foreach (array_reverse($digits) as $digit) {
            $out .= self::ALPHABET[$digit];
        }
        return $out;
    }

    private static function decode(string $text): ?string
    {
        $bytes = [];
        foreach (str_split($text) as $letter) {
            $carry = $letter === '' ? false : strpos(self::ALPHABET, $letter);
            if ($carry === false) {
                return null;
            }
            foreach ($bytes as $i => $byte) {
                $carry += $byte * 58;
                $bytes[$i] = $carry & 255;
                $carry >>= 8;
            }
            for (; $carry > 0; $carry >>= 8) {
                $bytes[] = $carry & 255;
            }
        }
        return str_repeat("\x00", strspn($text, '1')) . pack('C*', ...array_reverse($bytes));
    }
}
