#!/usr/bin/env python3
"""The library as a user gets it: installed and found, built in as a subdirectory, through pkg-config, by -I alone."""

import pathlib
import shutil
import subprocess
import tempfile

import checks

SOURCE = checks.ROOT / "examples" / "consumer"


def run(*command, cwd=None):
    done = subprocess.run([str(c) for c in command], cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(str(c) for c in command)}\n{done.stdout}{done.stderr}"
                           .replace(str(checks.ROOT) + "/", ""))
    return done.stdout


def install(compiler, scratch):
    prefix = scratch / "prefix"
    if not (prefix / "share").exists():
        off = [f"-DSELFPATCH_{part}=OFF" for part in ("PROGRAMS", "TESTS", "BENCH")]
        run("cmake", "-S", checks.ROOT, "-B", scratch / "library", f"-DCMAKE_CXX_COMPILER={compiler}", *off)
        run("cmake", "--install", scratch / "library", "--prefix", prefix)
    return prefix


def build_and_run(compiler, folder, *options):
    said = run("cmake", "-S", SOURCE, "-B", folder, f"-DCMAKE_CXX_COMPILER={compiler}", *options)
    if "Warning" in said:
        raise RuntimeError(f"configuring warns:\n{said}")
    run("cmake", "--build", folder)
    run(folder / "consumer")


def found(compiler, scratch):
    # The prefix is moved first: an installed package holds no path of the machine that built it.
    moved = scratch / "moved"
    shutil.copytree(install(compiler, scratch), moved)
    for file in (moved / "share").rglob("*"):
        if file.is_file() and str(scratch) in file.read_text(encoding="utf-8"):
            raise RuntimeError(f"{file.relative_to(moved)} holds a path of the machine that built it")
    build_and_run(compiler, scratch / "found", f"-DCMAKE_PREFIX_PATH={moved}")


def missing_component(compiler, scratch):
    """A component that does not exist is refused by name, not ignored."""
    project = scratch / "missing"
    project.mkdir()
    (project / "CMakeLists.txt").write_text("cmake_minimum_required(VERSION 3.25)\nproject(missing CXX)\n"
                                            "find_package(selfpatch REQUIRED COMPONENTS telepathy)\n")
    try:
        run("cmake", "-S", project, "-B", project / "build", f"-DCMAKE_PREFIX_PATH={install(compiler, scratch)}",
            f"-DCMAKE_CXX_COMPILER={compiler}")
    except RuntimeError as problem:
        if "telepathy" in str(problem):
            return
        raise
    raise RuntimeError("find_package accepted a component that does not exist")


def subdirectory(compiler, scratch):
    build_and_run(compiler, scratch / "subdirectory", f"-DSELFPATCH_SOURCE={checks.ROOT}")


def by_hand(compiler, scratch, flags):
    program = scratch / "by_hand"
    run(compiler, *flags, SOURCE / "main.cpp", SOURCE / "other.cpp", "-o", program)
    run(program)


def include_path(compiler, scratch):
    by_hand(compiler, scratch, checks.include_flags() + ["-pthread"])


def pkg_config(compiler, scratch):
    prefix = install(compiler, scratch)
    flags = run("env", f"PKG_CONFIG_PATH={prefix / 'share' / 'pkgconfig'}", "pkg-config", "--cflags", "--libs",
                "selfpatch").split()
    by_hand(compiler, scratch, flags)


WAYS = [("find_package in a moved prefix", found), ("an unknown component is refused", missing_component),
        ("add_subdirectory", subdirectory), ("pkg-config", pkg_config), ("-I alone", include_path)]


def main():
    options = checks.arguments(__doc__)
    with tempfile.TemporaryDirectory(prefix="selfpatch-consumer-") as folder:
        scratch = pathlib.Path(folder)

        def checked(way):
            if way is pkg_config and not checks.have("pkg-config"):
                return checks.Skipped("pkg-config is not installed")
            try:
                return way(options.compiler[0], scratch)
            except RuntimeError as problem:
                return str(problem)

        checks.run([(f"consumer: {title}", lambda w=way: checked(w)) for title, way in WAYS], jobs=1)


main()
