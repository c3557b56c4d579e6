#!/usr/bin/env python3
"""A training step, or features, in PyTorch beside ours, in turn in one run.

    python bench/pytorch/step.py --ours build/cpu/bin/microbench --what step --arch vit_tiny16 --batch 4 --threads 1

The peers are the two forms of network.py, each in a process of its own: `original`, and `tuned` with and without
torch.compile, of which the faster counts. A round measures every form once; a figure is the median over rounds. Memory
is the largest of the process: with PyTorch itself, whose libraries take some 500 MiB.
"""
import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

FORMS = ["original", "tuned", "tuned+compile"]


def make(o, form: str):
    import torch

    import network
    torch.set_num_threads(o.threads)
    torch.manual_seed(0)
    tuned, compiled = form.startswith("tuned"), form.endswith("compile")
    if o.what == "step":
        run = network.Step(o.arch, o.batch, tuned, compiled)
    else:
        backbone = network.Backbone(*network.ARCHITECTURES[o.arch], tuned=tuned).eval()
        see = torch.compile(backbone) if compiled else backbone
        pictures = [torch.randn(o.batch, 3, 224, 224) for _ in range(4)]
        turn = iter(range(1 << 30))

        def run():
            with torch.inference_mode():
                see(pictures[next(turn) % 4])
    if o.precision == "bf16":
        inner = run

        def run():
            with torch.autocast("cpu", torch.bfloat16):
                inner()
    return run


def worker(o) -> None:
    """Prints a line when ready, then answers every line of stdin with the time of one round in ms."""
    run = make(o, o.worker)
    for _ in range(2):
        run()
    print("ready", flush=True)
    for _ in sys.stdin:
        times = []
        while not times or sum(times) < o.seconds:
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"ms": 1e3 * statistics.median(times), "peak": peak}), flush=True)


class Peer:
    def __init__(self, form: str, o):
        command = [sys.executable, __file__, "--worker", form, "--ours", o.ours]
        for name in "what", "arch", "batch", "threads", "precision", "seconds":
            command += ["--" + name, str(getattr(o, name))]
        self.form, self.rounds, self.peak = form, [], 0.0
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        stderr=subprocess.DEVNULL)
        self.alive = bool(self.process.stdout.readline())

    def measure(self) -> None:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        self.rounds.append(answer["ms"])
        self.peak = answer["peak"]

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait()


class Ours:
    def __init__(self, o):
        case = f"^{o.what}/{o.arch}/{o.batch}/threads:{o.threads}/real_time$"
        self.command = [o.ours, "--benchmark_filter=" + case, f"--benchmark_min_time={o.seconds}",
                        "--benchmark_format=json"]
        self.form, self.rounds, self.peak = "ours", [], 0.0

    def measure(self) -> None:
        process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        said = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        runs = json.loads(said)["benchmarks"] if not status and said.strip() else []
        if not runs:
            sys.exit(f"step.py: {' '.join(self.command)} measured nothing")
        self.rounds.append(runs[0]["real_time"])
        self.peak = used.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", required=True, help="bin/microbench")
    parser.add_argument("--what", choices=["step", "features"], default="step")
    parser.add_argument("--arch", choices=["vit_tiny16", "vit_small16"], default="vit_tiny16")
    parser.add_argument("--batch", type=int, choices=[1, 4, 16], default=4)
    parser.add_argument("--threads", type=int, choices=[1, 2], default=min(2, os.cpu_count() or 1))
    parser.add_argument("--precision", choices=["f32"], default="f32", help="of both")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3, help="of one form in one round, at least")
    parser.add_argument("--worker", choices=FORMS, help=argparse.SUPPRESS)
    o = parser.parse_args()
    if o.worker:
        return worker(o)
    ours, peers = Ours(o), []
    for form in FORMS:  # one after the other: compiling beside another would be measured with it
        peers.append(Peer(form, o))
        if not peers[-1].alive:
            print(f"step.py: {form} does not run here", file=sys.stderr)
            peers.pop()
    if len(peers) < 2 or peers[0].form != "original":
        sys.exit("step.py: PyTorch does not run here; give --python one that has it")
    for _ in range(o.rounds):
        for one in [ours, *peers]:
            one.measure()
    for peer in peers:
        peer.end()

    def ms(one) -> float:
        return statistics.median(one.rounds)
    for one in [ours, *peers]:
        print(f"  {one.form:14} {ms(one):9.1f} ms  ({min(one.rounds):.1f} .. {max(one.rounds):.1f})  "
              f"{one.peak:7.0f} MiB", file=sys.stderr)
    for name, peer in ("original", peers[0]), ("tuned", min(peers[1:], key=ms)):
        print(f"ratio {o.what} {o.arch} batch={o.batch} threads={o.threads} precision={o.precision} peer={name} "
              f"{ms(peer) / ms(ours):.2f} (ours {ms(ours):.1f}, peer {ms(peer):.1f} ms, "
              f"memory {peer.peak / ours.peak:.2f})", flush=True)


main()
