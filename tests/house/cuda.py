#!/usr/bin/env python3
"""Every CUDA kernel compiles for three architectures: no warning, no spill, no stack, registers as in the table.

    tests/house/cuda.py [--write]      --write: registers.tsv is what was found

tests/house/cuda/*.cu hold the instances. Where nvdisasm is installed (PATH, or NVDISASM names it) the instructions are
counted too: no local memory, and in each kernel what census.tsv says must or must not be there. Without nvcc all is
skipped.
"""

import collections
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading

import checks

FOLDER = checks.ROOT / "tests" / "house" / "cuda"
REGISTERS, CENSUS = FOLDER / "registers.tsv", FOLDER / "census.tsv"
ARCHITECTURES = ("80", "90a", "100a")
FLAGS = ["-std=c++20", "--expt-relaxed-constexpr", "-O3", "-DEIGEN_NO_CUDA", "-Werror", "all-warnings",
         f"-I{checks.ROOT / 'include'}", f"-I{checks.ROOT / 'kernels'}"]
NVCC = os.environ.get("NVCC") or shutil.which("nvcc") or shutil.which("nvcc", path="/usr/local/cuda/bin")
NVDISASM = os.environ.get("NVDISASM") or shutil.which("nvdisasm") or shutil.which("nvdisasm", path="/usr/local/cuda/bin")

KERNEL = re.compile(r"Compiling entry function '(\S+)'.*?(\d+) bytes stack frame, (\d+) bytes spill stores, "
                    r"(\d+) bytes spill loads.*?Used (\d+) registers", re.S)
INSTRUCTION = re.compile(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]+)")


def names_of(mangled):
    """neighbor_topk_ring<bf16, 14, 14, 384, 1, true, 4>: the kernel and the first shape among its arguments."""
    plain = subprocess.run(["c++filt"], input="\n".join(mangled), capture_output=True, text=True).stdout.split("\n")
    names = []
    for text in plain:
        text = text.replace("selfpatch::device_code::", "").replace("selfpatch::", "")
        kernel = re.match(r"(?:void )?(\w*)", text)[1]
        shape = re.search(r"<(?:\w+<)*([^<>]*)>", text)
        by_lanes = ", by lanes" if re.search(r"ring_plan<.*, false>", text) else ""
        names.append(f"{kernel}<{shape[1] if shape else ''}>{by_lanes}")
    return names


def version():
    return re.search(r"release (\S+),", subprocess.run([NVCC, "--version"], capture_output=True, text=True).stdout)[1]


def table():
    """{(kernel, architecture): registers}, and the version of nvcc that was used."""
    lines = [line.split("\t") for line in REGISTERS.read_text().splitlines()]
    head, rows = lines[0], lines[1:]
    return {(row[0], a): int(r) for row in rows for a, r in zip(head[1:], row[1:]) if r != "-"}, head[0].split()[-1]


class Compiled:
    """({kernel: registers}, what is wrong) of a file for an architecture, compiled when first asked for."""

    def __init__(self, scratch):
        self.scratch, self.done = scratch, {}
        self.locks = collections.defaultdict(threading.Lock)

    def cubin(self, source, architecture):
        return self.scratch / f"{source.stem}.{architecture}.cubin"

    def __call__(self, source, architecture):
        with self.locks[source, architecture]:
            if (source, architecture) not in self.done:
                self.done[source, architecture] = self.compile(source, architecture)
            return self.done[source, architecture]

    def compile(self, source, architecture):
        target = f"arch=compute_{architecture},code=sm_{architecture}"
        done = subprocess.run([NVCC, *FLAGS, "-Xptxas=-v", "-gencode", target, "-cubin",
                               "-o", str(self.cubin(source, architecture)), str(source)], capture_output=True, text=True)
        said = done.stdout + done.stderr
        if done.returncode:
            return None, said
        found = KERNEL.findall(said)
        names = names_of([f[0] for f in found])
        wrong = [f"{name}: stack {stack}, spills {stores}/{loads} bytes"
                 for name, (_, stack, stores, loads, _) in zip(names, found) if {stack, stores, loads} != {"0"}]
        return {name: int(f[-1]) for name, f in zip(names, found)}, "\n".join(wrong)


def compare_registers(found, architecture):
    expected, of = table()
    if of != version():
        return checks.Skipped(f"registers.tsv is of nvcc {of}, this is {version()}")
    wrong = [f"{name}: {used} registers, in the table {expected.get((name, architecture), 'none')}"
             for name, used in found.items() if used > expected.get((name, architecture), 0)]
    return "\n".join(wrong)


def census(cubin, architecture):
    """Counts instructions per kernel and holds them against the table."""
    text = subprocess.run([NVDISASM, "-c", str(cubin)], capture_output=True, text=True, check=True).stdout
    counts, at = collections.defaultdict(collections.Counter), None
    for line in text.splitlines():
        if section := re.match(r"\.text\.(\S+):", line):
            at = section[1]
        elif (found := INSTRUCTION.search(line)) and at:
            counts[at][found[1]] += 1
    rules = [line.split("\t") for line in CENSUS.read_text().splitlines()[1:]]
    wrong = []
    for name, count in zip(names_of(list(counts)), counts.values()):
        for kernel, architectures, pattern, most in rules:
            if not re.match(kernel, name) or architecture not in architectures.split():
                continue
            n = sum(c for instruction, c in count.items() if re.match(pattern, instruction))
            if (n == 0) if most == "some" else (n > int(most)):
                wrong.append(f"{name}: {n} instructions {pattern}, expected {most}")
    return "\n".join(wrong)


def write(results):
    """Makes the table of {architecture: {kernel: registers}}."""
    names = sorted({name for found in results.values() for name in found})
    with REGISTERS.open("w") as out:
        print(f"registers, nvcc {version()}", *ARCHITECTURES, sep="\t", file=out)
        for name in names:
            print(name, *(results[a].get(name, "-") for a in ARCHITECTURES), sep="\t", file=out)


def main():
    writing = "--write" in sys.argv
    sys.argv = [a for a in sys.argv if a != "--write"]
    options = checks.arguments(__doc__)
    sources = [pathlib.Path(n).resolve() for n in options.only] or sorted(FOLDER.glob("*.cu"))
    if not NVCC:
        checks.run([(f"cuda: {s.name}", lambda: checks.Skipped("nvcc is not installed")) for s in sources])
    with tempfile.TemporaryDirectory() as folder:
        compiled = Compiled(pathlib.Path(folder))
        pairs = [(s, a) for s in sources for a in ARCHITECTURES]
        if writing:
            return write({a: {k: r for s in sources for k, r in (compiled(s, a)[0] or {}).items()} for a in ARCHITECTURES})

        def gate(source, architecture):
            registers, wrong = compiled(source, architecture)
            return wrong or compare_registers(registers, architecture)

        def counted(source, architecture):
            if not NVDISASM:
                return checks.Skipped("nvdisasm is not installed")
            registers, wrong = compiled(source, architecture)
            return wrong if registers is None else census(compiled.cubin(source, architecture), architecture)

        checks.run([(f"cuda: {s.name} for sm_{a}: no warning, spill or stack, registers as in the table",
                     lambda s=s, a=a: gate(s, a)) for s, a in pairs] +
                   [(f"cuda: {s.name} for sm_{a}: instructions as in the table", lambda s=s, a=a: counted(s, a))
                    for s, a in pairs], min(options.jobs, 2))


main()
