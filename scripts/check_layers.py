#!/usr/bin/env python3
"""Includes point down: a file of include/selfpatch/FOLDER/ sees its own folder and folders of lower rank only.

Also: the library includes itself as <selfpatch/...>, and nothing under include/ knows of CUDA.
"""

import os
import pathlib
import re
import sys

RANK = {"core": 0, "autograd": 1, "data": 1, "io": 1, "dist": 1, "ops": 2, "cpu": 3, "cuda": 3, "nn": 3,
        "train": 4, "eval": 4}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
CUDA = re.compile(r"\b(__global__|__device__|__host__|__shared__|__CUDACC__|__CUDA_ARCH__|cudaStream_t|cudaError_t|"
                  r"cuda[A-Z]\w*|cublas\w*|cudnn\w*|nccl[A-Z]\w*|threadIdx|blockIdx|blockDim|gridDim)\b|<<<|"
                  r"^\s*#\s*include\s*[<\"](cuda|cublas|cudnn|nccl|cooperative_groups|cub/|thrust/|selfpatch/cuda/)")
COMMENT_OR_TEXT = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.S)


def folder_of(path):
    """'ops' of selfpatch/ops/linear.hpp; '' of selfpatch/selfpatch.hpp and selfpatch/ops.hpp."""
    parts = pathlib.PurePosixPath(path).parts
    return parts[1] if len(parts) > 2 else ""


def is_umbrella(path):
    """selfpatch/selfpatch.hpp may see everything; selfpatch/ops.hpp lists the folder of its name."""
    return folder_of(path) == "" and pathlib.PurePosixPath(path).stem == "selfpatch"


def rank_and_folder(path):
    folder = folder_of(path) or pathlib.PurePosixPath(path).stem
    return RANK.get(folder), folder


def problems_of(path, text, device_side):
    """Sentences for all that is wrong with one file; `path` begins with selfpatch/."""
    own_rank, own = rank_and_folder(path)
    if own_rank is None and not is_umbrella(path):
        yield f"{path}: {own} is no layer; the layers are {', '.join(RANK)}"
        return
    for number, line in enumerate(text.splitlines(), 1):
        found = INCLUDE.match(line)
        if not found:
            continue
        quote, target = found.groups()
        if quote == '"':
            yield f'{path}:{number}: includes "{target}"; headers of the library are included as <selfpatch/...>'
        if not target.startswith("selfpatch/") or is_umbrella(path):
            continue
        rank, folder = rank_and_folder(target)
        if rank is None:
            yield f"{path}:{number}: includes {target}, which is above every layer"
        elif folder != own and rank >= own_rank:
            where = "beside" if rank == own_rank else "above"
            yield f"{path}:{number}: {own} includes {target}, which is {where} it"
    if device_side:
        return
    code = COMMENT_OR_TEXT.sub(lambda m: "\n" * m[0].count("\n") if not m[0].startswith('"') else '""', text)
    for number, (line, whole) in enumerate(zip(code.splitlines(), text.splitlines()), 1):
        found = CUDA.search(whole if INCLUDE.match(whole) else line)
        if found:
            yield f"{path}:{number}: knows of CUDA: {found[0].strip()}"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[1])
    count, wrong = 0, []
    for side, ending in (("include", "*.hpp"), ("kernels", "*.cuh")):
        for file in sorted((root / side).rglob(ending)):
            path = file.relative_to(root / side).as_posix()
            wrong += problems_of(path, file.read_text(encoding="utf-8"), side == "kernels")
            count += 1
    print(*wrong, sep="\n", end="\n" if wrong else "")
    print(f"layers: {count} headers, {len(wrong)} wrong")
    if results := os.environ.get("SELFPATCH_RESULTS"):
        with open(results, "a", encoding="utf-8") as out:
            out.write(f"{'failed' if wrong else 'passed'}\tincludes point down in {count} headers\n")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
