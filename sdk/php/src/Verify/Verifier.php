<?php

declare(strict_types=1);

namespace Plasm\Verify;

use Plasm\Exception\Malformed;
use Plasm\Receipt;
use Plasm\Wire\Domain;
use Plasm\Wire\Envelope;
use Plasm\Wire\InferenceBody;
use Plasm\Wire\JobDocument;
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
        $envelope = $this->form(
            Check::ReceiptForm,
            static fn (): Envelope => Envelope::read(Domain::Receipt, $bytes),
        );
        $this->hold(Check::Signature, $envelope->signatureHolds(), 'not signed by its key');
        $receipt = $this->receipt = $this->form(
            Check::ReceiptForm,
            static fn (): Receipt => Receipt::ofEnvelope($envelope, $bytes),
        );
        $provider = $this->evidence->provider;
        $this->hold(
            Check::ProviderKey,
            $provider === null || hash_equals($provider, $envelope->signer),
            'signed by another key than that of the peer the job went to',
        );
        $asked = $this->form(
            Check::ManifestForm,
            fn (): Envelope => Envelope::read(Domain::Manifest, $this->evidence->manifest),
        );
        $signed = $asked->signatureHolds();
        $this->hold(Check::ManifestSignature, $signed, 'the manifest is not signed by its key');
        $manifest = $this->form(
            Check::ManifestForm,
            static fn (): SignedManifest => SignedManifest::ofEnvelope($asked),
        );
        $this->bindProvider($receipt, $manifest);
        $this->bindJob($receipt, $manifest);
        $this->bindOutput($receipt);
        $this->hold(
            Check::Level,
            $this->level === 'signature',
            "the level {$this->level} needs evidence that is not there",
        );
    }

    private function bindProvider(Receipt $receipt, SignedManifest $manifest): void
    {
        $audience = $manifest->audience;
        $provider = $this->evidence->provider;
        $this->hold(
            Check::Audience,
            $audience === null || $provider === null || hash_equals($audience, $provider),
            'the manifest was meant for another provider',
        );
        $this->hold(
            Check::ProviderKey,
            $audience === null || hash_equals($audience, $receipt->envelope->signer),
            'signed by another key than that of the provider the manifest was meant for',
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
        $this->hold(
            Check::JobId,
            $receipt->isPrivate === ($this->evidence->salt !== null),
            $receipt->isPrivate
                ? "a private receipt needs the job's salt"
                : 'the job was private, the receipt is not',
        );
        $this->hold(Check::JobKind, $receipt->jobKind === $job->kind(), 'another kind of job');
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
            $job->kind() !== JobDocument::KIND_WASM || $receipt->profile === $job->body->profile,
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
            $receipt->output->length === $output->length,
            "the receipt is for {$receipt->output->length} bytes of output, "
                . "there are {$output->length}",
        );
        $commitment = $this->salted($receipt, $output->commitment);
        $this->hold(
            Check::OutputCommitment,
            hash_equals($commitment, $receipt->output->commitment)
                && $receipt->output->segments === $output->segments,
            'the receipt is for other output',
        );
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
        $stated = $receipt->input;
        $asked = $manifest->job->body->input;
        if ($asked === null && $own === null) {
            // Nothing to compare with: the statement stands, but a salted one cannot be unsalted.
            return !$receipt->isPrivate;
        }
        $ours = $asked ?? $own;
        if (
            $stated->length === $ours->length
            && hash_equals($this->salted($receipt, $ours->sha256), $stated->sha256)
        ) {
            return true;
        }
        // A run that did not end by itself may not have been sent all of its input.
        return $asked !== null && $own === null && $receipt->completion->exitCode === null
            && Uint64::compare($stated->length, $asked->length) < 0;
    }

    private function executionMatches(Receipt $receipt, SignedManifest $manifest): bool
    {
        $id = $manifest->job->executionId($this->evidence->input ?? $receipt->input);
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
        $this->pass($check);
        return $value;
    }

    private function hold(Check $check, bool $holds, string $otherwise): void
    {
        if (!$holds) {
            throw new Refusal($check, $otherwise);
        }
        $this->pass($check);
    }

    private function pass(Check $check): void
    {
        if (!in_array($check, $this->passed, true)) {
            $this->passed[] = $check;
        }
    }
}
