"""The programs of an earlier commit, built once into the cache: what a fleet is upgraded from.

PHASE_PREVIOUS names a folder that has them already. Otherwise the commit in `previous_build` is
taken out of git into a temporary folder and its `ambient-vcp` and `phase-worker` are built there.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = pathlib.Path(os.environ.get("PHASE_SOURCE") or HERE.parents[1])
PROGRAMS = ("ambient-vcp", "phase-worker")
NOT_HERE = 77


def cache_folder():
    base = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    return pathlib.Path(os.environ.get("PHASE_CACHE_DIR") or base / "phase-build")


def complete(folder):
    return all(os.access(folder / name, os.X_OK) for name in PROGRAMS)


def skip(why):
    print(f"skip: {why}; or PHASE_PREVIOUS=FOLDER with {' and '.join(PROGRAMS)}")
    sys.exit(NOT_HERE)


def run(*command, **options):
    """Its output is the progress."""
    print("+", " ".join(str(part) for part in command), flush=True)
    subprocess.run([str(part) for part in command], check=True, **options)


def build(commit, into):
    cache = cache_folder()
    with tempfile.TemporaryDirectory(prefix="phase-previous-") as folder:
        source, made = pathlib.Path(folder) / "source", pathlib.Path(folder) / "build"
        source.mkdir()
        packed = pathlib.Path(folder) / "source.tar"
        run("git", "-C", ROOT, "archive", "--output", packed, commit)
        run("tar", "-xf", packed, "-C", source)
        environment = {"PHASE_RUST_TARGET_DIR": str(cache / "rust"),
                       "CCACHE_DIR": str(cache / "ccache"), "CCACHE_NOHASHDIR": "1",
                       **os.environ, "CCACHE_BASEDIR": str(source)}
        run("cmake", "-S", source, "-B", made, "-G", "Ninja", "-Wno-dev", env=environment)
        run("cmake", "--build", made, "--target", *PROGRAMS, env=environment)
        into.parent.mkdir(parents=True, exist_ok=True)
        beside = pathlib.Path(tempfile.mkdtemp(prefix="new-", dir=into.parent))
        for name in PROGRAMS:
            shutil.copy2(made / "bin" / name, beside / name)
        shutil.rmtree(into, ignore_errors=True)
        beside.rename(into)


def previous_programs():
    """The folder of the earlier programs. Ends the test as skipped where they cannot be had."""
    given = os.environ.get("PHASE_PREVIOUS")
    if given:
        if not complete(pathlib.Path(given)):
            raise SystemExit(f"PHASE_PREVIOUS: {given} has not {' and '.join(PROGRAMS)}")
        return pathlib.Path(given)
    wanted = (HERE / "previous_build").read_text().split()[0]
    found = subprocess.run(["git", "-C", ROOT, "rev-parse", "--verify", "--quiet",
                            wanted + "^{commit}"], capture_output=True, text=True, check=False)
    if found.returncode != 0:
        skip(f"this is no git checkout that has commit {wanted}")
    commit = found.stdout.strip()
    folder = cache_folder() / "previous" / commit
    if not complete(folder):
        print(f"building {' and '.join(PROGRAMS)} of {commit} into {folder}", flush=True)
        build(commit, folder)
    return folder


if __name__ == "__main__":
    print(previous_programs())
