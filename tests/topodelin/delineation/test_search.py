"""Who is blamed when a worker process dies."""

from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np

from topodelin.delineation.frontier import Frontier
from topodelin.delineation.lattice import Lattice
from topodelin.delineation.prediction import CubePrediction
from topodelin.delineation.search import search
from topodelin.delineation.workers import Workers
from topodelin.volumes import Index, create_ome_zarr


class DyingWorkers(Workers):
    """Two cubes in hand; where one of them is deadly, both are lost."""

    def __init__(self, deadly: Index, deaths: int) -> None:
        self.count, self.deadly, self.deaths = 2, deadly, deaths
        self.in_hand: dict[Index, Future[CubePrediction]] = {}
        self.lost_together: list[set[Index]] = []

    def submit(self, cube: Index) -> Future[CubePrediction]:
        future: Future[CubePrediction] = Future()
        self.in_hand[cube] = future
        if cube == self.deadly and self.deaths > 0:
            self.deaths -= 1
            self.lost_together.append(set(self.in_hand))
            for lost in self.in_hand.values():
                lost.set_exception(BrokenProcessPool("a process died"))
            self.in_hand = {}
        elif len(self.in_hand) == 2 or self.lost_together or cube == (0, 0, 4):
            for waiting, result in self.in_hand.items():
                distance = np.ones((4, 4, 4), np.float32)
                result.set_result(CubePrediction(waiting, distance, 1, ()))
            self.in_hand = {}
        return future

    def replace_broken(self) -> None:
        pass


def visit(folder: Path, workers: DyingWorkers) -> Frontier:
    lattice = Lattice((4, 4, 20), (4, 4, 4))
    store = create_ome_zarr(
        folder / "map", shape=(4, 4, 20), spacing=(1, 1, 1), dtype=np.float32, chunks=(4, 4, 4)
    )
    frontier = Frontier(folder / "state.sqlite")
    frontier.add(list(lattice))
    search(frontier, workers, lattice, store)
    return frontier


def test_a_cube_that_kills_every_worker_fails_and_the_one_beside_it_does_not(
    tmp_path: Path,
) -> None:
    workers = DyingWorkers((0, 0, 1), deaths=99)
    with visit(tmp_path, workers) as frontier:
        assert [cube for cube, _ in frontier.failed()] == [(0, 0, 1)]
        assert "worker process died" in frontier.failed()[0][1]
        assert frontier.counts.done == 4
        attempts = dict(frontier._database.execute("SELECT x, attempts FROM cubes"))
        assert attempts == {0: 0, 1: 3, 2: 0, 3: 0, 4: 0}
    assert workers.lost_together[0] == {(0, 0, 0), (0, 0, 1)}
    assert not any((0, 0, 0) in lost for lost in workers.lost_together[1:]), "tried alone then"


def test_a_worker_that_dies_once_is_held_against_no_cube(tmp_path: Path) -> None:
    with visit(tmp_path, DyingWorkers((0, 0, 1), deaths=1)) as frontier:
        assert frontier.failed() == ()
        assert frontier.counts.done == 5
