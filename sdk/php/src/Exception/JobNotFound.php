<?php

declare(strict_types=1);

namespace Plasm\Exception;

/** The daemon (or this client, for one-shot nodes) does not know that job. */
class JobNotFound extends PlasmException
{
}
