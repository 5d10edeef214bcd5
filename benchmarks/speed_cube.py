"""Time of a cube outside the network, whole and by part.

    python benchmarks/speed_cube.py [--toy] [--workers 1 2] [--repeats 3] [--seed 0] [-o FILE]

A made-up sparse brain (`sparse_brain.py`) is delineated with a network that does nothing: it
answers the image turned upside down, which is all it takes to follow a neurite. Each size of cube
is one line of JSON, milliseconds of wall time for each visited cube, from the fastest repeat:

    read          the cube and its margin, from compressed chunks, border repeated
    normalise     intensities to the scale of the network
    frame         to a tensor, clipped, cut to the core, checked
    foreground    rounding, components, which borders they reach
    write         the chunk of the distance map
    transaction   lease and finish, in sqlite
    other         progress, choice of neighbours, futures
    network       what stands for one; not counted
    total         of the search over its cubes, less `network`
    cpu           processor time of the coordinator for a cube, `network` included

Parts are measured where one process does everything. With more workers a line holds the total only:
the wall time from the first cube that is done to the last, over the cubes between.

Expected: `total` below 3 ms.
"""

import argparse
import functools
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from follow_light import THRESHOLD, FollowLight, card
from provenance import provenance
from records import keep
from sparse_brain import SparseBrain, draw

from topodelin.delineation import SearchRule, delineate, prediction
from topodelin.delineation.frontier import Frontier
from topodelin.delineation.transactions import Transaction
from topodelin.volumes import Index, IntensityRange, OmeZarrWriter, open_volume

pipeline = sys.modules["topodelin.delineation.delineate"]  # the name itself is the function's

CUBES: dict[Index, Index] = {(32, 64, 64): (8, 16, 16), (64, 64, 64): (16, 16, 16)}  # and margin
SPACING = (1.0, 0.5, 0.5)


PARTS: dict[str, list[tuple[Any, str]]] = {
    "search": [(pipeline, "search")],
    "predict": [(prediction.CubePredictor, "__call__")],
    "read": [(prediction, "read_padded")],
    "normalise": [(IntensityRange, "normalize")],
    "foreground": [
        (prediction, "quantised"),
        (prediction, "foreground"),
        (prediction, "directions_reached"),
    ],
    "network": [(FollowLight, "forward")],
    "write": [(OmeZarrWriter, "write")],
    "finish": [(Frontier, "finish")],
    "transaction": [(Frontier, "lease"), (Transaction, "__exit__")],
}


def main(arguments: list[str] | None = None) -> list[dict[str, Any]]:
    """Run, print and return the lines."""
    parser = argparse.ArgumentParser(description="Time of a cube outside the network.")
    parser.add_argument("--toy", action="store_true", help="a small brain, one process, once")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, help="where to keep the record")
    options = parser.parse_args(arguments)
    shape, length = (1600, 2560, 2560), 3000.0
    if options.toy:
        shape, length, options.workers, options.repeats = (160, 256, 256), 60.0, [1], 1
    torch.set_num_threads(1)
    lines = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        brain = draw(folder, shape, SPACING, length_um=length, seed=options.seed)
        for workers in options.workers:
            for cube in CUBES:
                runs = [
                    measured(brain, cube, workers, folder / f"run_{workers}_{cube}_{number}")
                    for number in range(options.repeats)
                ]
                line = min(runs, key=lambda run: run["total"])
                lines.append(line | {"seed": options.seed, **provenance()})
                print(json.dumps(lines[-1]), flush=True)
    return keep(lines, options.output)


def measured(brain: SparseBrain, cube: Index, workers: int, run: Path) -> dict[str, Any]:
    """One delineation; milliseconds for each cube."""
    with timed() as seconds:
        result = delineate(
            open_volume(brain.path),
            run,
            FollowLight(),
            card(cube, CUBES[cube], SPACING),
            seeds=brain.somata,
            rule=SearchRule(threshold=THRESHOLD),
            workers=workers,
            progress=None,
        )
    visited = result.visited
    each = {part: 1000 * value / visited for part, value in seconds.items()}
    search, predict, cpu = (each.pop(part) for part in ("search", "predict", "cpu"))
    each["transaction"] += each.pop("finish")
    between = (each.pop("last") - each.pop("first")) * visited / max(1, visited - 1)
    line: dict[str, Any] = {"cube": list(cube), "workers": workers, "cubes_visited": visited}
    if workers == 1:
        inside = each["read"] + each["normalise"] + each["foreground"] + each["network"]
        each["frame"] = predict - inside
        each["other"] = search - predict - each["write"] - each["transaction"]
        line |= {part: round(value, 3) for part, value in each.items()}
    total = search - each["network"] if workers == 1 else between
    return line | {"total": round(total, 3), "cpu": round(cpu, 3)}


@contextmanager
def timed() -> Iterator[dict[str, float]]:
    """Seconds spent in the functions of each part, while inside."""
    seconds = dict.fromkeys([*PARTS, "cpu", "first", "last"], 0.0)
    former = [
        (owner, name, getattr(owner, name)) for part in PARTS.values() for owner, name in part
    ]
    for part, functions in PARTS.items():
        for owner, name in functions:
            setattr(owner, name, stopwatch(getattr(owner, name), seconds, part))
    try:
        yield seconds
    finally:
        for owner, name, function in former:
            setattr(owner, name, function)


def stopwatch(function: Callable[..., Any], seconds: dict[str, float], part: str) -> Any:
    """The function, adding its time to a part."""

    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        start, cpu = time.perf_counter(), time.process_time()
        try:
            return function(*arguments, **options)
        finally:
            seconds[part] += time.perf_counter() - start
            if part == "search":
                seconds["cpu"] += time.process_time() - cpu
            if part == "finish":
                seconds["last"] = time.perf_counter()
                seconds["first"] = seconds["first"] or seconds["last"]

    return call


if __name__ == "__main__":
    main()
