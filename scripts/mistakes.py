#!/usr/bin/env python3
"""Puts known mistakes into a copy of the engine, one at a time, and shows that the recorded fixtures catch each.

    scripts/mistakes.py [--only N,N,...] [--markdown FILE]

Each mistake is an edit of a header in build/mistakes; a small driver is compiled against the copy and repeats fixtures
in double. A mistake is caught if its worst figure exceeds its tolerance, or if a figure that must be equal is not. The
unchanged engine must pass. Fixtures beside the checkout (../shared/parity, SELFPATCH_SHARED) are used where they are
needed; without them the mistakes that only they can show are skipped. Status 1 if a mistake is not caught.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "mistakes"
SHARED = Path(os.environ.get("SELFPATCH_SHARED", ROOT.parent / "shared")) / "parity"
OURS = ROOT / "tests" / "fixtures"

PLAIN, TINY, DROP, CLAMPED = OURS / "plain_f32", SHARED / "tiny_f64", OURS / "droppath_f64", SHARED / "clamped_rect_f32"
TINY_F32 = OURS / "tiny_f32"


def edit(path, old, new):
    return (f"include/selfpatch/{path}", old, new)


TRAINER = "train/trainer.hpp"

# (what, fixtures that may show it, edits)
MISTAKES = [
    ("LayerNorm eps 1e-5", [TINY, TINY_F32],
     [edit("ops/layer_norm.hpp", "const auto& bias, double eps = 1e-6)", "const auto& bias, double eps = 1e-5)")]),
    ("tanh GELU", [TINY, TINY_F32],
     [edit("cpu/gelu.hpp", "vector_math::gelu(x + begin, y + begin, end - begin);",
           "for (index i = begin; i < end; ++i) y[i] = x[i] / 2 * (1 + std::tanh(T(0.7978845608028654) * "
           "(x[i] + T(0.044715) * x[i] * x[i] * x[i])));")]),
    ("position scale without 0.1", [TINY, TINY_F32],
     [edit("ops/interpolate.hpp", "rule == position_rule::offset ? 0.1 : 0.0", "rule == position_rule::offset ? 0.0 : 0.0")]),
    ("image center from global views only", [TINY_F32],
     [edit(TRAINER, "image_rows_.add(taught.image);",
           "{ tensor<T, shape<dyn, dyn>, D> g(shape<dyn, dyn>(2 * B, taught.image.extent(1)));"
           " std::copy_n(taught.image.data(), g.size(), g.data()); image_rows_.add(g); }")]),
    ("patch center as mean of per-view means", [TINY_F32],
     [edit(TRAINER, "patch_rows_.add(taught.patch);",
           "{ const index P = taught.patch.extent(1); index row = 0, views = 0; tensor<T, shape<dyn, dyn>, D> m("
           "shape<dyn, dyn>(taught.image.extent(0) / B, P)); for (std::size_t i = 0; i < crops.size(); ++i)"
           " for (index v = 0; v < crops[i].extent(0) / B; ++v, ++views) { const index n = B * taught.tokens[i].extent(1);"
           " for (index r = 0; r < n; ++r, ++row) for (index p = 0; p < P; ++p)"
           " m.data()[views * P + p] += taught.patch.data()[row * P + p] / T(n); } patch_rows_.add(m); }")]),
    ("center moved before the loss", [TINY_F32],
     [edit(TRAINER, "    tape on;\n",
           "    tape on;\n    { center_update<T, D> early; early.add(taught.image);"
           " center = early.moved(teacher.image_head(), center, config_.center_momentum); }\n")]),
    ("clipping by the global norm", [TINY_F32],
     [edit(TRAINER, "config_.clipping == clip_mode::global ?", "true ?")]),
    ("frozen layers with zero gradient, not skipped", [TINY_F32],
     [edit(TRAINER, "if (p.gradient && !(v.frozen && p.is_last_layer())) {", "if (p.gradient) {"),
      edit(TRAINER, ".clip = clip_coefficient(", ".clip = v.frozen && p.is_last_layer() ? 0 : clip_coefficient(")]),
    ("no decay for position table and tokens", [TINY_F32],
     [edit("nn/module.hpp", "shape.size() >= 2 &&", "shape.size() >= 2 && shape.size() != 3 &&")]),
    ("L2 in the gradient, not decoupled decay", [TINY_F32],
     [edit("cpu/adamw.hpp", "const V shrink = T(1 - o.lr * o.weight_decay)", "const V shrink = T(1), l2 = T(o.weight_decay)"),
      edit("cpu/adamw.hpp", "load(g + at, count) * clip;", "load(g + at, count) * clip + l2 * load(p + at, count);")]),
    ("teacher follows before the update", [TINY_F32],
     [edit(TRAINER, "      kernel<op::ema, D>::update(on_, op::ema{v.momentum}, p.value, teachers[i].value, p.size);\n", ""),
      edit(TRAINER, "      const auto& p = all[i];\n",
           "      const auto& p = all[i];\n"
           "      kernel<op::ema, D>::update(on_, op::ema{v.momentum}, p.value, teachers[i].value, p.size);\n")]),
    ("patch itself among its neighbors", [TINY_F32],
     [edit("ops/neighbor_topk.hpp", "if (n.include_self || i != r || j != c)", "if (true)"),
      edit("ops/neighbor_topk.hpp", "std::min(side, g.cols) - !include_self", "std::min(side, g.cols)")]),
    ("neighbors by dot product, not cosine", [TINY_F32],
     [edit("cpu/neighbor_topk.hpp", "(V::load(line + c) / (V::load(own + c) * V::load(other + c)))", "V::load(line + c)")]),
    ("clamped border taken for a torus", [CLAMPED],
     [edit("ops/neighbor_topk.hpp", "(n.edge == border::torus && size - d <= n.radius)", "size - d <= n.radius")]),
    ("empty slots attended to as zero vectors", [CLAMPED],
     [edit("cpu/neighbor_attention.hpp", "p[at(slot, h) + i] = -std::numeric_limits<T>::infinity();", "p[at(slot, h) + i] = T(0);")]),
    ("student aggregates neighbors too", [TINY_F32],
     [edit("nn/selfpatch_head.hpp", "return std::pair(norm(image), norm(tokens));",
           "const index side = index(std::lround(std::sqrt(double(tokens.extent(1)))));"
           " auto& chosen = *new neighbors<T, D>(neighbor_topk(value_of(tokens), grid{side, side}, {}));"
           " return std::pair(norm(image), norm(aggregate(tokens, chosen.index)));")]),
    ("drop path without the division", [DROP],
     [edit("ops/drop_path.hpp", "x.row(b)[i] + scale[b] * branch.row(b)[i]", "x.row(b)[i] + T(scale[b] != 0) * branch.row(b)[i]")]),
    ("one drop-path draw per block", [DROP],
     [edit("nn/vit.hpp", "draw ? draw + 1 : nullptr", "draw")]),
    ("image term also of a view with itself", [TINY_F32],
     [edit("ops/distill.hpp", "return S == 1 || s != u;", "return S == 1 || s != u || true;")]),
    ("patch term averaged over patches, not views", [TINY_F32],
     [edit(TRAINER, "w = T(double(w) / double(views));", "w = T(1.0 / double(row_weights_.size()) + 0 * double(views));")]),
    ("no gradient through the row norm", [TINY_F32],
     [edit("cpu/weight_norm.hpp", "(times * G[p] - v[p] * back)", "(times * G[p] - 0 * back)")]),
    ("student's patches without the final norm", [TINY_F32],
     [edit("nn/selfpatch_head.hpp", "norm(tokens));", "add(tokens, *new tensor<T, shape<1, W>, D>()));")]),
]

GXX = ["g++", "-std=c++20", "-O1", "-w", "-I", "include", "-I", "examples"]

DRIVER = """
#include "parity_models.hpp"
#include "parity_training.hpp"
#include <cstdio>
int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    parity::report r;
    const parity::fixture f(argv[i]);
    if (f.about().plain) parity::check_training<parity::model_32_2_4_dino, double>(f, r, nullptr);
    else parity::check_training<parity::model_32_2_4, double>(f, r, nullptr);
    r.print();
  }
}
"""


def copy_tree():
    if WORK.exists():
        shutil.rmtree(WORK)
    WORK.mkdir(parents=True)
    for folder in ("include", "examples"):
        shutil.copytree(ROOT / folder, WORK / folder)
    (WORK / "driver.cpp").write_text(DRIVER)
    subprocess.run([*GXX, "-c", "examples/models/parity_fixture.cpp", "-o", "fixture.o"], cwd=WORK, check=True)


def apply(edits):
    """Edits the copy; returns what to put back."""
    before = {}
    for path, old, new in edits:
        file = WORK / path
        text = file.read_text()
        before.setdefault(file, text)
        # line breaks are the formatter's: any space may be any white space, and some may follow a parenthesis
        pattern = re.sub(r"(?:\\ |\\\n)+", r"\\s+", re.escape(old)).replace(r"\(", r"\(\s*")
        if len(re.findall(pattern, text)) != 1:
            sys.exit(f"mistakes.py: {path} holds {len(re.findall(pattern, text))} times, not once: {old}")
        file.write_text(re.sub(pattern, lambda _: new, text))
    return before


def worst(fixtures):
    """Compiles the driver, runs it; the greatest figure in units of its tolerance, and where."""
    command = [*GXX, "driver.cpp", "fixture.o", "-o", "driver", "-pthread"]
    compiled = subprocess.run(command, cwd=WORK, capture_output=True, text=True)
    if compiled.returncode:
        return None, "does not compile: " + compiled.stderr[:400]
    greatest, at = -1.0, ""
    for f in fixtures:
        done = subprocess.run(["./driver", str(f)], cwd=WORK, capture_output=True, text=True)
        found = re.findall(r"worst (\S+) of its tolerance at (.+)", done.stdout)
        if not found:
            return float("inf"), "ends: " + (done.stderr or done.stdout)[-200:].strip()
        value = float(found[-1][0])
        if value > greatest or value != value:
            greatest, at = value, f"{f.name}: {found[-1][1]}"
    return greatest, at


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="numbers of mistakes, from 1, with commas")
    parser.add_argument("--markdown", type=Path, help="write the table to this file too")
    args = parser.parse_args()
    only = {int(n) for n in args.only.split(",")} if args.only else set(range(1, len(MISTAKES) + 1))

    copy_tree()
    began = time.time()
    mine = [f for f in (TINY_F32, PLAIN, DROP, TINY, CLAMPED) if f.exists()]
    value, at = worst(mine)
    print(f"unchanged: worst {value} at {at}")
    if value is None or not value <= 1:
        sys.exit("mistakes.py: the unchanged engine does not pass")
    rows, caught, missed, skipped = [], 0, 0, 0
    for n, (what, fixtures, edits) in enumerate(MISTAKES, 1):
        if n not in only:
            continue
        there = [f for f in fixtures if f.exists()]
        if not there:
            skipped += 1
            print(f"skipped: {n} {what}: no {fixtures[0].name}")
            continue
        before = apply(edits)
        value, at = worst(there)
        for file, text in before.items():
            file.write_text(text)
        good = value is not None and not value <= 1
        caught, missed = caught + good, missed + (not good)
        shown = "-" if value is None else f"{value:.0e}"
        rows.append(f"| {n} | {what} | {shown} | {'caught' if good else 'NOT CAUGHT'} |")
        print(f"{'caught' if good else 'MISSED'}: {n} {what}: {shown} of the tolerance, {at}")
        sys.stdout.flush()
    if args.markdown:
        args.markdown.write_text("| # | mistake | error / allowed | |\n|---|---|---|---|\n" + "\n".join(rows) + "\n")
    print(f"mistakes: {caught} caught, {missed} missed, {skipped} skipped in {time.time() - began:.0f} s")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
