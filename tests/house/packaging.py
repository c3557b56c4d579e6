#!/usr/bin/env python3
"""The recipes of packaging/ agree with the project, and each is read or run by the tool it is for where that is there."""

import ast
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import checks

PACKAGING = checks.ROOT / "packaging"


def version():
    return re.search(r"project\(selfpatch VERSION (\S+)", (checks.ROOT / "CMakeLists.txt").read_text())[1]


def versions_agree():
    files = {
        "packaging/conan/conanfile.py": r'version = "(\S+)"',
        "packaging/vcpkg/ports/selfpatch/vcpkg.json": r'"version": "(\S+)"',
        "packaging/debian/changelog": r"\Aselfpatch \((\S+)-\d+\)",
        "CITATION.cff": r"(?m)^version: (\S+)",
        "CHANGELOG.md": r"(?m)^## (\d\S*)",
    }
    wrong = []
    for name, pattern in files.items():
        found = re.search(pattern, (checks.ROOT / name).read_text(encoding="utf-8"))
        if not found or found[1] != version():
            wrong.append(f"{name} says {found[1] if found else 'no version'}, CMakeLists.txt {version()}")
    return "\n".join(wrong)


def tool(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    said = (done.stdout + done.stderr).splitlines()
    return None if done.returncode == 0 else "\n".join(said[-30:])


def conan():
    ast.parse((PACKAGING / "conan" / "conanfile.py").read_text(encoding="utf-8"))
    if not checks.have("conan"):
        return checks.Skipped("conan is not installed; the recipe was only parsed")
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "CONAN_HOME": home}
        subprocess.run(["conan", "profile", "detect"], capture_output=True, env=environment, check=True)
        return tool(["conan", "create", str(PACKAGING / "conan"), "--no-remote",
                     "-c", "user.selfpatch:system_eigen=True"], env=environment)


def vcpkg():
    manifest = json.loads((PACKAGING / "vcpkg/ports/selfpatch/vcpkg.json").read_text(encoding="utf-8"))
    portfile = PACKAGING / "vcpkg/ports/selfpatch/portfile.cmake"
    if manifest["name"] != "selfpatch":
        return "vcpkg.json names another port"
    # cmake -P parses the whole file before it runs the first line; the functions of vcpkg are then given as empty.
    with tempfile.TemporaryDirectory() as scratch:
        script = pathlib.Path(scratch) / "parse.cmake"
        names = sorted(set(re.findall(r"(?m)^(vcpkg_\w+)\(", portfile.read_text())))
        script.write_text("".join(f"function({n})\nendfunction()\n" for n in names)
                          + f'set(CURRENT_PORT_DIR "{portfile.parent}")\nset(CURRENT_PACKAGES_DIR "{scratch}/none")\n'
                          + f'include("{portfile}")\n'
                          + 'if(NOT EXISTS "${SOURCE_PATH}/include/selfpatch")\n'
                          + '  message(FATAL_ERROR "SOURCE_PATH is not the checkout: ${SOURCE_PATH}")\nendif()\n')
        if problem := tool(["cmake", "-P", str(script)]):
            return problem
    if not checks.have("vcpkg"):
        return checks.Skipped("vcpkg is not installed; the port was only parsed")
    return tool(["vcpkg", "install", "selfpatch", "--dry-run", f"--overlay-ports={PACKAGING / 'vcpkg/ports'}"])


def debian():
    if not checks.have("dpkg-buildpackage") or not checks.have("dh"):
        return checks.Skipped("dpkg-buildpackage and debhelper are not installed")
    with tempfile.TemporaryDirectory() as scratch:
        tree = pathlib.Path(scratch) / "selfpatch-0.1.0"
        tree.mkdir()
        for name in ("cmake", "include", "kernels"):
            if (checks.ROOT / name).exists():
                shutil.copytree(checks.ROOT / name, tree / name)
        for name in ("CMakeLists.txt", "LICENSE"):
            shutil.copy(checks.ROOT / name, tree)
        shutil.copytree(PACKAGING / "debian", tree / "debian")
        if problem := tool(["dpkg-buildpackage", "-us", "-uc", "-b", "-d"], cwd=tree):
            return problem
        package = next(pathlib.Path(scratch).glob("libselfpatch-dev_*_all.deb"), None)
        if not package:
            return "no libselfpatch-dev_*_all.deb was made"
        listed = subprocess.run(["dpkg-deb", "--contents", str(package)], capture_output=True, text=True).stdout
        missing = [f for f in ("usr/include/selfpatch/core/tensor.hpp", "usr/share/pkgconfig/selfpatch.pc",
                               "usr/share/cmake/selfpatch/selfpatchConfig.cmake") if f not in listed]
        return f"the package lacks {', '.join(missing)}" if missing else None


def main():
    checks.arguments(__doc__)
    checks.run([("packaging: all files name one version", versions_agree), ("packaging: conan", conan),
                ("packaging: vcpkg", vcpkg), ("packaging: debian", debian)], jobs=1)


main()
