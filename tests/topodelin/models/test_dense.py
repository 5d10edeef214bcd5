"""The dense form of a classifier against the loop over its cubes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from topodelin.models import UNet, predict_probabilities
from topodelin.models.centre_voxel import CentreVoxelNet
from topodelin.models.convnext import ConvNeXt3D
from topodelin.models.cube import CentreVoxel
from topodelin.models.dense import DilatedPool, dense_version
from topodelin.models.vae import VAE


def loop(network: CentreVoxel, volume: Tensor) -> Tensor:
    """`(1, classes, *space)`: one cube after another."""
    side = network.window
    views = volume.unfold(2, side, 1).unfold(3, side, 1).unfold(4, side, 1)
    places = views.shape[2:5]
    cubes = views.movedim(1, 4).reshape(-1, volume.shape[1], side, side, side)
    with torch.no_grad():
        told = network(cubes)
    return told.reshape(*places, -1).movedim(-1, 0)[None]


def experienced(network: CentreVoxel) -> CentreVoxel:
    """With statistics and weights of normalisation that are not those of a fresh network."""
    generator = torch.Generator().manual_seed(1)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm3d):
            for values in (layer.running_mean, layer.running_var, layer.weight, layer.bias):
                assert values is not None
                with torch.no_grad():
                    values += torch.rand(values.shape, generator=generator)
    return network.eval()


def built(plan: str, **changes) -> CentreVoxel:
    torch.manual_seed(0)
    return experienced(CentreVoxelNet(plan, **{"out_channels": 3, **changes}))


def volume(*size: int, channels: int = 1) -> Tensor:
    return torch.rand(1, channels, *size, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize(
    ("plan", "changes", "more"),
    [
        ("3layer", {}, (6, 5, 4)),
        ("3layer", {"activation": "leaky_relu", "norm": "layer", "in_channels": 2}, (2, 2, 3)),
        ("3layer", {"window": 11}, (5, 4, 3)),  # the head looks at two voxels, an odd one is lost
        ("4conv", {}, (3, 2, 9)),
        ("4conv", {"norm": "layer"}, (1, 2, 3)),
        ("dil", {}, (3, 2, 5)),
        ("dil", {"window": 36}, (2, 1, 3)),
        ("dil16", {}, (4, 3, 5)),
    ],
)
def test_the_dense_form_tells_what_the_loop_over_cubes_tells_at_every_place(
    plan, changes, more
) -> None:
    network = built(plan, **changes)
    dense = dense_version(network)
    assert dense is not None
    image = volume(*(network.window + m for m in more), channels=network.in_channels)
    expected = loop(network, image)
    with torch.no_grad():
        told = dense(image)
    assert told.shape == (1, 3, *(m + 1 for m in more))
    assert expected.std() > 1e-3
    torch.testing.assert_close(told, expected, atol=1e-5, rtol=0)


class Strided(CentreVoxel):
    """Strides of convolutions, pools of 3 and a large head."""

    def __init__(self, kernels: tuple[int, int], strides: tuple[int, int], pool: int) -> None:
        super().__init__({}, window=24, in_channels=1, out_channels=2)
        torch.manual_seed(3)
        self.trunk = nn.Sequential(
            nn.Conv3d(1, 2, kernels[0], strides[0]),
            nn.MaxPool3d(pool, 1 + pool // 2),
            nn.Conv3d(2, 3, kernels[1], strides[1], dilation=2),
        )
        self.head = nn.Conv3d(3, 2, self.trunk(torch.zeros(1, 1, 24, 24, 24)).shape[-1])


@settings(max_examples=12)
@given(
    kernels=st.tuples(st.integers(1, 3), st.integers(1, 2)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 2)),
    pool=st.integers(1, 3),
)
def test_any_strides_kernels_and_pools_have_an_equal_dense_form(kernels, strides, pool) -> None:
    network = Strided(kernels, strides, pool).eval()
    dense = dense_version(network)
    assert dense is not None
    image = volume(26, 25, 27)
    with torch.no_grad():
        torch.testing.assert_close(dense(image), loop(network, image), atol=1e-5, rtol=0)


@pytest.mark.parametrize("plan", ["3layer", "dil16"])
@pytest.mark.parametrize("tile", [3, (2, 7, 4), 32])
def test_probabilities_of_a_volume_are_those_of_the_cubes_around_its_voxels(plan, tile) -> None:
    network = built(plan)
    image = volume(4, 7, 5)[0, 0].numpy()
    side = network.window
    grown = np.pad(image, [(side // 2, side - 1 - side // 2)] * 3, mode="symmetric")
    expected = loop(network, torch.from_numpy(grown)[None, None]).softmax(1)[0].numpy()
    told = predict_probabilities(network, image, tile=tile, margin=0)
    np.testing.assert_allclose(told, expected, atol=1e-5)


def test_a_voxel_is_judged_by_the_cube_whose_middle_it_is() -> None:
    # A classifier that repeats the voxel with index window // 2.
    network = CentreVoxelNet("3layer", window=8)
    network.trunk = nn.Sequential()  # nothing
    network.head = nn.Conv3d(1, 1, 8, bias=False)
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.weight[0, 0, 4, 4, 4] = 1
    dense = dense_version(network)
    assert dense is not None
    assert dense.before == network.before == (4, 4, 4)
    image = volume(12, 11, 10)
    assert torch.equal(dense(image), image[..., 4:-3, 4:-3, 4:-3])


def test_the_weights_are_shared_not_copied() -> None:
    network = built("3layer")
    dense = dense_version(network)
    assert dense is not None
    own = {id(weight) for weight in network.parameters()}
    assert {id(weight) for weight in dense.parameters()} == own
    dense(volume(9, 9, 9)).square().sum().backward()
    assert all(weight.grad is not None for weight in network.parameters())
    with torch.no_grad():
        before = dense(volume(8, 8, 8))
        assert network.head.bias is not None
        network.head.bias.add_(1)
        torch.testing.assert_close(dense(volume(8, 8, 8)), before + 1)


def test_making_the_dense_form_leaves_the_classifier_as_it_was() -> None:
    network = built("4conv")
    batch = torch.rand(1, 1, 32, 32, 32)
    before, state = network(batch), {n: v.clone() for n, v in network.state_dict().items()}
    dense_version(network)
    assert torch.equal(network(batch), before)
    assert all(torch.equal(state[name], value) for name, value in network.state_dict().items())
    assert not any(module.training for module in network.modules())


@pytest.mark.parametrize(
    "build",
    [
        lambda: CentreVoxelNet("4res"),
        lambda: CentreVoxelNet("4res", norm="layer", window=16),
        lambda: ConvNeXt3D(depths=(1,), widths=(2,), window=8),
        lambda: VAE("3layer", decoder=(2, 2, 2)),
        lambda: UNet(3, base=2, padding="valid", norm="none"),
    ],
)
def test_there_is_no_dense_form_where_padding_lies_within_the_cube_or_there_is_no_cube(
    build,
) -> None:
    with torch.device("meta"):
        assert dense_version(build()) is None


def test_volumes_too_small_for_a_cube_are_answered_with_the_least_that_is_not() -> None:
    dense = dense_version(built("3layer"))
    assert dense is not None
    assert (dense.divisor, dense.shrink) == ((1, 1, 1), (7, 7, 7))
    with pytest.raises(ValueError, match=r"got \(7, 9, 8\); the next that fits is \(8, 9, 8\)"):
        dense(volume(7, 9, 8))


@settings(max_examples=20)
@given(
    kernel=st.integers(1, 3),
    dilation=st.integers(1, 3),
    size=st.tuples(*[st.integers(7, 9)] * 3),
)
def test_dilated_pools_are_those_of_torch(kernel, dilation, size) -> None:
    image = volume(*size, channels=2)
    largest = nn.MaxPool3d(kernel, 1, dilation=dilation)(image)
    torch.testing.assert_close(DilatedPool(kernel, dilation, mean=False)(image), largest)
    taps = torch.full((2, 1, *(kernel,) * 3), kernel**-3.0)
    mean = nn.functional.conv3d(image, taps, dilation=dilation, groups=2)
    torch.testing.assert_close(DilatedPool(kernel, dilation, mean=True)(image), mean)
