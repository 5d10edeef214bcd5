"""How a crop may look without showing anything else."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from topodelin.training.appearance import NORMALISED, change_appearance
from topodelin.training.config import Intensity

NOTHING: dict[str, Any] = {"gain": (1, 1), "offset": (0, 0), "gamma": (1, 1), "noise": (0, 0)}
SHAPE = (3, 24, 20)


def image(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 2, SHAPE).astype(np.float32)


def changed(seed: int = 1, of: np.ndarray | None = None, **ranges: Any) -> np.ndarray:
    given = image() if of is None else of
    return change_appearance(np.random.default_rng(seed), given, Intensity(**(NOTHING | ranges)))


def test_ranges_around_nothing_leave_the_image_as_it_is() -> None:
    np.testing.assert_allclose(changed(), image(), atol=1e-6)


def test_gain_gamma_and_offset_by_hand() -> None:
    of = np.array([[[-0.25, 0.0, 4.0]]], dtype=np.float32)
    found = changed(of=of, gain=(2, 2), gamma=(0.5, 0.5), offset=(0.1, 0.1))
    np.testing.assert_allclose(found, [[[-0.9, 0.1, 4.1]]], atol=1e-6)
    assert found.dtype == np.float32


def test_blur_acts_within_the_slices() -> None:
    found = changed(blur=(1.5, 1.5))
    np.testing.assert_allclose(
        found[1], gaussian_filter(image()[1], 1.5, mode="nearest"), atol=1e-5
    )


def test_noise_is_of_the_strength_that_was_asked_for() -> None:
    noise = changed(noise=(0.3, 0.3)) - image()
    assert noise.std() == pytest.approx(0.3, rel=0.05) and abs(noise.mean()) < 0.03


@given(seed=st.integers(0, 1000))
def test_limits_hold_whatever_is_drawn(seed: int) -> None:
    ranges = Intensity(gain=(0.5, 2), noise=(0.0, 1.0), blur=(0, 1), missing_slice=0.5)
    found = change_appearance(np.random.default_rng(seed), image(seed), ranges, limits=NORMALISED)
    assert -1 <= found.min() and found.max() <= 2


def test_without_limits_nothing_is_cut() -> None:
    assert changed(gain=(10, 10)).max() > 15


@given(seed=st.integers(0, 1000))
def test_one_slice_may_be_missing_and_the_others_stay(seed: int) -> None:
    found = changed(seed, missing_slice=1.0)
    blank = (found == 0).all(axis=(1, 2))
    assert blank.sum() == 1
    np.testing.assert_allclose(found[~blank], image()[~blank], atol=1e-6)


def test_a_slice_is_missing_as_often_as_asked_for_and_any_of_them() -> None:
    runs = [(changed(seed, missing_slice=0.3) == 0).all(axis=(1, 2)) for seed in range(300)]
    share = np.mean(runs, axis=0)
    np.testing.assert_allclose(share, 0.1, atol=0.05)


def test_the_only_slice_is_never_missing() -> None:
    assert changed(of=image()[:1], missing_slice=1.0).any()


@pytest.mark.parametrize(
    "ranges", [{"blur": (0, 2)}, {"missing_slice": 1.0}, {"noise": (0, 1)}, {"gamma": (0.5, 2)}]
)
def test_a_change_leaves_all_later_draws_as_they_were(ranges) -> None:
    plain, other = np.random.default_rng(4), np.random.default_rng(4)
    change_appearance(plain, image(), Intensity(**NOTHING))
    change_appearance(other, image(), Intensity(**(NOTHING | ranges)))
    assert plain.random() == other.random()


def test_the_image_that_was_given_stays() -> None:
    given = image()
    changed(of=given, missing_slice=1.0, gain=(2, 2))
    np.testing.assert_array_equal(given, image())
