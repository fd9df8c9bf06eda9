<?php

declare(strict_types=1);

namespace Plasm\Tests;

use PHPUnit\Framework\TestCase;
use Plasm\Exception\Malformed;
use Plasm\Tests\Support\Seeded;
use Plasm\Wire\CborMap;
use Plasm\Wire\CborReader;
use Plasm\Wire\CborWriter as Cbor;

/** Goal: what is read has exactly one spelling, that of spec/encoding.md. */
final class CborTest extends TestCase
{
    /**
     * Items of RFC 8949 appendix A that the subset has.
     *
     * @dataProvider items
     */
    public function testReadsWhatTheSubsetHas(string $hex): void
    {
        CborReader::check(hex2bin($hex));
        $reader = new CborReader(hex2bin($hex));
        self::assertSame($hex, bin2hex($reader->skip()));
        $reader->finish();
    }

    /** @return list<array{string}> */
    public static function items(): array
    {
        return array_map(static fn (string $hex): array => [$hex], [
            '00', '17', '1818', '1903e8', '1a000f4240', '1b000000e8d4a51000', '1bffffffffffffffff',
            '20', '3863', '3b7fffffffffffffff', 'f4', 'f5', 'f6', '40', '4401020304', '60',
            '62c3bc', '64f0908591', '80', '83010203', '8301820203820405', 'a0', 'a201020304',
            'a26161016162820203', '98190102030405060708090a0b0c0d0e0f101112131415161718181819',
        ]);
    }

    /** @dataProvider refused */
    public function testRefusesEverythingElse(string $hex): void
    {
        $this->expectException(Malformed::class);
        CborReader::check(hex2bin($hex));
    }

    /** @return array<string, array{string}> */
    public static function refused(): array
    {
        return array_map(static fn (string $hex): array => [$hex], [
            'nothing' => '',
            'head not the shortest, 1 byte' => '1817',
            'head not the shortest, 2 bytes' => '1900ff',
            'head not the shortest, 4 bytes' => '1a0000ffff',
            'head not the shortest, 8 bytes' => '1b00000000ffffffff',
            'reserved head' => '1c',
            'head ends early' => '1900',
            'negative below -2^63' => '3b8000000000000000',
            'indefinite bytes' => '5f4100ff',
            'indefinite text' => '7f6161ff',
            'indefinite array' => '9f00ff',
            'indefinite map' => 'bf0000ff',
            'half float' => 'f93c00',
            'float' => 'fa47c35000',
            'double' => 'fb3ff199999999999a',
            'undefined' => 'f7',
            'simple value' => 'f820',
            'break' => 'ff',
            'a tag inside' => 'c100',
            'tag 18 inside' => '81d200',
            'bytes end early' => '4201',
            'bytes of 2^64-1' => '5bffffffffffffffff',
            'text is not UTF-8' => '61ff',
            'text with a surrogate' => '63eda080',
            'overlong text' => '62c080',
            'array ends early' => '8200',
            'array of 2^64-1' => '9bffffffffffffffff',
            'array of 2^32' => '9b0000000100000000',
            'map ends early' => 'a100',
            'keys repeat' => 'a201000100',
            'keys descend' => 'a202000100',
            'text key before uint key' => 'a2616100' . '0100',
            'bytes behind' => '0000',
            'seventeen levels' => str_repeat('81', 16) . '00',
        ]);
    }

    public function testSixteenLevelsAreRead(): void
    {
        CborReader::check(hex2bin(str_repeat('81', 15) . '00'));
        $this->expectNotToPerformAssertions();
    }

    public function testUnsignedIntegersAbove63BitsStayExact(): void
    {
        $max = (new CborReader(hex2bin('1bffffffffffffffff')))->uint64();
        self::assertSame('18446744073709551615', $max);
        self::assertSame('1bffffffffffffffff', bin2hex(Cbor::uint($max)));
        self::assertSame(PHP_INT_MAX, (new CborReader(Cbor::uint(PHP_INT_MAX)))->uint64());
        $border = (new CborReader(hex2bin('1b8000000000000000')))->uint64();
        self::assertSame('9223372036854775808', $border);
        self::assertSame('1b8000000000000000', bin2hex(Cbor::uint($border)));
        $this->expectException(Malformed::class);
        (new CborReader(hex2bin('1b8000000000000000')))->uint();
    }

    public function testSignedIntegersReachBothEnds(): void
    {
        foreach ([0, -1, 23, 24, -24, -25, 255, 65536, PHP_INT_MAX, PHP_INT_MIN] as $value) {
            $reader = new CborReader(Cbor::integer($value));
            self::assertSame($value, $reader->integer());
            $reader->finish();
        }
    }

    public function testMapsRefuseKeysNobodyAskedFor(): void
    {
        $bytes = Cbor::map([0 => Cbor::uint(5), 3 => Cbor::uint(6)]);
        $map = CborMap::open($reader = new CborReader($bytes));
        self::assertSame(5, $map->required(0)->uint());
        self::assertFalse($map->optional(2));
        self::assertTrue($map->optional(3));
        self::assertSame(6, $reader->uint());
        $map->close();
        $reader->finish();

        $map = CborMap::open(new CborReader($bytes));
        $map->required(0)->uint();
        $this->expectExceptionMessage('unknown key 3');
        $map->close();
    }

    /** Property: encoding what was generated and reading it back gives it, bytes and all. */
    public function testRoundTripsRandomItems(): void
    {
        mt_srand(2_611);
        for ($round = 0; $round < 3000; ++$round) {
            $bytes = self::randomItem(0);
            $reader = new CborReader($bytes);
            self::assertSame($bytes, $reader->skip());
            $reader->finish();
            $cut = substr($bytes, 0, -1);
            try {
                CborReader::check($cut);
                self::fail('Read a shortened item: ' . bin2hex($cut));
            } catch (Malformed) {
                self::assertTrue(true);
            }
        }
    }

    private static function randomItem(int $depth): string
    {
        $number = static fn (): int => mt_rand(0, 1) === 0
            ? mt_rand(0, 300)
            : mt_rand() << mt_rand(0, 31);
        return match (mt_rand(0, $depth > 4 ? 5 : 7)) {
            0 => Cbor::uint($number()),
            1 => Cbor::integer(-1 - $number()),
            2 => Cbor::bytes(Seeded::bytes(mt_rand(0, 40))),
            3 => Cbor::text(str_repeat('ü', mt_rand(0, 40))),
            4 => Cbor::boolean(mt_rand(0, 1) === 1),
            5 => Cbor::null(),
            6 => Cbor::array(...array_map(
                static fn (): string => self::randomItem($depth + 1),
                array_fill(0, mt_rand(0, 5), null),
            )),
            7 => Cbor::map(array_combine(
                $keys = array_unique(array_map($number, array_fill(0, mt_rand(1, 5), null))),
                array_map(static fn (): string => self::randomItem($depth + 1), $keys),
            )),
        };
    }
}
