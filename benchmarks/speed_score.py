"""How long `topodelin score` takes on large trees, in a fresh process.

    python benchmarks/speed_score.py [--toy] [--nodes 20000] [--repeats 3] [--seed 0]

Each case is one line of JSON: the times beside the answer, so that a fast wrong result shows.
`seconds` is the wall time of the whole command, start of the interpreter included; `cpu_seconds`
its processor time, which is what to compare on a busy machine. The first run of a case may have to
read the libraries from disk, so the fastest of the repeats is given.

Cases: `identical` (quality 1), `noisy` (every node moved by about 1 µm and 3 % of the edges lost:
quality a little below 1), `foreign` (another tree in the same space: quality near 0).

Expected of 20,000 nodes: under 2 seconds.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from provenance import provenance

from topodelin.graphs import NeuriteGraph, write_swc


def random_tree(rng: np.random.Generator, nodes: int, step_um: float = 4.0) -> NeuriteGraph:
    """One tree whose branches are smooth random walks, some hundred nodes each."""
    count = max(1, nodes // 200)
    sizes = np.diff(np.linspace(0, nodes, count + 1).astype(int))
    positions, edges = np.zeros((nodes, 3)), []
    begin = 0
    for size in sizes.tolist():
        if begin:
            parent = int(rng.integers(0, begin))
            edges.append((parent, begin))
        turns = np.cumsum(0.3 * rng.normal(size=(size, 3)), axis=0) + 3 * rng.normal(size=3)
        turns /= np.linalg.norm(turns, axis=1, keepdims=True)
        start = positions[parent] if begin else np.full(3, 1000.0)
        positions[begin : begin + size] = start + step_um * np.cumsum(turns, axis=0)
        edges += [(i, i + 1) for i in range(begin, begin + size - 1)]
        begin += size
    return NeuriteGraph(positions, np.array(edges))


def noisy(rng: np.random.Generator, tree: NeuriteGraph) -> NeuriteGraph:
    kept = tree.edges[rng.random(len(tree.edges)) > 0.03]
    return NeuriteGraph(tree.positions + rng.normal(0, 1, tree.positions.shape), kept)


def timed_score(truth: Path, traced: Path) -> tuple[float, float, dict[str, float]]:
    """Wall and processor seconds of the command in a fresh process, and its answer."""
    command = [sys.executable, "-m", "topodelin", "score", str(truth), str(traced), "--json"]
    before, start = os.times(), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, after = time.perf_counter() - start, os.times()
    cpu = after.children_user + after.children_system
    cpu -= before.children_user + before.children_system
    return seconds, cpu, json.loads(done.stdout)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Time `topodelin score` on large trees.")
    parser.add_argument("--toy", action="store_true", help="small trees, one run: does it work?")
    parser.add_argument("--nodes", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    nodes, repeats = (600, 1) if options.toy else (options.nodes, options.repeats)
    rng = np.random.default_rng(options.seed)
    tree = random_tree(rng, nodes)
    cases = {"identical": tree, "noisy": noisy(rng, tree), "foreign": random_tree(rng, nodes)}
    with tempfile.TemporaryDirectory() as folder:
        truth, traced = Path(folder) / "truth.swc", Path(folder) / "traced.swc"
        write_swc(truth, tree)
        for name, graph in cases.items():
            write_swc(traced, graph)
            runs = [timed_score(truth, traced) for _ in range(repeats)]
            answer = runs[0][2]
            record = {
                "benchmark": "speed_score",
                "case": name,
                "nodes": nodes,
                "seconds": round(min(run[0] for run in runs), 3),
                "cpu_seconds": round(min(run[1] for run in runs), 3),
                **{key: answer[key] for key in ("completeness", "correctness", "quality")},
                "tolerance_um": answer["tolerance_um"],
                "seed": options.seed,
                "repeats": repeats,
                "numpy": np.__version__,
                **provenance(),
            }
            print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
