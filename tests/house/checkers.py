#!/usr/bin/env python3
"""The checks of the tree find what they look for: each is shown a small tree with known mistakes."""

import pathlib
import subprocess
import sys
import tempfile

import checks

LAYERS = {
    "core/up.hpp": ("#include <selfpatch/ops/x.hpp>\n", "core includes selfpatch/ops/x.hpp, which is above it"),
    "cpu/sibling.hpp": ("#include <selfpatch/nn/x.hpp>\n", "cpu includes selfpatch/nn/x.hpp, which is beside it"),
    "nn/quoted.hpp": ('#include "linear.hpp"\n', 'includes "linear.hpp"'),
    "io/umbrella.hpp": ("#include <selfpatch/selfpatch.hpp>\n", "above every layer"),
    "ops/cuda.hpp": ("// cudaMalloc, __device__: words\ninline int f() { return int(cudaSuccess); }\n", ":2: knows of CUDA"),
    "nn/kernel.hpp": ("#include <cuda_runtime.h>\n", "knows of CUDA"),
    "magic/x.hpp": ("\n", "magic is no layer"),
    "train/right.hpp": ("#include <selfpatch/nn/x.hpp>\n#include <selfpatch/core/x.hpp>\n// a <<< b: a comment\n", None),
}


def layers(name, text, expected):
    with tempfile.TemporaryDirectory() as root:
        file = pathlib.Path(root) / "include" / "selfpatch" / name
        file.parent.mkdir(parents=True)
        file.write_text(text)
        said = subprocess.run([sys.executable, checks.ROOT / "scripts" / "check_layers.py", root],
                              capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"})
    if expected is None:
        return None if said.returncode == 0 else said.stdout
    return None if said.returncode == 1 and expected in said.stdout else f"expected: {expected}\n{said.stdout}"


TWIN = """#ifdef TWIN
static_assert(true);
#else
%s
#endif
"""
REFUSALS = {
    "the words are found": ("// must be one\n" + TWIN % 'static_assert(1 == 2, "must be one");', None),
    "other words are not enough": ("// must be one\n" + TWIN % 'static_assert(1 == 2, "two");', "does not say"),
    "the words must be in the first error":
        ("// must be one\n" + TWIN % 'int x = y;\nstatic_assert(1 == 2, "must be one");', "does not say"),
    "what compiles is no refusal": ("// must be one\n" + TWIN % "", "it compiles"),
    "a broken twin is found": ("// must be one\n#ifdef TWIN\nint x = y;\n#endif\n", "the twin"),
    "a file without a twin is found": ('// must be one\nstatic_assert(1 == 2, "must be one");\n', "has no twin"),
}
SNIPPETS = {
    "a block that compiles": ("```cpp\nint f() { return 1; }\n```\n", None),
    "a block that does not compile": ("```cpp\nint f() { return g(); }\n```\n", "not declared"),
    "a block cut from a file": ("<!-- snippet: examples/consumer/other.cpp -->\n```cpp\n"
                                "double sum = 0;\nfor (float value : x.values()) sum += double(value) * value;\n```\n", None),
    "a block that drifted from its file": ("<!-- snippet: examples/consumer/other.cpp -->\n```cpp\n"
                                           "double sum = 1;\n```\n", "word for word"),
    "a block of a file that is gone": ("<!-- snippet: examples/gone.cpp -->\n```cpp\nint x;\n```\n", "does not exist"),
    "a block that never ends": ("```cpp\nint x;\n", "never ends"),
    "a dead link": ("[here](nowhere.md)\n", "nowhere.md does not exist"),
}


def shown(script, ending, text, expected):
    """Runs a checker on one file that is not of the tree."""
    with tempfile.NamedTemporaryFile("w", suffix=ending) as file:
        file.write(text)
        file.flush()
        said = subprocess.run([sys.executable, checks.ROOT / "tests" / "house" / script, file.name],
                              capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"})
    if expected is None:
        return None if said.returncode == 0 else said.stdout + said.stderr
    return None if said.returncode == 1 and expected in said.stdout else f"expected: {expected}\n{said.stdout}{said.stderr}"


def main():
    options = checks.arguments(__doc__)
    todo = [(f"layers: {name}", lambda n=name, c=case: layers(n, *c)) for name, case in LAYERS.items()]
    for script, ending, cases in (("refusals.py", ".cpp", REFUSALS), ("snippets.py", ".md", SNIPPETS)):
        todo += [(f"{script}: {title}", lambda s=script, e=ending, c=case: shown(s, e, *c))
                 for title, case in cases.items()]
    checks.run(todo, options.jobs)


main()
