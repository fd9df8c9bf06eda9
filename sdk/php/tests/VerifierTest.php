<?php

declare(strict_types=1);

namespace Plasm\Tests;

use PHPUnit\Framework\TestCase;
use Plasm\Receipt;
use Plasm\Tests\Support\Documents;
use Plasm\Verify\Evidence;
use Plasm\Verify\Verdict;
use Plasm\Verify\Verifier;
use Plasm\Wire\CborWriter as Cbor;
use Plasm\Wire\Commitment;
use Plasm\Wire\Domain;
use Plasm\Wire\Envelope;
use Plasm\Wire\OutputSummary;

/**
 * Goal: a receipt is accepted only for its own manifest, input, output and key, and a refusal names
 * the check of spec/verify.md. Method: sign documents here and change one thing at a time.
 */
final class VerifierTest extends TestCase
{
    private Documents $documents;

    protected function setUp(): void
    {
        $this->documents = new Documents();
    }

    public function testAcceptsAnHonestReceipt(): void
    {
        $verdict = $this->check();
        self::assertSame('receipt verified', $verdict->text(), $verdict->detail());
        self::assertTrue($verdict->outputChecked());
        self::assertSame('signature', $verdict->level());
        self::assertTrue($verdict->passed('signature'));
        self::assertTrue($verdict->passed('module_hash'));
        self::assertTrue($verdict->passed('output_commitment'));
        self::assertSame(2, $verdict->receipt()->getWallTimeMs());
    }

    public function testAcceptsFixedInputAndPrivateJobs(): void
    {
        $this->documents->streamed = false;
        self::assertTrue($this->check()->ok());
        $this->documents->salt = str_repeat("\x05", 32);
        self::assertTrue($this->check()->ok());
        $this->documents->streamed = true;
        self::assertTrue($this->check()->ok());
    }

    public function testRefusesPrivateReceiptUnderAnotherSalt(): void
    {
        $this->documents->salt = str_repeat("\x05", 32);
        $e = $this->documents->evidence();
        $other = new Evidence($e->manifest, null, $e->input, $e->output, str_repeat("\x06", 32));
        $verdict = Verifier::check($this->documents->receipt(), $other);
        self::assertFalse($verdict->ok());
        self::assertNull($verdict->receipt());
    }

    public function testARunCutOffMayHaveConsumedLessThanTheManifestSays(): void
    {
        $this->documents->streamed = false;
        $begin = Commitment::of('Hello');
        $this->documents->receiptKeys = [
            5 => $begin->encode(),
            7 => Cbor::map([0 => Cbor::uint(2), 2 => Cbor::text('fuel')]),
        ];
        $e = $this->documents->evidence();
        $none = new Evidence($e->manifest, null, null, $e->output);
        self::assertTrue(Verifier::check($this->documents->receipt(), $none)->ok());
        self::assertSame('input_commitment', $this->check()->failedCheck());
        $own = new Evidence($e->manifest, null, $begin, $e->output);
        self::assertTrue(Verifier::check($this->documents->receipt(), $own)->ok());
        // One that ended by itself may not.
        unset($this->documents->receiptKeys[7]);
        $verdict = Verifier::check($this->documents->receipt(), $none);
        self::assertSame('input_commitment', $verdict->failedCheck());
    }

    public function testCheckpointsMustAgreeWithWhatWasReceivedByThen(): void
    {
        $e = $this->documents->evidence();
        $begin = Documents::output('dlroW');
        $seen = fn (int $sequence, OutputSummary $said, ?string $secret = null): array => [
            Envelope::seal(Domain::Checkpoint, Cbor::map([
                0 => Cbor::uint(2),
                1 => Cbor::bytes(Receipt::fromBytes($this->documents->receipt())->jobId),
                2 => Cbor::uint($sequence),
                3 => $said->encode(),
            ]), $secret ?? $this->documents->providerSecret),
            $begin,
        ];
        $check = fn (array ...$checkpoints): ?string => Verifier::check(
            $this->documents->receipt(),
            new Evidence($e->manifest, null, $e->input, $e->output, null, $checkpoints),
        )->failedCheck();
        self::assertNull($check($seen(0, $begin), $seen(1, $begin)));
        self::assertSame('checkpoint', $check($seen(1, $begin)));
        self::assertSame('checkpoint', $check($seen(0, Documents::output('other'))));
        self::assertSame('checkpoint', $check($seen(0, $begin, Documents::secret(3))));
        self::assertSame('checkpoint', $check(['', $begin]));
        [$bytes] = $seen(0, $begin);
        self::assertSame('checkpoint', $check([substr_replace($bytes, "\x00", -1), $begin]));
    }

    public function testSaysWhenTheOutputWasNotChecked(): void
    {
        $e = $this->documents->evidence();
        $evidence = new Evidence($e->manifest, null, $e->input);
        $verdict = Receipt::fromBytes($this->documents->receipt())->verify($evidence);
        self::assertTrue($verdict->ok());
        self::assertFalse($verdict->outputChecked());
        self::assertStringContainsString('output not checked', $verdict->detail());
    }

    /** @dataProvider refusedDocuments */
    public function testRefusesADocumentAndNamesTheCheck(string $check, \Closure $change): void
    {
        $this->assertRefused($check, $change($this->documents) ?? $this->check());
    }

    /** @return iterable<string, array{string, \Closure(Documents): ?Verdict}> */
    public static function refusedDocuments(): iterable
    {
        $hash = Cbor::bytes(str_repeat("\x33", 32));
        $altered = [
            'version 3' => ['receipt_form', [0 => Cbor::uint(3)]],
            'an unknown key' => ['receipt_form', [14 => Cbor::uint(0)]],
            'private: false' => ['receipt_form', [11 => Cbor::boolean(false)]],
            'isolation not in order' => ['receipt_form', [
                9 => Cbor::array(Cbor::text('seccomp'), Cbor::text('landlock')),
            ]],
            'none beside a layer' => ['receipt_form', [
                9 => Cbor::array(Cbor::text('landlock'), Cbor::text('none')),
            ]],
            'an exit code of a trap' => ['receipt_form', [
                7 => Cbor::map([0 => Cbor::uint(1), 1 => Cbor::uint(0), 2 => Cbor::text('x')]),
            ]],
            'a reason that is no word' => ['receipt_form', [
                7 => Cbor::map([0 => Cbor::uint(1), 2 => Cbor::text('No Word')]),
            ]],
            'another kind' => ['job_kind', [3 => Cbor::uint(1)]],
            'another module' => ['module_hash', [4 => Cbor::map([0 => $hash, 1 => $hash])]],
            'another execution' => ['execution_id', [2 => $hash]],
            'another profile' => ['profile', [8 => Cbor::text('det-1')]],
        ];
        foreach ($altered as $name => [$check, $keys]) {
            yield $name => [$check, static function (Documents $d) use ($keys): void {
                $d->receiptKeys = $keys;
            }];
        }
        yield 'no CBOR' => ['receipt_form', static fn (Documents $d): Verdict
            => Verifier::check('not a receipt', $d->evidence())];
        yield 'bytes behind' => ['receipt_form', static fn (Documents $d): Verdict
            => Verifier::check($d->receipt() . "\x00", $d->evidence())];
        yield 'a manifest as receipt' => ['receipt_form', static fn (Documents $d): Verdict
            => Verifier::check($d->manifest(), $d->evidence())];
        yield 'under another domain' => ['signature', static function (Documents $d): Verdict {
            $sealed = Envelope::seal(Domain::Commit, $d->receiptPayload(), $d->providerSecret);
            $moved = str_replace(
                Cbor::text('application/phase-commit+cbor'),
                Cbor::text('application/phase-receipt+cbor'),
                $sealed,
            );
            // The protected header grew by one byte: its head says so.
            $moved = substr_replace($moved, chr(ord($moved[3]) + 1), 3, 1);
            return Verifier::check($moved, $d->evidence());
        }];
        yield 'another audience' => ['audience', static function (Documents $d): void {
            $d->audience = Documents::key(Documents::secret(3));
        }];
        yield 'private, without a salt' => ['module_hash', static function (Documents $d): Verdict {
            $d->salt = str_repeat("\x05", 32);
            return Verifier::check($d->receipt(), (new Documents())->evidence());
        }];
        yield 'a level that is not there' => ['level', static fn (Documents $d): Verdict
            => Verifier::check($d->receipt(), $d->evidence(), 'proof')];
    }

    /** @dataProvider otherEvidence */
    public function testRefusesAgainstOtherEvidenceAndNamesTheCheck(
        string $check,
        array $with,
        bool $private = false,
    ): void {
        $this->documents->salt = $private ? str_repeat("\x05", 32) : null;
        $evidence = new Evidence(...$with + get_object_vars($this->documents->evidence()));
        $this->assertRefused($check, Verifier::check($this->documents->receipt(), $evidence));
    }

    /** @return array<string, array{0: string, 1: array, 2?: bool}> */
    public static function otherEvidence(): array
    {
        $documents = new Documents();
        $stranger = Documents::key(Documents::secret(3));
        $other = Documents::output('dlroW ,ollex');
        $altered = str_replace('_start', '_stars', $documents->manifest());
        return [
            'another provider key' => ['provider_key', ['provider' => $stranger]],
            'no manifest' => ['manifest_form', ['manifest' => '']],
            'another version' => ['manifest_form', ['manifest' => self::manifest(0, 1)]],
            'an altered manifest' => ['manifest_signature', ['manifest' => $altered]],
            'another manifest' => ['job_id', ['manifest' => self::manifest(3, 29999)]],
            'a salt that was not used' => ['module_hash', ['salt' => str_repeat("\x05", 32)]],
            'no input of a streamed job' => ['input_commitment', ['input' => null]],
            'another input' => ['input_commitment', ['input' => Commitment::of('Hello, Worlds')]],
            'no input of a private job' => ['input_commitment', ['input' => null], true],
            'shorter output' => ['output_length', ['output' => Documents::output('dlroW')]],
            'other output' => ['output_commitment', ['output' => $other]],
        ];
    }

    public function testRefusesEveryFlippedBitOfReceiptAndManifest(): void
    {
        $e = $this->documents->evidence();
        $receipt = $this->documents->receipt();
        for ($bit = 0; $bit < 8 * strlen($receipt); ++$bit) {
            $failed = Verifier::check(self::flip($receipt, $bit), $e)->failedCheck();
            self::assertContains($failed, ['receipt_form', 'signature'], "bit {$bit}");
        }
        for ($bit = 0; $bit < 8 * strlen($e->manifest); ++$bit) {
            $altered = new Evidence(self::flip($e->manifest, $bit), null, $e->input, $e->output);
            $failed = Verifier::check($receipt, $altered)->failedCheck();
            self::assertContains($failed, ['manifest_form', 'manifest_signature'], "bit {$bit}");
        }
    }

    public function testRefusesEveryFlippedBitOfOutputCommitment(): void
    {
        $e = $this->documents->evidence();
        for ($bit = 0; $bit < 256; ++$bit) {
            $output = new OutputSummary(
                self::flip($e->output->commitment, $bit),
                $e->output->length,
                $e->output->segments,
            );
            $altered = new Evidence($e->manifest, $e->provider, $e->input, $output);
            $failed = Verifier::check($this->documents->receipt(), $altered)->failedCheck();
            self::assertSame('output_commitment', $failed);
        }
    }

    public function testNeverThrowsOnRandomBytes(): void
    {
        mt_srand(20_261_121);
        $receipt = $this->documents->receipt();
        $e = $this->documents->evidence();
        for ($round = 0; $round < 2000; ++$round) {
            $bytes = $receipt;
            for ($change = mt_rand(1, 6); $change > 0; --$change) {
                $at = mt_rand(0, strlen($bytes));
                $bytes = match (mt_rand(0, 2)) {
                    0 => substr_replace($bytes, chr(mt_rand(0, 255)), $at, 1),
                    1 => substr_replace($bytes, '', $at, mt_rand(1, 9)),
                    2 => substr_replace($bytes, chr(mt_rand(0, 255)), $at, 0),
                };
            }
            if ($bytes !== $receipt) {
                self::assertFalse(Verifier::check($bytes, $e)->ok(), bin2hex($bytes));
            }
        }
    }

    public function testRefusesSmallOrderAndNonCanonicalSignatures(): void
    {
        $receipt = $this->documents->receipt();
        // S + L, L the order of the group (RFC 8032 §5.1): the same number, another spelling.
        $order = hex2bin('edd3f55c1a631258d69cf7a2def9de14' . str_repeat('00', 15) . '10');
        $s = substr($receipt, -32);
        sodium_add($s, $order);
        $verdict = Verifier::check(substr($receipt, 0, -32) . $s, $this->documents->evidence());
        self::assertSame('signature', $verdict->failedCheck());
        $key = Documents::key($this->documents->providerSecret);
        $small = str_replace($key, str_pad("\x01", 32, "\x00"), $receipt);
        $e = $this->documents->evidence();
        $verdict = Verifier::check($small, new Evidence($e->manifest, null, $e->input, $e->output));
        self::assertSame('signature', $verdict->failedCheck());
    }

    private function check(): Verdict
    {
        return Verifier::check($this->documents->receipt(), $this->documents->evidence());
    }

    private function assertRefused(string $check, Verdict $verdict): void
    {
        self::assertSame($check, $verdict->failedCheck(), $verdict->detail());
        self::assertNull($verdict->receipt());
        self::assertNull($verdict->level());
        self::assertFalse($verdict->passed($check));
        self::assertSame("receipt refused: {$check}", $verdict->text());
    }

    /** A manifest with a number under one of its keys. */
    private static function manifest(int $key, int $value): string
    {
        $documents = new Documents();
        $documents->manifestKeys = [$key => Cbor::uint($value)];
        return $documents->manifest();
    }

    private static function flip(string $bytes, int $bit): string
    {
        $at = intdiv($bit, 8);
        $bytes[$at] = chr(ord($bytes[$at]) ^ (1 << $bit % 8));
        return $bytes;
    }
}
