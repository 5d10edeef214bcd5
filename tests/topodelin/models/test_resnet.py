"""The residual trunk against another implementation, by hand, and by what a voxel sees."""

from typing import Any

import pytest
import torch
from monai.networks.nets import resnet
from torch import nn

from topodelin.models.resnet import Bottleneck, PaddedShortcut, ResNet

BLOCKS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
BLOCKS[101] = (3, 4, 23, 3)


def weights(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def oracle(depth: int, **changes: Any) -> nn.Module:
    """The same network by other hands, with statistics as if it had been trained."""
    torch.manual_seed(0)
    usual = {"shortcut_type": "B", "bias_downsample": False, "conv1_t_stride": 2}
    built = resnet.ResNet(
        "bottleneck" if depth >= 50 else "basic",
        list(BLOCKS[depth]),
        [8, 16, 32, 64],
        n_input_channels=3,
        feed_forward=False,
        **{**usual, **changes},
    )
    with torch.no_grad():
        for name, value in built.named_buffers():
            if "running" in name:
                value.uniform_(0.5, 1.5)
    return built.eval()


@pytest.mark.parametrize(
    ("depth", "shortcut", "published"),
    [(10, "B", 14_355_520), (18, "A", 32_986_176), (34, "A", 63_295_808)],
)
def test_medicalnets_trunks_have_the_published_number_of_weights(
    depth, shortcut, published
) -> None:
    with torch.device("meta"):
        assert weights(ResNet(3, 1, depth=depth, shortcut=shortcut, output_stride=8)) == published


@pytest.mark.parametrize(
    ("depth", "published"),
    # The programs' counts less those of the classifier of a thousand classes.
    [
        (18, 11_689_512 - 513_000),
        (34, 21_797_672 - 513_000),
        (50, 25_557_032 - 2_049_000),
        (101, 44_549_160 - 2_049_000),
    ],
)
def test_the_trunks_of_imagenet_have_the_published_number_of_weights(depth, published) -> None:
    with torch.device("meta"):
        assert weights(ResNet(2, 3, depth=depth)) == published


@pytest.mark.parametrize("depth", [18, 34, 50, 101])
def test_names_and_values_are_those_of_the_usual_program(depth) -> None:
    other = oracle(depth, spatial_dims=2)
    built = ResNet(2, 3, depth=depth, base=8).eval()
    built.load_state_dict(other.state_dict())
    image = torch.randn(2, 3, 65, 90)
    torch.testing.assert_close(built(image)[-1].mean((2, 3)), other(image))


@pytest.mark.parametrize(("depth", "shortcut"), [(10, "B"), (18, "A")])
def test_the_same_in_volumes_with_both_shortcuts(depth, shortcut) -> None:
    other = oracle(depth, spatial_dims=3, shortcut_type=shortcut)
    built = ResNet(3, 3, depth=depth, base=8, shortcut=shortcut).eval()
    built.load_state_dict(other.state_dict())
    image = torch.randn(1, 3, 33, 40, 32)
    torch.testing.assert_close(built(image)[-1].mean((2, 3, 4)), other(image))


def test_the_shortcut_without_weights_takes_every_second_voxel_and_adds_zeros() -> None:
    features = torch.arange(15.0).reshape(1, 1, 3, 5)
    short = PaddedShortcut(2, 2)(features)
    assert short[0, 0].tolist() == [[0, 2, 4], [10, 12, 14]]
    assert short.shape == (1, 3, 2, 3) and not short[:, 1:].any()
    block: Any = ResNet(2, 1, depth=10, base=4, shortcut="A").layer2[0]
    assert not list(block.downsample.parameters())


def test_a_silenced_block_passes_its_positive_input_on() -> None:
    block: Any = Bottleneck(8, 2, dims=2).eval()
    nn.init.zeros_(block.bn3.weight)
    features = torch.randn(1, 8, 4, 4)
    assert torch.equal(block(features), features.relu())


@pytest.mark.parametrize(
    ("arguments", "strides", "dilations"),
    [
        ({"output_stride": 32}, (2, 4, 8, 16, 32), [1, 1, 1, 1]),
        ({"output_stride": 16}, (2, 4, 8, 16, 16), [1, 1, 1, 2]),
        ({"output_stride": 8}, (2, 4, 8, 8, 8), [1, 1, 2, 4]),
    ],
)
def test_the_output_stride_turns_steps_into_dilations(arguments, strides, dilations) -> None:
    network = ResNet(3, 1, depth=18, base=2, **arguments)
    assert network.strides == strides
    layers = (network.layer1, network.layer2, network.layer3, network.layer4)
    for layer, dilation in zip(layers, dilations, strict=True):
        kernels = [c for c in layer.modules() if isinstance(c, nn.Conv3d) and c.kernel_size[0] == 3]
        assert {conv.dilation for conv in kernels} == {(dilation,) * 3}
    maps = network(torch.zeros(2, 1, 33, 34, 64))
    assert [m.shape[2:] for m in maps] == [
        tuple(-(-length // stride) for length in (33, 34, 64)) for stride in strides
    ]
    assert tuple(m.shape[1] for m in maps) == network.channels


def test_the_multi_grid_spreads_the_taps_of_the_last_layer_block_by_block() -> None:
    network: Any = ResNet(2, 1, depth=101, base=2, output_stride=16, multi_grid=(1, 2, 4))
    assert [block.conv2.dilation for block in network.layer4] == [(2, 2), (4, 4), (8, 8)]


@pytest.mark.parametrize(
    "arguments",
    [
        {"depth": 10},
        {"depth": 18, "output_stride": 8},
        {"depth": 50, "output_stride": 16, "multi_grid": (1, 2, 4)},
    ],
)
def test_a_map_sees_as_far_as_its_reach_around_its_own_place(arguments) -> None:
    network = ResNet(2, 1, base=4, **arguments).double().eval()
    network.maxpool = nn.AvgPool2d(3, 2, 1)  # as wide, and no voxel loses against its neighbour
    with torch.no_grad():
        for weight in network.parameters():
            weight.abs_()
    image = torch.ones(1, 1, 32 * 32, 1).double().requires_grad_()
    for features, stride, reach in zip(
        network(image), network.strides, network.reaches, strict=True
    ):
        place = image.shape[2] // 2
        (felt,) = torch.autograd.grad(
            features[0, :, place // stride].sum(), image, retain_graph=True
        )
        seen = felt.flatten().nonzero().flatten()
        assert (int(seen[0]), int(seen[-1])) == (place - reach, place + reach)


@pytest.mark.parametrize("dims", [2, 3])
def test_a_frozen_trunk_keeps_weights_and_statistics_in_training(dims) -> None:
    network: Any = nn.Sequential(ResNet(dims, 1, depth=10, base=2, frozen=True)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    features = network(torch.randn(2, 1, *[32] * dims))[-1]
    assert not features.requires_grad
    after = network.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert not network[0].bn1.training


def test_a_trunk_that_learns_gathers_statistics() -> None:
    network: Any = ResNet(2, 1, depth=10, base=2)
    assert network.bn1.training and network.eval().train().bn1.training
    network(torch.randn(2, 1, 32, 32))
    assert network.layer4[0].bn2.num_batches_tracked == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dims": 4}, "`dims` must be one of 2, 3, got 4"),
        ({"depth": 35}, "`depth` must be one of 10, 18, 34, 50, 101, got 35"),
        ({"base": 0}, "`base` must be at least 1, got 0"),
        ({"output_stride": 4}, "`output_stride` must be one of 32, 16, 8, got 4"),
        ({"multi_grid": (1, 2)}, r"`multi_grid` must be 3 factors .* depth 34, or none, got"),
        ({"multi_grid": (1, 2, 0)}, "`multi_grid` must be 3 factors of at least 1"),
    ],
)
def test_an_impossible_trunk_is_refused_by_argument(arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        ResNet(**{"base": 2, **arguments})
