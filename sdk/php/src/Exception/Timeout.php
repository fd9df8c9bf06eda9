<?php

declare(strict_types=1);

namespace Plasm\Exception;

/** A time limit passed: of the client, of the daemon or of the network. */
class Timeout extends PlasmException
{
}
