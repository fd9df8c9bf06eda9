<?php

declare(strict_types=1);

namespace Plasm\Exception;

/** Nobody on the network offers what the job needs. */
class NoProvider extends PlasmException
{
}
