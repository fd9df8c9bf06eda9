<?php

declare(strict_types=1);

namespace Plasm\Exception;

use Plasm\Verify\Verdict;

/** The receipt was refused. The output that came with it is not handed out. */
class VerificationFailed extends PlasmException
{
    public function __construct(private readonly Verdict $verdict)
    {
        parent::__construct(
            $verdict->text() . ' (' . $verdict->detail() . ')',
            'verification_failed',
            'do not use this output; run the job at another provider',
        );
    }

    /** Names the check that failed and those that passed before it. */
    public function verdict(): Verdict
    {
        return $this->verdict;
    }
}
