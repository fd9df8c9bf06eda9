<?php

declare(strict_types=1);

namespace Plasm\Verify;

use Plasm\Receipt;

/** Verified, or the check that failed. Only Verifier makes one. */
final class Verdict
{
    /**
     * @internal
     * @param list<Check> $passed
     */
    public function __construct(
        private readonly ?Receipt $receipt,
        private readonly array $passed,
        private readonly ?Check $failed,
        private readonly string $detail,
        private readonly bool $outputChecked,
    ) {
    }

    /** @internal This verdict, refused after all by a check on what the caller asked. */
    public function refused(Check $check, string $detail): self
    {
        return self::refusal($this->passed, $check, $detail);
    }

    /**
     * @internal
     * @param list<Check> $passed
     */
    public static function refusal(array $passed, Check $check, string $detail): self
    {
        // A check made in two parts passed only when both did.
        $others = static fn (Check $other): bool => $other !== $check;
        return new self(null, array_values(array_filter($passed, $others)), $check, $detail, false);
    }

    public function ok(): bool
    {
        return $this->failed === null;
    }

    /** The receipt, once it passed; null when it was refused. */
    public function receipt(): ?Receipt
    {
        return $this->ok() ? $this->receipt : null;
    }

    /** Wire name of the first check that failed, or null. */
    public function failedCheck(): ?string
    {
        return $this->failed?->value;
    }

    /** True when the named check was made and passed. */
    public function passed(string $check): bool
    {
        return in_array(Check::from($check), $this->passed, true);
    }

    /** False when the verdict stands without the output (spec/verify.md). */
    public function outputChecked(): bool
    {
        return $this->outputChecked;
    }

    /** The level reached, "signature", or null when refused. */
    public function level(): ?string
    {
        return $this->ok() ? 'signature' : null;
    }

    /** One sentence for a person. */
    public function detail(): string
    {
        return $this->detail;
    }

    /** "receipt verified" or "receipt refused: <check>". */
    public function text(): string
    {
        return $this->failed === null
            ? 'receipt verified'
            : "receipt refused: {$this->failed->value}";
    }
}
