"""What can befall a run, for real: kills, a full disk, an unreadable chunk, a hanging worker."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from patient import DONE, FAILED_CUBES, PATIENCE_S, REFUSED, Patient, Wrong
from process_tree import descendants

CUBE_TIMEOUT_S = 2.0
ENDING_S = 0.03  # in which a process ends that has let go of its run
ROOM = 64 << 20  # bytes of the disk once there is room again

Fault = Callable[[Patient, np.random.Generator], None]


def kill_coordinator(patient: Patient, rng: np.random.Generator) -> None:
    """`kill -9` at a random moment, alone or with two workers."""
    pid = patient.start(workers=int(rng.integers(1, 3)))
    patient.wait_at_random(rng)
    os.kill(pid, signal.SIGKILL)
    patient.wait(pid, {-signal.SIGKILL, DONE, FAILED_CUBES})


def kill_workers(patient: Patient, rng: np.random.Generator) -> None:
    """`kill -9` of one to three workers, one after the other; the run goes on by itself."""
    pid = patient.start(workers=2, spawn=bool(rng.random() < 0.1))
    for _ in range(int(rng.integers(1, 4))):
        patient.wait_at_random(rng)
        kill_one(descendants(pid), rng)
    patient.wait(pid, {DONE, FAILED_CUBES})


def kill_dask_worker(patient: Patient, rng: np.random.Generator) -> None:
    """`kill -9` of a dask worker of a local cluster, also of one that is just starting."""
    pid = patient.start(cluster="local:2", spawn=True)
    limit = time.monotonic() + PATIENCE_S
    while not (patient.run / "distance_map.ome.zarr").exists() and time.monotonic() < limit:
        time.sleep(0.05)
    patient.wait_at_random(rng)
    kill_one(descendants(pid), rng)
    patient.wait(pid, {DONE, REFUSED, FAILED_CUBES})


def hang(patient: Patient, rng: np.random.Generator) -> None:
    """A worker stops answering; the run ends it and goes on."""
    pid = patient.start(workers=2, cube_timeout=CUBE_TIMEOUT_S)
    patient.wait_at_random(rng)
    patient.hang.touch()
    try:
        patient.wait(pid, {DONE, FAILED_CUBES})
    finally:
        patient.hang.unlink(missing_ok=True)


def second_coordinator(patient: Patient, rng: np.random.Generator) -> None:
    """The same command a second time; the first sleeps meanwhile, if it has begun with cubes."""
    before = patient.stored()
    first = patient.start(workers=int(rng.integers(1, 3)))
    patient.wait_at_random(rng)
    asleep = patient.stored() > before and alive(first)
    if asleep:
        os.kill(first, signal.SIGSTOP)
    code = patient.wait(patient.start(), {DONE, REFUSED, FAILED_CUBES})
    os.kill(first, signal.SIGCONT)
    time.sleep(ENDING_S)
    if asleep and alive(first) and code != REFUSED:
        raise Wrong("a second coordinator was let in while the first one worked")
    if (code, patient.wait(first, {DONE, REFUSED, FAILED_CUBES})) == (REFUSED, REFUSED):
        raise Wrong(f"each of two coordinators refused because of the other: {patient.said()}")


def unreadable_chunk(patient: Patient, rng: np.random.Generator) -> None:
    """A chunk of the image holds half of its bytes for a while."""
    chunks = sorted(path for path in (patient.brain.path / "0").glob("*/*/*") if path.is_file())
    chunk = chunks[int(rng.integers(len(chunks)))]
    whole = chunk.read_bytes()
    pid = patient.start(workers=int(rng.integers(1, 3)))
    patient.wait_at_random(rng)
    replace(chunk, whole[: len(whole) // 2])
    try:
        patient.wait(pid, {DONE, REFUSED, FAILED_CUBES})
    finally:
        replace(chunk, whole)


def vanished_store(patient: Patient, rng: np.random.Generator) -> None:
    """The whole image is gone for a while, as when a disk is unplugged."""
    pid = patient.start(workers=int(rng.integers(1, 3)))
    patient.wait_at_random(rng)
    away = patient.brain.path.with_name("away.zarr")
    patient.brain.path.rename(away)
    try:
        patient.wait(pid, {DONE, REFUSED, FAILED_CUBES})
    finally:
        away.rename(patient.brain.path)


def full_disk(patient: Patient, rng: np.random.Generator) -> None:
    """The file system of the run has a few kB left: a tmpfs, which is enlarged afterwards."""
    disk = patient.run.parent
    used = sum(path.stat().st_blocks * 512 for path in disk.rglob("*") if path.is_file())
    resize(disk, used + int(rng.integers(40, 400)) * 1024)
    try:
        patient.wait(patient.start(workers=int(rng.integers(1, 3))), {DONE, REFUSED})
    finally:
        resize(disk, ROOM)


FAULTS: dict[Fault, float] = {  # and how often one is drawn, relatively
    kill_coordinator: 5,
    kill_workers: 4,
    kill_dask_worker: 1,
    full_disk: 3,
    unreadable_chunk: 3,
    vanished_store: 1,
    hang: 2,
    second_coordinator: 3,
}


def may_mount(folder: Path) -> bool:
    """Whether this user may mount a tmpfs, which `full_disk` needs."""
    try:
        mount(folder)
    except (OSError, subprocess.CalledProcessError):
        return False
    unmount(folder)
    return True


def mount(folder: Path) -> None:
    """A small disk of its own under the folder."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(folder)]
    subprocess.run(command, check=True, capture_output=True)


def resize(folder: Path, size: int) -> None:
    command = ["mount", "-o", f"remount,size={size}", str(folder)]
    subprocess.run(command, check=True, capture_output=True)


def unmount(folder: Path) -> None:
    subprocess.run(["umount", str(folder)], check=True, capture_output=True)


def replace(path: Path, content: bytes) -> None:
    """A file gets other content at once; no reader meets a half of the exchange."""
    part = path.with_name(path.name + ".exchange")
    part.write_bytes(content)
    part.replace(path)


def alive(pid: int) -> bool:
    """Whether a process that was started here still runs."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def kill_one(pids: list[int], rng: np.random.Generator) -> None:
    """`kill -9` of one of some processes, if there is any."""
    if pids:
        try:
            os.kill(pids[int(rng.integers(len(pids)))], signal.SIGKILL)
        except ProcessLookupError:
            return  # it ended by itself just now
