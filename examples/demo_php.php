<?php

/**
 * Submits hello.wasm to another machine, prints its output as it comes and says who signed for it:
 * php examples/demo_php.php [module]
 */

declare(strict_types=1);

use Plasm\Event\OutputEvent;

require __DIR__ . '/../sdk/php/autoload.php';

try {
    $client = new Plasm\Client(['mode' => 'remote']);
    $jobId = $client->submit($argv[1] ?? __DIR__ . '/hello.wasm', ['cpu' => 1]);
    $stream = $client->stream($jobId, 'Hello, World');
    foreach ($stream as $event) {
        if ($event instanceof OutputEvent) {
            fwrite($event->isStdout() ? STDOUT : STDERR, $event->data);
        }
    }
    $result = $stream->getReturn();
    echo "\n", $result->verdict()->text(), "\n";
    echo "provider {$result->provider()}\n";
    exit($result->isSuccess() ? 0 : 1);
} catch (Plasm\Exception\PlasmException $error) {
    fwrite(STDERR, "{$error->text()} [{$error->errorCode()}]\n");
    exit(1);
} catch (InvalidArgumentException $error) {
    fwrite(STDERR, "{$error->getMessage()} (build the examples with: make build)\n");
    exit(2);
}
