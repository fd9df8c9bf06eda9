<?php

declare(strict_types=1);

namespace Plasm\Tests;

use PHPUnit\Framework\TestCase;
use Plasm\Exception\Malformed;
use Plasm\Tests\Support\Seeded;
use Plasm\Wire\ArtifactRef;
use Plasm\Wire\OutputChain;
use Plasm\Wire\PeerId;

/** Goal: names and commitments come out as spec/*.md says. */
final class WireTest extends TestCase
{
    /** RFC 8032 §7.1 test 1; the peer id stands in spec/envelope.md. */
    public function testPeerIdOfTheFirstKeyOfRfc8032(): void
    {
        $key = hex2bin('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a');
        $peerId = '12D3KooWQK1wnefoLrcVHbbnf5tLzbopUd3K3bFAoJpA7YJgL5pV';
        self::assertSame($peerId, PeerId::fromKey($key));
        self::assertSame($key, PeerId::toKey($peerId));
    }

    public function testPeerIdsRoundTrip(): void
    {
        foreach ([str_repeat("\x00", 32), str_repeat("\xFF", 32), random_bytes(32)] as $key) {
            self::assertSame($key, PeerId::toKey(PeerId::fromKey($key)));
        }
    }

    /** @dataProvider wrongPeerIds */
    public function testRefusesOtherPeerIds(string $text): void
    {
        $this->expectException(Malformed::class);
        PeerId::toKey($text);
    }

    /** @return list<array{string}> */
    public static function wrongPeerIds(): array
    {
        return [
            [''],
            ['12D3KooW'],
            ['12D3KooWQK1wnefoLrcVHbbnf5tLzbopUd3K3bFAoJpA7YJgL5p0'],
            ['112D3KooWQK1wnefoLrcVHbbnf5tLzbopUd3K3bFAoJpA7YJgL5pV'],
            ['QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG'],
            [str_repeat('1', 5000)],
        ];
    }

    /** Property: the commitment does not depend on how bytes were cut. */
    public function testOutputCommitmentIgnoresChunking(): void
    {
        mt_srand(8);
        for ($round = 0; $round < 20; ++$round) {
            $pieces = [];
            for ($left = mt_rand(1, 6); $left > 0; --$left) {
                $pieces[] = [mt_rand(1, 2), Seeded::bytes(mt_rand(0, 40000))];
            }
            $whole = new OutputChain();
            $cut = new OutputChain();
            foreach ($pieces as [$stream, $bytes]) {
                $whole->append($stream, $bytes);
                for ($offset = 0; $offset < strlen($bytes); $offset += $length) {
                    $length = mt_rand(1, 20000);
                    $cut->append($stream, substr($bytes, $offset, $length));
                    $cut->append($stream === 1 ? 2 : 1, '');
                    $cut->summary();
                }
            }
            self::assertEquals($whole->summary(), $cut->summary());
        }
    }

    public function testOutputCommitmentIsTheChainOfTheSpecification(): void
    {
        $c0 = hash('sha256', 'phase/output/2', true);
        $chain = new OutputChain();
        self::assertSame($c0, $chain->summary()->commitment);
        $chain->append(OutputChain::STDERR, 'x');
        $chain->append(OutputChain::STDOUT, str_repeat('y', 16385));
        $c1 = hash('sha256', $c0 . "\x02\x00\x00\x00\x01x", true);
        $c2 = hash('sha256', $c1 . "\x01\x00\x00\x40\x00" . str_repeat('y', 16384), true);
        $c3 = hash('sha256', $c2 . "\x01\x00\x00\x00\x01y", true);
        self::assertSame($c3, $chain->summary()->commitment);
        self::assertSame(16386, $chain->summary()->length);
        self::assertSame(3, $chain->summary()->segments);
    }

    public function testArtifactIdIsTheTreeOfTheSpecification(): void
    {
        $leaf = static fn (string $chunk): string => hash('sha256', "\x00" . $chunk, true);
        $node = static fn (string $a, string $b): string => hash('sha256', "\x01" . $a . $b, true);
        $chunks = [str_repeat('a', 262144), str_repeat('b', 262144), 'c'];
        $root = $node($node($leaf($chunks[0]), $leaf($chunks[1])), $leaf($chunks[2]));
        $id = hash('sha256', "\x02" . pack('J', 524289) . $root, true);
        self::assertSame($id, ArtifactRef::of(implode('', $chunks))->id);
        $empty = hash('sha256', "\x02" . pack('J', 0) . hash('sha256', '', true), true);
        self::assertSame($empty, ArtifactRef::of('')->id);
    }
}
