#!/usr/bin/env python3
"""Every public header compiles alone and may be included twice; without warnings, with every compiler given."""

import pathlib

import checks

# What a header may need that not every machine has: the file the compiler misses, and what brings it.
OPTIONAL = {"mpi.h": "MPI", "jpeglib.h": "libjpeg", "turbojpeg.h": "libturbojpeg", "png.h": "libpng"}


def header_check(compiler, name):
    # A `static` in a header is fine, unused in this file or not; a function defined but not `inline` is not, and the
    # two inclusions of one unit show what #pragma once forgot.
    text = f"#include <{name}>\n#include <{name}>\n"
    ok, said = checks.compile_only(compiler, checks.include_flags() + checks.optional_flags() + checks.WARNINGS,
                                   text=text)
    if ok:
        return None
    for file, needs in OPTIONAL.items():
        if f"{file}: No such file" in said or f"'{file}' file not found" in said:
            return checks.Skipped(f"{needs} is not installed")
    return said


def main():
    options = checks.arguments(__doc__)
    include = checks.ROOT / "include"
    names = [pathlib.Path(n).resolve().relative_to(include) for n in options.only]
    names = names or sorted(p.relative_to(include) for p in include.rglob("*.hpp"))
    checks.run([(f"{n} compiles alone and twice ({pathlib.Path(c).name})",
                 lambda c=c, n=n: header_check(c, n.as_posix()))
                for c in options.compiler for n in names], options.jobs)


main()
