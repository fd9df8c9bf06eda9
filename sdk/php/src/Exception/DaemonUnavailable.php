<?php

declare(strict_types=1);

namespace Plasm\Exception;

/** No plasmd answers on the control socket, or it cannot be started. */
class DaemonUnavailable extends PlasmException
{
}
