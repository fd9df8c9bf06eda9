<?php

/**
 * Runs hello.wasm on somebody else's machine and verifies the receipt: php examples/remote_test.php
 *
 * Needs a running plasmd that reaches the network (plasmd start), and another node on it that takes
 * this one's jobs.
 */

declare(strict_types=1);

require __DIR__ . '/../sdk/php/autoload.php';

$module = $argv[1] ?? __DIR__ . '/hello.wasm';

/** Prints a line with ✓ only when the named check was made and passed; ends the program if not. */
function passed(Plasm\Verify\Verdict $verdict, string $line, bool $holds): void
{
    if (!$holds) {
        fwrite(STDERR, "✗ {$line}: no. {$verdict->text()}: {$verdict->detail()}\n");
        exit(1);
    }
    echo "✓ {$line}\n";
}

/** Prints what was found of a receipt, line by line, up to what failed. */
function report(Plasm\Verify\Verdict $verdict): void
{
    echo "\nReceipt Verification:\n";
    passed($verdict, 'Signature valid', $verdict->passed('signature'));
    passed($verdict, 'Module hash matches', $verdict->passed('module_hash'));
    passed($verdict, 'Receipt verified', $verdict->ok() && $verdict->outputChecked());
}

echo "Phase Remote Execution Test\n", str_repeat('=', 27), "\n\n";

try {
    $client = new Plasm\Client(['mode' => 'remote']);

    echo "Discovering nodes...\n";
    $nodes = $client->discover(['runtime' => 'wasmtime']);
    if ($nodes === []) {
        throw new Plasm\Exception\NoProvider(
            'No provider found on the network',
            'unavailable',
            'start one elsewhere with: plasmd start --open',
        );
    }
    $node = $nodes[0];
    echo "✓ Node discovered: {$node->peerId}\n";
    echo "  Architecture: {$node->arch}\n";
    echo "  Runtime: {$node->runtime}\n\n";

    echo 'Submitting job: ', basename($module), "\n";
    $jobId = $client->submit($module, ['cpu' => 1, 'arch' => $node->arch]);
    echo "✓ Job submitted: {$jobId}\n\n";

    echo "Waiting for execution...\n";
    $result = $client->result($jobId, 'Hello, World');
    if (!$result->isSuccess()) {
        $how = $result->completion()->text();
        throw new Plasm\Exception\JobFailed("The job did not end well: {$how}", 'internal');
    }
    echo "✓ Execution complete\n\n";

    echo "Result:\n";
    echo "  Output: {$result->stdout()}\n";
    echo "  Exit code: {$result->exitCode()}\n";
    echo '  Wall time: ', $result->getWallTimeMs() ?? '?', "ms\n";

    report($result->verdict());
    echo "\nTest complete!\n";
} catch (Plasm\Exception\VerificationFailed $refused) {
    report($refused->verdict());
    exit(1);
} catch (Plasm\Exception\PlasmException $error) {
    fwrite(STDERR, "✗ {$error->text()} [{$error->errorCode()}]\n");
    exit(1);
} catch (InvalidArgumentException $error) {
    fwrite(STDERR, "✗ {$error->getMessage()} (build the examples with: make build)\n");
    exit(2);
}
