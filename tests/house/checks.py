"""What the checks of the tree share: compiling without output, jobs side by side, results that can be counted.

Each check is a list of (title, function) pairs; a function returns None when all is well, else what is wrong, or a
`Skipped` with the reason. Results go to stdout and, where SELFPATCH_RESULTS names a file, one line each to it.
"""

import argparse
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Skipped(str):
    """A reason why something could not be checked here."""


def arguments(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--compiler", action="append", help="C++ compiler; may be given more than once")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("only", nargs="*", help="check only these files")
    parsed = parser.parse_args()
    parsed.compiler = parsed.compiler or ["g++"]
    return parsed


def output_of(command):
    """What a command prints on stdout, or nothing if it cannot run or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.split()
    except (OSError, subprocess.CalledProcessError):
        return []


def include_flags(root=ROOT):
    """Flags for a file that includes the library in its plainest use: -I and Eigen."""
    eigen = output_of(["pkg-config", "--cflags", "eigen3"]) or ["-I/usr/include/eigen3"]
    return ["-std=c++20", f"-I{root / 'include'}"] + [flag.replace("-I", "-isystem", 1) for flag in eigen]


def optional_flags():
    """Where optional parts (MPI) have their headers."""
    flags = output_of(["mpicxx", "--showme:compile"])
    return [flag.replace("-I", "-isystem", 1) for flag in flags if flag.startswith("-I")]


WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]


def compile_only(compiler, flags, source=None, text=None):
    """Compiles a file or a text without writing anything; (succeeded, what the compiler said)."""
    command = [compiler, *flags, "-fsyntax-only", "-x", "c++", str(source) if source else "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, cwd=ROOT,
                          env={**os.environ, "LC_ALL": "C"})
    return done.returncode == 0, (done.stdout + done.stderr).replace(str(ROOT) + "/", "")


def shorten(text, lines=30):
    kept = text.strip().splitlines()
    return "\n".join(kept[:lines] + (["..."] if len(kept) > lines else []))


def run(checks, jobs=1):
    """Runs all checks and ends the program: status 0 if none failed."""
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    results = os.environ.get("SELFPATCH_RESULTS")
    with concurrent.futures.ThreadPoolExecutor(max(1, jobs)) as pool:
        running = [(title, pool.submit(check)) for title, check in checks]
        for title, future in running:
            problem = future.result()
            outcome = "skipped" if isinstance(problem, Skipped) else "failed" if problem else "passed"
            counts[outcome] += 1
            if outcome == "failed":
                print(f"FAILED: {title}\n{shorten(problem)}\n", flush=True)
            if outcome == "skipped":
                print(f"skipped: {title}: {problem}", flush=True)
            if results:
                with open(results, "a", encoding="utf-8") as out:
                    reason = f"\t{problem}" if outcome == "skipped" else ""
                    out.write(f"{outcome}\t{title}{reason}\n")
    print(", ".join(f"{n} {outcome}" for outcome, n in counts.items()))
    sys.exit(1 if counts["failed"] else 0)


def have(tool):
    return shutil.which(tool) is not None
