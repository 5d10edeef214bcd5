"""Image, labels and positions go through a warp together."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, map_coordinates

from topodelin.training.config import Augmentation, Elastic
from topodelin.training.displacement import Displacement, random_displacement
from topodelin.training.interpolation import read_between_slices, read_slices
from topodelin.training.warping import Warp, equal_planes, random_warp

SPACINGS = [(1.0, 0.33, 0.33), (0.5, 0.5, 0.5), (0.3, 0.3, 1.0), (1.0, 0.5, 0.25)]
SHAPE = (9, 14, 12)
PLAIN = Augmentation(flips=False, quarter_turns=False, rotation=False)
ELASTIC = Elastic(points=4, amplitude=4.0)
EVERYTHING = Augmentation(zoom=(0.7, 1.4), shear=(-20, 20), elastic=ELASTIC)
Spacing = tuple[float, float, float]
seeds = given(seed=st.integers(0, 10_000), spacing=st.sampled_from(SPACINGS))


def any_warp(seed: int, spacing: Spacing, augmentation: Augmentation = EVERYTHING) -> Warp:
    """A random warp that can be undone."""
    warp = random_warp(np.random.default_rng(seed), SHAPE, spacing, augmentation)
    if warp.displacement is None:
        return warp
    return replace(warp, displacement=warp.displacement.gentle())


def read_voxels(warp: Warp) -> np.ndarray:
    """(3, *SHAPE) voxel of the source that each voxel of the crop shows."""
    ramps = np.indices(warp.source_shape(SHAPE)).astype(np.float64)
    return np.stack([warp.move(ramp, SHAPE, 1) for ramp in ramps])


def shift(columns: float, size: tuple[int, int] = (14, 12)) -> Displacement:
    """Every pixel reads `columns` to the right."""
    field = np.zeros((2, *size), np.float32)
    field[1] = columns
    return Displacement(field, (0.5, 0.5))


def centre(shape: tuple[int, ...]) -> np.ndarray:
    return (np.array(shape) - 1) / 2


@seeds
def test_every_voxel_shows_what_its_position_says(seed: int, spacing: Spacing) -> None:
    # Ramps are interpolated without error, unless a place outside the box is wanted: this holds
    # at every voxel only if the source box is large enough.
    warp = any_warp(seed, spacing)
    read = read_voxels(warp).reshape(3, -1).T - centre(warp.source_shape(SHAPE))
    found = warp.move_positions(read * spacing) / spacing + centre(SHAPE)
    np.testing.assert_allclose(found, np.indices(SHAPE).reshape(3, -1).T, atol=0.01)


@seeds
def test_a_bright_spot_and_its_node_move_to_the_same_place(seed: int, spacing: Spacing) -> None:
    warp = any_warp(seed, spacing)
    source = warp.source_shape(SHAPE)
    voxel = np.rint(centre(source) + np.random.default_rng(seed).uniform(-1, 1, 3)).astype(int)
    spot = np.zeros(source, np.float32)
    spot[tuple(voxel)] = 1
    spot = gaussian_filter(spot, 0.8, mode="constant")
    moved = warp.move(spot, SHAPE, 1)
    node = warp.move_positions(((voxel - centre(source)) * spacing)[None])[0]
    brightest = np.unravel_index(moved.argmax(), SHAPE)
    np.testing.assert_allclose(brightest, node / spacing + centre(SHAPE), atol=1.0)


@seeds
def test_labels_stay_labels_and_follow_the_image(seed: int, spacing: Spacing) -> None:
    warp = any_warp(seed, spacing)
    source = warp.source_shape(SHAPE)
    numbers = np.arange(np.prod(source), dtype=np.int64).reshape(source)
    labels, weights = warp.move(numbers, SHAPE, 0), warp.move(numbers / 2, SHAPE, 0)
    assert labels.dtype == np.int64 and labels.shape == SHAPE
    np.testing.assert_array_equal(weights * 2, labels)
    nearest = np.stack(np.unravel_index(labels, source))
    assert np.abs(nearest - read_voxels(warp)).max() <= 0.5 + 1e-4


@seeds
def test_a_warp_depends_on_its_generator_alone(seed: int, spacing: Spacing) -> None:
    one, same = any_warp(seed, spacing), any_warp(seed, spacing)
    np.testing.assert_array_equal(read_voxels(one), read_voxels(same))


@seeds
def test_turning_keeps_lengths_in_um(seed: int, spacing: Spacing) -> None:
    warp = any_warp(seed, spacing, Augmentation())
    points = np.random.default_rng(seed).normal(size=(5, 3))
    moved = warp.move_positions(points)
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), np.linalg.norm(points, axis=1))


@seeds
def test_lengths_change_by_no_more_than_a_warp_says(seed: int, spacing: Spacing) -> None:
    warp = any_warp(seed, (0.5, 0.5, 0.5))
    points = np.random.default_rng(seed).normal(size=(30, 3))
    nearby = points + np.random.default_rng(seed + 1).normal(size=(30, 3)) * 0.2
    before = np.linalg.norm(points - nearby, axis=1)
    after = np.linalg.norm(warp.move_positions(points) - warp.move_positions(nearby), axis=1)
    least, most = warp.stretches
    assert (after >= least * before * 0.99).all() and (after <= most * before * 1.01).all()


def test_without_interpolation_voxels_only_change_places() -> None:
    image = np.random.default_rng(0).random((14, 9, 12))
    warp = Warp(turns=((0, 1, 1), (1, 2, 2)), flips=(True, False, True))
    moved = warp.move(image, SHAPE, 1)
    assert warp.source_shape(SHAPE) == image.shape and not warp.interpolates
    np.testing.assert_array_equal(np.sort(moved.ravel()), np.sort(image.ravel()))


def test_what_is_switched_off_does_not_happen() -> None:
    assert random_warp(np.random.default_rng(0), SHAPE, (1.0, 1.0, 1.0), PLAIN) == Warp()


def test_the_rearrangement_of_a_warp_has_its_turns_and_flips_alone() -> None:
    warp = any_warp(3, (1.0, 0.5, 0.5))
    assert warp.rearrangement() == Warp(turns=warp.turns, flips=warp.flips)


def test_planes_of_different_spacing_are_neither_turned_nor_sheared() -> None:
    assert equal_planes((1.0, 0.5, 0.25)) == []
    assert equal_planes((1.0, 0.33, 0.33)) == [(1, 2)]
    sheared = Augmentation(shear=(10, 20))
    warp = any_warp(0, (1.0, 0.5, 0.25), sheared)
    assert (warp.angle, warp.shear, warp.turns) == (0.0, 0.0, ())


@given(seed=st.integers(0, 200))
def test_an_image_is_not_turned_out_of_its_plane(seed: int) -> None:
    warp = random_warp(np.random.default_rng(seed), (1, 14, 12), (1.0, 1.0, 1.0), EVERYTHING)
    assert warp.source_shape((1, 14, 12))[0] == 1
    assert warp.plane == (1, 2)


def test_zoom_by_hand() -> None:
    # Twice as large: 9 voxels show 5, of which the ends are at the ends.
    warp = Warp(zoom=2.0)
    assert warp.source_shape((9, 9, 9)) == (5, 5, 5)
    moved = warp.move(np.indices((5, 5, 5))[0].astype(np.float32), (9, 9, 9), 1)
    np.testing.assert_allclose(moved[:, 4, 4], np.arange(9) / 2)
    np.testing.assert_allclose(warp.move_positions(np.array([[1.0, -2, 3]])), [[2, -4, 6]])


def test_shear_by_hand() -> None:
    # Leaning by 45 degrees, 2 µm along the first axis are 2 µm along the second as well.
    warp = Warp(shear=np.pi / 4, plane=(1, 2))
    np.testing.assert_allclose(warp.move_positions(np.array([[5.0, 2, 1]])), [[5, 2, 3]])
    assert warp.source_shape((2, 5, 7)) == (2, 5, 11)


def test_a_quarter_by_angle_is_a_quarter_turn() -> None:
    image = np.random.default_rng(0).random((2, 12, 14)).astype(np.float32)
    by_angle = Warp(angle=np.pi / 2).move(image, (2, 14, 12), 1)
    np.testing.assert_allclose(by_angle, np.rot90(image, 1, (1, 2)), atol=1e-5)


def test_a_displacement_of_one_column_by_hand() -> None:
    warp = Warp(displacement=shift(1.0))
    assert warp.source_shape(SHAPE) == (9, 14, 14)
    image = np.random.default_rng(0).random((9, 14, 14)).astype(np.float32)
    np.testing.assert_allclose(warp.move(image, SHAPE, 1), image[:, :, 2:], atol=1e-6)
    np.testing.assert_allclose(warp.move_positions(np.array([[1.0, 2, 3]])), [[1, 2, 2.5]])


def test_a_displacement_of_nothing_is_none() -> None:
    warp = Warp(displacement=shift(0.0))
    image = np.random.default_rng(0).random(SHAPE).astype(np.float32)
    np.testing.assert_array_equal(warp.move(image, warp.source_shape(SHAPE), 1), image)
    points = np.random.default_rng(1).normal(size=(4, 3))
    np.testing.assert_allclose(warp.move_positions(points), points)


def test_a_displacement_that_folds_cannot_be_undone_unless_weakened() -> None:
    steep = np.zeros((2, 1, 9), np.float32)
    steep[1, 0] = -2 * np.arange(9)
    folding = Displacement(steep, (1.0, 1.0))
    assert folding.slope == 2 and folding.gentle(0.5).slope == pytest.approx(0.5)
    assert Warp(displacement=folding).stretches[1] == np.inf
    with pytest.raises(ValueError, match=r"slope below 1 to be undone, got 2.00; take its `gentle"):
        folding.undo(np.zeros((1, 2)))
    mild = shift(3.0)
    assert mild.slope == 0 and mild.gentle() is mild


def test_the_published_displacement_has_the_published_strength() -> None:
    # Uniform (std 0.577) under a Gaussian of 0.6 nodes (root of its squares 0.497 per plane).
    drawn = random_displacement(np.random.default_rng(0), (400, 300), (1.0, 1.0), Elastic())
    assert drawn.field.shape == (2, 400, 300)
    assert drawn.field.std() == pytest.approx(20 * 0.577 * 0.497, rel=0.15)


def test_one_node_moves_everything_alike() -> None:
    one = Elastic(points=1, amplitude=3.0)
    field = random_displacement(np.random.default_rng(0), (6, 1), (1.0, 1.0), one).field
    assert np.ptp(field[0]) == 0 and 0 < abs(field[0, 0, 0]) <= 3


@pytest.mark.parametrize("warp", [Warp(), Warp(angle=0.3)])
def test_a_box_of_another_shape_is_refused(warp: Warp) -> None:
    with pytest.raises(ValueError, match=r"`array` must have the `source_shape`.*got \(2, 2, 2\)"):
        warp.move(np.zeros((2, 2, 2)), SHAPE, 1)


def test_a_displacement_made_for_another_crop_is_refused() -> None:
    with pytest.raises(ValueError, match=r"made for, with slices of \(14, 12\), got \(8, 8\)"):
        Warp(displacement=shift(1.0)).source_shape((8, 8, 8))


@given(seed=st.integers(0, 10_000), order=st.sampled_from([0, 1]))
def test_reading_between_pixels_is_linear_or_nearest(seed: int, order: int) -> None:
    rng = np.random.default_rng(seed)
    stack, at = rng.random((3, 5, 6)).astype(np.float32), rng.uniform(-2, 8, (2, 4, 3))
    expected = [map_coordinates(part, at, order=order, mode="nearest") for part in stack]
    np.testing.assert_allclose(read_slices(stack, at, order), expected, atol=1e-6)
    depths = rng.uniform(-1, 4, 7)
    index = np.stack(np.broadcast_arrays(depths[:, None], 2.0, np.arange(6.0)))
    found = read_between_slices(stack, depths, order)[:, 2]
    np.testing.assert_allclose(
        found, map_coordinates(stack, index, order=order, mode="nearest"), atol=1e-6
    )
