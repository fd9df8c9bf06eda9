<?php

declare(strict_types=1);

namespace Plasm\Wire;

/** Body of a job of kind wasm (spec/job.md §1). */
final class WasmBody
{
    public const ARGS_MAX = 256;
    public const ENV_MAX = 256;
    public const STDIN_BYTES_MAX = 1 << 30;
    public const MEMORY_BYTES_MAX = 1 << 32;

    /**
     * @param list<string> $args
     * @param array<array-key, string> $env
     * @param int|string $clockStartNs ns since 1970
     */
    private function __construct(
        public readonly ArtifactRef $module,
        public readonly string $entry,
        public readonly array $args,
        public readonly array $env,
        /** Null: streamed. */
        public readonly ?Commitment $input,
        public readonly int|string $fuel,
        public readonly int $memoryBytes,
        public readonly int|string $tableElements,
        public readonly int|string $outputBytes,
        public readonly string $profile,
        public readonly int|string $clockStartNs,
        public readonly string $randomSeed,
    ) {
    }

    /** @param int $inputOffset set to where stdin's commitment or null begins */
    public static function read(CborReader $reader, int &$inputOffset): self
    {
        $map = CborMap::open($reader);
        $module = ArtifactRef::read($map->required(0));
        self::checkModule($reader, $module);
        $entry = $map->required(1)->textOf(1, JobDocument::TEXT_BYTES_MAX);
        $args = self::readArgs($map->required(2));
        $env = self::readEnv($map->required(3));
        $map->required(4);
        $inputOffset = $reader->offset();
        $input = self::readInput($reader, self::STDIN_BYTES_MAX);
        [$fuel, $memory, $table, $output] = self::readLimits($map->required(5));
        $profile = $map->required(6)->text();
        if (!in_array($profile, Profile::ALL, true)) {
            throw Profile::unknown($profile);
        }
        $clock = $map->required(7)->uint64();
        $seed = $map->required(8)->bytesOf(32);
        $map->close();
        return new self(
            $module,
            $entry,
            $args,
            $env,
            $input,
            $fuel,
            $memory,
            $table,
            $output,
            $profile,
            $clock,
            $seed,
        );
    }

    /** A commitment of at most `$lengthMax` bytes, or null. */
    public static function readInput(CborReader $reader, int $lengthMax): ?Commitment
    {
        if ($reader->isNull()) {
            return null;
        }
        $input = Commitment::read($reader);
        if (!is_int($input->length) || $input->length > $lengthMax) {
            throw $reader->tooLarge("the input is longer than {$lengthMax} bytes");
        }
        return $input;
    }

    /** @return list<string> */
    private static function readArgs(CborReader $reader): array
    {
        $args = [];
        for ($left = $reader->array(self::ARGS_MAX); $left > 0; --$left) {
            $args[] = $reader->textOf(0, JobDocument::TEXT_BYTES_MAX);
        }
        return $args;
    }

    /** @return array<array-key, string> */
    private static function readEnv(CborReader $reader): array
    {
        $env = [];
        $last = null;
        for ($left = $reader->map(self::ENV_MAX); $left > 0; --$left) {
            $name = $reader->textOf(0, JobDocument::TEXT_BYTES_MAX);
            $key = CborWriter::text($name);
            if ($last !== null && strcmp($last, $key) >= 0) {
                throw $reader->wrong('env names are not in ascending order');
            }
            if ($name === '' || str_contains($name, '=')) {
                throw $reader->wrong('an env name is empty or holds "="');
            }
            $last = $key;
            $env[$name] = $reader->textOf(0, JobDocument::TEXT_BYTES_MAX);
        }
        return $env;
    }

    private static function checkModule(CborReader $reader, ArtifactRef $module): void
    {
        if ($module->length === 0) {
            throw $reader->wrong('a module of 0 bytes');
        }
        if (!is_int($module->length) || $module->length > JobDocument::MODULE_BYTES_MAX) {
            throw $reader->tooLarge('a module above ' . JobDocument::MODULE_BYTES_MAX . ' bytes');
        }
    }

    /** @return array{int|string, int, int|string, int|string} */
    private static function readLimits(CborReader $reader): array
    {
        $map = CborMap::open($reader);
        $fuel = $map->required(0)->uint64();
        $memory = $map->required(1)->uint64();
        $table = $map->required(2)->uint64();
        $output = $map->required(3)->uint64();
        $map->close();
        if ($fuel === 0) {
            throw $reader->wrong('fuel is at least 1');
        }
        if (!is_int($memory) || $memory > self::MEMORY_BYTES_MAX) {
            throw $reader->tooLarge('memory is at most 2^32 bytes');
        }
        return [$fuel, $memory, $table, $output];
    }
}
