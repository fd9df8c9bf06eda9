#!/usr/bin/env python3
"""One HTTP request from wherever it runs: the body to stdout as it comes, status and headers to
stderr as one line of JSON before it.

    ask.py GET|POST URL [JSON]
"""

import http.client
import json
import sys
import urllib.parse

SILENCE_SECONDS_MAX = 120


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__.strip())
    method, url = sys.argv[1:3]
    body = sys.argv[3].encode() if len(sys.argv) == 4 else None
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=SILENCE_SECONDS_MAX)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
    answer = connection.getresponse()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    print(json.dumps({"status": answer.status, "headers": headers}), file=sys.stderr, flush=True)
    while piece := answer.read1(65536):
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    return 0 if answer.status < 400 else 1


if __name__ == "__main__":
    sys.exit(main())
