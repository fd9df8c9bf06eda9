"""What the demos share: how they speak, and one run from flags to clean-up."""

import pathlib
import shutil
import signal
import sys

from lab import Lab, LabError

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def say(text="", end="\n"):
    print(text, end=end, flush=True)


def step(title):
    say(f"\n── {title}")


def require(condition, text):
    if not condition:
        raise LabError(text)


def tell_where(lab):
    say("Each node has its own key, port and data folder under " + str(lab.folder))
    say("Network: a namespace per node on one bridge" if lab.namespaces else
        "Network: loopback (network namespaces need root)")
    say("Users:   one per node" if lab.users else "Users:   yours (separate users need root)")


def keep_logs(lab, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, node in lab.nodes.items():
        shutil.copy(node.log_path, folder / f"{name}.log")


def play(parser, scene):
    """Reads the flags that every demo has, runs `scene(lab, options)` and leaves nothing behind.

    Returns the exit status.
    """
    parser.add_argument("--bin", default=ROOT / "build" / "bin", help="folder of the programs")
    parser.add_argument("--keep-logs", metavar="FOLDER", type=pathlib.Path,
                        help="copy the nodes' logs there at the end")
    parser.add_argument("--loopback", action="store_true", help="no network namespaces")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    lab = None
    try:
        lab = Lab(options.bin, isolated=False if options.loopback else None)
        tell_where(lab)
        scene(lab, options)
        say("\ndemo: every step passed")
        return 0
    except (LabError, OSError, ValueError, KeyError) as error:
        why = error if isinstance(error, LabError) else repr(error)
        say(f"\ndemo: failed: {why}")
        for name, node in (lab.nodes if lab else {}).items():
            say(f"── last lines of {name}\n{node.log()[-1500:]}")
        return 1
    except KeyboardInterrupt:
        say("\ndemo: stopped; cleaning up")
        return 130
    finally:
        if lab:
            if options.keep_logs:
                keep_logs(lab, options.keep_logs)
            lab.close()
