"""Residual units and squeeze-and-excitation with weights small enough to work out by hand."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from topodelin.models.residual import ResidualUnit, SqueezeExcite


def through(value: float, conv: Any) -> None:
    """The convolution multiplies each voxel by `value` and looks no further."""
    with torch.no_grad():
        conv.weight.zero_()
        conv.weight[(0, 0, *(k // 2 for k in conv.kernel_size))] = value
        conv.bias.zero_()


@pytest.mark.parametrize(
    ("pre_activation", "expected"),
    # Convolutions of -1 and 1. Rectified before the first, nothing positive is left after it;
    # otherwise what was negative comes back positive and cancels its projection.
    [(True, [-2.0, 3.0]), (False, [0.0, 3.0])],
)
def test_a_unit_adds_a_projection_to_two_convolutions(pre_activation, expected) -> None:
    unit = ResidualUnit(1, 1, dims=2, pre_activation=pre_activation).eval()
    first, second, projection = (m for m in unit.modules() if isinstance(m, nn.Conv2d))
    through(-1, first)
    through(1, second)
    through(1, projection)
    seen = unit(torch.tensor([-2.0, 3.0]).reshape(1, 1, 1, 2))
    torch.testing.assert_close(seen.flatten(), torch.tensor(expected), atol=1e-4, rtol=0)


@pytest.mark.parametrize(("length", "half"), [(8, 4), (7, 4), (1, 1)])
@pytest.mark.parametrize("dims", [2, 3])
def test_a_stride_of_two_keeps_every_second_voxel(dims, length, half) -> None:
    unit = ResidualUnit(2, 3, dims=dims, stride=2)
    assert unit(torch.randn(2, 2, *[length] * dims)).shape == (2, 3, *[half] * dims)


def test_the_first_voxel_is_one_of_those_kept_by_the_projection() -> None:
    unit = ResidualUnit(1, 1, dims=2, stride=2).eval()
    for layer in (m for m in unit.modules() if isinstance(m, nn.Conv2d)):
        through(1 if layer.kernel_size == (1, 1) else 0, layer)
    row = torch.tensor([1.0, 2, 3, 4]).reshape(1, 1, 1, 4)
    torch.testing.assert_close(unit(row).flatten(), torch.tensor([1.0, 3]), atol=1e-4, rtol=0)


@pytest.mark.parametrize("dims", [2, 3])
def test_the_gates_follow_from_the_means_of_all_channels(dims) -> None:
    # Means 1 and 2 squeeze to 1 + 2 = 3; excited by ln(3) / 3 and 0 the gates are 3/4 and 1/2.
    weigh = SqueezeExcite(2, dims=dims, reduction=2)
    squeeze: Any = weigh.gate[0]
    excite: Any = weigh.gate[2]
    with torch.no_grad():
        squeeze.weight.fill_(1)
        excite.weight.copy_(torch.tensor([math.log(3) / 3, 0]).reshape(2, 1, *[1] * dims))
    channels = [torch.tensor([0.0, 2]), torch.tensor([4.0, 0])]
    image = torch.stack(channels).reshape(1, 2, *[1] * (dims - 1), 2)
    expected = torch.tensor([0, 1.5, 2, 0])
    torch.testing.assert_close(weigh(image).flatten(), expected)


def test_the_gates_of_an_image_do_not_know_its_neighbour_in_the_batch() -> None:
    weigh = SqueezeExcite(8, dims=2)
    batch = torch.randn(2, 8, 3, 3)
    torch.testing.assert_close(weigh(batch)[:1], weigh(batch[:1]))


def test_few_channels_squeeze_to_one_at_least() -> None:
    few: Any = SqueezeExcite(3, dims=2, reduction=8)
    many: Any = SqueezeExcite(64, dims=2, reduction=8)
    assert few.gate[0].out_channels == 1
    assert many.gate[0].out_channels == 8
