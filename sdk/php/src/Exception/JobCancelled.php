<?php

declare(strict_types=1);

namespace Plasm\Exception;

/** The job was cancelled before a receipt existed. */
class JobCancelled extends PlasmException
{
}
