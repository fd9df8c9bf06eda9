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
                self::bindRequest($manifest, $receipt, $asked);
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

    private static function bindRequest(
        SignedManifest $manifest,
        Receipt $receipt,
        Submission $asked,
    ): void {
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
        $private = $asked->asked('private');
        self::hold(
            Check::Request,
            $private === null || $private === $receipt->isPrivate,
            $private ? 'the job was not run privately' : 'the job was run privately',
        );
        $named = [
            'entry' => [$body->entry, '_start'],
            'args' => [$body->args, []],
            'env' => [self::sorted($body->env), []],
            'fuel' => [$body->fuel, $body->fuel],
            'memory_bytes' => [$body->memoryBytes, $body->memoryBytes],
            'table_elements' => [$body->tableElements, $body->tableElements],
            'output_bytes' => [$body->outputBytes, $body->outputBytes],
            'timeout_ms' => [$manifest->wallLimitMs, $manifest->wallLimitMs],
        ];
        foreach (['cpu_cores', 'arch', 'runtime', 'region'] as $name) {
            $has = $manifest->requirements[$name] ?? '';
            $named[$name] = [$has, $has];
        }
        foreach ($named as $name => [$has, $otherwise]) {
            $wanted = $asked->asked($name) ?? $otherwise;
            $same = $has === (is_array($wanted) ? self::sorted($wanted) : $wanted);
            self::hold(Check::Request, $same, "the manifest has another {$name}");
        }
    }

    /** A map by its names; the order they were written in does not matter. A list as it is. */
    private static function sorted(array $values): array
    {
        if (!array_is_list($values)) {
            ksort($values, SORT_STRING);
        }
        return $values;
    }

    private static function hold(Check $check, bool $holds, string $otherwise): void
    {
        if (!$holds) {
            throw new Refusal($check, $otherwise);
        }
    }
}
