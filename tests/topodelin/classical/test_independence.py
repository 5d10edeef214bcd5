"""Nearly independent voxels: how far apart they lie, and what it does to a test."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from topodelin.classical.group_tests import differences
from topodelin.classical.independence import lattice, steps_apart

EVERYWHERE = np.ones((1, 120, 120), bool)


def field(seed: int, sigma: float, shape: tuple[int, ...] = (1, 120, 120)) -> np.ndarray:
    """Smooth noise of mean about 0 and no other structure."""
    noise = np.random.default_rng(seed).normal(size=shape)
    return ndimage.gaussian_filter(noise, (0, sigma, sigma), mode="wrap")


def test_white_noise_is_independent_from_voxel_to_voxel() -> None:
    steps, left = steps_apart(field(0, 0), EVERYWHERE)
    assert steps == (1, 1, 1) and math.isnan(left[0]) and max(map(abs, left[1:])) < 0.05


@pytest.mark.parametrize(("sigma", "lag"), [(1.0, 4), (2.0, 7), (3.0, 10)])
def test_smoothed_noise_is_so_where_its_autocorrelation_says(sigma: float, lag: int) -> None:
    # Noise blurred with sigma has r(k) = exp(-k² / 4 sigma²), 0.1 at k = 3.03 sigma.
    valid = np.ones((1, 300, 300), bool)
    rows = [steps_apart(field(seed, sigma, valid.shape), valid)[0][1] for seed in range(6)]
    assert np.mean(rows) == pytest.approx(lag, abs=1)


def test_axes_are_measured_one_by_one_and_classes_do_not_mix() -> None:
    stretched = np.repeat(field(0, 0, (40, 40, 40)), 6, axis=2)
    steps, _ = steps_apart(stretched, np.ones(stretched.shape, bool))
    assert steps[:2] == (1, 1) and steps[2] in (5, 6, 7)
    hidden = stretched.copy()
    hidden[:, 20:] = 50.0  # would be a large mean, were it looked at
    valid = np.ones(hidden.shape, bool)
    valid[:, 20:] = False
    assert steps_apart(hidden, valid)[0][:2] == (1, 1)


def test_where_nothing_is_far_enough_half_the_axis_is() -> None:
    slope = np.linspace(-1, 1, 50)[None, :, None] * np.ones((1, 1, 30))
    steps, left = steps_apart(slope, np.ones(slope.shape, bool), correlation=0.01)
    assert steps[0] == 1 and steps[2] <= 15 and left[2] == pytest.approx(1)
    with pytest.raises(ValueError, match="`correlation` must lie between 0 and 1, got 1"):
        steps_apart(slope, np.ones(slope.shape, bool), correlation=1.0)


@settings(max_examples=30)
@given(
    seed=st.integers(0, 999),
    shape=st.tuples(*[st.integers(1, 9)] * 3),
    steps=st.tuples(*[st.integers(1, 12)] * 3),
)
def test_voxels_of_a_lattice_are_valid_and_keep_their_distance(
    seed: int, shape: tuple[int, int, int], steps: tuple[int, int, int]
) -> None:
    rng = np.random.default_rng(seed)
    valid = rng.random(shape) < 0.7
    places = np.stack(np.unravel_index(lattice(valid, steps, rng), shape), axis=1)
    assert valid[tuple(places.T)].all() and len(np.unique(places, axis=0)) == len(places)
    for one in places:
        apart = np.abs(places - one)
        assert ((apart == 0) | (apart >= steps)).all()
    everything = lattice(valid, (1, 1, 1), rng)
    assert everything.tolist() == np.flatnonzero(valid).tolist()


def test_p_values_of_all_voxels_are_far_too_small_and_those_of_the_lattice_are_not() -> None:
    """Two classes of blobs that are drawn without a look at the intensities: nothing differs."""
    found: dict[str, list[float]] = {"all": [], "lattice": []}
    for seed in range(40):
        image, blobs = field(seed, 2), field(1000 + seed, 2) > 0
        means = np.where(blobs, image[blobs].mean(), image[~blobs].mean())
        steps, _ = steps_apart(image - means, EVERYWHERE)
        for name, apart in (("all", (1, 1, 1)), ("lattice", steps)):
            at = lattice(EVERYWHERE, apart, np.random.default_rng(seed))
            here, value = blobs.ravel()[at], image.ravel()[at]
            groups = {"blob": value[here], "ground": value[~here]}
            found[name].append(differences(groups)[0].p)
    share = {name: np.mean(np.array(p) < 0.05) for name, p in found.items()}
    assert share["all"] > 0.5  # a tenth would be bad
    assert share["lattice"] < 0.15
