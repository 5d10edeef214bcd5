"""The dilated residual trunk: the names, steps and dilations of the paper."""

import pytest
import torch
from torch import nn

from topodelin.models.drn import DRN


def test_drn_d_54_has_the_published_weights_under_the_published_names() -> None:
    with torch.device("meta"):
        network = DRN()
    names = network.state_dict()
    expected = {
        "layer0.0.weight": (16, 3, 7, 7),
        "layer1.0.weight": (16, 16, 3, 3),
        "layer2.1.running_mean": (32,),
        "layer3.0.conv1.weight": (64, 32, 1, 1),
        "layer3.0.downsample.0.weight": (256, 32, 1, 1),
        "layer5.5.conv2.weight": (256, 256, 3, 3),
        "layer6.2.bn3.weight": (2048,),
        "layer7.0.weight": (512, 2048, 3, 3),
        "layer8.0.weight": (512, 512, 3, 3),
    }
    assert {name: tuple(names[name].shape) for name in expected} == expected
    # 35,809,176 with a classifier of 1000 classes.
    assert sum(w.numel() for w in network.parameters()) == 35_809_176 - 513_000


@pytest.mark.parametrize("depth", [22, 38, 54, 105])
def test_steps_and_dilations_are_those_of_the_paper(depth) -> None:
    network = DRN(2, 1, depth=depth, base=1)
    seen = {}
    for name, layer in network.named_children():
        convs = [c for c in layer.modules() if isinstance(c, nn.Conv2d) and c.kernel_size[0] > 1]
        seen[name] = (max(c.stride[0] for c in convs), {c.dilation[0] for c in convs})
    assert list(seen.values()) == [
        (1, {1}),
        (1, {1}),
        (2, {1}),
        (2, {1}),
        (2, {1}),
        (1, {2}),
        (1, {4}),
        (1, {2}),
        (1, {1}),
    ]


@pytest.mark.parametrize(("dims", "depth"), [(2, 22), (2, 54), (3, 38)])
def test_the_maps_have_a_quarter_and_an_eighth_of_the_size(dims, depth) -> None:
    network = DRN(dims, 1, depth=depth, base=2).eval()
    size = (33, 40, 17)[:dims]
    fine, deep = network(torch.randn(1, 1, *size))
    assert fine.shape[2:] == tuple(-(-length // 4) for length in size)
    assert deep.shape[2:] == tuple(-(-length // 8) for length in size)
    assert (fine.shape[1], deep.shape[1]) == network.channels


def test_an_image_moved_by_eight_voxels_moves_the_map_by_one() -> None:
    # The map sees 263 voxels on either side; 39 * 8 voxels inside, no border is felt.
    network = DRN(2, 1, depth=22, base=2).double().eval()
    scene = torch.randn(1, 1, 648, 24).double()
    (_, here), (_, there) = network(scene[:, :, :-8]), network(scene[:, :, 8:])
    torch.testing.assert_close(here[:, :, 39:43], there[:, :, 38:42])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dims": 1}, "`dims` must be one of 2, 3, got 1"),
        ({"depth": 50}, "`depth` must be one of 22, 38, 54, 105, got 50"),
        ({"base": 0}, "`base` must be at least 1, got 0"),
    ],
)
def test_an_impossible_trunk_is_refused_by_argument(arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        DRN(**arguments)
