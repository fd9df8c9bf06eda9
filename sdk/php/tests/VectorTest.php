<?php

declare(strict_types=1);

namespace Plasm\Tests;

use PHPUnit\Framework\TestCase;
use Plasm\Exception\Malformed;
use Plasm\Receipt;
use Plasm\Tests\Support\Describe;
use Plasm\Verify\Evidence;
use Plasm\Verify\Verifier;
use Plasm\Wire\ArtifactRef;
use Plasm\Wire\CborReader;
use Plasm\Wire\Checkpoint;
use Plasm\Wire\Commitment;
use Plasm\Wire\Domain;
use Plasm\Wire\Envelope;
use Plasm\Wire\JobDocument;
use Plasm\Wire\OutputChain;
use Plasm\Wire\PeerId;
use Plasm\Wire\Salt;
use Plasm\Wire\SignedManifest;

/** Goal: PHP reads, names and refuses exactly what spec/vectors says, good cases and bad. */
final class VectorTest extends TestCase
{
    /** @dataProvider encoding */
    public function testEncoding(array $case): void
    {
        $this->assertOutcome($case, static fn () => CborReader::check(hex2bin($case['bytes'])));
    }

    /** @dataProvider identity */
    public function testIdentity(array $case): void
    {
        if ($case['kind'] === 'peer_id') {
            $this->assertOutcome($case, static fn () => PeerId::toKey($case['peer_id']));
        } elseif ($case['kind'] === 'key') {
            $key = hex2bin($case['public_key']);
            self::assertSame($case['peer_id'], PeerId::fromKey($key));
            self::assertSame($key, PeerId::toKey($case['peer_id']));
            $signature = hex2bin($case['signature']);
            $message = hex2bin($case['message']);
            self::assertTrue(sodium_crypto_sign_verify_detached($signature, $message, $key));
        } else {
            // Key files are the daemon's; this package holds no keys.
            self::assertSame('key_file', $case['kind']);
        }
    }

    /** @dataProvider envelope */
    public function testEnvelope(array $case): void
    {
        $domain = Domain::from($case['domain']);
        $envelope = $this->assertOutcome(
            $case,
            static fn (): Envelope => self::held(
                Envelope::read($domain, hex2bin($case['envelope'])),
            ),
        );
        if ($envelope !== null) {
            self::assertSame($case['signer'], bin2hex($envelope->signer));
            self::assertSame($case['payload'], bin2hex($envelope->payload));
            self::assertSame($case['signed_hash'], bin2hex($envelope->signedHash()));
            $pair = sodium_crypto_sign_seed_keypair(hex2bin($case['seed']));
            $secret = sodium_crypto_sign_secretkey($pair);
            $sealed = Envelope::seal($domain, $envelope->payload, $secret);
            self::assertSame($case['envelope'], bin2hex($sealed));
        }
    }

    /** @dataProvider artifact */
    public function testArtifact(array $case): void
    {
        $ref = ArtifactRef::of(str_repeat(hex2bin($case['fill']), $case['count']));
        self::assertSame($case['id'], bin2hex($ref->id));
        self::assertSame($case['sha256'], bin2hex($ref->sha256));
    }

    /** @dataProvider job */
    public function testJob(array $case): void
    {
        $job = $this->assertOutcome(
            $case,
            static fn (): JobDocument => JobDocument::read(hex2bin($case['job'])),
        );
        if ($job === null) {
            return;
        }
        self::assertEquals($case['value'], Describe::job($job));
        self::assertSame($case['execution_id'] === null, $job->isStreamed());
        if ($case['execution_id'] !== null) {
            $id = $job->executionId(null);
            self::assertSame($case['execution_id'], bin2hex($id));
            $salted = Salt::apply(hex2bin($case['salt']), $id);
            self::assertSame($case['salted_execution_id'], bin2hex($salted));
        }
    }

    /** @dataProvider output */
    public function testOutput(array $case): void
    {
        $chain = self::chain($case['transcript']);
        self::assertSame($case['summary'], Describe::summary($chain->summary()));
    }

    /** @dataProvider manifest */
    public function testManifest(array $case): void
    {
        $manifest = $this->assertOutcome($case, static function () use ($case): SignedManifest {
            $manifest = SignedManifest::read(hex2bin($case['envelope']));
            self::held($manifest->envelope);
            return $manifest;
        });
        if ($manifest !== null) {
            self::assertEquals($case['value'], Describe::manifest($manifest));
            self::assertSame($case['job_id'], bin2hex($manifest->jobId()));
            self::assertSame($case['requester'], bin2hex($manifest->requester()));
            self::assertSame($case['payload'], bin2hex($manifest->envelope->payload));
        }
    }

    /** @dataProvider receipt */
    public function testReceipt(array $case): void
    {
        $bytes = hex2bin($case['envelope']);
        $read = match ($case['kind']) {
            'receipt' => static fn (): Receipt => Receipt::fromBytes($bytes),
            'checkpoint' => static fn (): Checkpoint => Checkpoint::read($bytes),
            // Commits are between providers and the requester's node; only their envelope is read.
            'commit' => static fn (): Envelope => Envelope::read(Domain::Commit, $bytes),
        };
        $document = $this->assertOutcome($case, static function () use ($read) {
            $document = $read();
            self::held($document instanceof Envelope ? $document : $document->envelope);
            return $document;
        });
        if ($document instanceof Receipt) {
            unset($case['value']['evidence']);
            self::assertEquals($case['value'], Describe::receipt($document));
            self::assertSame($case['provider'], $document->getNodePubkey());
            self::assertSame($bytes, $document->toBytes());
            self::assertJson($document->toJson());
        } elseif ($document instanceof Checkpoint) {
            self::assertEquals($case['value'], Describe::checkpoint($document));
        }
    }

    /** @dataProvider verify */
    public function testVerify(array $case): void
    {
        $bytes = static fn (?string $hex): ?string => $hex === null ? null : hex2bin($hex);
        $checkpoints = [];
        foreach ($case['checkpoints'] as $seen) {
            $by = array_slice($case['transcript'], 0, $seen['pieces']);
            $checkpoints[] = [hex2bin($seen['envelope']), self::chain($by)->summary()];
        }
        $input = $bytes($case['input']);
        $verdict = Verifier::check(hex2bin($case['receipt']), new Evidence(
            hex2bin($case['manifest']),
            $bytes($case['provider']),
            $input === null ? null : Commitment::of($input),
            $case['transcript'] === null ? null : self::chain($case['transcript'])->summary(),
            $bytes($case['salt']),
            $checkpoints,
        ), $case['level']);
        self::assertSame($case['failed_check'], $verdict->failedCheck(), $verdict->detail());
        self::assertSame($case['output_checked'], $verdict->ok() && $verdict->outputChecked());
    }

    public static function encoding(): iterable
    {
        return self::cases('encoding');
    }

    public static function identity(): iterable
    {
        return self::cases('identity');
    }

    public static function envelope(): iterable
    {
        return self::cases('envelope');
    }

    public static function artifact(): iterable
    {
        return self::cases('artifact');
    }

    public static function job(): iterable
    {
        return self::cases('job');
    }

    public static function output(): iterable
    {
        return self::cases('output');
    }

    public static function manifest(): iterable
    {
        return self::cases('manifest');
    }

    public static function receipt(): iterable
    {
        return self::cases('receipt');
    }

    public static function verify(): iterable
    {
        return self::cases('verify');
    }

    /** @return iterable<string, array{array}> */
    private static function cases(string $name): iterable
    {
        $folder = getenv('PHASE_VECTORS_DIR') ?: dirname(__DIR__, 3) . '/spec/vectors';
        $text = file_get_contents("{$folder}/{$name}.json");
        $flags = JSON_THROW_ON_ERROR | JSON_BIGINT_AS_STRING;
        foreach (json_decode($text, true, 32, $flags)['cases'] as $number => $case) {
            yield "{$number}: {$case['name']}" => [$case];
        }
    }

    /**
     * Runs what the case is about; a bad case must fail with its code, a good one must not.
     *
     * @template T
     * @param \Closure(): T $run
     * @return T|null null for a bad case
     */
    private function assertOutcome(array $case, \Closure $run): mixed
    {
        try {
            $value = $run();
        } catch (Malformed $refused) {
            self::assertSame($case['error'], $refused->errorCode(), $refused->getMessage());
            return null;
        }
        self::assertNull($case['error'], 'accepted what must be refused');
        return $value;
    }

    private static function held(Envelope $envelope): Envelope
    {
        return $envelope->signatureHolds()
            ? $envelope
            : throw new Malformed('the signature does not hold', 'verification_failed');
    }

    private static function chain(array $transcript): OutputChain
    {
        $chain = new OutputChain();
        foreach ($transcript as $piece) {
            $bytes = isset($piece['fill'])
                ? str_repeat(hex2bin($piece['fill']), $piece['count'])
                : hex2bin($piece['data']);
            $chain->append($piece['stream'], $bytes);
        }
        return $chain;
    }
}
