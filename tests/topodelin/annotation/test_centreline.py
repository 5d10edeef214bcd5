"""The centreline on the grid: connected, near its curve, the same in every crop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage import measure

from tests.topodelin.annotation.drawings import EMPTY, chain, drawn
from topodelin.annotation import centreline_mask
from topodelin.graphs import NeuriteGraph

SPACING = (1.0, 0.33, 0.33)
seeds = st.integers(0, 2**16)


def random_path(seed: int, extent: tuple[float, float, float] = (12.0, 8.0, 8.0)) -> NeuriteGraph:
    points = np.random.default_rng(seed).uniform(0, extent, size=(5, 3))
    return chain(*(tuple(point) for point in points.tolist()))


def test_a_marked_corner_tells_the_axes_apart() -> None:
    # 2 slices down, 3 rows, 5 columns: each arm of the phantom has its own length.
    corner = drawn(
        np.array([[0, 0, 0], [2, 0, 0], [0, 3, 0], [0, 0, 5]]) * SPACING, [[0, 1], [0, 2], [0, 3]]
    )
    mask = centreline_mask(corner, (4, 6, 8), SPACING)
    expected = np.zeros((4, 6, 8), bool)
    expected[:3, 0, 0] = expected[0, :4, 0] = expected[0, 0, :6] = True
    np.testing.assert_array_equal(mask, expected)


def test_the_origin_names_the_first_voxel() -> None:
    mask = centreline_mask(chain((5, 0, 0), (5, 0, 4)), (3, 3, 3), (1, 1, 1), origin=(4, -1, 2))
    expected = np.zeros((3, 3, 3), bool)
    expected[1, 1, :] = True
    np.testing.assert_array_equal(mask, expected)


def test_a_centreline_is_cut_at_the_border() -> None:
    mask = centreline_mask(chain((1, 1, -50), (1, 1, 50)), (3, 3, 4), (1, 1, 1))
    assert mask.sum() == 4
    assert mask[1, 1].all()


def test_a_node_alone_marks_its_voxel() -> None:
    alone = drawn(np.array([[1.0, 0.66, 0.99]]), [])
    assert np.argwhere(centreline_mask(alone, (4, 4, 4), SPACING)).tolist() == [[1, 2, 3]]


@pytest.mark.parametrize("shape", [(0, 5, 5), (4, 4, 4)])
def test_an_empty_graph_marks_nothing(shape: tuple[int, int, int]) -> None:
    mask = centreline_mask(EMPTY, shape, SPACING)
    assert mask.shape == shape
    assert not mask.any()


def test_a_graph_elsewhere_marks_nothing() -> None:
    assert not centreline_mask(chain((90, 90, 90), (99, 99, 99)), (8, 8, 8), SPACING).any()


@given(seed=seeds)
def test_a_path_is_one_piece(seed: int) -> None:
    mask = centreline_mask(random_path(seed), (14, 26, 26), SPACING)
    assert np.asarray(measure.label(mask, connectivity=3)).max() == 1


@given(seed=seeds)
def test_every_voxel_lies_within_half_a_diagonal_of_the_path(seed: int) -> None:
    curve = random_path(seed)
    voxels = np.argwhere(centreline_mask(curve, (14, 26, 26), SPACING)) * SPACING
    start, end = curve.positions[curve.edges[:, 0]], curve.positions[curve.edges[:, 1]]
    step = end - start
    along = ((voxels[:, None] - start) * step).sum(-1) / (step**2).sum(-1)
    nearest = start + np.clip(along, 0, 1)[..., None] * step
    distance = np.linalg.norm(voxels[:, None] - nearest, axis=-1).min(axis=1)
    assert distance.max() <= np.linalg.norm(SPACING) / 2 + 1e-9


@given(seed=seeds)
def test_a_path_reaches_all_its_nodes(seed: int) -> None:
    curve = random_path(seed)
    mask = centreline_mask(curve, (14, 26, 26), SPACING)
    voxels = np.floor(curve.positions / SPACING + 0.5).astype(int)
    assert mask[tuple(voxels.T)].all()


@given(seed=seeds, corner=st.tuples(st.integers(-3, 9), st.integers(-3, 20), st.integers(-3, 20)))
def test_the_mask_of_a_crop_is_the_crop_of_the_mask(
    seed: int, corner: tuple[int, int, int]
) -> None:
    curve = random_path(seed, extent=(14.0, 9.0, 9.0))
    whole = centreline_mask(curve, (40, 60, 60), SPACING, origin=(-10, -10, -10))
    crop = centreline_mask(curve, (5, 9, 8), SPACING, origin=corner)
    z, y, x = (c + 10 for c in corner)
    np.testing.assert_array_equal(crop, whole[z : z + 5, y : y + 9, x : x + 8])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"shape": (4, 4)}, "`shape` must be three whole numbers from 0"),
        ({"shape": (4, 4, -1)}, "`shape` must be three whole numbers from 0"),
        ({"spacing": (1.0, 0.0, 1.0)}, "`spacing` must be three positive numbers"),
        ({"origin": (1, 2)}, "`origin` must be three whole numbers"),
    ],
)
def test_a_wrong_argument_is_named(arguments: dict, words: str) -> None:
    good = {"shape": (4, 4, 4), "spacing": SPACING, "origin": (0, 0, 0)}
    with pytest.raises(ValueError, match=words):
        centreline_mask(random_path(0), **(good | arguments))
