<?php

declare(strict_types=1);

namespace Plasm\Tests\Support;

use Plasm\Receipt;
use Plasm\Wire\Checkpoint;
use Plasm\Wire\Commitment;
use Plasm\Wire\InferenceBody;
use Plasm\Wire\JobDocument;
use Plasm\Wire\OutputSummary;
use Plasm\Wire\SignedManifest;
use Plasm\Wire\WasmBody;

/** Documents as spec/vectors shows their fields. */
final class Describe
{
    private const SAMPLING = [
        'seed', 'temperature_ppm', 'top_p_ppm', 'min_p_ppm', 'typical_p_ppm', 'repeat_penalty_ppm',
        'presence_penalty_ppm', 'frequency_penalty_ppm', 'top_k', 'repeat_last_n',
    ];

    public static function job(JobDocument $job): array
    {
        $body = $job->body;
        return ['kind' => $job->kind()]
            + ($body instanceof WasmBody ? self::wasm($body) : self::inference($body));
    }

    public static function manifest(SignedManifest $manifest): array
    {
        $audience = $manifest->audience;
        return [
            'job' => self::job($manifest->job),
            'requirements' => $manifest->requirements + array_fill_keys(
                ['cpu_cores', 'memory_bytes', 'arch', 'runtime', 'region'],
                null,
            ),
            'wall_limit_ms' => $manifest->wallLimitMs,
            'audience' => $audience === null ? null : bin2hex($audience),
            'created' => $manifest->created,
            'expires' => $manifest->expires,
            'nonce' => bin2hex($manifest->nonce),
            'level' => $manifest->level,
            'price_ceiling' => $manifest->priceCeiling,
        ];
    }

    /** Evidence is left out: this package does not read it. */
    public static function receipt(Receipt $receipt): array
    {
        $claimed = $receipt->claimed;
        return [
            'job_id' => bin2hex($receipt->jobId),
            'execution_id' => bin2hex($receipt->executionId),
            'private' => $receipt->isPrivate,
            'job_kind' => $receipt->jobKind,
            'subject_id' => bin2hex($receipt->subjectId),
            'subject_sha256' => bin2hex($receipt->subjectSha256),
            'input' => self::commitment($receipt->input),
            'output' => self::summary($receipt->output),
            'completion' => [
                'kind' => $receipt->completion->name(),
                'exit_code' => $receipt->completion->exitCode ?? 0,
                'reason' => $receipt->completion->reason,
            ],
            'profile' => $receipt->profile,
            'isolation' => $receipt->isolation,
            'fuel' => $receipt->fuel,
            'claimed' => [
                'wall_us' => $claimed->wallUs,
                'cpu_us' => $claimed->cpuUs,
                'memory_bytes_peak' => $claimed->memoryBytesPeak,
                'fuel' => $claimed->fuel,
                'energy_mj' => $claimed->energyMj,
                'started_unix_ms' => $claimed->startedUnixMs,
                'finished_unix_ms' => $claimed->finishedUnixMs,
                'runtime' => $claimed->runtime,
            ],
        ];
    }

    public static function checkpoint(Checkpoint $checkpoint): array
    {
        return [
            'job_id' => bin2hex($checkpoint->jobId),
            'sequence' => $checkpoint->sequence,
            'output' => self::summary($checkpoint->output),
        ];
    }

    public static function summary(OutputSummary $summary): array
    {
        return [
            'commitment' => bin2hex($summary->commitment),
            'length' => $summary->length,
            'segments' => $summary->segments,
        ];
    }

    private static function commitment(?Commitment $commitment): ?array
    {
        return $commitment === null
            ? null
            : ['sha256' => bin2hex($commitment->sha256), 'length' => $commitment->length];
    }

    private static function wasm(WasmBody $body): array
    {
        return [
            'module' => [
                'id' => bin2hex($body->module->id),
                'sha256' => bin2hex($body->module->sha256),
                'length' => $body->module->length,
            ],
            'entry' => $body->entry,
            'args' => $body->args,
            'env' => $body->env,
            'stdin' => self::commitment($body->input),
            'limits' => [
                'fuel' => $body->fuel,
                'memory_bytes' => $body->memoryBytes,
                'table_elements' => $body->tableElements,
                'output_bytes' => $body->outputBytes,
            ],
            'profile' => $body->profile,
            'clock_start_ns' => $body->clockStartNs,
            'random_seed' => bin2hex($body->randomSeed),
        ];
    }

    private static function inference(InferenceBody $body): array
    {
        $sampling = [];
        foreach (self::SAMPLING as $key => $name) {
            $sampling[$name] = $body->sampling[$key] ?? null;
        }
        return [
            'model' => bin2hex($body->modelId),
            'model_name' => $body->modelName,
            'prompt_kind' => $body->promptKind,
            'prompt' => self::commitment($body->input),
            'sampling' => $sampling,
            'tokens_max' => $body->tokensMax,
            'context_tokens' => $body->contextTokens,
            'stop' => $body->stop,
            'grammar' => self::commitment($body->grammar),
        ];
    }
}
