<?php

declare(strict_types=1);

namespace Plasm\Verify;

use Plasm\Exception\Malformed;
use Plasm\Receipt;
use Plasm\Submission;
use Plasm\Transport\JobOutcome;
use Plasm\Wire\Commitment;
use Plasm\Wire\OutputSummary;
use Plasm\Wire\PeerId;
use Plasm\Wire\Profile;
use Plasm\Wire\SignedManifest;
use Plasm\Wire\WasmBody;

/**
 * A daemon's answer against what its caller asked and wrote: Verifier::check, then that the
 * manifest is of the job that was submitted and that the right side signed.
 *
 * The daemon's own verdict plays no part.
 */
final class ResultVerifier
{
    private function __construct()
    {
    }

    /**
     * @param string $target `local`, `remote`, or the peer id the job was meant for
     * @param Submission|null $asked null: submitted elsewhere; the module is then only known by the
     *     manifest
     * @param string|null $input bytes written as stdin; null: written elsewhere, and the daemon's
     *     record of it stands in
     */
    public static function check(
        JobOutcome $outcome,
        string $target,
        ?Submission $asked,
        ?string $input,
        OutputSummary $output,
    ): Verdict {
        $evidence = new Evidence(
            $outcome->manifest,
            self::providerOf($target),
            self::inputOf($outcome, $input),
            $output,
            $outcome->salt,
        );
        $level = $asked?->asked('level') ?? 'signature';
        $verdict = Verifier::check($outcome->receipt, $evidence, $level);
        $receipt = $verdict->receipt();
        if ($receipt === null) {
            return $verdict;
        }
        try {
            $manifest = SignedManifest::read($outcome->manifest);
            self::bindSigner($manifest, $receipt->envelope->signer, $target);
            if ($asked !== null) {
                self::bindRequest($manifest, $asked);
            }
        } catch (Refusal $refusal) {
            return $verdict->refused($refusal->check, $refusal->getMessage());
        } catch (Malformed $malformed) {
            return $verdict->refused(Check::ManifestForm, $malformed->getMessage());
        }
        return $verdict;
    }

    /**
     * What the receipt's input is compared with. A run may end before its stdin did: then what the
     * provider states to have had must be the beginning of what was written. Where the manifest
     * holds the input and the run ended by itself, Verifier insists on the whole.
     */
    private static function inputOf(JobOutcome $outcome, ?string $input): Commitment
    {
        if ($input === null) {
            return $outcome->input;
        }
        try {
            $length = Receipt::fromBytes($outcome->receipt)->input->length;
        } catch (Malformed) {
            // Verifier::check will name it.
            $length = strlen($input);
        }
        return Commitment::of(is_int($length) ? substr($input, 0, $length) : $input);
    }

    /** The key a target names, or null for `local` and `remote`. */
    private static function providerOf(string $target): ?string
    {
        return $target === 'local' || $target === 'remote' ? null : PeerId::toKey($target);
    }

    /** A manifest is signed by the node that asks, so its signer is the local node. */
    private static function bindSigner(
        SignedManifest $manifest,
        string $signer,
        string $target,
    ): void {
        $ownNode = hash_equals($manifest->requester(), $signer);
        if ($target === 'local') {
            self::hold(Check::ProviderKey, $ownNode, 'a local job was signed by another node');
            return;
        }
        self::hold(Check::ProviderKey, !$ownNode, 'a remote job was signed by the local node');
        self::hold(Check::Audience, $manifest->audience !== null, 'the manifest names no provider');
    }

    private static function bindRequest(SignedManifest $manifest, Submission $asked): void
    {
        $body = $manifest->job->body;
        if (!$body instanceof WasmBody) {
            throw new Refusal(Check::JobKind, 'the manifest is not of a wasm job');
        }
        $same = $body->module->equals($asked->ref);
        self::hold(Check::ModuleHash, $same, 'the manifest is for another module');
        $given = $asked->givenInput();
        self::hold(
            Check::InputCommitment,
            $body->input === null || ($given !== null && $given->equals($body->input)),
            'the manifest is for another input',
        );
        $profile = $asked->asked('profile') ?? Profile::FAST;
        self::hold(Check::Profile, $body->profile === $profile, 'the manifest has another profile');
        $level = $asked->asked('level') ?? 'signature';
        self::hold(Check::Level, $manifest->level === $level, 'the manifest has another level');
        $limits = [
            'fuel' => $body->fuel,
            'memory_bytes' => $body->memoryBytes,
            'table_elements' => $body->tableElements,
            'output_bytes' => $body->outputBytes,
            'timeout_ms' => $manifest->wallLimitMs,
        ];
        foreach ($limits as $name => $has) {
            $wanted = $asked->asked($name) ?? $has;
            self::hold(Check::Request, $has === $wanted, "the manifest has another {$name}");
        }
        $sameCall = $body->entry === ($asked->asked('entry') ?? '_start')
            && $body->args === ($asked->asked('args') ?? []);
        self::hold(Check::Request, $sameCall, 'the manifest has another entry or other args');
        // Order of names does not matter here; it is the encoding's.
        $sameEnv = $body->env == ($asked->asked('env') ?? []);
        self::hold(Check::Request, $sameEnv, 'the manifest has another env');
    }

    private static function hold(Check $check, bool $holds, string $otherwise): void
    {
        if (!$holds) {
            throw new Refusal($check, $otherwise);
        }
    }
}
