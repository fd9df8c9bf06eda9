<?php

declare(strict_types=1);

namespace Plasm\Exception;

/** The other side sent something that is not the protocol. */
class ProtocolError extends PlasmException
{
}
