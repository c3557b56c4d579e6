#!/usr/bin/env python3
"""The rules of CONTRIBUTING.md that a script can see: one result per rule, every offender named."""

import re

import checks

WIDTH, HEADER_LINES = 128, 400  # hard limits; aimed at are 100 and 300


def sources(*patterns):
    for pattern in patterns:
        for path in sorted(checks.ROOT.glob(pattern)):
            if not {"build", "fixtures", "corpus"} & set(path.relative_to(checks.ROOT).parts):
                yield path.relative_to(checks.ROOT).as_posix(), path.read_text(encoding="utf-8")


HEADERS = ("include/**/*.hpp", "kernels/**/*.cuh")
CODE = HEADERS + tuple(f"{folder}/**/*.{ending}" for folder in ("examples", "tests", "bench", "kernels")
                       for ending in ("cpp", "hpp", "cu"))


def offenders(patterns, wrong):
    """Lines `file: what` for every file where wrong(text) finds something."""
    return "\n".join(f"{name}: {what}" for name, text in sources(*patterns) for what in wrong(text))


def long_lines(text):
    return [f"line {n} has {len(line)} columns" for n, line in enumerate(text.splitlines(), 1) if len(line) > WIDTH]


def matching(expression, message):
    found = re.compile(expression, re.M)
    return lambda text: [f"line {text.count(chr(10), 0, m.start()) + 1} {message}" for m in found.finditer(text)]


def long_header(text):
    lines = text.count("\n")
    return [f"{lines} lines"] if lines > HEADER_LINES else []


def opening(text):
    return [] if text.startswith("//") else ["does not open with what it is"]


def once(text):
    return [] if re.search(r"^#pragma once$", text, re.M) else ["lacks #pragma once"]


RULES = [
    ("headers open with a comment that says what they are", HEADERS, opening),
    ("headers have #pragma once", HEADERS, once),
    (f"headers have at most {HEADER_LINES} lines", HEADERS, long_header),
    ("public headers define no macros", ("include/**/*.hpp",), matching(r"^\s*#\s*define\b", "defines a macro")),
    ("no header brings <iostream>, <regex> or a using-directive", HEADERS,
     matching(r"^\s*#\s*include <(iostream|regex|bits/.*)>|^using namespace", "is what every user would pay for")),
    ("errors are thrown, not printed: no header exits or aborts", HEADERS,
     matching(r"\b(std::|::)?(exit|abort|_Exit|quick_exit)\(", "ends the program")),
    (f"lines have at most {WIDTH} columns", CODE, long_lines),
    ("nothing is left to do later", CODE + ("scripts/*", "cmake/*"),
     matching(r"\b(TO" r"DO|FIX" r"ME|XXX)\b", "puts off work")),
    ("no tabs, no blanks at the end of a line", CODE, matching(r"\t|[ \t]+$", "has a tab or trailing blanks")),
]


def main():
    checks.arguments(__doc__)
    checks.run([(f"style: {title}", lambda p=patterns, w=wrong: offenders(p, w)) for title, patterns, wrong in RULES], 1)


main()
