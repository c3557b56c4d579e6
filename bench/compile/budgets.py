#!/usr/bin/env python3
"""Seconds and megabytes it costs to compile what users compile: every bench/compile/*.cpp against its first line.

The seconds are the processor's (user and system), which on a busy machine say more than the clock; a file over its
budget is tried up to five times and the best counts (docs/decisions/020). Options as -O2 builds have them.
"""

import os
import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tests" / "house"))
import checks  # noqa: E402

BUDGET = re.compile(r"// budget: ([\d.]+) s (\d+) MB")


def cost(command):
    """Processor seconds, megabytes of the largest process, and the compiler's words if it fails."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    said = child.stderr.read()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, said if child.returncode else ""


def budget_check(compiler, file):
    budget = BUDGET.match(file.read_text(encoding="utf-8"))
    if not budget:
        return "the first line is `// budget: SECONDS s MEGABYTES MB`"
    seconds, megabytes = float(budget[1]), float(budget[2])
    flags = checks.include_flags() + [f"-I{checks.ROOT / 'examples'}"]
    best = (float("inf"), float("inf"))
    for attempt in range(5):
        time.sleep(2 * attempt)
        *used, said = cost([compiler, *flags, "-O2", "-c", str(file), "-o", os.devnull])
        if said:
            return said.replace(str(checks.ROOT) + "/", "")
        best = min(best, tuple(used))
        if best[0] <= seconds and best[1] <= megabytes:
            break
    print(f"compile {file.stem}: {best[0]:.1f} s of {seconds:g}, {best[1]:.0f} MB of {megabytes:g}", flush=True)
    over = [f"{used:.1f} {unit} of {allowed:g}" for used, allowed, unit in zip(best, (seconds, megabytes), ("s", "MB"))
            if used > allowed]
    return "over budget: " + ", ".join(over) if over else None


def main():
    options = checks.arguments(__doc__)
    files = [pathlib.Path(n).resolve() for n in options.only] or sorted(HERE.glob("*.cpp"))
    checks.run([(f"compile cost of {f.stem}", lambda f=f: budget_check(options.compiler[0], f)) for f in files], jobs=1)


main()
