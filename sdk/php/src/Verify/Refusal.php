<?php

declare(strict_types=1);

namespace Plasm\Verify;

/** @internal Carries the failed check out of the verifier; never leaves it. */
final class Refusal extends \Exception
{
    public function __construct(public readonly Check $check, string $detail)
    {
        parent::__construct($detail);
    }
}
