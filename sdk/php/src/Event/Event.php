<?php

declare(strict_types=1);

namespace Plasm\Event;

/** What Plasm\Client::stream() yields. */
interface Event
{
}
