<?php

declare(strict_types=1);

namespace Plasm\Verify;

use Plasm\Wire\Commitment;
use Plasm\Wire\OutputChain;
use Plasm\Wire\OutputSummary;

/** What a verifier holds besides the receipt. Every part of it was received or made by itself. */
final class Evidence
{
    public function __construct(
        /** Envelope bytes of the manifest. */
        public readonly string $manifest,
        /** Raw key of the peer the job went to; null: the manifest's audience. */
        public readonly ?string $provider = null,
        /** What was written to stdin; required where stdin was streamed. */
        public readonly ?Commitment $input = null,
        /** Recomputed from the bytes received; null: the output is not checked. */
        public readonly ?OutputSummary $output = null,
        /** Of a private job, 32 bytes; present exactly then. */
        public readonly ?string $salt = null,
        /**
         * Checkpoints in order of arrival: the envelope, and what had been received by then.
         *
         * @var list<array{string, OutputSummary}>
         */
        public readonly array $checkpoints = [],
    ) {
    }

    /** Evidence for a job of which only stdout was received, as a whole. */
    public static function ofStdout(string $manifest, string $stdout, ?string $stdin = null): self
    {
        $chain = new OutputChain();
        $chain->append(OutputChain::STDOUT, $stdout);
        $input = $stdin === null ? null : Commitment::of($stdin);
        return new self($manifest, null, $input, $chain->summary());
    }
}
