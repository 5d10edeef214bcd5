"""Rounds of faults: a run is disturbed in many ways, goes on, and must end as if nothing had been.

    python benchmarks/faults_delineate.py [--toy] [--rounds 50] [--seed 0]
        [--only NAME ...] [-o FILE]

Each round draws one to three of the faults of `faults.py`, each at a random moment:

    kill_coordinator     kill -9 of the process that leads
    kill_workers         kill -9 of one to three of its workers
    kill_dask_worker     kill -9 of a worker of a local dask cluster
    full_disk            a disk with a few kB left, really mounted; needs the right to mount
    unreadable_chunk     a chunk of the image is cut in half for a while
    vanished_store       the image is gone for a while
    hang                 a worker stops answering
    second_coordinator   the same command twice at the same time

Then the run is started once more, undisturbed, and must have the same files with the same bytes as
a run to which nothing happened (all but the log, the state and the notes that tracing keeps), each
cube in state done exactly once, with the same foreground. The same seed draws the same faults; when
exactly they strike is up to the machine. The last line says `50 of 50`; `-o` keeps it all as JSON.
"""

import argparse
import hashlib
import json
import sqlite3
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from faults import FAULTS, Fault, full_disk, may_mount, mount, unmount
from patient import DONE, SPACING, Patient, Wrong
from provenance import provenance
from records import keep
from sparse_brain import SparseBrain, draw

from topodelin.volumes import Index

FULL: tuple[Index, float] = (96, 160, 160), 400.0  # voxels, and µm of each neuron
TOY: tuple[Index, float] = (48, 80, 80), 60.0
CHUNK = (32, 32, 32)
NOT_COMPARED = ("log.txt", "state.sqlite", "tracing")


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the rounds, print and return the record."""
    parser = argparse.ArgumentParser(description="Rounds of faults.")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cube-ms", type=float, default=10.0, help="work of the network, asleep")
    parser.add_argument("--toy", action="store_true", help="a small brain")
    parser.add_argument("--only", nargs="+", help="names of faults to draw from")
    parser.add_argument("-o", "--output", type=Path, help="where to keep the record")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wanted = options.only or [fault.__name__ for fault in FAULTS]
        faults = {fault: share for fault, share in FAULTS.items() if fault.__name__ in wanted}
        left_out = []
        (folder / "disk").mkdir()
        if full_disk in faults and not may_mount(folder / "disk"):
            left_out.append("full_disk: no right to mount")
            del faults[full_disk]
        brain = drawn(folder, options.seed, *(TOY if options.toy else FULL))
        patient, expected = undisturbed(brain, folder, options.cube_ms / 1000)
        rounds = []
        for number in range(options.rounds):
            rng = np.random.default_rng([options.seed, number])
            rounds.append(one_round(number, patient, folder, faults, expected, rng))
            print(json.dumps(rounds[-1]), flush=True)
    good = sum(line["same"] for line in rounds)
    record = {
        "result": f"{good} of {options.rounds}",
        "cubes": len(expected[1]),
        "files": len(expected[0]),
        "undisturbed_s": round(patient.seconds, 3),
        "times_each": {
            f.__name__: sum(line["faults"].count(f.__name__) for line in rounds) for f in faults
        },
        "left_out": left_out,
        "seed": options.seed,
        **provenance(),
    }
    keep([record, *rounds], options.output)
    print(json.dumps(record))
    print(record["result"])
    return record


def drawn(folder: Path, seed: int, shape: Index, length_um: float) -> SparseBrain:
    """The brain, drawn by a process of its own: this one must stay without threads."""
    from multiprocessing import get_context

    with get_context("fork").Pool(1) as pool:
        return pool.apply(
            draw,
            (folder, shape, SPACING),
            {"neurons": 2, "length_um": length_um, "seed": seed, "chunk": CHUNK},
        )


Outcome = tuple[dict[str, str], dict[tuple[int, ...], tuple[int, int]]]


def undisturbed(brain: SparseBrain, folder: Path, cube_seconds: float) -> tuple[Patient, Outcome]:
    """A run to which nothing happens: how long it takes and what it leaves."""
    home = folder / "undisturbed"
    home.mkdir()
    patient = Patient(brain, home / "run", 1.0, cube_seconds)
    start = time.perf_counter()
    patient.wait(patient.start(), {DONE})
    seconds = time.perf_counter() - start
    return replace(patient, seconds=seconds, cubes=patient.stored()), outcome(patient.run)


def one_round(
    number: int,
    patient: Patient,
    folder: Path,
    faults: dict[Fault, float],
    expected: Outcome,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Some faults, one after the other, then a start without any; what came of it."""
    shares = np.array(list(faults.values()))
    chosen = rng.choice(
        len(faults), size=int(rng.integers(1, 4)), p=shares / shares.sum(), replace=True
    )
    happening = [list(faults)[i] for i in chosen.tolist()]
    home = folder / "disk" if full_disk in happening else folder / f"round_{number}"
    home.mkdir(exist_ok=True)
    start, why = time.perf_counter(), ""
    with ExitStack() as stack:
        if full_disk in happening:
            mount(home)
            stack.callback(unmount, home)
        ill = replace(patient, run=home / "run", started=[])
        try:
            for fault in happening:
                fault(ill, rng)
            ill.wait(ill.start(retry_failed=True), {DONE})
            why = difference(expected, outcome(ill.run))
        except Wrong as wrong:
            why = str(wrong)
            ill.end_all()
    return {
        "round": number,
        "faults": [fault.__name__ for fault in happening],
        "same": not why,
        **({"why": why} if why else {}),
        "seconds": round(time.perf_counter() - start, 2),
    }


def outcome(run: Path) -> Outcome:
    """The hash of each file of a run that has to be the same; state and foreground of cubes."""
    files = {
        str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(run.rglob("*"))
        if path.is_file() and not str(path.relative_to(run)).startswith(NOT_COMPARED)
    }
    database = sqlite3.connect(run / "state.sqlite")
    rows = database.execute("SELECT z, y, x, state, foreground FROM cubes").fetchall()
    database.close()
    if len(rows) != len({row[:3] for row in rows}):
        raise Wrong("a cube is listed twice")
    return files, {row[:3]: row[3:] for row in rows}


def difference(expected: Outcome, found: Outcome) -> str:
    """What two outcomes differ in; empty if in nothing."""
    for what, before, now in zip(("file", "cube"), expected, found, strict=True):
        left: dict[Any, Any] = dict(before)
        right: dict[Any, Any] = dict(now)
        for name in sorted(left.keys() | right.keys(), key=str):
            if left.get(name) != right.get(name):
                return f"{what} {name}: {left.get(name)} undisturbed, {right.get(name)} here"
    return ""


if __name__ == "__main__":
    done = main()
    sys.exit(0 if len(set(done["result"].split(" of "))) == 1 else 1)
