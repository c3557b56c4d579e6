#!/usr/bin/env python3
"""What must not compile does not, and says why.

Each file of tests/must_not_compile/ begins with `// SENTENCE`. Compiled as it stands it must fail, and the first error
must hold the sentence; compiled with -DTWIN, where the mistake is put right, it must pass: so the refusal is for the
reason given and not for a misspelling.
"""

import pathlib
import re

import checks


def first_error(said):
    """From the first error to the second: the sentence and the notes that explain it."""
    parts = re.split(r"(?m)^(?=.*\berror: )", said)
    return parts[1] if len(parts) > 1 else said


def refusal_check(compiler, path):
    source = path.read_text(encoding="utf-8")
    sentence = source.splitlines()[0].removeprefix("//").strip() if source.startswith("//") else ""
    if not sentence:
        return "the first line is `// SENTENCE`, the message the compiler must print"
    if "TWIN" not in source:
        return "the file has no twin: under `#ifdef TWIN` it must compile"
    flags = checks.include_flags() + checks.optional_flags()
    compiled, said = checks.compile_only(compiler, flags + ["-DTWIN"], path)
    if not compiled:
        return "the twin, with the mistake put right, does not compile:\n" + said
    compiled, said = checks.compile_only(compiler, flags, path)
    if compiled:
        return f"it compiles; expected: {sentence}"
    if sentence not in first_error(said):
        return f"the first error does not say: {sentence}\n" + said
    return None


def main():
    options = checks.arguments(__doc__)
    folder = checks.ROOT / "tests" / "must_not_compile"
    files = [pathlib.Path(n).resolve() for n in options.only] or sorted(folder.rglob("*.cpp"))
    checks.run([(f"refused: {f.stem} ({pathlib.Path(c).name})", lambda c=c, f=f: refusal_check(c, f))
                for c in options.compiler for f in files], options.jobs)


main()
