"""Processor time, peak memory and answers of the graph metrics on 10^4 to 10^6 nodes.

    python benchmarks/speed_metrics.py [--toy] [--nodes 10000 100000] [--cases network tree]
        [--metrics apls tlts ...] [--twin-nodes 1000] [--seed 0]

A network is a grid of junctions, moved at random and joined by chains of nodes about 4 µm apart; a
tree is its minimum spanning tree; a forest is that tree with one of 1000 edges taken out. The
tracing is the same with every node moved by about 0.3 µm and 0.3 % of the edges lost, which breaks
3 % of the chains. Each metric of each case runs in a process of its own and is one line of JSON,
the answer beside the time, so that a fast wrong result shows. The peak is that of the process, with
the libraries and both graphs (230 MiB for 10^6 nodes).

Where the pairs of control points are too many, APLS and TLTS start from a part of the points by
themselves, and the standard error is given. `tlts_half_million` starts from as few as make 5 x 10^5
pairs. `voxel_quality` compares two skeletons in 256^3 voxels. A `twin` computes the same as its
definition reads, in networkx and numpy, on a small network: the ratio and both answers.

Expected on 10^4 nodes: APLS of all control points at most 2.5 s on a network, 0.3 s on a tree; on
10^5 nodes `tlts_half_million` and centreline quality under 2 s, spatial distance under 10 s; on a
forest of 10^6 nodes every metric within 60 s and 2 GB; voxel quality under 0.1 s.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from large_graphs import large_pair, load_pair, save_pair, skeletons
from provenance import provenance
from slow_metrics import SLOW

from topodelin import graphs
from topodelin.graphs.diadem import diadem

TOLERANCE = 3.0
INTERVAL = 20.0
TLTS_PAIRS = 500_000
ON_TREES = ("diadem",)
ON_VOXELS = ("voxel_quality",)
NODES = {"apls": {"interval": None, "min_path": 0.0}, "tlts": {"interval": None}}  # as the twins

Answer = dict[str, Any]


def of_paths(truth: Any, predicted: Any, name: str, **options: Any) -> Answer:
    """APLS or TLTS, and how sure it is."""
    options = {"interval": INTERVAL, "tolerance": TOLERANCE} | options
    found = getattr(graphs, name)(truth, predicted, **options)
    paths = found.truth_paths
    return {
        name: found.similarity if name == "apls" else paths.correct_share,
        "paths": paths.paths,
        "points": paths.points,
        "starts": paths.starts,
        "standard_error": paths.standard_error,
    }


def half_million(truth: Any, predicted: Any) -> Answer:
    """TLTS from as few starts as make about that many pairs."""
    starts = max(1, int(TLTS_PAIRS * INTERVAL / truth.length))
    return of_paths(truth, predicted, "tlts", starts=starts)


def costs(truth: Any, predicted: Any) -> Answer:
    """What the errors cost, the finding of them included."""
    errors = graphs.find_errors(truth, predicted, tolerance=TOLERANCE)
    ranked = graphs.error_costs(truth, predicted, errors)
    lengths = ranked.run_lengths
    return {"errors": len(ranked.errors), "run_length": lengths[0], "repaired": lengths[-1]}


def numbers(name: str, *keys: str, tolerance: bool = True) -> Callable[[Any, Any], Answer]:
    """Some of the numbers of a metric that needs nothing else."""

    def answer(truth: Any, predicted: Any) -> Answer:
        options = {"tolerance": TOLERANCE} if tolerance else {}
        found = getattr(graphs, name)(truth, predicted, **options)
        return {key: getattr(found, key) for key in keys}

    return answer


METRICS: dict[str, Callable[[Any, Any], Answer]] = {
    "apls": lambda truth, predicted: of_paths(truth, predicted, "apls"),
    "tlts": lambda truth, predicted: of_paths(truth, predicted, "tlts"),
    "tlts_half_million": half_million,
    "centreline_quality": numbers("centreline_quality", "quality"),
    "spatial_distance": numbers("spatial_distance", "esa", "pds", tolerance=False),
    "expected_run_length": numbers("expected_run_length", "normalised"),
    "cable_connectivity": numbers("cable_connectivity", "kept", "true"),
    "betti_errors": numbers("betti_errors", "truth", "predicted", tolerance=False),
    "critical_nodes": numbers("critical_nodes", "f1"),
    "diadem": lambda truth, predicted: {
        "score": diadem(truth, predicted, tolerance=TOLERANCE).score
    },
    "junction_score": numbers("junction_score", "f1"),
    "junction_arms": numbers("junction_arms", "correct", "error"),
    "path_score": numbers("path_score", "f1"),
    "holes_and_marbles": numbers("holes_and_marbles", "f1"),
    "find_errors": numbers("find_errors", "counts"),
    "error_costs": costs,
    "score_tracing": lambda truth, predicted: {
        "quality": graphs.score_tracing(truth, predicted, tolerance=TOLERANCE).quality.quality
    },
    "voxel_quality": numbers("voxel_quality", "quality"),
}


def timed(metric: str, truth: Any, predicted: Any) -> Answer:
    """Seconds of this process, its peak so far, and the answer."""
    begin = time.process_time()
    answer = METRICS[metric](truth, predicted)
    seconds = time.process_time() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"cpu_seconds": round(seconds, 3), "peak_mib": round(peak / 1024), "answer": answer}


def timed_alone(metric: str, path: Path) -> Answer:
    """The same in a process of its own; what it said last if it failed."""
    command = [sys.executable, __file__, "--alone", metric, str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]}
    return json.loads(done.stdout)


def timed_twin(metric: str, truth: Any, predicted: Any) -> Answer:
    """A metric and its definition on the same input."""
    key, options = metric, NODES.get(metric)
    if metric == "spatial_distance":
        key = "esa"
    elif metric in ("centreline_quality", "voxel_quality"):
        key = "quality"
    begin = time.process_time()
    if options is None:
        answer = METRICS[metric](truth, predicted)[key]
    else:
        answer = of_paths(truth, predicted, metric, **options, starts="all")[key]
    middle = time.process_time()
    expected = SLOW[metric](truth, predicted, TOLERANCE)
    seconds, twin = middle - begin, time.process_time() - middle
    return {
        "cpu_seconds": round(seconds, 4),
        "twin_cpu_seconds": round(twin, 3),
        "ratio": round(twin / max(seconds, 1e-4), 1),
        "answer": answer,
        "twin_answer": expected,
    }


def measured(options: argparse.Namespace, path: Path) -> Iterator[Answer]:
    """What to print: metric, case, size, time and answer."""

    def records(case: str, size: dict[str, int], pair: tuple[Any, Any], names: list[str]) -> Any:
        save_pair(path, *pair)
        for name in names:
            found = timed(name, *pair) if options.toy else timed_alone(name, path)
            yield {"metric": name, "case": case, **size, **found}

    for nodes in options.nodes:
        for case in options.cases:
            left_out = ON_VOXELS if case != "network" else (*ON_VOXELS, *ON_TREES)
            names = [name for name in options.metrics if name not in left_out]
            pair = large_pair(case, nodes, options.seed)
            yield from records(case, {"nodes": len(pair[0])}, pair, names)
    names = [name for name in options.metrics if name in ON_VOXELS]
    side = 32 if options.toy else 256
    if names:
        yield from records("lines", {"side": side}, skeletons(side, options.seed), names)
    for name in options.metrics:
        if name in SLOW and options.twin_nodes:
            on_voxels = name in ON_VOXELS
            size = {"side": side // 2} if on_voxels else {"nodes": options.twin_nodes}
            make = skeletons(side // 2, options.seed) if on_voxels else None
            pair = make or large_pair("network", options.twin_nodes, options.seed)
            yield {"metric": name, "case": "twin", **size, **timed_twin(name, *pair)}


def main(arguments: list[str] | None = None) -> list[Answer]:
    """Time every metric; print and return the records."""
    parser = argparse.ArgumentParser(description="Time the metrics on large graphs.")
    parser.add_argument("--toy", action="store_true", help="small, in this process: does it work?")
    parser.add_argument("--nodes", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--cases", nargs="+", default=["network", "tree"])
    parser.add_argument("--metrics", nargs="+", default=list(METRICS), choices=list(METRICS))
    parser.add_argument("--twin-nodes", type=int, default=1000, help="0 for no twins")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--alone", nargs=2, metavar=("METRIC", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.alone:
        metric, path = options.alone
        print(json.dumps(timed(metric, *load_pair(Path(path)))))
        return []
    if options.toy:
        options.nodes, options.twin_nodes = [400], 60
        options.cases = ["network", "forest"]
    records = []
    with tempfile.TemporaryDirectory() as folder:
        for found in measured(options, Path(folder) / "pair.npz"):
            record = {
                "benchmark": "speed_metrics",
                **found,
                "tolerance_um": TOLERANCE,
                "seed": options.seed,
                **provenance(),
            }
            records.append(record)
            print(json.dumps(record), flush=True)
    return records


if __name__ == "__main__":
    main()
