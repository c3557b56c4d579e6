#!/usr/bin/env python3
"""Neighbor matching in PyTorch beside ours: x [B, 14 * 14, C] -> the k most similar of 8 torus neighbors.

    python bench/pytorch/matching.py --ours build/cpu/bin/microbench --batch 16 --threads 1

Formulations, each in a process of its own, measured in turn with ours:

    original            as published: similarity with a copy of all candidates, top-k, the chosen features gathered
    original_index      the same up to the indices, which is what all below and ours end with
    rolls               unit rows, four products with rolled maps; a pair is multiplied once
    norms               the same of the rows as they are; products are divided by the lengths
    pairs               unit rows, one matrix product of all pairs of an image

The last three also under torch.compile; `tuned` is the fastest of these six. A time is that of one call, the median
over rounds of the medians of a round: with one thread the processor's, which other programs do not lengthen, with more
the clock's. From 64 images on inputs are rotated through 512 MiB, on both sides.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

GRID, WIDTH = (14, 14), {"tiny": 192, "small": 384, "base": 768}
TUNED = [form + suffix for form in ("rolls", "norms", "pairs") for suffix in ("", "+compile")]
FORMS = ["original", "original_index"] + TUNED
AHEAD = ((0, 1), (1, -1), (1, 0), (1, 1))
WORKING_SET = 512 << 20


# ---- the formulations -----------------------------------------------------------------------------------------------

def window(torch):
    """The 8 neighbors of every patch, ascending."""
    rows, cols = GRID
    near = [sorted((r + dr) % rows * cols + (c + dc) % cols for dr in (-1, 0, 1) for dc in (-1, 0, 1) if dr or dc)
            for r in range(rows) for c in range(cols)]
    return torch.tensor(near)


def original_index(torch, k):
    table = window(torch)

    def slots(x):
        unit = torch.nn.functional.normalize(x, dim=-1)
        return (unit[:, table] @ unit.unsqueeze(2).transpose(-2, -1)).squeeze(-1).topk(k, dim=-1)[1]
    return slots, lambda x: table.expand(len(x), -1, -1).gather(-1, slots(x))


def original(torch, k):
    table = window(torch)
    slots, _ = original_index(torch, k)

    def features(x):
        best = slots(x).view(-1, k, 1).expand(-1, -1, x.shape[-1])
        return x[:, table].view(-1, table.shape[1], x.shape[-1]).gather(1, best)
    return features, lambda x: table.expand(len(x), -1, -1).gather(-1, slots(x))


def of_rolls(torch, k, prepare):
    """prepare(map) -> (rows to multiply, what to divide the products by or None)"""
    number = torch.arange(GRID[0] * GRID[1]).view(1, *GRID)

    def index(x):
        rows, length = prepare(x.view(len(x), *GRID, -1))
        scores, numbers = [], []
        for dy, dx in AHEAD:
            def back(a):
                return a.roll((-dy, -dx), (1, 2))
            ahead = (rows * back(rows)).sum(dim=-1)
            if length is not None:
                ahead = ahead / (length * back(length))
            scores += [ahead, ahead.roll((dy, dx), (1, 2))]
            numbers += [back(number), number.roll((dy, dx), (1, 2))]
        best = torch.stack(scores, dim=-1).topk(k, dim=-1)[1]
        return torch.stack(numbers, dim=-1).expand(len(x), -1, -1, -1).gather(-1, best).flatten(1, 2)
    return index, index


def rolls(torch, k):
    return of_rolls(torch, k, lambda x: (torch.nn.functional.normalize(x, dim=-1), None))


def norms(torch, k):
    return of_rolls(torch, k, lambda x: (x, x.norm(dim=-1).clamp_min(1e-12)))


def pairs(torch, k):
    table = window(torch)

    def index(x):
        unit = torch.nn.functional.normalize(x, dim=-1)
        here = table.expand(len(x), -1, -1)
        return here.gather(-1, (unit @ unit.mT).gather(-1, here).topk(k, dim=-1)[1])
    return index, index


# ---- one formulation, in a process of its own -----------------------------------------------------------------------

def wrong_share(torch, index, x, k):
    """The share of patches with a choice that is clearly worse than the best in double, over two images."""
    x = x[:2].double()
    unit = torch.nn.functional.normalize(x, dim=-1)
    every = unit @ unit.mT
    near = every.gather(-1, window(torch).expand(len(x), -1, -1))
    chosen = every.gather(-1, index[:2])
    return ((near.topk(k, dim=-1)[0] - chosen).abs().amax(-1) > 2e-2).double().mean().item()


def worker(form, o):
    """Prints a line when ready, then answers every line of stdin with the times of one round."""
    import torch
    torch.set_num_threads(o.threads)
    torch.manual_seed(0)
    now = time.thread_time if o.threads == 1 else time.perf_counter
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[o.precision]
    shape = (o.batch, GRID[0] * GRID[1], WIDTH[o.arch])
    bytes_each = shape[0] * shape[1] * shape[2] * dtype.itemsize
    count = -(-WORKING_SET // bytes_each) if o.batch >= 64 else 1
    inputs = [torch.randn(shape).to(dtype) for _ in range(count)]
    name, _, compiled = form.partition("+")
    run, index = globals()[name](torch, o.k)
    if compiled:
        run = index = torch.compile(run)
    with torch.inference_mode():
        if (share := wrong_share(torch, index(inputs[0]), inputs[0], o.k)) > (0.001 if dtype == torch.float32 else 0.2):
            sys.exit(f"matching.py: {form} chooses wrongly for {share:.1%} of the patches")
        for x in inputs[:3]:
            run(x)
        turn = 0
        print(json.dumps({"torch": torch.__version__}), flush=True)
        for _ in sys.stdin:
            times = []
            while len(times) < 5 or sum(times) < o.seconds:
                start = now()
                run(inputs[turn % count])
                times.append(now() - start)
                turn += 1
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(json.dumps({"us": 1e6 * statistics.median(times), "peak": peak}), flush=True)


class Peer:
    def __init__(self, form, o):
        command = [sys.executable, __file__, "--worker", form, "--ours", o.ours]
        for name in ("batch", "threads", "precision", "arch", "k", "seconds"):
            command += ["--" + name, str(getattr(o, name))]
        self.form, self.rounds, self.peak = form, [], 0.0
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()
        self.alive = bool(line)
        self.torch = json.loads(line)["torch"] if line else ""

    def measure(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        self.rounds.append(answer["us"])
        self.peak = answer["peak"]

    def end(self):
        self.process.stdin.close()
        self.process.wait()


class Ours:
    """bin/microbench: short repetitions, of which the median counts."""

    def __init__(self, o):
        self.form, self.rounds, self.peak = "ours", [], 0.0
        self.command = [o.ours, "--benchmark_filter=^neighbor_topk/asked", f"--benchmark_min_time={o.seconds / 15:.3f}",
                        "--benchmark_repetitions=15", "--benchmark_format=json"]
        self.clock = "cpu_time" if o.threads == 1 else "real_time"
        self.environment = {**os.environ, "MATCHING": f"{o.batch} {WIDTH[o.arch]} {o.k} {o.threads} {o.precision}"}

    def measure(self):
        process = subprocess.Popen(self.command, env=self.environment, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, text=True)
        said = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        if status:
            sys.exit(f"matching.py: {self.command[0]} ended with {os.waitstatus_to_exitcode(status)}")
        runs = [run for run in json.loads(said)["benchmarks"] if run["run_type"] == "iteration"]
        self.rounds.append(statistics.median(run[self.clock] for run in runs))
        self.peak = used.ru_maxrss / 1024


# ---- in turn --------------------------------------------------------------------------------------------------------

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", required=True, help="bin/microbench")
    parser.add_argument("--arch", choices=WIDTH, default="small")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--k", type=int, choices=range(1, 9), default=4, metavar="1..8")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.3, help="of one formulation in one round")
    parser.add_argument("--worker", choices=FORMS, help=argparse.SUPPRESS)
    o = parser.parse_args()
    if o.batch < 1 or o.threads < 1 or o.rounds < 1:
        parser.error("--batch, --threads and --rounds are at least 1")
    if o.worker:
        return worker(o.worker, o)

    peers = [Peer(form, o) for form in FORMS]
    for peer in peers:
        if not peer.alive:
            print(f"matching.py: {peer.form} does not run here", file=sys.stderr)
    peers = [peer for peer in peers if peer.alive]
    tuned = [peer for peer in peers if peer.form in TUNED]
    if not tuned or peers[0].form != "original":
        sys.exit("matching.py: PyTorch does not run here; give --python one that has it")
    ours = Ours(o)
    for _ in range(o.rounds):
        for one in [ours, *peers]:
            one.measure()
    for peer in peers:
        peer.end()

    def us(one):
        return statistics.median(one.rounds) / o.batch
    print(f"torch {peers[0].torch}; us per 14x14x{WIDTH[o.arch]} map, median of {o.rounds} rounds (least .. most)",
          file=sys.stderr)
    for one in [ours, *peers]:
        print(f"  {one.form:16} {us(one):9.2f}  ({min(one.rounds) / o.batch:.2f} .. {max(one.rounds) / o.batch:.2f})"
              f"  {us(one) / us(ours):7.1f} x ours", file=sys.stderr)
    for name, peer in (("original", peers[0]), ("tuned", min(tuned, key=us))):
        print(f"ratio matching {o.arch} batch={o.batch} threads={o.threads} precision={o.precision} peer={name} "
              f"{us(peer) / us(ours):.2f} (ours {us(ours):.2f}, peer {us(peer):.2f} us/map, "
              f"memory {peer.peak / ours.peak:.2f})")


main()
