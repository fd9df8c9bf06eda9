<?php

declare(strict_types=1);

namespace Plasm\Wire;

use Plasm\Exception\Malformed;

/** How a run ended (spec/receipt.md §5). */
final class Completion
{
    public const EXITED = 0;
    public const TRAPPED = 1;
    public const LIMITED = 2;
    public const CANCELLED = 3;
    public const INVALID = 4;
    public const FAILED = 5;

    private const NAMES = ['exited', 'trapped', 'limited', 'cancelled', 'invalid', 'failed'];
    private const REASON_BYTES_MAX = 64;

    private function __construct(
        public readonly int $kind,
        /** Null unless the module ended by itself. */
        public readonly ?int $exitCode,
        /** A snake_case word; empty where the kind has none. */
        public readonly string $reason,
    ) {
    }

    public static function read(CborReader $reader): self
    {
        $map = CborMap::open($reader);
        $kind = $map->required(0)->uint64();
        if (!is_int($kind) || !isset(self::NAMES[$kind])) {
            throw new Malformed("Completion kind {$kind} is not known", 'version_unknown');
        }
        $exitCode = $kind === self::EXITED ? $map->required(1)->integer() : null;
        $reason = '';
        if ($kind !== self::EXITED && $kind !== self::CANCELLED) {
            $reason = $map->required(2)->textOf(1, self::REASON_BYTES_MAX);
            if (preg_match('/^[a-z0-9_]+$/D', $reason) !== 1) {
                throw $reader->wrong('a reason is a snake_case word');
            }
        }
        $map->close();
        return new self($kind, $exitCode, $reason);
    }

    public function name(): string
    {
        return self::NAMES[$this->kind];
    }

    /** For example "exited with 0" or "limited: fuel". */
    public function text(): string
    {
        if ($this->exitCode !== null) {
            return "exited with {$this->exitCode}";
        }
        return $this->reason === '' ? $this->name() : "{$this->name()}: {$this->reason}";
    }
}
