"""Filter features of pixels: against scipy, at borders, and in tiles."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from topodelin.models.filter_features import FEATURES, filter_features


def images(seed: int, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def test_a_step_by_hand() -> None:
    image = torch.tensor([[0.0, 0.0, 1.0, 1.0]]).repeat(3, 1)
    names = ["intensity", "sobel_x", "prewitt_x", "sobel_y", "laplace", "sobel_magnitude"]
    found = filter_features(image, names)[:, 1]
    assert found.tolist() == [
        [0, 0, 1, 1],
        [0, 4, 4, 0],  # 1 + 2 + 1 times the step
        [0, 3, 3, 0],
        [0, 0, 0, 0],
        [0, 1, -1, 0],
        [0, 4, 4, 0],
    ]


@pytest.mark.parametrize("shape", [(7, 9), (1, 5), (3, 6, 8), (2, 3, 1, 4)])
def test_slices_are_filtered_in_the_plane_as_scipy_does(shape: tuple[int, ...]) -> None:
    stack = images(3, shape)
    found = filter_features(stack)
    assert found.shape == (*shape[:-2], 8, *shape[-2:])
    planes = stack.numpy().reshape(-1, *shape[-2:]).astype(np.float64)
    for plane, features in zip(planes, found.reshape(-1, 8, *shape[-2:]), strict=True):
        expected = [plane]
        for filtered in (ndimage.sobel, ndimage.prewitt):
            expected += [filtered(plane, 0), filtered(plane, 1)]
            expected.append(ndimage.generic_gradient_magnitude(plane, filtered))
        expected.insert(4, ndimage.laplace(plane))
        np.testing.assert_allclose(features, expected, atol=1e-5)


def test_both_axes_carry_something() -> None:
    spread = filter_features(images(0, (30, 30))).flatten(1).std(1)
    assert (spread > 0.5).all() and len(spread) == len(FEATURES)


@settings(max_examples=30)
@given(seed=st.integers(0, 999), top=st.integers(1, 6), left=st.integers(1, 6))
def test_a_tile_with_one_pixel_of_margin_has_the_very_values_of_the_whole(
    seed: int, top: int, left: int
) -> None:
    image = images(seed, (17, 19))
    tile = image[top - 1 : top + 9, left - 1 : left + 11]
    inside = filter_features(tile)[:, 1:-1, 1:-1]
    assert torch.equal(inside, filter_features(image)[:, top : top + 8, left : left + 10])


@settings(max_examples=30)
@given(seed=st.integers(0, 999))
def test_a_turned_image_has_its_axes_exchanged(seed: int) -> None:
    image = images(seed, (6, 8))
    one = filter_features(image, ["sobel_y", "prewitt_x", "laplace"])
    two = filter_features(image.T, ["sobel_x", "prewitt_y", "laplace"])
    torch.testing.assert_close(one, two.mT)


@pytest.mark.parametrize("names", [[], ["sobel"], ["laplace", "laplace"]])
def test_unknown_names_are_refused_with_those_that_are_known(names: list[str]) -> None:
    with pytest.raises(ValueError, match="must name one or more of intensity, sobel_y, .* got"):
        filter_features(torch.zeros(3, 3), names)
