<?php

/**
 * Runs hello.wasm on this machine and verifies its receipt: php examples/local_test.php
 *
 * A running plasmd does the work; without one, a plasmd is started for this one job.
 */

declare(strict_types=1);

require __DIR__ . '/../sdk/php/autoload.php';

$module = $argv[1] ?? __DIR__ . '/hello.wasm';

try {
    $client = new Plasm\Client(['mode' => 'local']);

    echo 'Submitting job: ', basename($module), "\n";
    $jobId = $client->submit($module, ['cpu' => 1]);
    echo "Job ID: {$jobId}\n";

    echo "Waiting for result...\n";
    $result = $client->result($jobId, 'Hello, World');
    echo "Output: {$result->stdout()}\n";
    echo 'Exit code: ', $result->exitCode() ?? $result->completion()->text(), "\n";

    // result() hands nothing out that did not verify; this asks what it found.
    echo $result->verdict()->ok() ? "Receipt verified ✓\n" : "Receipt refused ✗\n";
    exit($result->isSuccess() && $result->verdict()->ok() ? 0 : 1);
} catch (Plasm\Exception\PlasmException $error) {
    fwrite(STDERR, "✗ {$error->text()} [{$error->errorCode()}]\n");
    exit(1);
} catch (InvalidArgumentException $error) {
    fwrite(STDERR, "✗ {$error->getMessage()} (build the examples with: make build)\n");
    exit(2);
}
