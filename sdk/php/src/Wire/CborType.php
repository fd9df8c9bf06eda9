<?php

declare(strict_types=1);

namespace Plasm\Wire;

/** What the next CBOR item is; the first seven are the major types of RFC 8949. */
enum CborType: int
{
    case Uint = 0;
    case Negative = 1;
    case Bytes = 2;
    case Text = 3;
    case Array = 4;
    case Map = 5;
    case Tag = 6;
    case Boolean = 7;
    case Null = 8;
    /** Nothing more, or a simple value or float that the subset does not have. */
    case End = 9;
}
