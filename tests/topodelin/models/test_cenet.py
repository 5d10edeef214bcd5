"""The context of CE-Net by hand: shared dilated convolutions, and windows cut to small maps."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from topodelin.models.cenet import (
    CENet,
    DecoderBlock,
    DenseAtrousConvolution,
    ResidualMultiPooling,
)


def centre(conv: Any, value: float) -> None:
    with torch.no_grad():
        conv.weight.zero_()
        conv.weight[(0, 0, *(k // 2 for k in conv.kernel_size))] = value
        conv.bias.zero_()


@pytest.mark.parametrize("dims", [2, 3])
def test_the_cascades_share_their_convolutions(dims) -> None:
    # x + 2x + 7 * 3x + 7 * 3 * 2x + 7 * 5 * 3 * 2x
    dense = DenseAtrousConvolution(1, dims=dims)
    for conv, value in ((dense.near, 2), (dense.middle, 3), (dense.far, 5), (dense.point, 7)):
        centre(conv, value)
    one = torch.ones(1, 1, *[1] * dims)
    assert dense(one).item() == 1 + 2 + 21 + 42 + 210
    assert dense(-one).item() == -1
    centre(dense.point, -7)
    assert dense(one).item() == 1 + 2


@pytest.mark.parametrize("dims", [2, 3])
def test_the_cascades_see_3_7_9_and_19_voxels(dims) -> None:
    dense: Any = DenseAtrousConvolution(1, dims=dims).double()
    with torch.no_grad():
        for conv in (dense.near, dense.middle, dense.far, dense.point):
            conv.weight.fill_(1)
            conv.bias.zero_()
    line = torch.zeros(1, 1, *[1] * (dims - 1), 21).double()
    line[..., 10] = 1
    # Taps 3 apart for the second, their neighbours as well for the third; 5 apart again for the
    # last: each of its taps is the third pattern moved by -5, 0 or 5.
    two = [0] * 6 + [1, 1, 1] * 3 + [0] * 6
    far = [sum(two[(i + move) % 21] for move in (-5, 0, 5)) for i in range(21)]
    near = [int(abs(i - 10) <= 1) for i in range(21)]
    taps = [int(i in (7, 10, 13)) for i in range(21)]
    alone = [int(i == 10) for i in range(21)]
    drawn = [sum(each) for each in zip(alone, near, taps, two, far, strict=True)]
    assert dense(line).flatten().tolist() == drawn
    assert sum(value > 0 for value in far) == 19


def test_windows_wider_than_a_bottom_of_three_voxels_become_the_whole_of_it() -> None:
    pooling = ResidualMultiPooling(1, dims=3)
    centre(pooling.summary, 1)
    features = torch.arange(27.0).reshape(1, 1, 3, 3, 3)
    seen = pooling(features)
    assert torch.equal(seen[:, :1], features)
    # The window of 2 fits once and leaves the far border out: its maximum is 9 + 3 + 1.
    assert [channel.unique().tolist() for channel in seen[0, 1:]] == [[13], [26], [26], [26]]


def test_a_window_is_cut_along_the_short_axis_only() -> None:
    pooling = ResidualMultiPooling(1, dims=2, windows=(3,))
    centre(pooling.summary, 1)
    seen = pooling(torch.arange(12.0).reshape(1, 1, 2, 6))
    # Maxima 8 and 11 of the two halves, linearly in between, constant beyond their centres.
    expected = torch.tensor([8, 8, 9, 10, 11, 11]).float().expand(2, 6)
    torch.testing.assert_close(seen[0, 1], expected)


def test_the_windows_share_one_convolution_to_one_channel() -> None:
    assert [tuple(w.shape) for w in ResidualMultiPooling(8, dims=2).parameters()] == [
        (1, 8, 1, 1),
        (1,),
    ]


@settings(max_examples=20)
@given(dims=st.sampled_from([2, 3]), size=st.tuples(*[st.integers(1, 7)] * 3))
def test_context_keeps_the_size_of_any_map_and_adds_a_channel_a_window(dims, size) -> None:
    features = torch.randn(1, 4, *size[:dims])
    assert DenseAtrousConvolution(4, dims=dims)(features).shape == features.shape
    assert ResidualMultiPooling(4, dims=dims)(features).shape == (1, 8, *size[:dims])
    doubled = DecoderBlock(4, 3, dims=dims).eval()(features)
    assert doubled.shape == (1, 3, *(2 * length for length in size[:dims]))


def test_the_trunk_is_a_resnet_34_under_its_usual_names() -> None:
    with torch.device("meta"):
        names = CENet(2, 3).trunk.state_dict()
    shapes = {name: tuple(names[name].shape) for name in ("conv1.weight", "layer4.2.conv2.weight")}
    assert shapes == {"conv1.weight": (64, 3, 7, 7), "layer4.2.conv2.weight": (512, 512, 3, 3)}
    assert "layer3.5.bn2.running_var" in names and "layer3.6.bn2.running_var" not in names


def test_every_layer_of_the_trunk_is_added_where_its_size_fits() -> None:
    # With the way up silenced, the map still feels each skip: they do not pass through layer 4.
    torch.manual_seed(0)
    network = CENet(2, base=16).eval()
    with torch.no_grad():
        for weight in network.context.parameters():
            weight.zero_()
        for weight in network.up[0].parameters():
            weight.zero_()
    network(torch.randn(1, 1, 64, 64)).square().sum().backward()
    layers: Any = network.trunk
    felt = [
        any(w.grad is not None and bool(w.grad.any()) for w in layer.parameters())
        for layer in (layers.layer1, layers.layer2, layers.layer3, layers.layer4)
    ]
    assert felt == [True, True, True, False]


def test_a_frozen_trunk_stays_as_it_is_while_the_rest_learns() -> None:
    torch.manual_seed(0)
    network = CENet(2, base=8, frozen=True).train()
    before = {name: value.clone() for name, value in network.trunk.state_dict().items()}
    network(torch.randn(2, 1, 64, 64)).square().sum().backward()
    after = network.trunk.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    learning = {name for name, weight in network.named_parameters() if weight.grad is not None}
    assert learning == {n for n, _ in network.named_parameters() if not n.startswith("trunk.")}
