<?php

/** What a page under PHP-FPM does with the SDK, by its query; answers JSON. */

declare(strict_types=1);

require __DIR__ . '/../../autoload.php';

header('Content-Type: application/json');

/** @return array<string, mixed> */
function told(Plasm\Result $result): array
{
    return [
        'stdout' => $result->stdout(),
        'exit_code' => $result->exitCode(),
        'verdict' => $result->verdict()->text(),
        'pid' => getmypid(),
    ];
}

try {
    $client = new Plasm\Client(['timeout' => 60]);
    $module = $_GET['module'];
    echo json_encode(match ($_GET['do']) {
        'submit' => ['id' => $client->submit($module), 'pid' => getmypid()],
        'result' => told($client->result($_GET['id'], $_GET['input'], ['module' => $module])),
        'both' => told($client->result($client->submit($module), $_GET['input'])),
    });
} catch (Plasm\Exception\PlasmException $error) {
    echo json_encode(['error' => $error->errorCode(), 'text' => $error->text()]);
}
