"""Kills, unreadable images and full disks lose nothing."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.topodelin.delineation.stand_in import Inverse, card, drawn, fork_in_space
from tests.topodelin.delineation.test_delineate import contents, follow
from topodelin.delineation import delineate
from topodelin.volumes import Box, OmeZarrWriter, Volume

POINTS = [
    "before_settings:1",
    "before_settings:2",
    "before_a_chunk:1",
    "before_a_mark:1",
    "before_a_chunk:6",
    "before_a_mark:7",
    "before_tracing:1",
    "before_a_swc_file:2",
    "before_the_swap:1",
    "before_the_swap:3",
    "before_the_table:1",
]


def test_killed_at_any_moment_and_started_again_it_ends_with_the_same_bytes(
    tmp_path: Path,
) -> None:
    root = Path(__file__).parents[3]
    script = Path(__file__).with_name("killed_run.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path), *POINTS],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [word for point in POINTS for word in (point, "-9")]
    follow(fork_in_space(), tmp_path / "undisturbed")
    expected = contents(tmp_path / "undisturbed")
    assert len(expected) > 10
    resumed = {}
    for point in POINTS:
        run = tmp_path / point.replace(":", "_")
        assert contents(run) != expected
        follow(fork_in_space(), run)
        resumed[point] = contents(run) == expected
    assert all(resumed.values()), resumed


class FailingDisk:
    """An array whose far end cannot be read while the disk is broken."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.shape, self.dtype = array, array.shape, array.dtype
        self.broken = False

    def __getitem__(self, key: tuple) -> np.ndarray:
        if self.broken and key[-1].start > 60:
            raise OSError(errno.EIO, "Input/output error", "brain.zarr")
        return self.array[key]


class BreaksTheDisk(Inverse):
    """A network during whose first prediction the disk breaks."""

    def __init__(self, disk: FailingDisk) -> None:
        super().__init__()
        self.disk = disk

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.disk.broken = True
        return super().forward(image)


def test_a_chunk_that_cannot_be_read_fails_alone_and_is_tried_again_when_asked(
    tmp_path: Path,
) -> None:
    drawing = drawn([[(8, 8, 4), (8, 8, 90)]], (16, 16, 96))
    disk = FailingDisk(np.array(drawing.data))
    volume = Volume(disk, drawing.spacing)
    seeds = [(8, 8, 5)]
    follow(volume, tmp_path / "undisturbed", seeds=seeds)
    run = tmp_path / "run"
    result = delineate(volume, run, BreaksTheDisk(disk), card(), seeds=seeds, progress=None)
    assert result.visited == 4
    assert [cube for cube, _ in result.failed] == [(0, 0, 4)]
    assert "Input/output error" in result.failed[0][1]
    assert "1 cubes failed" in str(result)
    disk.broken = False
    assert len(follow(volume, run, seeds=seeds).failed) == 1  # only if asked
    assert follow(volume, run, seeds=seeds, retry_failed=True).failed == ()
    assert contents(run) == contents(tmp_path / "undisturbed")


def test_a_full_disk_stops_the_run_in_one_line_and_the_next_start_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []

    def full(self: OmeZarrWriter, box: Box, array: np.ndarray) -> None:
        if len(written) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(box)
        write(self, box, array)

    write = OmeZarrWriter.write
    with monkeypatch.context() as patch:
        patch.setattr(OmeZarrWriter, "write", full)
        with pytest.raises(OSError, match="No space left on device.*what is done so far is safe"):
            follow(fork_in_space(), tmp_path / "run")
    follow(fork_in_space(), tmp_path / "run")
    follow(fork_in_space(), tmp_path / "undisturbed")
    assert contents(tmp_path / "run") == contents(tmp_path / "undisturbed")


def test_rounds_of_random_faults_end_with_the_same_bytes() -> None:
    root = Path(__file__).parents[3]
    faults = ["kill_coordinator", "kill_workers", "unreadable_chunk", "second_coordinator"]
    done = subprocess.run(
        [
            sys.executable,
            str(root / "benchmarks" / "faults_delineate.py"),
            *("--toy", "--rounds", "4", "--cube-ms", "3", "--only", *faults),
        ],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    *rounds, record = (json.loads(line) for line in done.stdout.splitlines()[:-1])
    assert record["result"] == "4 of 4", rounds
    assert set(record["times_each"]) == set(faults)
