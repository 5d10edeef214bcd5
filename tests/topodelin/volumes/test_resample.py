from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.topodelin.volumes.phantom import SPACING, phantom
from topodelin.volumes import Box, Volume, resample

SPACINGS = st.tuples(*(st.floats(0.1, 4.0) for _ in range(3)))


@given(spacing=SPACINGS, data=st.data())
def test_a_voxel_has_the_same_value_in_every_box(
    spacing: tuple[float, float, float], data: st.DataObject
) -> None:
    resampled = resample(Volume(phantom("uint16"), SPACING), spacing)
    whole = resampled.read(resampled.box)
    ends = [sorted(data.draw(st.tuples(*[st.integers(0, n)] * 2))) for n in resampled.shape]
    box = Box((ends[0][0], ends[1][0], ends[2][0]), (ends[0][1], ends[1][1], ends[2][1]))
    np.testing.assert_array_equal(resampled.read(box), whole[box.slices])


@given(spacing=SPACINGS)
def test_the_last_voxel_lies_inside_the_volume(spacing: tuple[float, float, float]) -> None:
    resampled = resample(Volume(phantom(), SPACING), spacing)
    expected = [
        floor((n - 1) * into / out + 1e-6) + 1
        for n, into, out in zip(phantom().shape, SPACING, resampled.spacing, strict=True)
    ]
    assert list(resampled.shape) == expected


@given(spacing=SPACINGS)
def test_a_constant_stays_constant(spacing: tuple[float, float, float]) -> None:
    resampled = resample(Volume(np.full((5, 6, 7), 42, np.uint8), SPACING), spacing)
    np.testing.assert_allclose(resampled.data[...], 42, rtol=1e-5)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("ratio", [0.3, 0.5, 1.7, 2.0, 3.5])
def test_a_ramp_keeps_its_positions(axis: int, ratio: float) -> None:
    # intensity = position in input voxels; away from the ends, where the border is repeated
    shape, spacing = [3, 3, 3], [1.0, 1.0, 1.0]
    shape[axis], spacing[axis] = 60, ratio
    ramp = np.broadcast_to(
        np.arange(60.0).reshape([-1 if i == axis else 1 for i in range(3)]), shape
    )
    resampled = resample(Volume(ramp, (1, 1, 1)), spacing)
    along = np.moveaxis(resampled.data[...], axis, 0)[:, 0, 0]
    positions = np.arange(len(along)) * ratio
    inside = (positions > 12) & (positions < 47)
    np.testing.assert_allclose(along[inside], positions[inside], atol=0.003)


def test_the_first_voxel_stays_where_it_is() -> None:
    fine = resample(Volume(phantom(), SPACING), (0.5, 0.25, 0.25))
    assert fine.data[0, 0, 0] == 100
    assert fine.data[3, 0, 0] == phantom()[1, 0, 0]
    assert fine.data[0, 0, 1] == (100 + 30) / 2


def test_finer_by_hand() -> None:
    line = np.array([0, 10, 40], np.uint8).reshape(1, 1, 3)
    finer = resample(Volume(line, (1, 1, 1)), (1, 1, 0.5))
    assert finer.data[0, 0].tolist() == [0, 5, 10, 25, 40]
    assert finer.dtype == np.float32


def test_detail_finer_than_the_new_voxels_is_averaged() -> None:
    # a comb of period 2 read at every 4th voxel would be all 0 or all 100 without smoothing
    comb = np.broadcast_to(np.tile([0, 100], 40), (2, 2, 80))
    coarse = resample(Volume(comb, (1, 1, 1)), (1, 1, 4))
    np.testing.assert_allclose(coarse.data[0, 0, 2:-2], 50, atol=2)


def test_coarsening_keeps_the_mean_of_noise() -> None:
    noise = np.random.default_rng(0).normal(10, 1, (40, 40, 40)).astype(np.float32)
    coarse = resample(Volume(noise, (1, 1, 1)), (2.5, 2.5, 2.5)).data[...]
    assert coarse.mean() == pytest.approx(10, abs=0.1)
    assert coarse.std() < 0.35


@pytest.mark.parametrize("factor", [1.0, 1.0005, 0.9995])
def test_the_same_spacing_returns_the_volume(factor: float) -> None:
    volume = Volume(phantom(), SPACING)
    assert resample(volume, [factor * s for s in SPACING]) is volume


def test_channels_are_resampled_alike() -> None:
    channels = np.stack([phantom(), phantom()[::-1]])
    both = resample(Volume(channels, SPACING), (2, 0.6, 0.2))
    second = resample(Volume(phantom()[::-1], SPACING), (2, 0.6, 0.2))
    assert both.data.shape == (2, *second.shape)
    np.testing.assert_array_equal(both.data[1], second.data[...])


def test_reading_a_small_box_reads_a_small_box() -> None:
    class Counting:
        shape, dtype = (10**6, 10**6, 10**6), np.dtype(np.uint8)
        voxels = 0

        def __getitem__(self, key: tuple[slice, ...]) -> np.ndarray:
            region = np.zeros([s.stop - s.start for s in key], np.uint8)
            self.voxels += region.size
            return region

    source = Counting()
    huge = resample(Volume(source, (1, 1, 1)), (2, 2, 0.5))
    n = 10**5
    huge.read(Box((n, n, n), (n + 8, n + 8, n + 8)))
    assert source.voxels < 24 * 24 * 12


def test_an_impossible_spacing_is_refused() -> None:
    with pytest.raises(ValueError, match="`spacing` must be three positive numbers"):
        resample(Volume(phantom(), SPACING), (1, 1, 0))
