#!/usr/bin/env python3
"""The PHP package as its users get it: Composer accepts it, installs it and loads its classes.

A project of its own requires the package from its folder; nothing is fetched from a network.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(os.environ.get("PHASE_SOURCE") or pathlib.Path(__file__).resolve().parents[2])
PACKAGE = ROOT / "sdk/php"
LOAD = """
require 'vendor/autoload.php';
$client = new Plasm\\Client();
echo get_class($client), ' ', (new ReflectionClass($client))->getFileName();
"""


def run(words, folder, home):
    done = subprocess.run(words, cwd=folder, text=True, stdout=subprocess.PIPE, check=False,
                          stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                          env={"PATH": os.environ["PATH"], "HOME": str(home),
                               "COMPOSER_HOME": str(home), "COMPOSER_DISABLE_NETWORK": "1",
                               "COMPOSER_ALLOW_SUPERUSER": "1"})
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def main():
    if shutil.which("composer") is None:
        print("skip: composer is missing: tools/setup --set test")
        return 77
    name = json.loads((PACKAGE / "composer.json").read_text(encoding="utf-8"))["name"]
    with tempfile.TemporaryDirectory(prefix="phase-composer-") as folder:
        home, project = pathlib.Path(folder, "home"), pathlib.Path(folder, "project")
        home.mkdir()
        project.mkdir()
        run(["composer", "validate", "--strict", "--no-check-publish", "--no-check-lock",
             str(PACKAGE / "composer.json")], folder, home)
        (project / "composer.json").write_text(json.dumps({
            "repositories": [{"type": "path", "url": str(PACKAGE), "options": {"symlink": False}}],
            "require": {name: "*@dev"}}), encoding="utf-8")
        run(["composer", "install", "--no-interaction", "--no-progress"], project, home)
        loaded = run(["php", "-r", LOAD], project, home)
        if f"project/vendor/{name}/" not in loaded:
            raise SystemExit(f"the class came from elsewhere: {loaded}")
        print(loaded)
    return 0


if __name__ == "__main__":
    sys.exit(main())
