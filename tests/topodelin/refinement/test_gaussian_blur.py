"""The blur is the plain sum over the voxels of the array, however it is computed."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from topodelin.refinement.gaussian_blur import GaussianBlur, gaussian_factor


def summed(x: Tensor, sigmas: tuple[float, ...]) -> Tensor:
    """Axis after axis, every voxel times every other."""
    for axis, sigma in enumerate(sigmas, 1):
        at = torch.arange(x.shape[axis], dtype=x.dtype)
        weights = torch.exp(-((at[:, None] - at) / sigma).square() / 2)
        x = (x.movedim(axis, -1) @ weights).movedim(-1, axis)
    return x


def test_one_voxel_spreads_as_a_gaussian_that_is_1_at_its_top() -> None:
    x = torch.zeros(1, 5, 5)
    x[0, 2, 1] = 1
    blurred = GaussianBlur((5, 5), (1.0, 2.0))(x)
    assert blurred[0, 2, 1].item() == pytest.approx(1)
    assert blurred[0, 3, 1].item() == pytest.approx(0.60653066)  # e^(-1/2)
    assert blurred[0, 2, 3].item() == pytest.approx(0.60653066)
    assert blurred[0, 4, 3].item() == pytest.approx(0.08208500)  # e^(-2 - 1/2)


def test_beyond_the_border_there_is_nothing() -> None:
    blurred = GaussianBlur((3,), (1.0,), dtype=torch.float64)(torch.ones(1, 3).double())
    by_hand = [1 + 0.6065306597 + 0.1353352832, 1 + 2 * 0.6065306597, 1.7418659429]
    torch.testing.assert_close(blurred[0], torch.tensor(by_hand).double(), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("shape", "sigmas", "products"),
    [
        ((20, 30), (1.0, 2.0), "_Dense _Dense"),
        ((200, 7), (1.5, 1.0), "_Band _Dense"),
        ((7, 201), (1.0, 1.5), "_Dense _Band"),
        ((130, 3, 5), (0.3, 0.5, 0.4), "_Band _Dense _Dense"),
        ((64, 50, 40), (6.0, 9.0, 30.0), "_Factored _Factored _Factored"),
        ((200, 40), (1.5, 20.0), "_Band _Factored"),
        ((1, 1), (3.0, 0.2), "_Dense _Dense"),
    ],
)
def test_every_product_gives_the_same_sum(
    shape: tuple[int, ...], sigmas: tuple[float, ...], products: str
) -> None:
    x = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    blur = GaussianBlur(shape, sigmas, dtype=torch.float64)
    assert " ".join(type(axis).__name__ for axis in blur.axes) == products
    torch.testing.assert_close(blur(x), summed(x, sigmas), atol=1e-4, rtol=1e-6)


@given(size=st.integers(1, 200), sigma=st.floats(0.2, 300))
def test_any_width_on_any_axis(size: int, sigma: float) -> None:
    x = torch.eye(size, dtype=torch.float64)
    blurred = GaussianBlur((size,), (sigma,), dtype=torch.float64)(x)
    torch.testing.assert_close(blurred, summed(x, (sigma,)), atol=1.1e-7, rtol=0)


@given(sigma=st.floats(0.5, 50), tolerance=st.sampled_from([1e-3, 1e-5, 1e-8]))
def test_the_columns_are_few_and_every_entry_is_within_the_tolerance(
    sigma: float, tolerance: float
) -> None:
    at = torch.arange(60, dtype=torch.float64) / sigma
    factor = gaussian_factor(at, tolerance)
    error = factor @ factor.T - torch.exp(-(at[:, None] - at).square() / 2)
    assert error.abs().max() <= tolerance
    fewer = factor[:, :-1]
    missing = fewer @ fewer.T - torch.exp(-(at[:, None] - at).square() / 2)
    assert missing.abs().max() > tolerance


def test_half_of_the_machine_numbers_are_enough() -> None:
    x = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(1))
    blurred = GaussianBlur((64, 64), (5.0, 1.0))(x)
    torch.testing.assert_close(blurred.double(), summed(x.double(), (5.0, 1.0)), rtol=1e-5, atol=0)
