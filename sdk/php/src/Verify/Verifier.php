<?php

declare(strict_types=1);

namespace Plasm\Verify;

use Plasm\Exception\Malformed;
use Plasm\Receipt;
use Plasm\Wire\Checkpoint;
use Plasm\Wire\Commitment;
use Plasm\Wire\InferenceBody;
use Plasm\Wire\Salt;
use Plasm\Wire\SignedManifest;
use Plasm\Wire\Uint64;

/**
 * Receipt ⇄ manifest ⇄ output: verified, or the check that failed. Normative: spec/verify.md.
 *
 * Pure: reads no clock, no file and no socket, and throws nothing; every input is untrusted.
 */
final class Verifier
{
    /** @var list<Check> */
    private array $passed = [];
    private ?Receipt $receipt = null;

    private function __construct(
        private readonly Evidence $evidence,
        private readonly string $level,
    ) {
    }

    /** A `$level` above `signature` fails with the check `level`: its evidence is not here. */
    public static function check(
        string $receipt,
        Evidence $evidence,
        string $level = 'signature',
    ): Verdict {
        $self = new self($evidence, $level);
        try {
            $self->run($receipt);
        } catch (Refusal $refusal) {
            return Verdict::refusal($self->passed, $refusal->check, $refusal->getMessage());
        }
        $checked = $evidence->output !== null;
        $who = $self->receipt?->getNodeId();
        $detail = "signed by {$who}" . ($checked ? '' : '; output not checked');
        return new Verdict($self->receipt, $self->passed, null, $detail, $checked);
    }

    private function run(string $bytes): void
    {
        $receipt = $this->receipt = $this->form(
            Check::ReceiptForm,
            static fn (): Receipt => Receipt::fromBytes($bytes),
        );
        $signer = $receipt->envelope->signer;
        $this->hold(
            Check::Signature,
            $receipt->envelope->signatureHolds(),
            'the receipt is not signed by the key it names',
        );
        $provider = $this->evidence->provider;
        $this->hold(
            Check::ProviderKey,
            $provider === null || hash_equals($provider, $signer),
            'signed by another key than that of the peer the job went to',
        );
        $manifest = $this->form(
            Check::ManifestForm,
            fn (): SignedManifest => SignedManifest::read($this->evidence->manifest),
        );
        $this->hold(
            Check::ManifestSignature,
            $manifest->envelope->signatureHolds(),
            'the manifest is not signed by the key it names',
        );
        $this->hold(
            Check::Audience,
            $manifest->audience === null || hash_equals($manifest->audience, $signer),
            'the manifest names another provider',
        );
        $this->bindJob($receipt, $manifest);
        $this->bindOutput($receipt);
        $this->bindCheckpoints($receipt);
        $this->hold(
            Check::Level,
            $this->level === 'signature',
            "the level {$this->level} needs evidence that is not there",
        );
    }

    private function bindJob(Receipt $receipt, SignedManifest $manifest): void
    {
        $job = $manifest->job;
        $this->hold(
            Check::JobId,
            hash_equals($manifest->jobId(), $receipt->jobId),
            'the receipt is for another manifest',
        );
        $this->hold(Check::JobKind, $receipt->jobKind === $job->kind(), 'another kind of job');
        $this->hold(
            Check::ModuleHash,
            $receipt->isPrivate === ($this->evidence->salt !== null),
            $receipt->isPrivate
                ? 'the receipt is private and no salt is at hand'
                : 'the job was private and the receipt is not',
        );
        $this->hold(
            Check::ModuleHash,
            $this->subjectMatches($receipt, $manifest),
            'the receipt is for another module or model',
        );
        $this->hold(
            Check::InputCommitment,
            $this->inputMatches($receipt, $manifest),
            'the provider consumed another input',
        );
        $this->hold(
            Check::ExecutionId,
            $this->executionMatches($receipt, $manifest),
            'the receipt is for another execution',
        );
        $this->hold(
            Check::Profile,
            $receipt->profile === $job->body->profile,
            'run under another profile',
        );
    }

    private function bindOutput(Receipt $receipt): void
    {
        $output = $this->evidence->output;
        if ($output === null) {
            return;
        }
        $this->hold(
            Check::OutputLength,
            $receipt->output->length === $output->length
                && $receipt->output->segments === $output->segments,
            "the provider states {$receipt->output->length} bytes of output in "
                . "{$receipt->output->segments} segments, received were {$output->length} in "
                . $output->segments,
        );
        $commitment = $this->salted($receipt, $output->commitment);
        $this->hold(
            Check::OutputCommitment,
            hash_equals($commitment, $receipt->output->commitment),
            'the output received is not the output the provider signed',
        );
    }

    private function bindCheckpoints(Receipt $receipt): void
    {
        foreach ($this->evidence->checkpoints as $number => [$bytes, $received]) {
            try {
                $said = Checkpoint::read($bytes);
            } catch (Malformed $malformed) {
                throw new Refusal(Check::Checkpoint, $malformed->getMessage());
            }
            $ofThisRun = $said->envelope->signatureHolds()
                && hash_equals($receipt->envelope->signer, $said->envelope->signer)
                && hash_equals($receipt->jobId, $said->jobId)
                && $said->sequence === $number;
            $this->hold(Check::Checkpoint, $ofThisRun, "checkpoint {$number} is of another run");
            // Checkpoints are not salted: they go to the requester alone.
            $this->hold(
                Check::Checkpoint,
                hash_equals($received->commitment, $said->output->commitment)
                    && $said->output->length === $received->length
                    && $said->output->segments === $received->segments,
                "checkpoint {$number} disagrees with the output received by then",
            );
        }
    }

    private function subjectMatches(Receipt $receipt, SignedManifest $manifest): bool
    {
        $body = $manifest->job->body;
        [$id, $sha256] = $body instanceof InferenceBody
            ? [$body->modelId, str_repeat("\x00", 32)]
            : [$body->module->id, $body->module->sha256];
        return hash_equals($this->salted($receipt, $id), $receipt->subjectId)
            && hash_equals($this->salted($receipt, $sha256), $receipt->subjectSha256);
    }

    private function inputMatches(Receipt $receipt, SignedManifest $manifest): bool
    {
        $own = $this->evidence->input;
        $fixed = $manifest->job->body->input;
        if ($own !== null && !$this->consumed($receipt, $own)) {
            return false;
        }
        if ($fixed === null ? $own !== null : $this->consumed($receipt, $fixed)) {
            return true;
        }
        // A run that ended before its input did: the provider states how far it got.
        return $receipt->completion->exitCode === null && ($fixed === null
            || Uint64::compare($receipt->input->length, $fixed->length) < 0);
    }

    private function consumed(Receipt $receipt, Commitment $input): bool
    {
        return $receipt->input->length === $input->length
            && hash_equals($this->salted($receipt, $input->sha256), $receipt->input->sha256);
    }

    private function executionMatches(Receipt $receipt, SignedManifest $manifest): bool
    {
        // A private receipt carries the input salted; the id is over the input itself.
        $input = $receipt->isPrivate ? $this->evidence->input : $receipt->input;
        if ($manifest->job->isStreamed() && $input === null) {
            return false;
        }
        $id = $manifest->job->executionId($input);
        return hash_equals($this->salted($receipt, $id), $receipt->executionId);
    }

    /** The hash as it stands in this receipt: salted when the job was private. */
    private function salted(Receipt $receipt, string $hash): string
    {
        return $receipt->isPrivate ? Salt::apply($this->evidence->salt, $hash) : $hash;
    }

    /**
     * @template T
     * @param \Closure(): T $read
     * @return T
     */
    private function form(Check $check, \Closure $read): mixed
    {
        try {
            $value = $read();
        } catch (Malformed $malformed) {
            throw new Refusal($check, $malformed->getMessage());
        }
        $this->passed[] = $check;
        return $value;
    }

    private function hold(Check $check, bool $holds, string $otherwise): void
    {
        if (!$holds) {
            throw new Refusal($check, $otherwise);
        }
        if (!in_array($check, $this->passed, true)) {
            $this->passed[] = $check;
        }
    }
}
