"""The slope at a position: filters of a known gain, interpolated, equal to the image of slopes."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import correlate1d, map_coordinates

from tests.shared_files import needs_shared, shared
from topodelin.losses.snakes.gradient_filter import axis_filter, filtered_gradient


def centres(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.from_numpy(np.indices(shape).reshape(len(shape), -1).T.astype(np.float64))


def plain_gradient(
    image: np.ndarray, positions: np.ndarray, sigmas: tuple[float, ...], gain: str
) -> np.ndarray:
    """The definition: one filtered image for each axis, interpolated with zeros outside."""
    columns = []
    for derived in range(image.ndim):
        slopes = image
        for axis, sigma in enumerate(sigmas):
            taps = axis_filter(sigma, gain)
            kernel = taps.derivative if axis == derived else taps.smoothing
            slopes = correlate1d(slopes, kernel, axis, mode="nearest")
        columns.append(map_coordinates(slopes, positions.T, order=1, mode="grid-constant"))
    return np.stack(columns, -1)


@pytest.mark.parametrize(
    ("sigma", "expected"), [(0.5, 1.0), (0.75, 1.12), (1.0, 1.31), (2.0, 2.33)]
)
def test_the_published_gain_grows_with_sigma_and_the_unit_gain_does_not(
    sigma: float, expected: float
) -> None:
    ramp = 3.0 * torch.arange(30, dtype=torch.float64).expand(20, 30)
    at = torch.tensor([[10.2, 15.7]], dtype=torch.float64)
    published = filtered_gradient(ramp, at, [axis_filter(sigma, "published")] * 2)
    unit = filtered_gradient(ramp, at, [axis_filter(sigma)] * 2)
    assert (published / 3).tolist() == [pytest.approx([0, expected], abs=5e-3)]
    assert (unit / 3).tolist() == [pytest.approx([0, 1], abs=1e-12)]


def test_a_narrow_filter_takes_central_differences() -> None:
    taps = axis_filter(0.05)
    assert taps.derivative.tolist() == [-0.5, 0, 0.5]
    assert taps.smoothing.tolist() == pytest.approx([0, 1, 0])


@given(
    seed=st.integers(0, 2**16),
    shape=st.sampled_from([(9, 12), (5, 7, 6), (1, 8), (2, 1, 3)]),
    sigmas=st.tuples(*[st.sampled_from([0.3, 0.5, 1.0, 2.0])] * 3),
    gain=st.sampled_from(["unit", "published"]),
)
def test_it_is_the_interpolated_image_of_slopes(
    seed: int, shape: tuple[int, ...], sigmas: tuple[float, ...], gain: str
) -> None:
    rng = np.random.default_rng(seed)
    image = rng.normal(size=shape)
    positions = (rng.random((20, len(shape))) * 1.6 - 0.3) * shape
    found = filtered_gradient(
        torch.from_numpy(image),
        torch.from_numpy(positions),
        [axis_filter(sigma, gain) for sigma in sigmas[: len(shape)]],
    )
    expected = plain_gradient(image, positions, sigmas[: len(shape)], gain)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_it_fades_over_one_voxel_outside_the_grid() -> None:
    ramp = torch.arange(8, dtype=torch.float64)[:, None].expand(8, 8)
    rows = [7.0, 7.25, 8.0, 9.0]
    at = torch.tensor([[row, 4.0] for row in rows], dtype=torch.float64)
    slopes = filtered_gradient(ramp, at, [axis_filter(0.5)] * 2)[:, 0]
    assert slopes.tolist() == pytest.approx([0.5, 0.375, 0, 0])  # half: the border is repeated


def test_gradients_match_finite_differences() -> None:
    rng = np.random.default_rng(0)
    image = torch.from_numpy(rng.normal(size=(5, 6, 4))).requires_grad_()
    inside = torch.from_numpy(rng.random((3, 3)) * 3 + 0.1)
    outside = torch.tensor([[-0.4, 2.3, 1.6], [4.4, 5.2, 3.1]], dtype=torch.float64)
    at = torch.cat([inside, outside]).requires_grad_()
    filters = [axis_filter(0.5), axis_filter(0.8), axis_filter(1.0)]
    assert torch.autograd.gradcheck(lambda p, s: filtered_gradient(p, s, filters), (image, at))


def test_no_positions_give_no_slopes() -> None:
    assert filtered_gradient(torch.zeros(4, 5), torch.zeros(0, 2), [axis_filter(1)] * 2).shape == (
        0,
        2,
    )


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.nan, math.inf])
def test_a_filter_without_width_is_refused(sigma: float) -> None:
    with pytest.raises(ValueError, match="`sigma` must be above 0"):
        axis_filter(sigma)


def test_the_published_filter_is_refused_where_it_has_no_weights() -> None:
    with pytest.raises(ValueError, match="above 0.25 voxels for gain='published', got 0.25"):
        axis_filter(0.25, "published")


def test_another_gain_is_refused() -> None:
    with pytest.raises(ValueError, match="`gain` must be 'unit' or 'published', got 'half'"):
        axis_filter(1.0, "half")


@needs_shared
@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("number", range(5))
def test_filters_and_answers_are_the_published_ones(dims: int, number: int) -> None:
    golden = np.load(shared("goldens", "gaussgrad_dev.npz"))
    taps = axis_filter(float(golden["sigmas"][number]), "published")
    first_kernel = taps.derivative.reshape(-1, *(1,) * (dims - 1))
    for axis in range(1, dims):
        first_kernel = first_kernel * taps.smoothing.reshape(-1, *(1,) * (dims - 1 - axis))
    np.testing.assert_allclose(first_kernel, golden[f"filter_{dims}d_{number}"][0, 0], atol=1e-12)

    image = torch.from_numpy(golden[f"image_{dims}d"][0, 0])
    found = filtered_gradient(image, centres(tuple(image.shape)).float(), [taps] * dims)
    expected = golden[f"response_{dims}d_{number}"][0].reshape(dims, -1).T
    np.testing.assert_allclose(found, expected, atol=2e-6 * np.abs(expected).max())
