"""How many workers fit into a limit."""

import pytest

from topodelin.delineation.crews.workers import Workers
from topodelin.delineation.lattice import Lattice
from topodelin.delineation.memory import (
    CubeCost,
    expected_peak,
    fitting,
    fitting_workers,
    format_bytes,
    held_bytes,
    parse_bytes,
    peak_memory,
)

COST = CubeCost(seconds=1.0, peak_bytes=500 * 2**20)
HERE = 300 * 2**20


def test_as_many_workers_as_fit_are_used() -> None:
    roomy, tight = 8 * 2**30, 2 * 2**30
    assert fitting_workers(COST, 4, 0, HERE, roomy) == 4
    assert fitting_workers(COST, 4, 0, HERE, tight) == 2
    assert expected_peak(COST, 2, 0, HERE) <= tight < expected_peak(COST, 3, 0, HERE)


def test_a_limit_below_one_cube_is_refused_with_what_it_takes() -> None:
    with pytest.raises(ValueError, match="`memory` must be at least 575 MB.*got 400 MB"):
        fitting_workers(COST, 4, 0, HERE, 400 * 2**20)


def test_what_is_held_grows_with_the_cube_and_not_with_the_volume() -> None:
    small, large = Lattice((64, 64, 64), (32, 32, 32)), Lattice((9999, 9999, 9999), (32, 32, 32))
    assert held_bytes(small) == held_bytes(large)
    assert held_bytes(Lattice((64, 64, 64), (64, 64, 64))) > held_bytes(small)


def test_one_worker_in_a_process_of_its_own_is_counted_beside_this_one() -> None:
    alone = expected_peak(COST, 1, 0, HERE)
    assert expected_peak(COST, 1, 0, HERE, elsewhere=True) == int(1.15 * 800 * 2**20) > alone


def test_workers_of_a_cluster_are_not_bound_here() -> None:
    with pytest.raises(ValueError, match="`memory` bounds the processes that the run itself"):
        fitting(Workers(4), COST, 0, HERE, 8 * 2**30, "tcp://node7:8786")
    assert fitting(Workers(4), COST, 0, HERE, 2 * 2**30).count == 2


def test_sizes_are_read_as_people_write_them() -> None:
    assert parse_bytes("2G") == parse_bytes("2 GB") == parse_bytes("2GiB") == 2 * 2**30
    assert parse_bytes("1500m") == 1500 * 2**20
    for wrong in ("", "much", "-1G", "1.2.3G", "0"):
        with pytest.raises(ValueError, match="must be a size like 2G or 1500M"):
            parse_bytes(wrong)


def test_sizes_are_written_short() -> None:
    assert [format_bytes(size) for size in (5, 3 * 2**20, 1.5 * 2**30)] == ["5 B", "3 MB", "1.5 GB"]


def test_this_process_holds_more_than_its_interpreter() -> None:
    assert 10 * 2**20 < peak_memory() < 2**40
