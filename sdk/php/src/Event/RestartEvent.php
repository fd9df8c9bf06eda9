<?php

declare(strict_types=1);

namespace Plasm\Event;

/** The job starts again, elsewhere: all output heard before is void. */
final class RestartEvent implements Event
{
}
