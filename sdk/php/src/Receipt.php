<?php

declare(strict_types=1);

namespace Plasm;

use Plasm\Exception\Malformed;
use Plasm\Verify\Evidence;
use Plasm\Verify\Verdict;
use Plasm\Verify\Verifier;
use Plasm\Wire\CborMap;
use Plasm\Wire\CborReader;
use Plasm\Wire\CborWriter;
use Plasm\Wire\Claimed;
use Plasm\Wire\Commitment;
use Plasm\Wire\Completion;
use Plasm\Wire\Domain;
use Plasm\Wire\Envelope;
use Plasm\Wire\OutputSummary;
use Plasm\Wire\PeerId;
use Plasm\Wire\Profile;

/**
 * A result as its provider signed it. Normative: spec/receipt.md.
 *
 * fromBytes() checks the form only: nothing in here is to be believed before verify() accepted it
 * against the manifest and the output. Even then it proves that the provider stated this result
 * for this job, not that the computation was right.
 */
final class Receipt
{
    public const VERSION = 2;

    private const ISOLATION_MAX = 16;
    private const WORD_BYTES_MAX = 64;
    private const NAME_BYTES_MAX = 128;
    private const EVIDENCE_MAX = 16;
    /** Largest payload in front of its evidence. */
    private const BYTES_MAX = 16384;

    /** @param list<string> $isolation */
    private function __construct(
        private readonly string $bytes,
        public readonly Envelope $envelope,
        public readonly string $jobId,
        public readonly string $executionId,
        public readonly int $jobKind,
        public readonly string $subjectId,
        public readonly string $subjectSha256,
        public readonly Commitment $input,
        public readonly OutputSummary $output,
        public readonly Completion $completion,
        public readonly string $profile,
        public readonly array $isolation,
        public readonly int|string|null $fuel,
        public readonly bool $isPrivate,
        public readonly Claimed $claimed,
    ) {
    }

    /** Reads a COSE_Sign1 envelope. Throws Malformed; checks no signature. */
    public static function fromBytes(string $bytes): self
    {
        $envelope = Envelope::read(Domain::Receipt, $bytes);
        $reader = new CborReader($envelope->payload);
        $map = CborMap::open($reader);
        $version = $map->required(0)->uint64();
        if ($version !== self::VERSION) {
            throw new Malformed("Receipt version {$version} is not known", 'version_unknown');
        }
        $jobId = $map->required(1)->bytesOf(32);
        $executionId = $map->required(2)->bytesOf(32);
        $kind = $map->required(3)->uint64();
        if ($kind !== 0 && $kind !== 1) {
            throw new Malformed("Job kind {$kind} is not known", 'version_unknown');
        }
        $subject = CborMap::open($map->required(4));
        $subjectId = $subject->required(0)->bytesOf(32);
        $subjectSha256 = $subject->required(1)->bytesOf(32);
        $subject->close();
        $input = Commitment::read($map->required(5));
        $output = OutputSummary::read($map->required(6));
        $completion = Completion::read($map->required(7));
        $profile = $map->required(8)->text();
        if (!in_array($profile, Profile::ALL, true)) {
            throw Profile::unknown($profile);
        }
        $isolation = self::readIsolation($map->required(9));
        $fuel = $map->optional(10) ? $reader->uint64() : null;
        $private = self::readPrivate($map, $reader);
        $claimed = Claimed::read($map->required(12));
        if ($reader->offset() > self::BYTES_MAX) {
            throw $reader->tooLarge('a receipt has at most ' . self::BYTES_MAX . ' bytes');
        }
        if ($map->optional(13)) {
            self::checkEvidence($reader);
        }
        $map->close();
        $reader->finish();
        return new self(
            $bytes,
            $envelope,
            $jobId,
            $executionId,
            $kind,
            $subjectId,
            $subjectSha256,
            $input,
            $output,
            $completion,
            $profile,
            $isolation,
            $fuel,
            $private,
            $claimed,
        );
    }

    public static function fromBase64(string $text): self
    {
        $bytes = base64_decode($text, true);
        if ($bytes === false) {
            throw new Malformed('The receipt is not base64', 'malformed');
        }
        return self::fromBytes($bytes);
    }

    public static function fromFile(string $path): self
    {
        $bytes = @file_get_contents($path, length: Envelope::BYTES_MAX + 1);
        if ($bytes === false) {
            throw new \InvalidArgumentException("Cannot read the receipt: {$path}");
        }
        return self::fromBytes($bytes);
    }

    /** The exact bytes that were signed over and received. */
    public function toBytes(): string
    {
        return $this->bytes;
    }

    /** For people and logs; not a format to verify from. */
    public function toJson(): string
    {
        $flags = JSON_PRETTY_PRINT | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE;
        return json_encode([
            'version' => $this->getVersion(),
            'job_id' => $this->getJobId(),
            'execution_id' => bin2hex($this->executionId),
            'provider' => $this->getNodeId(),
            'provider_key' => $this->getNodePubkey(),
            'module_hash' => $this->getModuleHash(),
            'input' => [
                'sha256' => bin2hex($this->input->sha256),
                'length' => $this->input->length,
            ],
            'output' => [
                'commitment' => bin2hex($this->output->commitment),
                'length' => $this->output->length,
                'segments' => $this->output->segments,
            ],
            'completion' => $this->completion->text(),
            'exit_code' => $this->getExitCode(),
            'profile' => $this->profile,
            'isolation' => $this->isolation,
            'private' => $this->isPrivate,
            'claimed' => $this->claimed,
            'signature' => $this->getSignature(),
        ], $flags | JSON_THROW_ON_ERROR);
    }

    /**
     * All checks of spec/verify.md, in order. A key alone verifies nothing: the manifest is
     * required, and without the output the verdict says that the output was not checked.
     */
    public function verify(Evidence $evidence): Verdict
    {
        return Verifier::check($this->bytes, $evidence);
    }

    public function getVersion(): string
    {
        return 'phase-receipt:v' . self::VERSION;
    }

    /** Job id, hex. */
    public function getJobId(): string
    {
        return bin2hex($this->jobId);
    }

    /** "sha256:<hex>" of the module (salted when private). */
    public function getModuleHash(): string
    {
        return 'sha256:' . bin2hex($this->subjectSha256);
    }

    /** Null unless the module ended by itself. */
    public function getExitCode(): ?int
    {
        return $this->completion->exitCode;
    }

    public function isSuccess(): bool
    {
        return $this->completion->exitCode === 0;
    }

    /** As the provider claims it, rounded up; null when it claims nothing. */
    public function getWallTimeMs(): ?int
    {
        $us = $this->claimed->wallUs;
        return is_int($us) ? intdiv($us, 1000) + ($us % 1000 > 0 ? 1 : 0) : null;
    }

    /** When the provider claims to have finished, unix ms; null when it claims nothing. */
    public function getCompletedAt(): ?int
    {
        $ms = $this->claimed->finishedUnixMs;
        return is_int($ms) ? $ms : null;
    }

    /** Peer id of the signer. */
    public function getNodeId(): string
    {
        return PeerId::fromKey($this->envelope->signer);
    }

    /** Key of the signer, hex. */
    public function getNodePubkey(): string
    {
        return bin2hex($this->envelope->signer);
    }

    /** Hex. */
    public function getSignature(): string
    {
        return bin2hex($this->envelope->signature);
    }

    /** @return list<string> */
    private static function readIsolation(CborReader $reader): array
    {
        $layers = [];
        for ($left = $reader->array(self::ISOLATION_MAX); $left > 0; --$left) {
            $layer = $reader->textOf(1, self::WORD_BYTES_MAX);
            if ($layers !== [] && strcmp($layers[count($layers) - 1], $layer) >= 0) {
                throw $reader->wrong('isolation layers are not in ascending order');
            }
            $layers[] = $layer;
        }
        if ($layers === [] || (in_array('none', $layers, true) && $layers !== ['none'])) {
            throw $reader->wrong('isolation names its layers, or exactly "none"');
        }
        return $layers;
    }

    private static function readPrivate(CborMap $map, CborReader $reader): bool
    {
        if (!$map->optional(11)) {
            return false;
        }
        if (!$reader->boolean()) {
            throw $reader->wrong('private is true or left out');
        }
        return true;
    }

    private static function checkEvidence(CborReader $reader): void
    {
        $last = null;
        $count = $reader->map(self::EVIDENCE_MAX);
        if ($count === 0) {
            throw $reader->wrong('evidence is written only when there is some');
        }
        for ($left = $count; $left > 0; --$left) {
            $key = CborWriter::text($reader->textOf(0, self::NAME_BYTES_MAX));
            if ($last !== null && strcmp($last, $key) >= 0) {
                throw $reader->wrong('evidence names are not in ascending order');
            }
            $last = $key;
            $reader->bytes();
        }
    }
}
