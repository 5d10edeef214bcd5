"""Betti numbers of graphs and masks: by hand, and against reference numbers."""

import json

import numpy as np
import pytest

from tests.graphs.drawings import EMPTY, chain, fork, ring
from tests.graphs.events import EVENTS
from tests.graphs.test_centreline_quality import golden_graph
from tests.shared_files import needs_shared, shared
from topodelin.graphs import (
    NeuriteGraph,
    betti_errors,
    betti_numbers,
    joined,
    mask_betti_errors,
    mask_betti_numbers,
)


def test_components_and_loops_by_hand() -> None:
    dot = NeuriteGraph(np.zeros((1, 3)), np.zeros((0, 2)))
    assert betti_numbers(joined([fork(), ring(), dot])) == (2, 1)
    assert betti_numbers(EMPTY) == betti_numbers(dot) == (0, 0)
    found = betti_errors(ring(), joined([chain((0, 0, 0), (0, 0, 1))] * 3))
    assert found.errors == (2, 1)
    assert found.as_dict()["error_loops"] == 1 and found.as_dict()["truth_components"] == 1


@pytest.mark.parametrize(
    ("name", "errors"),
    [
        ("identical", (0, 0)),
        ("break of one edge", (1, 0)),
        ("two gaps", (2, 0)),
        ("missing branch", (0, 0)),
        ("spur", (0, 0)),
        ("island", (1, 0)),
        ("bridge within a tree", (0, 1)),
        ("bridge between trees", (1, 0)),
        ("ring cut at one edge", (0, 1)),
        ("nothing", (1, 0)),
    ],
)
def test_events_of_the_catalogue(name: str, errors: tuple[int, int]) -> None:
    assert betti_errors(EVENTS[name].truth, EVENTS[name].predicted).errors == errors


def test_masks_by_hand() -> None:
    shell = np.ones((5, 5, 5), dtype=bool)
    shell[2, 2, 2] = False
    assert mask_betti_numbers(shell) == (1, 0, 1)
    shell[2, 2, :] = False  # now a tunnel from face to face
    assert mask_betti_numbers(shell) == (1, 1, 0)
    diagonal = np.eye(3, dtype=np.uint8)
    assert mask_betti_numbers(diagonal) == (1, 0)
    assert mask_betti_numbers(diagonal, connectivity="low") == (3, 0)
    frame = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    assert mask_betti_numbers(frame) == (1, 1)
    assert mask_betti_numbers(frame, connectivity="low") == (4, 0)
    assert mask_betti_numbers(np.zeros((0, 4))) == (0, 0)


def test_wrong_masks_are_answered_in_one_line() -> None:
    with pytest.raises(ValueError, match="must have one shape"):
        mask_betti_errors(np.zeros((2, 3)), np.zeros((3, 2)))
    with pytest.raises(ValueError, match="got 1 dimensions"):
        mask_betti_numbers(np.zeros(3))
    with pytest.raises(ValueError, match="`mask` must be without NaN, got 4 of them"):
        mask_betti_numbers(np.full((2, 2), np.nan))


@needs_shared
def test_reference_numbers_of_graphs_and_masks_are_met() -> None:
    folder = shared("goldens", "metrics")
    oracle = json.loads((folder / "expected" / "oracle_definitions.json").read_text())["values"]
    for case, values in oracle.items():
        pair = json.loads((folder / "graphs" / f"{case}.json").read_text())
        found = betti_errors(golden_graph(pair["gt"]), golden_graph(pair["pred"]))
        expected = values["betti"]
        assert found.truth == tuple(expected["gt"]) and found.predicted == tuple(expected["pred"])
    masks = json.loads((folder / "expected" / "voxel_metrics.json").read_text())["values"]
    rasters = {base: np.load(folder / "rasters" / f"{base}.npz") for base in ("roads2d", "loops3d")}
    compared = 0
    for case, values in masks.items():
        base, change = case.split("/")
        if base not in rasters:
            continue
        truth, predicted = (rasters[base][f"{name}_mask"] for name in ("gt", change))
        for connectivity in ("high", "low"):
            expected = values[f"betti_{connectivity}_conn"]
            found = mask_betti_errors(truth, predicted, connectivity=connectivity)
            assert found.truth == tuple(expected["gt"]), (case, connectivity)
            assert found.predicted == tuple(expected["pred"]), (case, connectivity)
            compared += 1
    assert compared > 40
