import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from topodelin.training.augmentation import Motion, change_intensity, equal_planes, random_motion
from topodelin.training.config import Augmentation, Intensity

SPACINGS = [(1.0, 0.33, 0.33), (0.5, 0.5, 0.5), (0.3, 0.3, 1.0), (1.0, 0.5, 0.25)]
SHAPE = (9, 14, 12)


def blob(shape: tuple[int, int, int], centre: np.ndarray) -> np.ndarray:
    """A round bright spot of a few voxels."""
    point = np.zeros(shape, np.float32)
    point[tuple(centre)] = 1
    return gaussian_filter(point, 1.0, mode="constant", truncate=3)


def centre_of_mass(image: np.ndarray) -> np.ndarray:
    return np.array([(grid * image).sum() for grid in np.indices(image.shape)]) / image.sum()


@given(seed=st.integers(0, 10_000), spacing=st.sampled_from(SPACINGS))
def test_a_spot_and_its_node_move_to_the_same_place(
    seed: int, spacing: tuple[float, float, float]
) -> None:
    rng = np.random.default_rng(seed)
    motion = random_motion(rng, spacing, Augmentation())
    source = motion.source_shape(SHAPE)
    centre = (np.array(source) - 1) / 2
    voxel = np.round(centre + rng.uniform(-1, 1, 3)).astype(int)
    image = motion.move_image(blob(source, voxel), SHAPE)
    assert image.shape == SHAPE
    node = motion.move_positions(((voxel - centre) * spacing)[None])[0]
    expected = node / spacing + (np.array(SHAPE) - 1) / 2
    np.testing.assert_allclose(centre_of_mass(image), expected, atol=0.15)


@given(seed=st.integers(0, 10_000), spacing=st.sampled_from(SPACINGS))
def test_a_motion_keeps_lengths_in_um(seed: int, spacing: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(seed)
    motion = random_motion(rng, spacing, Augmentation())
    points = rng.normal(size=(5, 3))
    np.testing.assert_allclose(
        np.linalg.norm(motion.move_positions(points), axis=1), np.linalg.norm(points, axis=1)
    )


def test_without_rotation_voxels_are_only_rearranged() -> None:
    image = np.random.default_rng(0).random((14, 9, 12))
    motion = Motion(turns=((0, 1, 1), (1, 2, 2)), flips=(True, False, True))
    moved = motion.move_image(image, SHAPE)
    assert motion.source_shape(SHAPE) == image.shape
    np.testing.assert_array_equal(np.sort(moved.ravel()), np.sort(image.ravel()))


def test_the_corners_of_a_rotated_crop_are_real_data() -> None:
    motion = Motion(angle=np.pi / 4)
    depth, height, width = motion.source_shape((4, 10, 10))
    ramp = np.broadcast_to(np.arange(width, dtype=np.float32), (depth, height, width))
    moved = motion.move_image(ramp, (4, 10, 10))
    # a plane stays a plane when it is turned; edge padding would bend it at the corners
    np.testing.assert_allclose(np.diff(moved, n=2, axis=2), 0, atol=1e-4)


def test_planes_of_different_spacing_are_not_turned() -> None:
    assert equal_planes((1.0, 0.5, 0.25)) == []
    assert equal_planes((1.0, 0.33, 0.33)) == [(1, 2)]
    motion = random_motion(np.random.default_rng(0), (1.0, 0.5, 0.25), Augmentation())
    assert (motion.angle, motion.turns) == (0.0, ())


def test_what_is_switched_off_does_not_happen() -> None:
    off = Augmentation(flips=False, quarter_turns=False, rotation=False)
    assert random_motion(np.random.default_rng(0), (1.0, 1.0, 1.0), off) == Motion()


@given(seed=st.integers(0, 1000))
def test_changed_brightness_stays_in_the_range_of_a_normalised_image(seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = rng.uniform(-1, 2, (3, 4, 5)).astype(np.float32)
    changed = change_intensity(rng, image, Intensity(noise=(0.0, 1.0)))
    assert changed.dtype == np.float32
    assert -1 <= changed.min() and changed.max() <= 2


def test_ranges_around_nothing_leave_the_image_as_it_is() -> None:
    image = np.random.default_rng(0).uniform(-1, 2, (3, 4, 5)).astype(np.float32)
    nothing = Intensity(gain=(1, 1), offset=(0, 0), gamma=(1, 1), noise=(0, 0))
    changed = change_intensity(np.random.default_rng(1), image, nothing)
    assert changed == pytest.approx(image, abs=1e-6)
