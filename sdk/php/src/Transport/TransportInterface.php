<?php

declare(strict_types=1);

namespace Plasm\Transport;

use Plasm\Deadline;
use Plasm\Exception\PlasmException;
use Plasm\Submission;

/** A way to have jobs done. What it hands back is unverified; Plasm\Client verifies. */
interface TransportInterface
{
    /**
     * Starts a job and returns its id. Stdin stays open until writeInput().
     *
     * @throws PlasmException
     */
    public function submit(Submission $submission, Deadline $deadline): string;

    /**
     * Writes all of stdin (null: nothing) and closes it. False when it had been closed before, or,
     * with null, when the job is over: then somebody else's input may have been its stdin.
     *
     * @throws PlasmException
     */
    public function writeInput(string $jobId, ?string $input, Deadline $deadline): bool;

    /**
     * Waits for the end of a job.
     *
     * @throws PlasmException what the job failed with, where there is no receipt
     */
    public function outcome(string $jobId, Deadline $deadline): JobOutcome;

    /**
     * What happens, from the beginning to the event `result`, which is the last.
     *
     * @return \Generator<int, JobEvent>
     * @throws PlasmException
     */
    public function events(string $jobId, Deadline $deadline): \Generator;

    /** Asks a job to stop. A finished job stays as it is. */
    public function cancel(string $jobId, Deadline $deadline): void;
}
