<?php

declare(strict_types=1);

namespace Plasm\Exception;

/** Every provider that was asked declined, with a reason. */
class JobRejected extends PlasmException
{
}
