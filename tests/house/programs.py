#!/usr/bin/env python3
"""What all programs have in common: help with examples, a version, and one clear line for an option that is none.

Programs whose name begins with own_ show how the library is extended: they run as they stand, and succeed.
"""

import os
import pathlib
import subprocess

import checks

BIN = pathlib.Path(os.environ.get("SELFPATCH_BIN", checks.ROOT / "build" / "cpu" / "bin"))


def run(name, *options):
    return subprocess.run([BIN / name, *options], capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)


def says_help(name):
    done = run(name, "--help")
    if done.returncode:
        return f"status {done.returncode}, expected 0\n{done.stderr}"
    missing = [word for word in ("xample", name) if word not in done.stdout]
    return f"--help on stdout lacks {' and '.join(missing)}\n{done.stdout}" if missing else None


def says_version(name):
    done = run(name, "--version")
    version = (checks.ROOT / "CMakeLists.txt").read_text().split("project(selfpatch VERSION ")[1].split()[0]
    if done.returncode:
        return f"status {done.returncode}, expected 0\n{done.stderr}"
    return None if version in done.stdout else f"--version on stdout does not say {version}\n{done.stdout}"


def refuses_an_unknown_option(name):
    done = run(name, "--no-such-option")
    if done.returncode != 2:
        return f"status {done.returncode}, expected 2\n{done.stderr}"
    if done.stdout:
        return f"stdout is for results; it says\n{done.stdout}"
    return None if "no-such-option" in done.stderr else f"stderr does not name the option\n{done.stderr}"


def shows_how(name):
    done = run(name)
    return f"status {done.returncode}\n{done.stdout}{done.stderr}" if done.returncode else None


def main():
    options = checks.arguments(__doc__)
    todo = []
    for source in sorted((checks.ROOT / "examples").glob("*.cpp")):
        name = source.stem
        if not (BIN / name).exists():
            todo.append((f"{name} is built", lambda n=name: f"{n} is not in the bin folder"))
        elif name.startswith("own_"):
            todo.append((f"{name} runs", lambda n=name: shows_how(n)))
        else:
            todo += [(f"{name} --help", lambda n=name: says_help(n)),
                     (f"{name} --version", lambda n=name: says_version(n)),
                     (f"{name} refuses an unknown option", lambda n=name: refuses_an_unknown_option(n))]
    checks.run(todo, options.jobs)


main()
