"""Processor time and answers of the graph metrics on networks and trees of 10^4 to 10^5 nodes.

    python benchmarks/speed_metrics.py [--toy] [--nodes 10000 100000] [--seed 0]

A network is a grid of junctions, moved at random and joined by chains of nodes about 4 µm apart; a
tree is its minimum spanning tree. The tracing is the same with every node moved by about 0.3 µm and
0.3 % of the edges lost, which breaks 3 % of the chains. Each metric is one line of JSON, the answer
beside the time, so that a fast wrong result shows. APLS compares all pairs of control points up to
`--pairs`, and beyond that starts from fewer points; TLTS judges 5 x 10^5 pairs.

Expected on 10^4 nodes: APLS of all control points at most 2.5 s; on 10^5 nodes TLTS with
5 x 10^5 pairs and centreline quality under 2 s each.
"""

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from provenance import provenance

from topodelin.graphs import (
    NeuriteGraph,
    apls,
    cable_connectivity,
    centreline_quality,
    expected_run_length,
    find_errors,
    resample,
    spanning_forest,
    tlts,
)

TOLERANCE = 3.0
INTERVAL = 20.0
CHAIN = 40.0  # µm between junctions
TLTS_PAIRS = 500_000


def network(rng: np.random.Generator, nodes: int) -> NeuriteGraph:
    """About that many nodes, 4 µm apart, along the edges of a moved grid in a thin slab."""
    side = max(3, round(np.sqrt(nodes / (2 * CHAIN / 4))))
    row, column = np.divmod(np.arange(side * side), side)
    grid = np.stack([0 * row, row, column], axis=1) * CHAIN
    positions = grid + rng.normal(0, CHAIN / 6, grid.shape)
    number = np.arange(side * side).reshape(side, side)
    right = np.stack([number[:, :-1].ravel(), number[:, 1:].ravel()], axis=1)
    down = np.stack([number[:-1].ravel(), number[1:].ravel()], axis=1)
    return resample(NeuriteGraph(positions, np.concatenate([right, down])), 4.0)


def traced(rng: np.random.Generator, truth: NeuriteGraph) -> NeuriteGraph:
    """The truth moved and with some edges lost."""
    kept = truth.edges[rng.random(len(truth.edges)) > 0.003]
    return NeuriteGraph(truth.positions + rng.normal(0, 0.3, truth.positions.shape), kept)


def metrics(
    truth: NeuriteGraph, predicted: NeuriteGraph, pairs: int
) -> dict[str, Callable[[], dict[str, Any]]]:
    """The answers of each metric, to be timed."""
    points = max(1.0, truth.length / INTERVAL)

    def paths() -> dict[str, Any]:
        starts = None if points * points <= pairs else max(1, int(pairs / points))
        found = apls(truth, predicted, interval=INTERVAL, starts=starts, tolerance=TOLERANCE)
        return {
            "apls": found.similarity,
            "pairs": found.truth_paths.paths + found.predicted_paths.paths,
            "starts": found.truth_paths.starts,
            "points": found.truth_paths.points,
            "standard_error": found.truth_paths.standard_error,
        }

    def lengths() -> dict[str, Any]:
        starts = max(1, int(TLTS_PAIRS / points))
        found = tlts(
            truth, predicted, interval=INTERVAL, starts=starts, tolerance=TOLERANCE
        ).truth_paths
        return {"correct": found.correct_share, "pairs": found.paths}

    def errors() -> dict[str, Any]:
        return dict(find_errors(truth, predicted, tolerance=TOLERANCE).counts)

    return {
        "apls": paths,
        "tlts": lengths,
        "centreline_quality": lambda: {
            "quality": centreline_quality(truth, predicted, tolerance=TOLERANCE).quality
        },
        "expected_run_length": lambda: {
            "normalised": expected_run_length(truth, predicted, tolerance=TOLERANCE).normalised
        },
        "cable_connectivity": lambda: {
            "kept": cable_connectivity(truth, predicted, tolerance=TOLERANCE).kept
        },
        "find_errors": errors,
    }


def main(arguments: list[str] | None = None) -> list[dict[str, Any]]:
    """Time every metric; print and return the records."""
    parser = argparse.ArgumentParser(description="Time the metrics on large graphs.")
    parser.add_argument("--toy", action="store_true", help="small graphs: does it work?")
    parser.add_argument("--nodes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--pairs", type=int, default=25_000_000, help="of points, at most")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    records = []
    for nodes in [400] if options.toy else options.nodes:
        rng = np.random.default_rng(options.seed)
        whole = network(rng, nodes)
        for case, truth in (("network", whole), ("tree", spanning_forest(whole))):
            predicted = traced(rng, truth)
            for name, metric in metrics(truth, predicted, options.pairs).items():
                begin = time.process_time()
                answer = metric()
                record = {
                    "benchmark": "speed_metrics",
                    "metric": name,
                    "case": case,
                    "nodes": len(truth),
                    "cpu_seconds": round(time.process_time() - begin, 3),
                    "answer": answer,
                    "tolerance_um": TOLERANCE,
                    "seed": options.seed,
                    **provenance(),
                }
                records.append(record)
                print(json.dumps(record), flush=True)
    return records


if __name__ == "__main__":
    main()
