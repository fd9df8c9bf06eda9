<?php

declare(strict_types=1);

namespace Plasm\Wire;

/** Body of a job of kind inference (spec/job.md §2). Its profile is always `fast`. */
final class InferenceBody
{
    public const PROMPT_BYTES_MAX = 16 * 1024 * 1024;
    public const STOP_MAX = 16;
    private const SAMPLING_KEYS_MAX = 9;

    public readonly string $profile;

    /**
     * @param array<int, int|string> $sampling by key of the spec; 0 is the seed
     * @param list<string> $stop
     */
    private function __construct(
        public readonly string $modelId,
        public readonly string $modelName,
        public readonly int $promptKind,
        /** Null: streamed. */
        public readonly ?Commitment $input,
        public readonly array $sampling,
        public readonly int|string $tokensMax,
        public readonly int|string $contextTokens,
        public readonly array $stop,
        public readonly ?Commitment $grammar,
    ) {
        $this->profile = Profile::FAST;
    }

    /** @param int $inputOffset set to where the prompt's commitment or null begins */
    public static function read(CborReader $reader, int &$inputOffset): self
    {
        $map = CborMap::open($reader);
        $model = CborMap::open($map->required(0));
        $modelId = $model->required(0)->bytesOf(32);
        $modelName = $model->required(1)->textOf(0, JobDocument::TEXT_BYTES_MAX);
        $model->close();
        $promptKind = $map->required(1)->uint64();
        if ($promptKind < 0 || $promptKind > 3) {
            throw $reader->wrong('the prompt kind is 0 to 3');
        }
        $map->required(2);
        $inputOffset = $reader->offset();
        $input = WasmBody::readInput($reader, self::PROMPT_BYTES_MAX);
        $sampling = self::readSampling($map->required(3));
        $tokensMax = $map->required(4)->uint64();
        if ($tokensMax === 0) {
            throw $reader->wrong('tokens max is at least 1');
        }
        $contextTokens = $map->required(5)->uint64();
        $stop = [];
        for ($left = $map->required(6)->array(self::STOP_MAX); $left > 0; --$left) {
            $stop[] = $reader->textOf(0, JobDocument::TEXT_BYTES_MAX);
        }
        $grammar = $map->optional(7) ? Commitment::read($reader) : null;
        $map->close();
        return new self(
            $modelId,
            $modelName,
            $promptKind,
            $input,
            $sampling,
            $tokensMax,
            $contextTokens,
            $stop,
            $grammar,
        );
    }

    /** @return array<int, int|string> */
    private static function readSampling(CborReader $reader): array
    {
        $map = CborMap::open($reader);
        $sampling = [0 => $map->required(0)->uint64()];
        for ($key = 1; $key <= self::SAMPLING_KEYS_MAX; ++$key) {
            if ($map->optional($key)) {
                $sampling[$key] = $reader->integer();
            }
        }
        $map->close();
        return $sampling;
    }
}
