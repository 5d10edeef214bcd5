"""Lists of errors as files: every number read back."""

import csv
from pathlib import Path

import numpy as np
import pytest

from tests.graphs.drawings import chain, ring
from tests.graphs.events import EVENTS, TOLERANCE
from topodelin.graphs import NeuriteGraph, error_costs, find_errors, read_swc
from topodelin.graphs.error_costs import ErrorCosts
from topodelin.graphs.error_files import (
    COLOURS,
    SWC_KINDS,
    write_errors,
    write_errors_csv,
    write_errors_swc,
)
from topodelin.graphs.find_errors import KINDS


def ranked(event: str) -> ErrorCosts:
    truth, predicted = EVENTS[event].truth, EVENTS[event].predicted
    return error_costs(truth, predicted, find_errors(truth, predicted, tolerance=TOLERANCE))


def test_the_table_holds_every_number_of_every_error(tmp_path: Path) -> None:
    costs = ranked("two gaps")
    write_errors(tmp_path / "errors.CSV", costs)
    rows = list(csv.DictReader((tmp_path / "errors.CSV").read_text().splitlines()))
    assert [row["rank"] for row in rows] == ["1", "2"]
    assert [row["kind"] for row in rows] == ["gap", "gap"]
    for k, (row, error) in enumerate(zip(rows, costs.errors, strict=True)):
        place = [float(row[f"{axis}_um"]) for axis in "zyx"]
        np.testing.assert_allclose(place, error.position, atol=1e-3)
        assert float(row["length_um"]) == pytest.approx(error.length, abs=1e-3)
        assert float(row["cable_um"]) == pytest.approx(error.cable, abs=1e-3)
        parts = [float(part) for part in row["parts_um"].split()]
        assert parts == pytest.approx(error.parts, abs=1e-3)
        assert float(row["cost_um"]) == pytest.approx(costs.costs[k], abs=1e-3)
        share = float(row["cost_connectivity"])
        assert share == pytest.approx(costs.connectivity_costs[k], abs=1e-8)


def test_costs_may_be_unknown_and_must_be_as_many_as_errors(tmp_path: Path) -> None:
    errors = ranked("spur").errors
    write_errors_csv(tmp_path / "errors.csv", errors)
    (row,) = csv.DictReader((tmp_path / "errors.csv").read_text().splitlines())
    assert row["cost_um"] == row["cost_connectivity"] == ""
    with pytest.raises(ValueError, match="`costs` must hold one number for each of 1 errors"):
        write_errors_csv(tmp_path / "errors.csv", errors, costs=[1.0, 2.0])
    with pytest.raises(ValueError, match="`connectivity_costs` must hold one number for each"):
        write_errors_swc(tmp_path / "errors.swc", errors, connectivity_costs=[1.0, 2.0])


def test_markers_stand_in_voxels_in_the_order_of_the_ranks(tmp_path: Path) -> None:
    costs = ranked("two gaps")
    write_errors(tmp_path / "errors.apo", costs, spacing=(2.0, 2.0, 4.0))
    header, *markers = (tmp_path / "errors.apo").read_text().splitlines()
    assert header.startswith("##n,orderinfo,name,comment,z,x,y,")
    for rank, (marker, error) in enumerate(zip(markers, costs.errors, strict=True), 1):
        fields = marker.split(",")
        assert len(fields) == len(header.split(",")) == 18
        assert fields[:3] == [str(rank), str(rank), "gap"]
        z, x, y = (float(field) for field in fields[4:7])
        np.testing.assert_allclose((2 * z, 2 * y, 4 * x), error.position, atol=3e-3)
        assert tuple(int(field) for field in fields[-3:]) == COLOURS["gap"]


def test_cable_comes_back_from_swc_error_by_error(tmp_path: Path) -> None:
    event = EVENTS["spur"]
    truth = event.truth
    cut = NeuriteGraph(event.predicted.positions, np.delete(event.predicted.edges, [3, 4], axis=0))
    costs = error_costs(truth, cut, find_errors(truth, cut, tolerance=TOLERANCE))
    write_errors(tmp_path / "errors.swc", costs)
    text = (tmp_path / "errors.swc").read_text()
    found = read_swc(tmp_path / "errors.swc")
    assert len(costs.errors) == 2
    for rank, error in enumerate(costs.errors, 1):
        (line,) = [line for line in text.splitlines() if line.startswith(f"# {rank} {error.kind} ")]
        first, last = (int(word) for word in line.split("; ids ")[1].split(" to "))
        nodes = np.zeros(len(found), dtype=bool)
        nodes[first - 1 : last] = True
        own = found.select(nodes)
        assert set(own.kinds.tolist()) == {SWC_KINDS[error.kind]} and len(own) == len(error.stretch)
        assert own.length == pytest.approx(error.stretch.length, abs=1e-2)
        assert len(np.unique(own.components)) == 1
        place = np.array(error.position)
        assert np.linalg.norm(own.positions - place, axis=1).min() < 1e-3 or error.length == 0
    assert len(found.edges) == sum(len(error.stretch.edges) for error in costs.errors)


def test_a_loop_is_cut_open_for_swc(tmp_path: Path) -> None:
    truth = chain((0, 0, 0), (0, 0, 50))
    island = ring(radius=30.0)
    island = NeuriteGraph(island.positions + (0, 100, 0), island.edges)
    errors = find_errors(truth, island, tolerance=3.0).errors
    write_errors_swc(tmp_path / "errors.swc", errors)
    kinds = read_swc(tmp_path / "errors.swc").kinds
    assert set(kinds.tolist()) == {SWC_KINDS["missing_branch"], SWC_KINDS["spurious_branch"]}


def test_no_errors_are_a_file_with_nothing_in_it(tmp_path: Path) -> None:
    for suffix, lines in (("csv", 1), ("apo", 1)):
        write_errors(tmp_path / f"errors.{suffix}", ranked("identical"))
        assert len((tmp_path / f"errors.{suffix}").read_text().splitlines()) == lines
    write_errors(tmp_path / "errors.swc", ranked("identical"))
    lines = (tmp_path / "errors.swc").read_text().splitlines()
    assert all(line.startswith("#") for line in lines)


def test_another_suffix_is_answered_with_those_known(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must end with \.csv, \.apo, \.swc, got .*errors\.txt"):
        write_errors(tmp_path / "errors.txt", ranked("gap"))


def test_every_kind_has_a_colour_and_a_type_of_its_own() -> None:
    assert len(set(COLOURS.values())) == len(set(SWC_KINDS.values())) == len(KINDS)
    assert set(COLOURS) == set(SWC_KINDS) == set(KINDS)
