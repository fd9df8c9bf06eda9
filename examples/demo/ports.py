"""Ports for programs of the demos and tests that must know theirs before they start."""

import random
import socket

# Below the range from which the kernel numbers outgoing connections, so that none takes a port
# between its choice and its use; above those that services are registered for by habit.
FIRST, LAST = 20_000, 32_000
TOGETHER = 3
TRIES_MAX = 1_000
_reserved = []  # for as long as this process lives


def _reserve(port):
    """Nobody else gets `port` from here; None when somebody has."""
    mark = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        mark.bind(f"\0phase-port-{port}")
    except OSError:
        mark.close()
        return None
    return mark


def _is_free(port):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def free_port():
    """A port free for TCP and UDP on loopback, as are the next two (for a coordinator's mesh)."""
    for _ in range(TRIES_MAX):
        port = random.randrange(FIRST, LAST, TOGETHER)
        mark = _reserve(port)
        if mark is None:
            continue
        if all(_is_free(port + more) for more in range(TOGETHER)):
            _reserved.append(mark)
            return port
        mark.close()
    raise OSError(f"no {TOGETHER} free ports in a row between {FIRST} and {LAST}")
