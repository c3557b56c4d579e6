#!/usr/bin/env python3
"""The course of a run as a table in Markdown, and its curves as pictures.

  scripts/run_table.py RUN [--rows 10] [--curves FOLDER]

RUN is a folder made by pretrain. Each row is the mean over its part of the run, so that one odd batch says nothing;
H is the entropy of the teacher's targets, M that of their mean, both as shares of ln K. --curves writes the loss and
entropy curves of RUN/report.html as FOLDER/loss_image.svg and so on.
"""
import argparse
import json
import pathlib
import re
import sys

FIGURES = {"Loss of the image term": "loss_image", "Loss of the patch term": "loss_patch",
           "Entropies of the image term": "entropy_image", "Entropies of the patch term": "entropy_patch"}


def mean(rows: list[dict], key: str) -> float:
    found = [r[key] for r in rows if r.get(key) is not None]
    return sum(found) / len(found) if found else float("nan")


def table(run: pathlib.Path, parts: int) -> str:
    lines = [json.loads(line) for line in open(run / "log.jsonl")]
    steps = [line for line in lines if "step" in line]
    out = [f"`{lines[0]['command']}`", "",
           "| steps | images | image: loss | H | M | KL | patch: loss | H | M | KL | spread | similarity | health |",
           "|" + "---|" * 13]
    groups = [[steps[0]]]
    rest = steps[1:]
    groups += [g for i in range(parts) if (g := rest[len(rest) * i // parts:len(rest) * (i + 1) // parts])]
    for g in groups:
        first, last = g[0]["step"], g[-1]["step"]
        cells = [str(first) if first == last else f"{first}-{last}", f"{g[-1]['images']:,}"]
        for term in "image", "patch":
            cells += [f"{mean(g, 'loss_' + term):.3f}", f"{mean(g, 'teacher_entropy_' + term):.3f}",
                      f"{mean(g, 'mean_teacher_entropy_' + term):.3f}", f"{mean(g, 'kl_' + term):.3f}"]
        cells += [f"{mean(g, 'feature_std'):.3f}", f"{mean(g, 'neighbor_similarity'):.3f}", g[-1]["health"]]
        out.append("| " + " | ".join(cells) + " |")
    end = lines[-1].get("end", {})
    out += ["", f"End: {end.get('images', 0):,} images, health {end.get('health', 'unknown')}"
            + (f": {end['verdict']}" if end.get("verdict") else "") + "."]
    return "\n".join(out)


def write_curves(run: pathlib.Path, folder: pathlib.Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    page = (run / "report.html").read_text()
    for svg, caption in re.findall(r"<figure[^>]*>(<svg.*?</svg>)(.*?)</figure>", page, re.S):
        for begin, name in FIGURES.items():
            if begin in caption:
                (folder / f"{name}.svg").write_text(svg + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=pathlib.Path)
    parser.add_argument("--rows", type=int, default=10)
    parser.add_argument("--curves", type=pathlib.Path)
    a = parser.parse_args()
    try:
        print(table(a.run, a.rows))
        if a.curves:
            write_curves(a.run, a.curves)
    except OSError as e:
        print(f"run_table.py: {e}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
