#!/usr/bin/env python3
"""Documentation is code that runs.

A C++ block of README.md or docs/ below `<!-- snippet: PATH -->` stands word for word in that file (indentation aside);
any other C++ block compiles as a file of its own. Links to files of the tree lead somewhere.
"""

import pathlib
import re
import textwrap

import checks

FENCE = re.compile(r"^( *)```(\w*)\s*$")
SNIPPET = re.compile(r"^ *<!--\s*snippet:\s*(\S+)\s*-->\s*$")
LINK = re.compile(r"(?<!`)\]\(([^)\s#]+)(?:#[^)\s]*)?\)")


def blocks(text):
    """(line number, language, path of the snippet comment or None, code) of every fenced block."""
    found, snippet, start = [], None, None
    for number, line in enumerate(text.splitlines(), 1):
        fence = FENCE.match(line)
        if start is not None:
            if fence and not fence[2]:
                found.append((*start, "\n".join(code)))
                start = None
            else:
                code.append(line)
        elif fence:
            start, code, snippet = (number, fence[2], snippet), [], None
        elif SNIPPET.match(line):
            snippet = SNIPPET.match(line)[1]
        elif line.strip():
            snippet = None
    if start is not None:
        found.append((start[0], "unclosed", None, ""))
    return found


def plain(text):
    """Lines without common indentation and trailing blanks."""
    return [line.rstrip() for line in textwrap.dedent(text.strip("\n")).splitlines()]


def stands_in(code, source):
    """True if the lines of `code` follow one another in `source`, whatever both are indented by."""
    wanted, lines = plain(code), source.splitlines()
    count = len(wanted)
    return any(plain("\n".join(lines[i:i + count])) == wanted for i in range(len(lines) - count + 1))


def snippet_check(compiler, code, path):
    if path:
        file = checks.ROOT / path
        if not file.is_file():
            return f"the snippet's file {path} does not exist"
        return None if stands_in(code, file.read_text(encoding="utf-8")) else f"does not stand word for word in {path}"
    ok, said = checks.compile_only(compiler, checks.include_flags(), text=code + "\n")
    return None if ok else said


def link_check(document, text):
    for target in LINK.findall(text):
        if "://" in target or target.startswith("mailto:"):
            continue
        if not (document.parent / target).exists():
            return f"{target} does not exist"
    return None


def main():
    options = checks.arguments(__doc__)
    compiler = options.compiler[0]
    documents = [pathlib.Path(n).resolve() for n in options.only]
    documents = documents or sorted(checks.ROOT.glob("*.md")) + sorted((checks.ROOT / "docs").rglob("*.md"))
    todo = []
    for document in documents:
        text = document.read_text(encoding="utf-8")
        name = document.relative_to(checks.ROOT) if document.is_relative_to(checks.ROOT) else document.name
        for line, language, path, code in blocks(text):
            if language == "unclosed":
                todo.append((f"{name}:{line} block is closed", lambda: "a block that never ends"))
            if language in ("cpp", "c++", "cxx"):
                todo.append((f"snippet {name}:{line}", lambda c=code, p=path: snippet_check(compiler, c, p)))
        todo.append((f"links of {name}", lambda d=document, t=text: link_check(d, t)))
    checks.run(todo, options.jobs)


main()
