<?php

declare(strict_types=1);

namespace Plasm\Exception;

/** The job ended without a receipt, or the daemon refused the request. */
class JobFailed extends PlasmException
{
}
