<?php

declare(strict_types=1);

namespace Plasm\Verify;

/** Checks in the order they are made; the first that fails is named (spec/verify.md). */
enum Check: string
{
    case ReceiptForm = 'receipt_form';
    case Signature = 'signature';
    case ProviderKey = 'provider_key';
    case ManifestForm = 'manifest_form';
    case ManifestSignature = 'manifest_signature';
    case Audience = 'audience';
    case JobId = 'job_id';
    case JobKind = 'job_kind';
    case ModuleHash = 'module_hash';
    case InputCommitment = 'input_commitment';
    case ExecutionId = 'execution_id';
    case Profile = 'profile';
    case OutputLength = 'output_length';
    case OutputCommitment = 'output_commitment';
    case Checkpoint = 'checkpoint';
    case Level = 'level';
    /** Beyond the specification: the manifest is not of the job that was submitted. */
    case Request = 'request';
}
