import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from topodelin.volumes import Box, IntensityRange, Volume, intensity_range, intensity_scaling
from topodelin.volumes.intensity import BLOCK


class Recorder:
    """A volume of a constant that remembers how many voxels were read."""

    dtype = np.dtype(np.uint8)

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape, self.places = shape, []

    def __getitem__(self, key: object) -> np.ndarray:
        slices = [s for s in key if s is not ...]  # type: ignore[union-attr]
        self.places.append(tuple(s.start for s in slices))
        return np.full([s.stop - s.start for s in slices], 9, np.uint8)


def test_a_small_volume_is_read_whole() -> None:
    array = np.random.default_rng(0).integers(0, 1000, (20, 150, 140)).astype(np.uint16)
    found = intensity_range(Volume(array, (1, 1, 1)), percentiles=(25.0, 99.0))
    assert (found.low, found.high) == tuple(np.percentile(array, (25.0, 99.0)))


def test_a_large_volume_is_sampled_on_an_even_lattice() -> None:
    whole = Recorder((16 * 40, 128 * 30, 128 * 20))
    intensity_range(Volume(whole, (1, 1, 1)), max_voxels=100 * int(np.prod(BLOCK)))
    places = np.array(whole.places)
    assert 50 <= len(places) <= 100
    assert len(set(whole.places)) == len(places)
    centre = (places + np.array(BLOCK) / 2).mean(axis=0) / whole.shape
    np.testing.assert_allclose(centre, 0.5, atol=0.05)


def test_half_the_volume_bright_is_seen_in_a_sample() -> None:
    array = np.zeros((64, 512, 512), np.uint8)
    array[:, 256:] = 200
    found = intensity_range(Volume(array, (1, 1, 1)), percentiles=(10, 90), max_voxels=4_000_000)
    assert (found.low, found.high) == (0, 200)


@pytest.mark.parametrize(
    ("bright", "high"), [(0, 1.0), (7, 7.0)], ids=["nothing but background", "one bright voxel"]
)
def test_a_nearly_empty_stack_still_has_a_range(bright: int, high: float) -> None:
    array = np.zeros((20, 100, 100), np.uint8)
    array[3, 4, 5] = bright
    assert intensity_range(Volume(array, (1, 1, 1))) == IntensityRange(0.0, high)


def test_normalisation_by_hand() -> None:
    array = np.array([0, 10, 20, 30, 60, 255], np.uint8)
    scaled = IntensityRange(10, 30).normalize(array)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, [-0.5, 0, 0.5, 1, 2, 2])


@given(low=st.floats(-1e3, 1e3), width=st.floats(1e-2, 1e4), seed=st.integers(0, 99))
def test_normalised_values_lie_between_minus_one_and_two(
    low: float, width: float, seed: int
) -> None:
    array = np.random.default_rng(seed).normal(0, 1e3, 50).astype(np.float32)
    scaled = IntensityRange(low, low + width).normalize(array)
    assert scaled.min() >= -1 and scaled.max() <= 2
    assert np.all(np.diff(scaled[np.argsort(array)]) >= 0)


@pytest.mark.parametrize(("low", "high"), [(1, 1), (2, 1), (0, float("nan"))])
def test_a_range_must_rise(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="must exceed"):
        IntensityRange(low, high)


def test_bad_arguments_are_named() -> None:
    volume = Volume(np.zeros((4, 4, 4), np.uint8), (1, 1, 1))
    with pytest.raises(ValueError, match="`percentiles`"):
        intensity_range(volume, percentiles=(60, 40))
    with pytest.raises(ValueError, match="`max_voxels`"):
        intensity_range(volume, max_voxels=0)


def test_channels_are_pooled() -> None:
    array = np.stack([np.full((4, 4, 4), 10), np.full((4, 4, 4), 50)]).astype(np.uint8)
    volume = Volume(array, (1, 1, 1))
    assert volume.read(Box((0, 0, 0), (1, 1, 1))).shape == (2, 1, 1, 1)
    assert intensity_range(volume, percentiles=(25, 75)) == IntensityRange(10, 50)


def test_scaling_by_percentiles_is_the_range() -> None:
    volume = Volume(np.arange(1000, dtype=np.uint16).reshape(10, 10, 10), (1, 1, 1))
    found = intensity_scaling(volume, "percentiles", percentiles=(10, 90))
    assert found == intensity_range(volume, percentiles=(10, 90))


def test_scaling_to_the_standard_has_mean_0_and_deviation_1() -> None:
    array = np.random.default_rng(0).normal(300, 20, (8, 40, 40))
    scaled = intensity_scaling(Volume(array, (1, 1, 1)), "standard").normalize(array)
    assert scaled.mean() == pytest.approx(0, abs=1e-4) and scaled.std() == pytest.approx(1)
    flat = np.full((2, 3, 4), 7.0)
    assert not intensity_scaling(Volume(flat, (1, 1, 1)), "standard").normalize(flat).any()


@pytest.mark.parametrize(
    ("dtype", "least", "most"), [("uint8", 0, 255), ("int16", -32768, 32767), ("float32", 0, 1)]
)
def test_scaling_by_the_type_maps_its_range_to_0_to_1(dtype: str, least: int, most: int) -> None:
    array = np.array([least, most], dtype).reshape(1, 1, 2)
    scaled = intensity_scaling(Volume(array, (1, 1, 1)), "range").normalize(array)
    np.testing.assert_allclose(scaled.ravel(), [0, 1], atol=1e-6)


def test_an_unknown_scaling_is_named() -> None:
    with pytest.raises(ValueError, match=r"`kind` must be percentiles.*'logarithm'"):
        intensity_scaling(Volume(np.zeros((2, 2, 2)), (1, 1, 1)), "logarithm")
