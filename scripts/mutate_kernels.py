#!/usr/bin/env python3
"""Plants known faults in a copy of the CUDA kernels, one at a time, and shows that the tests on the CPU find each.

    scripts/mutate_kernels.py [--quick] [--only TEXT] [--markdown FILE] [--jobs N]

Each fault is an edit of a header of kernels/; the tests of that kernel (tests/simt) are compiled against the copy and
run until the first that fails. The unchanged kernels must pass. --quick plants three, and leaves the unchanged ones to
the test suite. Status 1 if a fault survives that is not listed as one the tests cannot see.
"""
import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "mutants"
CUDA = "kernels/selfpatch/cuda"


class Kernel:
    """Which test file tells, and which of its cases (a Catch2 pattern)."""

    def __init__(self, name, file, test, cases=""):
        self.name, self.file, self.test, self.cases = name, f"{CUDA}/{file}", test, cases


RUNGS = "~neighbor_topk for any shape*"
ANY = Kernel("any_shape", "neighbor_topk/any_shape.cuh", "neighbor_topk")
RANKING = Kernel("ranking", "neighbor_topk/ranking.cuh", "neighbor_topk", RUNGS)
MATCHING = Kernel("matching", "neighbor_topk/matching.cuh", "neighbor_topk", RUNGS)
IMAGE = Kernel("image", "neighbor_topk/image.cuh", "neighbor_topk", RUNGS)
GRAM = Kernel("gram", "neighbor_topk/gram.cuh", "neighbor_topk", RUNGS)
DIRECT = Kernel("direct", "neighbor_topk/direct.cuh", "neighbor_topk", RUNGS)
RING = Kernel("ring", "neighbor_topk/ring.cuh", "neighbor_topk", RUNGS)
LAUNCH = Kernel("launch", "neighbor_topk/launch_rungs.cuh", "neighbor_topk", RUNGS)
CHOICE = Kernel("launcher", "neighbor_topk.cuh", "neighbor_topk", RUNGS)
WARP = Kernel("warp", "warp.cuh", "neighbor_topk", RUNGS)
ATTEND = Kernel("attention forward", "neighbor_attention/forward.cuh", "neighbor_attention")
GRADIENT = Kernel("attention backward", "neighbor_attention/backward.cuh", "neighbor_attention")
SHARED_QUERY = Kernel("shared query", "neighbor_attention/shared_query.cuh", "neighbor_attention")
LANES = Kernel("head lanes", "neighbor_attention/head_lanes.cuh", "neighbor_attention")
ATTENTION = Kernel("attention launcher", "neighbor_attention.cuh", "neighbor_attention")
WINDOW = Kernel("window", "neighbor_window.cuh", "neighbor_attention")
STORES = Kernel("stores", "stores.cuh", "neighbor_attention")
STORES_16 = Kernel("stores", "stores.cuh", "neighbor_attention_16_bit")
SIMILARITY = Kernel("similarity backward", "neighbor_similarity.cuh", "neighbor_similarity")

# (kernel, fault, [(old, new), ...], why it may survive)
FAULTS = [
    (ANY, "no wrap on a torus", [("first + i < size ? first + i : first + i - size", "least(first + i, size - 1)")], None),
    (ANY, "candidates of small grids met twice", [("count = least(2 * radius + 1, extent)", "count = 2 * radius + 1")], None),
    (ANY, "sums read before they are all there", [("patch, sum);\n  __syncwarp();", "patch, sum);")], None),
    (ANY, "keys written over squares still to be read",
     [("load_shared(&sum[self].squares);\n  __syncwarp();", "load_shared(&sum[self].squares);")], None),
    (ANY, "ranked before all keys are there", [("empty_key);\n  }\n  __syncwarp();", "empty_key);\n  }")], None),
    (ANY, "the patch itself among its candidates", [("m != self || w.include_self", "true")], None),
    (ANY, "the patch itself never a candidate", [("m != self || w.include_self", "m != self")], None),
    (ANY, "equal keys rank behind each other", [("load_shared(&key[other]) > own", "load_shared(&key[other]) >= own")], None),
    (ANY, "empty slots left as they are", [("slot < found.k; slot += warp_size", "slot < 0; slot += warp_size")], None),
    (ANY, "the last block writes past the end", [("if (p >= patches) return;", "")], None),
    (ANY, "candidates past the window are read",
     [("patch(least(m + i, count - 1))", "patch(m + i)")],
     "a read of features nobody uses, perhaps behind their end: memory outside the arena is watched by ASan only"),
    (RANKING, "the higher patch among equals",
     [("std::uint32_t(~patch)", "std::uint32_t(patch + 1)"), ("int(~std::uint32_t(key))", "int(std::uint32_t(key)) - 1")], None),
    (RANKING, "NaN last", [("order = ~0u", "order = 0x00800000u")], None),
    (RANKING, "-0 below 0", [("similarity + 0.f", "similarity")], None),
    (RANKING, "no least length", [("l < 1e-12f ? 1e-12f : l", "l")], None),
    (RANKING, "dot product instead of cosine", [("dot / (length_of(squares_a) * length_of(squares_b))", "dot")], None),
    (RANKING, "a better key replaces the best only", [("before ? best[i] : key", "key")], None),
    (MATCHING, "backward products from the wrong patch", [("entry(q, M::slots - 1 - s", "entry(p, M::slots - 1 - s")], None),
    (MATCHING, "more than k written", [("if (i < found.k) found.put", "found.put")], None),
    (MATCHING, "neighbors across a clamped border", [("|| x < 0 || x >= Cols", "")], None),
    (MATCHING, "no wrap to the first row", [("y >= Rows ? y - Rows : y", "y >= Rows ? Rows - 1 : y")], None),
    (GRAM, "no wrap in a row", [("dx > M::radius ? dx - M::cols : dx < -M::radius ? dx + M::cols : dx", "dx")], None),
    (GRAM, "backward pairs stored too", [("(dy == 0 && dx > 0)", "dy == 0")], None),
    (GRAM, "pairs too far apart stored too", [("dy > M::radius || ", "")], None),
    (GRAM, "squares not stored", [("if (q == 0 && a == b) return", "if (q == 0 && a == b && a) return")], None),
    (IMAGE, "barriers used before they are initialized", [("barrier_fence();\n  }\n  __syncthreads();", "barrier_fence();\n  }")], None),
    (IMAGE, "no wait for the row below", [("arrived[below].wait(0);", "")], None),
    (IMAGE, "no wait for the row", [("arrived[y].wait(0);", "")], None),
    (IMAGE, "chosen before all products are there",
     [("multiply_row<M>(image, y, below, table);\n  }\n  __syncthreads();", "multiply_row<M>(image, y, below, table);\n  }")], None),
    (IMAGE, "16 bytes fewer expected", [("expect(P::row_bytes)", "expect(P::row_bytes - 16)")], None),
    (IMAGE, "barriers wait for two arrivals", [("arrived[y].init(1)", "arrived[y].init(2)")], None),
    (IMAGE, "the register window slides too far", [("southwest = south;\n    south = southeast;", "south = southeast;\n    southwest = south;")], None),
    (IMAGE, "rows of the next image", [("(long(blockIdx.x) * M::rows + y)", "(long(blockIdx.x / 2) * M::rows + y)")], None),
    (DIRECT, "chosen before all products are there", [("__syncthreads();", "")], None),
    (DIRECT, "halves of a factor exchanged",
     [("up[n][q].word[h], up[n][q].word[h + 1]", "up[n][q].word[h + 1], up[n][q].word[h]")], None),
    (DIRECT, "the wrong rows at the wrap", [("M::torus ? g + q - P::groups : g", "g")], None),
    (DIRECT, "images past the last written", [("if (image < images)\n", "")], None),
    (DIRECT, "half of the channels", [("c < M::channels; c += P::step", "c < M::channels / 2; c += P::step")], None),
    (RING, "rows released while lanes still read them", [("__syncwarp();  // all lanes have read the rows, and written", "")], None),
    (RING, "a slot is free after one warp", [("empty[i].init(P::compute)", "empty[i].init(1)")], None),
    (RING, "no wait for a free table", [("if (table.lap > 0) memory.free[table.at].wait(table.lap - 1);", "")], None),
    (RING, "no wait for a ready table", [("memory.ready[table.at].wait(table.lap);", "")], None),
    (RING, "slots filled before they are free", [("if (slot.lap > 0) memory.empty[slot.at].wait(slot.lap - 1);", "")], None),
    (RING, "slots read before they are full", [("memory.full[next.at].wait(next.lap);", "")], None),
    (RING, "a wait for the use before", [("wait(next.lap)", "wait(next.lap ? next.lap - 1 : 0)")], None),
    (RING, "halves of a factor exchanged", [("part[q][n][0], part[q][n][2]", "part[q][n][2], part[q][n][0]")], None),
    (RING, "16 bytes fewer expected", [("expect(P::group * M::channels * 2)", "expect(P::group * M::channels * 2 - 16)")], None),
    (RING, "the wrong rows at the wrap", [("e < P::groups ? e : e - P::groups", "e < P::groups ? e : P::groups - 1")], None),
    (RING, "rows of the wrap never released", [("memory.empty[slot[q]].arrive();", "")], None),
    (RING, "a table given back before it is read",
     [("memory.ready[table.at].wait(table.lap);",
       "memory.ready[table.at].wait(table.lap);\n    if (lane() == 0) memory.free[table.at].arrive();"),
      ("__syncwarp();\n    if (lane() == 0) memory.free[table.at].arrive();", "__syncwarp();")], None),
    (RING, "a table given back while lanes still read it",
     [("__syncwarp();\n    if (lane() == 0) memory.free", "if (lane() == 0) memory.free")], None),
    (RING, "one warp is not counted as done", [("ready[i].init(P::compute)", "ready[i].init(P::compute - 1)")], None),
    (RING, "groups ahead are not moved up", [("slot[q] = slot[q + 1]", "slot[q] = slot[q]")], None),
    (RING, "an arrival that does not wait for the lanes' copies", [("arrive_after_copies(full)", "full->arrive()")], None),
    (RING, "barriers used before they are initialized", [("memory.init();\n  __syncthreads();", "memory.init();")], None),
    (RING, "initialized barriers not made visible to the copy engine", [("    barrier_fence();\n", "")],
     "memory order between the threads and the copy engine is not modelled"),
    (WARP, "half of the lanes left out", [("by = N; by < warp_size", "by = 2 * N; by < warp_size")], None),
    (WARP, "kept and given values exchanged", [("upper ? v[i + half] : v[i], give = upper ? v[i] : v[i + half]",
                                               "upper ? v[i] : v[i + half], give = upper ? v[i + half] : v[i]")], None),
    (LAUNCH, "the last patches have no block", [("(patches + any_shape::warps - 1) / any_shape::warps", "patches / any_shape::warps")], None),
    (LAUNCH, "the last images have no block", [("(images + P::images - 1) / P::images", "(images + P::images) / P::images - 1")], None),
    (CHOICE, "the table serves what it does not know: the patch itself", [("!w.include_self && ", "")], None),
    (CHOICE, "the table serves what it does not know: a greater k", [(" && found.k <= K", "")], None),
    (CHOICE, "the table serves what it does not know: a clamped border", [("w.torus == Torus && ", "")], None),
    (WINDOW, "the patch itself in the place of another", [("    m += m >= skipped;\n", "")], None),
    (WINDOW, "the last patch of the window left out where the patch itself counts",
     [("size(down.count * along.count - !g.include_self)", "size(down.count * along.count - 1)")], None),
    (WINDOW, "loops end before the window does", [("least(side, g.cols) - !g.include_self", "least(side, g.cols) - 1")], None),
    (WINDOW, "every slot taken for the first", [("== token) << j", "== token) << 0")], None),
    (STORES, "written over instead of added to", [("add ? sum[i] + from[i] : from[i]", "from[i]")], None),
    (STORES_16, "the two values of a word exchanged",
     [("pair_of<T>::pack(from[2 * i], from[2 * i + 1])", "pair_of<T>::pack(from[2 * i + 1], from[2 * i])")], None),
    (LANES, "channels of the next head read", [("Full || channel(m) < P", "true")], None),
    (LANES, "sums over half an octet", [("warp_sum<octet_size>", "warp_sum<octet_size / 2>")], None),
    (ATTEND, "staged rows used before they are there", [("wait_copies<0>();", "")], None),
    (ATTEND, "rows of other threads used before they are there", [("__syncthreads();", "")], None),
    (ATTEND, "values staged over the keys", [("s.P, memory + s.N * s.P)", "s.P, memory)")], None),
    (ATTEND, "the last queries of an image left out", [("first < s.N; first += octets", "first + octets <= s.N; first += octets")], None),
    (ATTEND, "empty slots attended to", [("token[j] < 0 ? 0.f : exp2_fast", "exp2_fast")], None),
    (ATTEND, "the peak without the neighbors", [("if (token[j] >= 0) peak = most(peak, prob[j + 1]);", "")], None),
    (ATTEND, "the peak with empty slots", [("if (token[j] >= 0) peak =", "peak =")], None),
    (ATTEND, "values weighted by the slot before", [("Lane::accumulate(out, prob[j + 1], row)", "Lane::accumulate(out, prob[j], row)")], None),
    (ATTEND, "scores not scaled", [("1.4426950408889634f / sqrtf(float(in.s.P))", "1.4426950408889634f")], None),
    (ATTEND, "e taken for 2", [("1.4426950408889634f", "1.f")], None),
    (ATTEND, "rows of the first image", [("{x + (long(image) * s.N * s.H + head) * s.P, s.W()}", "{x + head * s.P, s.W()}")], None),
    (ATTEND, "probabilities of another head", [("{p + (long(image) * s.N * s.H + head) * (s.k + 1), s.H * (s.k + 1)}",
                                               "{p + (long(image) * s.N * s.H) * (s.k + 1), s.H * (s.k + 1)}")], None),
    (ATTEND, "slots of the patch before", [("token[j] = j < k ? index.at(i, j) : -1", "token[j] = j < k ? index.at(i ? i - 1 : 0, j) : -1")], None),
    (ATTEND, "octets past the end write too", [("  if (!live) return;\n", "")],
     "they serve the last query once more and write the same values"),
    (GRADIENT, "ds without the mean", [("prob[j] * (ds[j] - mean) * scale", "prob[j] * ds[j] * scale")], None),
    (GRADIENT, "ds not scaled", [("prob[j] * (ds[j] - mean) * scale", "prob[j] * (ds[j] - mean)")], None),
    (GRADIENT, "the mean without the own value", [("float mean = prob[0] * ds[0]", "float mean = 0")], None),
    (GRADIENT, "octets past the end add their query again", [("  if (!live) return;\n\n  put_first", "  put_first")], None),
    (GRADIENT, "octets past the end add their patch again", [("  if (!live) return;\n  if (d.k)", "  if (d.k)")], None),
    (GRADIENT, "dk weighted by p", [("sum_of_slots(named, from.ds, i)", "sum_of_slots(named, from.p, i)")], None),
    (GRADIENT, "a patch named twice counted once", [("slots &= slots - 1", "slots = 0")], None),
    (GRADIENT, "the patch of a lane of another octet",
     [("__shfl_sync(all_lanes, other, c, octet_size)", "__shfl_sync(all_lanes, other, c)")], None),
    (GRADIENT, "the slots of a lane of another octet",
     [("__shfl_sync(all_lanes, slots, c, octet_size)", "__shfl_sync(all_lanes, slots, c)")], None),
    (GRADIENT, "eight patches of the window only", [("first < all; first += octet_size", "first < 1; first += octet_size")], None),
    (GRADIENT, "the last patch of the window left out", [("if (mine < window.size)\n", "if (mine < window.size - 1)\n")], None),
    (GRADIENT, "staged rows used before they are there", [("  wait_copies<0>();\n", "")], None),
    (GRADIENT, "rows of other threads used before they are there",
     [("wait_copies<0>();\n  __syncthreads();", "wait_copies<0>();")], None),
    (GRADIENT, "ds of other threads used before it is there", [("value); });\n  }\n  __syncthreads();", "value); });\n  }")], None),
    (GRADIENT, "ds written over p", [("{saved + probabilities, s.k + 1}", "{saved, s.k + 1}")], None),
    (GRADIENT, "too little shared memory", [("2 * (s.k + 1) * 4", "(s.k + 1) * 4")], None),
    (SHARED_QUERY, "shares summed before they are there", [("__syncthreads();", "")], None),
    (SHARED_QUERY, "the last query left out", [("shared_query_run, queries);", "shared_query_run, queries - 1);")], None),
    (SHARED_QUERY, "probabilities of the first head", [("+ c / s.P) * (s.k + 1)", ") * (s.k + 1)")], None),
    (SHARED_QUERY, "written over instead of added to", [("add ? sum + float(y[col]) : sum", "sum")], None),
    (SHARED_QUERY, "shares of seven warps", [("i < row_shares; ++i", "i < row_shares - 1; ++i")], None),
    (SHARED_QUERY, "one share of the rows", [("r += row_shares", "r += 2 * row_shares")], None),
    (ATTENTION, "the last octets have no block", [("(s.pairs() + per_block - 1) / per_block", "(s.pairs() + per_block) / per_block - 1")], None),
    (ATTENTION, "an instance with too few slots", [("s.k <= 4", "s.k <= 5")], None),
    (ATTENTION, "an instance with too few channels", [("if (P <= 64)", "if (P <= 128)")], None),
    (ATTENTION, "no sums for a query that serves all", [("if (s.shared && (d.q", "if (!s.shared && (d.q")], None),
    (ATTENTION, "a workspace without the partial sums", [("(s.shared ? 3L *", "(!s.shared ? 3L *")], None),
    (SIMILARITY, "only where the patch chose", [("linked = chose || was_chosen", "linked = chose")], None),
    (SIMILARITY, "only where the patch was chosen", [("linked = chose || was_chosen", "linked = was_chosen")], None),
    (SIMILARITY, "neighbors not made unit vectors", [("/ length_of(row.squares())", "")], None),
    (SIMILARITY, "no term along the patch", [("constant ? 0.f : -along / n / n", "0.f")], None),
    (SIMILARITY, "a term along a patch without a length", [("constant ? 0.f : -along / n / n", "-along / n / n")], None),
    (SIMILARITY, "the term along the patch from one lane's share", [("along = warp_sum(along);", "")], None),
    (SIMILARITY, "the first 32 patches of the window only", [("first < window.size; first += warp_size", "first < 1; first += warp_size")], None),
    (SIMILARITY, "patches of the first image", [("const int u = image + ", "const int u = ")], None),
    (SIMILARITY, "weights of another patch", [("__shfl_sync(all_lanes, w, from)", "w")], None),
    (SIMILARITY, "written over instead of added to", [("sum.store(dx + long(i) * C, C, add)", "sum.store(dx + long(i) * C, C, false)")], None),
    (SIMILARITY, "an instance with too few channels", [("if (M <= 6)", "if (M <= 7)")], None),
]
QUICK = {(RING, "rows released while lanes still read them"), (DIRECT, "chosen before all products are there"),
         (RANKING, "the higher patch among equals")}

HEAD = ["| kernel | fault | | found as |", "|---|---|---|---|"]
FLAGS = ["-std=c++20", "-O0", "-w", "-I/usr/include/eigen3"]


def build(folder, test):
    """Compiles one test file of tests/simt against the kernels in `folder`."""
    tests = ROOT / "tests"
    includes = [f"-I{tests / 'simt'}", f"-I{tests}", f"-I{folder / 'kernels'}", f"-I{ROOT / 'include'}"]
    return subprocess.run(["g++", *FLAGS, *includes, str(tests / "simt" / f"{test}.cpp"), str(WORK / "main.o"), "-o",
                           str(folder / "test"), "-pthread"], capture_output=True, text=True)


def first_failure(folder, cases):
    """What the tests say, or nothing where all pass."""
    # What these tests find is asked for: it is no result of the run that plants the faults.
    unrecorded = {name: value for name, value in os.environ.items() if name != "SELFPATCH_RESULTS"}
    try:
        done = subprocess.run([str(folder / "test"), "--abort", *([cases] if cases else [])], capture_output=True, text=True,
                              timeout=300, cwd=ROOT, env=unrecorded)
    except subprocess.TimeoutExpired:
        return "never ends"
    if done.returncode == 0:
        return None
    if done.returncode < 0:
        return f"signal {-done.returncode}"
    thrown = re.search(r"due to unexpected exception with message:\n\s*(.+(?:\n\s{2,}\S.+)*)", done.stdout)
    if thrown:
        return re.sub(r"\s+", " ", thrown[1]).strip()
    failed = re.search(r"FAILED:\n\s*(.+)\nwith expansion:\n\s*(.+)", done.stdout)
    return f"{failed[1].strip()}: {failed[2].strip()}" if failed else "fails"


def plant(number, kernel, edits):
    folder = WORK / str(number)
    shutil.copytree(ROOT / "kernels", folder / "kernels")
    file = folder / kernel.file
    text = file.read_text()
    for old, new in edits:
        # line breaks are the formatter's: any white space between words stands for any other
        pattern = re.sub(r"(?:\\ |\\\n)+", r"\\s+", re.escape(old)).replace(r"\(", r"\(\s*")
        found = re.findall(pattern, text)
        if len(found) != 1:
            raise SystemExit(f"mutate_kernels.py: {kernel.file} holds {len(found)} times, not once: {old}")
        text = re.sub(pattern, lambda _: new, text)
    file.write_text(text)
    return folder


def outcome(number, kernel, edits):
    folder = plant(number, kernel, edits)
    compiled = build(folder, kernel.test)
    if compiled.returncode:
        said = "does not compile: " + compiled.stderr[:300]
    else:
        said = first_failure(folder, kernel.cases)
    shutil.rmtree(folder)
    return said


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three faults, one per way of being found")
    parser.add_argument("--only", help="faults whose kernel or words hold this")
    parser.add_argument("--markdown", type=Path, help="write the table to this file too")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    options = parser.parse_args()
    began = time.time()

    faults = [f for f in FAULTS if not options.quick or (f[0], f[1]) in QUICK]
    faults = [f for f in faults if not options.only or options.only in f"{f[0].name}: {f[1]}"]
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    subprocess.run(["g++", *FLAGS, f"-I{ROOT / 'tests'}", f"-I{ROOT / 'include'}", "-c", str(ROOT / "tests" / "main.cpp"),
                    "-o", str(WORK / "main.o")], check=True)
    for test, cases in sorted({(f[0].test, f[0].cases) for f in faults if not options.quick}):
        said = outcome(f"unchanged_{test}", Kernel("", "device.cuh", test, cases), [])
        if said:
            raise SystemExit(f"mutate_kernels.py: unchanged kernels do not pass {test}: {said}")

    counts, rows = {"killed": 0, "survived": 0, "SURVIVED": 0}, []
    with concurrent.futures.ThreadPoolExecutor(max(1, options.jobs)) as pool:
        running = [pool.submit(outcome, n, f[0], f[2]) for n, f in enumerate(faults, 1)]
        for (kernel, fault, _, excuse), result in zip(faults, running):
            said = result.result()
            how = "killed" if said and not said.startswith("does not compile") else "survived" if excuse else "SURVIVED"
            why = re.sub(r"\s*\[block.*?\]", "", said or excuse or "no test fails")
            counts[how] += 1
            rows.append(f"| {kernel.name} | {fault} | {how} | {why[:150].replace('|', '/')} |")
            print(f"{how}: {kernel.name}: {fault}: {why[:150]}", flush=True)
            if options.markdown:  # as far as it is
                options.markdown.write_text("\n".join([*HEAD, *rows, ""]))
    print(f"mutants: {counts['killed']} killed, {counts['survived']} survived as expected, {counts['SURVIVED']} survived, "
          f"in {time.time() - began:.0f} s")
    sys.exit(1 if counts["SURVIVED"] else 0)


if __name__ == "__main__":
    main()
