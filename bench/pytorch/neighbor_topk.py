#!/usr/bin/env python3
"""PyTorch's side of neighbor_topk: the published formulation and the fastest we know, timed on a GPU or a CPU.

    bench/pytorch/neighbor_topk.py [--device cuda|cpu] [--ours LADDER_OUTPUT]

  original   normalize, gather the neighbors of every patch, batched product, topk, eagerly; half precision products on a
             GPU as under autocast
  tuned      the faster of the same and of shifted products without a gather, each with and without torch.compile

With --ours (what bench/ladder/neighbor_topk printed) a line `ratio matching ...` per case is added.
"""
import argparse
import re
import statistics
import time

import torch
import torch.nn.functional as F

CASES = [(256, 14, 384), (1024, 14, 384), (1024, 6, 384)]  # images, side, channels; k 4, radius 1, torus
K = 4


def neighbor_table(side, device):
    rows = [sorted(((y + dy) % side) * side + (x + dx) % side for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx)
            for y in range(side) for x in range(side)]
    return torch.tensor(rows, device=device)


def gathered(x, table):
    n = F.normalize(x, dim=-1)
    similarity = (n[:, table] @ n.unsqueeze(2).transpose(-2, -1)).squeeze(-1)
    best, slot = similarity.topk(K, dim=-1)
    return table.expand(x.shape[0], -1, -1).gather(2, slot), best


def shifted(x, table, side):
    n = F.normalize(x.float(), dim=-1).to(x.dtype).view(x.shape[0], side, side, -1)
    place = torch.arange(side * side, device=x.device).view(side, side)
    moves = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
    similarity = torch.stack([(n.float() * n.roll((-dy, -dx), (1, 2)).float()).sum(-1) for dy, dx in moves], -1)
    patches = torch.stack([place.roll((-dy, -dx), (0, 1)) for dy, dx in moves], -1).view(side * side, 8)
    best, slot = similarity.view(x.shape[0], -1, 8).topk(K, dim=-1)
    return patches.expand(x.shape[0], -1, -1).gather(2, slot), best


def microseconds(call, device, repetitions=30):
    """Median after warming up."""
    for _ in range(5):
        call()
    times = []
    for _ in range(repetitions):
        if device == "cuda":
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            begin.record()
            call()
            end.record()
            end.synchronize()
            times.append(begin.elapsed_time(end) * 1e3)
        else:
            began = time.perf_counter()
            call()
            times.append((time.perf_counter() - began) * 1e6)
    return statistics.median(times)


def ours_of(text, images, side, channels):
    """Microseconds of the launcher for a case, from what the ladder printed."""
    block = re.search(rf"bf16 {side}x{side}x{channels} radius 1 torus k {K}, {images} images.*?launcher +([\d.]+) us",
                      text, re.S)
    return float(block[1]) if block else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--ours")
    options = parser.parse_args()
    device = options.device
    text = open(options.ours, encoding="utf-8").read() if options.ours else ""
    name = torch.cuda.get_device_name().replace(" ", "_") if device == "cuda" else "cpu"

    for images, side, channels in CASES if device == "cuda" else [(2, 6, 64)]:
        torch.manual_seed(0)
        x = torch.randn(images, side * side, channels, device=device) + 0.7 * torch.randn(channels, device=device)
        half, table = x.bfloat16(), neighbor_table(side, device)
        first, second = gathered(half.float(), table), shifted(half, table, side)
        agree = float((first[1] - second[1]).abs().max())

        def original():
            with torch.autocast(device, dtype=torch.float16, enabled=device == "cuda"):
                return gathered(x, table)

        forms = {"gathered": lambda: gathered(half, table), "shifted": lambda: shifted(half, table, side)}
        fast_gathered, fast_shifted = torch.compile(gathered), torch.compile(shifted)
        forms["gathered, compiled"] = lambda: fast_gathered(half, table)
        forms["shifted, compiled"] = lambda: fast_shifted(half, table, side)
        times = {form: microseconds(call, device) for form, call in forms.items()}
        eager, tuned = microseconds(original, device), min(times, key=times.get)
        print(f"matching {side}x{side}x{channels} batch={images} device={name}: original {eager:.1f} us, "
              f"tuned {times[tuned]:.1f} us ({tuned}); the two forms differ by {agree:.1e}", flush=True)
        if ours := ours_of(text, images, side, channels):
            for peer, value in (("original", eager), ("tuned", times[tuned])):
                print(f"ratio matching {side}x{side}x{channels} batch={images} precision=bf16 peer={peer} "
                      f"{value / ours:.2f} (ours {ours:.1f}, peer {value:.1f} us) device={name}", flush=True)


if __name__ == "__main__":
    main()
