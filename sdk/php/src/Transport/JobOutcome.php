<?php

declare(strict_types=1);

namespace Plasm\Transport;

use Plasm\Exception\JobFailed;
use Plasm\Exception\ProtocolError;
use Plasm\Wire\Commitment;
use Plasm\Wire\OutputChain;

/**
 * A finished job as the daemon tells it. Nothing in it is to be believed before it was verified:
 * the daemon's own verdict is not even read.
 */
final class JobOutcome
{
    /** @param list<array{int, string}>|null $transcript stream and bytes; null: streamed */
    private function __construct(
        public readonly string $id,
        public readonly string $target,
        public readonly string $receipt,
        public readonly string $manifest,
        public readonly ?string $salt,
        /** What the daemon says it passed on as stdin. */
        public readonly Commitment $input,
        public readonly ?array $transcript,
    ) {
    }

    /** Reads a result object; throws what the job failed with where there is no receipt. */
    public static function read(Fields $result, bool $withTranscript): self
    {
        $target = $result->string('target');
        if ($result->string('state') !== 'done' && !$result->has('receipt')) {
            throw Failure::ofJob($result, $target !== 'local');
        }
        return new self(
            $result->string('id'),
            $target,
            $result->base64('receipt'),
            $result->base64('manifest'),
            $result->hexOrNull('salt', 32),
            new Commitment($result->hex('stdin_sha256', 32), $result->int('stdin_length')),
            $withTranscript ? self::readTranscript($result) : null,
        );
    }

    /** @return list<array{int, string}> */
    private static function readTranscript(Fields $result): array
    {
        if (!$result->has('transcript')) {
            throw new JobFailed(
                'plasmd does not keep the output of this job any more',
                'not_found',
                'take results soon, follow long output with stream(), or run the job again',
            );
        }
        $transcript = [];
        foreach ($result->objects('transcript') as $piece) {
            $transcript[] = [self::stream($piece), $piece->base64('data')];
        }
        return $transcript;
    }

    /** The output stream a piece belongs to. */
    public static function stream(Fields $piece): int
    {
        $stream = $piece->int('stream');
        if ($stream !== OutputChain::STDOUT && $stream !== OutputChain::STDERR) {
            throw new ProtocolError("plasmd sent output of a stream {$stream}", 'protocol');
        }
        return $stream;
    }
}
