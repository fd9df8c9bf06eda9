<?php

declare(strict_types=1);

namespace Plasm;

use Plasm\Verify\Verdict;
use Plasm\Wire\Completion;
use Plasm\Wire\OutputChain;
use Plasm\Wire\SignedManifest;

/**
 * Output, exit code and receipt of a job. Only Plasm\Client makes one, after the receipt was
 * verified against manifest, module, input and output.
 */
final class Result
{
    /**
     * @internal
     * @param list<array{int, string}> $transcript stream and bytes, in order
     */
    public function __construct(
        private readonly string $jobId,
        private readonly Verdict $verdict,
        private readonly Receipt $receipt,
        private readonly SignedManifest $manifest,
        private readonly string $manifestBytes,
        private readonly ?array $transcript,
    ) {
    }

    public function stdout(): string
    {
        return $this->stream(OutputChain::STDOUT);
    }

    public function stderr(): string
    {
        return $this->stream(OutputChain::STDERR);
    }

    /** Null when the module did not end by itself: see completion(). */
    public function exitCode(): ?int
    {
        return $this->receipt->getExitCode();
    }

    public function receipt(): Receipt
    {
        return $this->receipt;
    }

    /** True when the module ended by itself with 0. */
    public function isSuccess(): bool
    {
        return $this->receipt->isSuccess();
    }

    public function completion(): Completion
    {
        return $this->receipt->completion;
    }

    /**
     * Bytes of stdin the provider states to have consumed: fewer than were written where the run
     * ended before it read them all.
     */
    public function inputConsumed(): int
    {
        return (int) $this->receipt->input->length;
    }

    /** How the receipt was found right. */
    public function verdict(): Verdict
    {
        return $this->verdict;
    }

    /** The signed manifest the receipt is for; its bytes: manifestBytes(). */
    public function manifest(): SignedManifest
    {
        return $this->manifest;
    }

    public function manifestBytes(): string
    {
        return $this->manifestBytes;
    }

    /** The handle submit() gave, a UUID. */
    public function jobId(): string
    {
        return $this->jobId;
    }

    /** Peer id of the provider, from the receipt's own key. */
    public function provider(): string
    {
        return $this->receipt->getNodeId();
    }

    /** @return list<array{int, string}> stream (1 stdout, 2 stderr) and bytes, in order */
    public function transcript(): array
    {
        return $this->transcript ?? throw new \LogicException(
            'This output was streamed and not kept',
        );
    }

    public function getStdout(): string
    {
        return $this->stdout();
    }

    public function getStderr(): string
    {
        return $this->stderr();
    }

    public function getExitCode(): ?int
    {
        return $this->exitCode();
    }

    /** As the provider claims it; null when it claims nothing. */
    public function getWallTimeMs(): ?int
    {
        return $this->receipt->getWallTimeMs();
    }

    public function getReceipt(): Receipt
    {
        return $this->receipt;
    }

    private function stream(int $wanted): string
    {
        $out = '';
        foreach ($this->transcript() as [$stream, $bytes]) {
            if ($stream === $wanted) {
                $out .= $bytes;
            }
        }
        return $out;
    }
}
