<?php

/**
 * Answers each connection to a Unix socket with the next script of bytes and waits; then ends.
 *
 *     php scripted_server.php SOCKET < scripts.json
 *
 * Scripts: [[["send", base64] | ["wait_ms", n] | ["read"] | ["hang"], ...], ...]. Prints "ready",
 * then each request it read, base64, a line each. "hang" waits for the other side to close.
 */

declare(strict_types=1);

$scripts = json_decode(stream_get_contents(STDIN), true, 8, JSON_THROW_ON_ERROR);
$server = stream_socket_server("unix://{$argv[1]}");
echo "ready\n";
foreach ($scripts as $script) {
    $connection = stream_socket_accept($server, 20);
    if ($connection === false) {
        exit(1);
    }
    foreach ($script as $step) {
        switch ($step[0]) {
            case 'send':
                @fwrite($connection, base64_decode($step[1]));
                break;
            case 'wait_ms':
                usleep($step[1] * 1000);
                break;
            case 'read':
                $head = '';
                while (($line = fgets($connection)) !== false) {
                    $head .= $line;
                    if ($line === "\r\n") {
                        break;
                    }
                }
                preg_match('/^Content-Length: (\d+)/mi', $head, $match);
                $length = (int) ($match[1] ?? 0);
                $body = $length > 0 ? stream_get_contents($connection, $length) : '';
                echo base64_encode($head . $body), "\n";
                break;
            case 'hang':
                stream_set_timeout($connection, 20);
                while (!feof($connection) && fread($connection, 8192) !== false) {
                    continue;
                }
        }
    }
    fclose($connection);
}
