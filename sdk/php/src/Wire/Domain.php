<?php

declare(strict_types=1);

namespace Plasm\Wire;

/** The purposes a signature can have; the value is COSE's external_aad (spec/envelope.md). */
enum Domain: string
{
    case Manifest = 'phase/manifest/2';
    case Receipt = 'phase/receipt/2';
    case Checkpoint = 'phase/checkpoint/2';
    case Commit = 'phase/commit/2';
    case Node = 'phase/node/2';

    public function contentType(): string
    {
        return 'application/phase-' . explode('/', $this->value)[1] . '+cbor';
    }
}
