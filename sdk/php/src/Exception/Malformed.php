<?php

declare(strict_types=1);

namespace Plasm\Exception;

/** Bytes that do not have the form spec/*.md gives them. */
class Malformed extends ProtocolError
{
}
