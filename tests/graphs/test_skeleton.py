"""Mask to graph: components, cycles, junctions, endpoints, lengths."""

import json

import networkx as nx
import numpy as np
import pytest
from gudhi import CubicalComplex
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graphs.drawings import betti, seeds, tubes
from tests.shared_files import needs_shared, shared
from topodelin.graphs import NeuriteGraph, graph_from_mask
from topodelin.graphs.thinning import thin

UNIT = (1.0, 1.0, 1.0)


def drawn(picture: str) -> np.ndarray:
    """A mask of one plane from a drawing, `#` inside."""
    return np.array([[[char == "#" for char in row] for row in picture.split()]])


def counts(graph: NeuriteGraph) -> tuple[int, int, int]:
    """Cycles, endpoints, junctions."""
    return betti(graph)[1], int((graph.degrees == 1).sum()), int((graph.degrees > 2).sum())


def betti_of_voxels(mask: np.ndarray) -> tuple[int, int]:
    """Components and cycles of a union of closed voxels, by an independent program."""
    cells = np.where(np.pad(mask, 1), 0.0, 1.0)
    cubical = CubicalComplex(top_dimensional_cells=cells)
    cubical.compute_persistence()
    numbers = cubical.persistent_betti_numbers(0.0, 0.5)
    return numbers[0], numbers[1]


def test_a_line_of_voxels_has_its_length_in_micrometres() -> None:
    mask = np.zeros((3, 5, 12), dtype=bool)
    mask[1, 2, 1:11] = True
    graph = graph_from_mask(mask, (2.0, 1.0, 0.5))
    assert graph.length == pytest.approx(4.5)
    np.testing.assert_allclose(graph.positions.min(axis=0), (2.0, 2.0, 0.5))
    np.testing.assert_allclose(graph.positions.max(axis=0), (2.0, 2.0, 5.0))
    assert np.isnan(graph.radii).all()


def test_each_axis_keeps_its_place_and_its_length() -> None:
    mask = np.zeros((8, 14, 22), dtype=bool)
    mask[1:7, 1, 1] = mask[1, 1:13, 1] = mask[1, 1, 1:21] = True  # three legs from one corner
    graph = graph_from_mask(mask, (3.0, 2.0, 1.0))
    tips = graph.positions[graph.degrees == 1]
    assert {tuple(tip) for tip in tips.tolist()} == {(18, 2, 1), (3, 24, 1), (3, 2, 20)}
    assert counts(graph) == (0, 3, 1)


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        ("######## ...#.... ...#.... ...#....", (0, 3, 1)),
        ("...#.... ...#.... ######## ...#.... ...#....", (0, 4, 1)),
        ("#.....# .#...#. ..#.#.. ...#... ..#.#.. .#...#. #.....#", (0, 4, 1)),
        ("######. #....#. #....#. ######.", (1, 0, 0)),
        ("######### #...#...# #...#...# #...#...# #...#...# #########", (2, 0, 2)),
        ("##### #...# #...# ##### ....# ....# ....#", (1, 1, 1)),
    ],
    ids=["T", "plus", "X", "ring", "eight", "lasso"],
)
def test_drawings_have_the_cycles_endpoints_and_junctions_that_one_sees(
    picture: str, expected: tuple[int, int, int]
) -> None:
    assert counts(graph_from_mask(drawn(picture), UNIT)) == expected


def test_three_voxels_that_touch_at_a_bend_are_no_cycle() -> None:
    assert counts(graph_from_mask(drawn("###. ..#. ..##"), UNIT)) == (0, 2, 0)


def test_the_smallest_hole_is_a_cycle() -> None:
    assert counts(graph_from_mask(drawn(".#. #.# .#."), UNIT)) == (1, 0, 0)


def test_a_tiny_ring_with_a_branch_at_every_voxel_keeps_its_cycle() -> None:
    picture = "...#... ...#... ...#... ###.### ...#... ...#... ...#..."
    assert counts(graph_from_mask(drawn(picture), UNIT)) == (1, 4, 4)


def test_nothing_and_single_voxels_give_no_nodes() -> None:
    mask = np.zeros((4, 5, 6), dtype=bool)
    assert len(graph_from_mask(mask, UNIT)) == 0
    mask[1, 2, 3] = True
    assert len(graph_from_mask(mask, UNIT)) == 0
    assert len(graph_from_mask(np.zeros((0, 5, 6), dtype=bool), UNIT)) == 0


def test_side_branches_below_the_given_length_are_pruned() -> None:
    mask = np.zeros((1, 12, 40), dtype=bool)
    mask[0, 2, 1:39] = True
    mask[0, 3:6, 10] = True
    mask[0, 3:11, 25] = True
    assert counts(graph_from_mask(mask, UNIT)) == (0, 4, 2)
    pruned = graph_from_mask(mask, UNIT, min_branch_um=5.0)
    assert counts(pruned) == (0, 3, 1)
    assert pruned.length == pytest.approx(37 + 8, abs=1.0)
    assert graph_from_mask(mask, UNIT, min_branch_um=10.0).length == pytest.approx(37, abs=0.1)


def test_without_smoothing_nodes_lie_on_voxels() -> None:
    graph = graph_from_mask(tubes(3), (2.0, 1.0, 1.0), smoothing=1)
    chain = graph.positions[graph.degrees <= 2] / (2.0, 1.0, 1.0)
    np.testing.assert_array_equal(chain, np.rint(chain))


@settings(max_examples=30)
@given(seed=seeds, radius=st.sampled_from([0.0, 1.0, 2.0]))
def test_components_and_cycles_are_those_of_the_skeleton(seed: int, radius: float) -> None:
    mask = tubes(seed, radius=radius)
    skeleton = thin(mask)
    graph = graph_from_mask(mask, (2.0, 0.5, 0.5))
    single = lonely_voxels(skeleton)
    components, cycles = betti_of_voxels(skeleton)
    assert betti(graph) == (components - single, cycles)
    assert len(np.unique(np.sort(graph.edges), axis=0)) == len(graph.edges)


def lonely_voxels(mask: np.ndarray) -> int:
    """Voxels without a neighbour among their 26."""
    around = np.lib.stride_tricks.sliding_window_view(np.pad(mask, 1), (3, 3, 3)).sum((3, 4, 5))
    return int((mask & (around == 1)).sum())


@settings(max_examples=20)
@given(seed=seeds)
def test_cycles_survive_in_a_ragged_mask(seed: int) -> None:
    noise = np.random.default_rng(seed).random((12, 24, 24)) < 0.05
    mask = tubes(seed) ^ noise
    skeleton = thin(mask)
    components, cycles = betti_of_voxels(skeleton)
    graph = graph_from_mask(mask, UNIT)
    assert betti(graph) == (components - lonely_voxels(skeleton), cycles)


def drawn_voxels(points: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """The mask of the voxels that a densely sampled curve (µm) runs through."""
    voxels = np.rint(points / np.array(spacing)).astype(int)
    mask = np.zeros(voxels.max(axis=0) + 3, dtype=bool)
    mask[tuple(voxels.T)] = True
    return mask


@pytest.mark.parametrize("length", [40, 120])
@pytest.mark.parametrize("flat", [True, False], ids=["2-D", "3-D"])
@pytest.mark.parametrize("spacing", [UNIT, (1.0, 0.3, 0.3), (1.0, 0.5, 0.5), (1.0, 0.1, 0.1)])
def test_straight_lines_are_at_most_one_percent_too_long(
    spacing: tuple[float, float, float], flat: bool, length: int
) -> None:
    rng, size = np.random.default_rng(0), np.array(spacing)
    excess = []
    for _ in range(25):
        direction = rng.normal(size=3) * (not flat, 1, 1)
        line = length * np.prod(size) ** (1 / 3) * direction / np.linalg.norm(direction)
        start = size * (2 + rng.random(3)) - np.minimum(line, 0)
        along = np.linspace(0, 1, int(4 * np.abs(line / size).max()))
        graph = graph_from_mask(drawn_voxels(start + along[:, None] * line, spacing), spacing)
        first, last = graph.positions[graph.tips]
        excess.append(graph.length / np.linalg.norm(last - first) - 1)
    assert 0 <= np.mean(excess) < 0.003
    assert max(excess) < 0.01


def helix(radius: float, pitch: float, turns: int, rng: np.random.Generator) -> np.ndarray:
    """Densely sampled points of a helix with a random axis; a circle when `pitch` is 0."""
    angle = np.linspace(0, 2 * np.pi * turns, 1500 * turns)
    axes, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    curve = np.stack([np.cos(angle), np.sin(angle), pitch * angle], axis=1) * radius @ axes
    return curve - curve.min(axis=0) + 2 + rng.random(3)


def path_length(points: np.ndarray) -> float:
    return float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())


@pytest.mark.parametrize(("radius", "mean", "worst"), [(5, 0.02, 0.06), (8, 0.006, 0.02)])
def test_circles_keep_their_length(radius: int, mean: float, worst: float) -> None:
    rng = np.random.default_rng(1)
    change = []
    for _ in range(20):
        curve = helix(radius, 0, 1, rng)
        graph = graph_from_mask(drawn_voxels(curve, UNIT), UNIT)
        assert betti(graph) == (1, 1)
        change.append(graph.length / path_length(curve) - 1)
    assert abs(np.mean(change)) < mean
    assert np.abs(change).max() < worst  # thinning itself cuts corners of the smallest circles


@pytest.mark.parametrize(("radius", "mean", "worst"), [(5, 0.01, 0.03), (8, 0.006, 0.02)])
def test_helices_keep_their_length(radius: int, mean: float, worst: float) -> None:
    rng = np.random.default_rng(1)
    change = []
    for _ in range(12):
        curve = helix(radius, 0.4, 3, rng)
        graph = graph_from_mask(drawn_voxels(curve, UNIT), UNIT)
        ends = graph.positions[graph.tips]
        first, last = sorted(
            int(np.argmin(np.linalg.norm(curve - end, axis=1))) for end in ends
        )  # where thinning left it
        change.append(graph.length / path_length(curve[first : last + 1]) - 1)
    assert abs(np.mean(change)) < mean
    assert np.abs(change).max() < worst


def test_moving_the_mask_moves_the_graph() -> None:
    mask = np.pad(tubes(5), 1)  # the border of a volume cuts nothing
    shifted = np.pad(mask, ((3, 0), (5, 2), (7, 1)))
    here, there = (graph_from_mask(m, (2.0, 1.0, 0.5)) for m in (mask, shifted))
    np.testing.assert_allclose(there.positions, here.positions + (6, 5, 3.5))
    np.testing.assert_array_equal(there.edges, here.edges)


@pytest.mark.parametrize(
    ("mask", "options", "says"),
    [
        (np.ones((4, 4)), {}, r"got shape \(4, 4\); use mask\[None\]"),
        (np.ones((1, 1, 4, 4)), {}, r"`mask` must have axes \(z, y, x\)"),
        (np.ones((4, 4, 4)), {"smoothing": 0}, "`smoothing` must be a number of voxels from 1"),
        (np.ones((4, 4, 4)), {"spacing": (1, 1, -1)}, "`spacing` must be three positive"),
    ],
)
def test_wrong_arguments_are_named(mask: np.ndarray, options: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        graph_from_mask(mask, **{"spacing": UNIT, **options})


@needs_shared
@pytest.mark.parametrize("base", ["neuron3d", "loops3d", "roads2d", "tree2d"])
@pytest.mark.parametrize("kind", ["mask", "skel"])
def test_reference_masks_give_the_graphs_they_were_drawn_from(base: str, kind: str) -> None:
    mask = np.atleast_3d(
        np.load(shared("goldens", "metrics", "rasters", f"{base}.npz"))[f"gt_{kind}"]
    )
    case = shared("goldens", "metrics", "graphs", base, "identical.json")
    drawn_from = json.loads(case.read_text())["gt"]
    nodes = np.array(drawn_from["nodes"])
    truth = nx.Graph(drawn_from["edges"])
    length = sum(np.linalg.norm(nodes[a] - nodes[b]) for a, b in truth.edges)
    degrees = [degree for _, degree in truth.degree]
    cycles = truth.number_of_edges() - len(truth) + nx.number_connected_components(truth)
    graph = graph_from_mask(mask, UNIT)
    assert graph.length == pytest.approx(length, rel=0.03)
    assert counts(graph)[1] == degrees.count(1)
    if base == "tree2d":  # two of its branches touch once they are drawn on voxels
        assert counts(graph)[0] == betti_of_voxels(mask)[1] == 1
    else:
        assert counts(graph) == (cycles, degrees.count(1), sum(d > 2 for d in degrees))
