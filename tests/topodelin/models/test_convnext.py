"""ConvNeXt: published counts, a block worked out by hand, and its arguments."""

import json

import pytest
import torch
from torch import nn

from topodelin.models.convnext import ConvNeXt3D, ConvNeXtBlock


def small(**changes) -> ConvNeXt3D:
    torch.manual_seed(0)
    given = {"window": 8, "patch": 2, "depths": (1, 2), "widths": (4, 6), "kernel": 3}
    return ConvNeXt3D(**{**given, **changes})


def image(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def bias(layer: nn.Conv3d | nn.Linear) -> torch.Tensor:
    assert layer.bias is not None
    return layer.bias


@pytest.mark.parametrize(
    ("arguments", "weights"), [({}, 31_320_486), ({"window": 16, "patch": 2}, 31_315_110)]
)
def test_a_published_network_has_the_published_number_of_weights(arguments, weights) -> None:
    with torch.device("meta"):
        network = ConvNeXt3D(1, 6, **arguments)
        assert sum(weight.numel() for weight in network.parameters()) == weights
        cube = torch.empty(2, 1, *(network.window,) * 3)
        sides = []
        for part in network.trunk:
            sides.append(part(cube).shape[-1])
            cube = part(cube)
    assert sides == [8, 8, 4, 4, 2, 2, 1, 1]  # patches, then stages with a halving in between
    assert network.head(cube).shape == (2, 6, 1, 1, 1)


def test_a_block_adds_what_its_layers_make_of_the_features() -> None:
    block = ConvNeXtBlock(3, kernel=3, layer_scale=0.5).double()
    features = image(2, 3, 4, 5, 3).double()
    with torch.no_grad():
        block.scale.copy_(torch.tensor([0.5, -1, 2]))
        told = block(features)
        taps = block.look.weight[:, 0]
        padded = nn.functional.pad(features, (1,) * 6)
        (z, y, x), expected = (1, 2, 0), features[:, :, 1, 2, 0].clone()
        around = padded[:, :, z : z + 3, y : y + 3, x : x + 3]  # each channel on its own
        seen = (around * taps).sum((2, 3, 4)) + bias(block.look)
        centred = seen - seen.mean(1, keepdim=True)
        normal = centred / (centred.square().mean(1, keepdim=True) + 1e-6).sqrt()
        widen, _, narrow = block.mix
        assert isinstance(widen, nn.Linear) and isinstance(narrow, nn.Linear)
        wide = normal @ widen.weight.T + bias(widen)
        wide = wide * 0.5 * (1 + torch.erf(wide / 2**0.5))  # GELU
        expected += block.scale * (wide @ narrow.weight.T + bias(narrow))
    torch.testing.assert_close(told[:, :, z, y, x], expected)
    assert not torch.allclose(expected, features[:, :, z, y, x])


def test_a_fresh_network_is_nearly_a_chain_of_patches() -> None:
    network = small()
    batch = image(2, 1, 8, 8, 8)
    patches, _, halving, _ = network.trunk
    torch.testing.assert_close(network.trunk(batch), halving(patches(batch)), atol=1e-4, rtol=0)
    assert not torch.equal(network.trunk(batch), halving(patches(batch)))


def test_fresh_weights_are_those_of_the_paper() -> None:
    network = small(widths=(64, 96))
    spread = [layer.weight for layer in network.modules() if isinstance(layer, nn.Linear)]
    assert all(abs(weight.std().item() - 0.02) < 0.002 for weight in spread)
    assert not any(
        bias(layer).any() for layer in network.modules() if isinstance(layer, nn.Conv3d | nn.Linear)
    )
    assert all(
        (block.scale == 1e-6).all()
        for block in network.modules()
        if isinstance(block, ConvNeXtBlock)
    )


def test_every_weight_feels_the_cube() -> None:
    network = small(layer_scale=1.0)
    network(image(2, 1, 8, 8, 8)).square().sum().backward()
    silent = [n for n, w in network.named_parameters() if w.grad is None or not w.grad.any()]
    assert silent == []


def test_the_head_looks_at_all_that_is_left() -> None:
    network = small(window=16, out_channels=3)
    assert network.head.kernel_size == (4, 4, 4)
    assert network(image(2, 1, 16, 16, 16)).shape == (2, 3, 1, 1, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window": 10}, "`window` must be a multiple of 4, .* got 10; the next is 12"),
        ({"window": 0}, "`window` must be a multiple of 4, .* the next is 4"),
        ({"patch": 0}, "`patch` must be at least 1, got 0"),
        ({"depths": (1,)}, "`depths` and `widths` must hold one number a stage"),
        ({"depths": (), "widths": ()}, "`depths` and `widths` must hold one number a stage"),
        ({"depths": (0, 1)}, "`depths` must be from 1 to 100"),
        ({"widths": (0, 1)}, "`widths` must be at least 1"),
        ({"kernel": 4}, "`kernel` must be odd so that it has a centre, got 4"),
        ({"in_channels": 0}, "`in_channels` must be at least 1, got 0"),
    ],
)
def test_an_impossible_network_is_refused_by_argument(changes, message) -> None:
    with pytest.raises(ValueError, match=message):
        small(**changes)


def test_the_arguments_rebuild_the_network_through_json() -> None:
    network = small(in_channels=2, out_channels=3)
    again = ConvNeXt3D(**json.loads(json.dumps(network.arguments)))
    assert again.arguments == network.arguments
    again.load_state_dict(network.state_dict())
    batch = image(1, 2, 8, 8, 8)
    assert torch.equal(again(batch), network(batch))
