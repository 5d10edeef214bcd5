"""The search itself: cube after cube, outwards from the seeds, until nothing is left to visit."""

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait

from topodelin.delineation.frontier import Frontier
from topodelin.delineation.lattice import Lattice
from topodelin.delineation.prediction import CubePrediction
from topodelin.delineation.workers import Workers
from topodelin.volumes import Index, OmeZarrWriter

Report = Callable[[int, int, int], None]

MAX_ATTEMPTS = 3


def search(
    frontier: Frontier,
    workers: Workers,
    lattice: Lattice,
    distance_map: OmeZarrWriter,
    *,
    max_cubes: int | None = None,
    max_attempts: int = MAX_ATTEMPTS,
    report: Report = lambda visited, total, waiting: None,
) -> None:
    """Visit every cube that can be reached from those in the frontier.

    The distance map of a cube is stored first; then, in one transaction, the cube is marked done
    and the neighbours it reaches are queued. A cube that raises is tried again later and is failed
    after `max_attempts`. When a worker process dies, nobody knows which cube it was, so all cubes
    in hand are tried again one at a time, and only one that kills a worker alone is blamed.

    Args:
        frontier: holds the first cubes.
        workers: predict cubes.
        lattice: the cubes.
        distance_map: takes one chunk for each cube.
        max_cubes: stop once that many cubes are done, in this and former runs.
        max_attempts: before a cube is failed.
        report: called with cubes visited, cubes in the lattice, cubes waiting.
    """
    in_hand: dict[Future[CubePrediction], Index] = {}
    suspects = 0  # cubes to be tried alone, because a worker died with one of them
    while True:
        counts = frontier.counts
        report(counts.done, lattice.total, counts.waiting)
        room = (1 if suspects else workers.count) - len(in_hand)
        if max_cubes is not None:
            room = min(room, max_cubes - counts.done - len(in_hand))
        if room > 0:
            for cube in frontier.lease(room):
                in_hand[workers.submit(cube)] = cube
        if not in_hand:
            return
        alone = len(in_hand) == 1
        finished, _ = wait(in_hand, return_when=FIRST_COMPLETED)
        if any(isinstance(future.exception(), BrokenExecutor) for future in finished):
            workers.replace_broken()
            finished, _ = wait(in_hand)
        lost = []
        for future in finished:
            cube = in_hand.pop(future)
            error = future.exception()
            if error is None:
                _store(future.result(), frontier, lattice, distance_map)
            elif isinstance(error, BrokenExecutor) and not alone:
                lost.append(cube)
            else:
                frontier.fail(cube, _described(error), max_attempts=max_attempts)
        suspects = len(lost) or max(0, suspects - len(finished))
        frontier.give_back(lost)


def _store(
    prediction: CubePrediction, frontier: Frontier, lattice: Lattice, distance_map: OmeZarrWriter
) -> None:
    core = lattice.core(prediction.cube)
    try:
        distance_map.write(core, prediction.distance)
    except OSError as error:
        raise OSError(
            f"{distance_map.path} cannot be written ({error.strerror or error}); what is done so "
            "far is safe: make room and start the same command again"
        ) from error
    reached = set(prediction.directions)
    neighbours = [
        cube for direction, cube in lattice.neighbours(prediction.cube) if direction in reached
    ]
    frontier.finish(prediction.cube, neighbours, prediction.foreground)


def _described(error: BaseException) -> str:
    if isinstance(error, BrokenExecutor):
        return "the worker process died, perhaps for want of memory"
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
