<?php

declare(strict_types=1);

namespace Plasm\Transport;

use Plasm\Exception\JobCancelled;
use Plasm\Exception\JobFailed;
use Plasm\Exception\JobNotFound;
use Plasm\Exception\JobRejected;
use Plasm\Exception\NoProvider;
use Plasm\Exception\PlasmException;
use Plasm\Exception\ProtocolError;
use Plasm\Exception\Timeout;

/** Turns an error object of spec/control-api.md into the exception of its kind. */
final class Failure
{
    private function __construct()
    {
    }

    /** An error answer to a request. */
    public static function ofAnswer(int $status, string $body): PlasmException
    {
        try {
            $error = Fields::parse($body)->object('error');
            return self::make($error, false);
        } catch (ProtocolError) {
            return new ProtocolError("plasmd answered {$status} without a reason", 'protocol');
        }
    }

    /** Why a job ended without a receipt. `$remote`: it was meant for somebody else. */
    public static function ofJob(Fields $state, bool $remote): PlasmException
    {
        $error = $state->objectOrNull('error');
        if ($error === null) {
            return $state->string('state') === 'cancelled'
                ? new JobCancelled('The job was cancelled', 'cancelled')
                : new JobFailed('The job failed and plasmd does not say why', 'internal');
        }
        return self::make($error, $remote);
    }

    private static function make(Fields $error, bool $remote): PlasmException
    {
        $code = $error->string('code');
        $class = match ($code) {
            'unavailable' => $remote ? NoProvider::class : JobFailed::class,
            'rejected', 'unauthorized' => JobRejected::class,
            'timed_out' => Timeout::class,
            'cancelled' => JobCancelled::class,
            'not_found' => $remote ? JobFailed::class : JobNotFound::class,
            'protocol', 'malformed' => ProtocolError::class,
            default => JobFailed::class,
        };
        $message = $error->string('message');
        $hint = $error->stringOrNull('hint') ?? '';
        if ($class === NoProvider::class) {
            $message = "No provider could take the job: {$message}";
            $hint = $hint === '' ? 'see who is there with: phase providers' : $hint;
        }
        return new $class($message, $code, $hint);
    }
}
