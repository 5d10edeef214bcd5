"""Atrous spatial pyramid pooling, drawn by hand: where its taps fall, and how it fuses."""

from typing import Any

import pytest
import torch
from torch import nn

from topodelin.models.aspp import ASPP


def plain(network: nn.Module) -> nn.Module:
    """All weights 1, all biases 0; its normalisations, as fresh, change nothing in evaluation."""
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.Conv3d):
                layer.weight.fill_(1)
                if layer.bias is not None:
                    layer.bias.zero_()
    return network.eval()


def dot(length: int) -> torch.Tensor:
    image = torch.zeros(1, 1, length, length)
    image[0, 0, length // 2, length // 2] = 1
    return image


def test_the_sum_of_rates_1_and_3_lights_the_centre_twice_and_a_ring_at_either_distance() -> None:
    seen = plain(ASPP(1, 1, dims=2, rates=(1, 3), fuse="sum"))(dot(9))
    drawn = torch.tensor(
        [
            [0, 0, 0, 0, 0, 0, 0, 0, 0],
            [0, 1, 0, 0, 1, 0, 0, 1, 0],
            [0, 0, 0, 0, 0, 0, 0, 0, 0],
            [0, 0, 0, 1, 1, 1, 0, 0, 0],
            [0, 1, 0, 1, 2, 1, 0, 1, 0],
            [0, 0, 0, 1, 1, 1, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 0, 0, 0],
            [0, 1, 0, 0, 1, 0, 0, 1, 0],
            [0, 0, 0, 0, 0, 0, 0, 0, 0],
        ]
    )
    torch.testing.assert_close(seen[0, 0], drawn.float(), atol=1e-4, rtol=0)


def test_the_concatenation_looks_at_one_voxel_for_rate_1_and_at_the_mean_of_the_image() -> None:
    seen = plain(ASPP(1, 1, dims=2, rates=(1, 2), fuse="concat", image_pool=True))(dot(5))
    drawn = torch.tensor(
        [
            [1, 0, 1, 0, 1],
            [0, 0, 0, 0, 0],
            [1, 0, 2, 0, 1],
            [0, 0, 0, 0, 0],
            [1, 0, 1, 0, 1],
        ]
    )
    torch.testing.assert_close(seen[0, 0], drawn + 1 / 25, atol=1e-4, rtol=0)


def test_the_concatenation_is_rectified_and_the_sum_is_not() -> None:
    assert plain(ASPP(1, 1, dims=2, rates=(2,), fuse="concat"))(-dot(5)).min() == 0
    assert plain(ASPP(1, 1, dims=2, rates=(2,), fuse="sum"))(-dot(5)).min() < 0


@pytest.mark.parametrize("rate", [4, 5, 18])
def test_a_rate_as_long_as_the_map_leaves_a_branch_its_middle_tap(rate) -> None:
    pyramid: Any = ASPP(1, 1, dims=3, rates=(rate,), fuse="sum")
    pyramid(torch.randn(2, 1, 4, 4, 4)).square().sum().backward()
    taps = pyramid.branches[0][0].weight.grad
    assert taps[0, 0, 1, 1, 1] != 0 and (taps != 0).sum() == 1


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("fuse", ["sum", "concat"])
@pytest.mark.parametrize("image_pool", [False, True])
def test_it_keeps_the_size_and_gives_its_own_channels(dims, fuse, image_pool) -> None:
    pyramid = ASPP(2, 3, dims=dims, rates=(1, 6, 12), fuse=fuse, image_pool=image_pool)
    size = (5, 3, 4)[:dims]
    assert pyramid(torch.randn(2, 2, *size)).shape == (2, 3, *size)


def test_the_concatenation_of_deeplab_has_its_number_of_weights() -> None:
    # 256 channels from 2048: 1x1, three 3x3, the mean, and the fusion of five; 6 normalisations.
    with torch.device("meta"):
        pyramid = ASPP(2048, 256, dims=2, rates=(1, 6, 12, 18), fuse="concat", image_pool=True)
    taps = 2048 * (1 + 3 * 9 + 1) + 256 * 5
    assert sum(w.numel() for w in pyramid.parameters()) == 256 * taps + 6 * 2 * 256


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rates": ()}, "`rates` must be one or more numbers of at least 1"),
        ({"rates": (1, 0)}, "`rates` must be one or more numbers of at least 1"),
    ],
)
def test_an_impossible_pyramid_is_refused_by_argument(changes, message) -> None:
    with pytest.raises(ValueError, match=message):
        ASPP(1, 1, **{"dims": 2, "rates": (1,), "fuse": "sum", **changes})
