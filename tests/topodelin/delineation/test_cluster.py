"""Workers of a dask cluster give the bytes of one process; one that dies or hangs is replaced."""

import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("distributed", reason="the extra `cluster` is not installed")

from tests.topodelin.delineation.cube_tasks import DIES, FINE, CannotBegin, Trouble
from tests.topodelin.delineation.stand_in import Inverse, card, fork_in_space
from tests.topodelin.delineation.test_crews import outcomes
from tests.topodelin.delineation.test_delineate import contents, follow
from topodelin.delineation import delineate
from topodelin.delineation.crews import cluster
from topodelin.delineation.crews.cluster import DaskCrew, local_workers, open_cluster
from topodelin.delineation.crews.cluster_task import check_version
from topodelin.delineation.crews.crew import End
from topodelin.delineation.crews.workers import Workers

pytestmark = pytest.mark.filterwarnings("ignore")  # of dask's own, in its threads


def test_four_workers_give_the_bytes_of_one_process_and_dask_keeps_nothing(
    tmp_path: Path,
) -> None:
    from distributed import Client, LocalCluster

    options: dict[str, Any] = {"threads_per_worker": 1, "processes": False}
    options["dashboard_address"] = None
    own: Any = LocalCluster(n_workers=4, **options)
    with own as threads:
        run, address = tmp_path / "four", threads.scheduler_address
        delineate(fork_in_space(), run, Inverse(), card(), cluster=address, progress=None)
        with Client(threads) as client:
            with pytest.raises(OSError, match="a worker cannot do this run: .* not mounted here"):
                DaskCrew(CannotBegin(), client)
        assert list(threads.scheduler.tasks) == []
    follow(fork_in_space(), tmp_path / "one")
    assert contents(tmp_path / "four") == contents(tmp_path / "one")


def test_a_worker_that_dies_is_replaced_and_costs_no_cube(tmp_path: Path) -> None:
    cubes = [(DIES, 0, 0), *((FINE, 0, x) for x in range(3))]
    with open_cluster("local:1") as client, Workers(client=client).crew(Trouble(tmp_path)) as crew:
        found = outcomes(crew, cubes)
    assert [[o.end for o in found[cube]] for cube in cubes] == [[End.DONE]] * 4


class Deaf:
    """The client of a cluster whose workers take cubes and never answer."""

    status = "running"

    def __init__(self, threads: int) -> None:
        self.threads, self.restarted, self.cancelled = threads, [], 0

    def register_plugin(self, plugin: object) -> None:
        pass

    unregister_worker_plugin = register_plugin

    def nthreads(self) -> dict[str, int]:
        return {"tcp://a": self.threads} if self.threads else {}

    def submit(self, *_: object, key: str, pure: bool) -> "Deaf":
        self.key = key
        return self

    def add_done_callback(self, _: object) -> None:
        pass

    def processing(self) -> dict[str, list[str]]:
        return {"tcp://a": [self.key], "tcp://b": []}

    def cancel(self, futures: list, *, force: bool) -> None:
        self.cancelled += len(futures)

    def restart_workers(self, addresses: list[str], **_: object) -> None:
        self.restarted += addresses


def test_a_worker_that_hangs_is_restarted_and_no_other() -> None:
    client = Deaf(1)
    crew = DaskCrew(int, client, timeout=0.05)  # type: ignore[arg-type]
    crew.submit((0, 0, 1))
    (outcome,) = crew.wait()
    assert (outcome.cube, outcome.end) == ((0, 0, 1), End.EXPIRED)
    assert (client.restarted, client.cancelled, crew.in_hand) == (["tcp://a"], 1, 0)


def test_nobody_is_late_while_there_are_no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Deaf(0)
    crew = DaskCrew(int, client, timeout=0.01)  # type: ignore[arg-type]
    crew.submit((0, 0, 1))
    answers, looked = iter([{}, {}, {"tcp://a": 1}]), []  # the third look finds a worker

    def look() -> dict[str, int]:
        looked.append(time.monotonic())
        return next(answers)

    monkeypatch.setattr(client, "nthreads", look)
    (outcome,) = crew.wait()
    assert outcome.end is End.EXPIRED
    assert looked[2] - looked[1] >= 0.02, "its time begins when there is somebody to do it"


def test_an_address_at_which_nobody_answers_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_S", 0.3)
    with (
        pytest.raises(OSError, match="`cluster` 'tcp://127.0.0.1:9' does not answer"),
        open_cluster("tcp://127.0.0.1:9"),
    ):
        pass


def test_a_worker_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="and the coordinator 0.0.0; install the same version"):
        check_version("0.0.0")


def test_local_clusters_are_named_by_their_number_of_workers() -> None:
    assert (local_workers("local:4"), local_workers("tcp://node7:8786")) == (4, 0)
    for wrong in ("local:", "local:0", "local:many"):
        with pytest.raises(ValueError, match="`cluster` must name 1 or more processes"):
            local_workers(wrong)
