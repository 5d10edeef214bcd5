"""The classifiers of middle voxels: published counts, what they see, where weights come from."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from topodelin.models import load_pretrained
from topodelin.models.centre_voxel import (
    PLANS,
    CentreVoxelNet,
    ChannelNorm,
    Concat,
    MeanPool,
    Residual,
)


def count(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def build(plan: str, *channels: int, **changes) -> CentreVoxelNet:
    torch.manual_seed(0)
    return CentreVoxelNet(plan, *channels, **changes)


def cubes(network: CentreVoxelNet, number: int = 2, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(number, network.in_channels, *(network.window,) * 3, generator=generator)


@pytest.mark.parametrize(
    ("plan", "arguments", "weights", "window", "head"),
    [
        ("3layer", {}, 70_278, 8, 1),
        ("4conv", {}, 292_230, 32, 1),
        ("4conv", {"norm": "layer"}, 292_230, 32, 1),
        ("4res", {}, 1_460_166, 32, 2),
        ("4res", {"norm": "layer"}, 1_460_166, 32, 2),
        ("4res", {"window": 16}, 1_454_790, 16, 1),
        ("dil", {}, 106_566, 32, 1),
        ("dil16", {}, 106_566, 16, 1),
    ],
)
def test_a_published_plan_has_the_published_weights_window_and_head(
    plan, arguments, weights, window, head
) -> None:
    with torch.device("meta"):
        network = CentreVoxelNet(plan, 1, 6, **arguments)
        told = network(torch.empty(3, 1, window, window, window))
    assert count(network) == weights
    assert (network.window, network.head.kernel_size) == (window, (head,) * 3)
    assert told.shape == (3, 6, 1, 1, 1)
    assert network.shrink == (window - 1,) * 3
    assert network.before == (window // 2,) * 3


@pytest.mark.parametrize(
    ("plan", "seen"), [("3layer", 8), ("4conv", 30), ("dil", 30), ("dil16", 16), ("4res", 32)]
)
def test_only_the_published_field_is_seen(plan, seen) -> None:
    # At a side of 32, pools of odd numbers leave the last two voxels of 4conv and dil unseen.
    network = build(plan, norm="layer").eval()
    batch = cubes(network, 4).requires_grad_()
    network(batch).square().sum().backward()
    assert batch.grad is not None
    places = batch.grad.any(0).any(0).nonzero()
    assert places.amin(0).tolist() == [0, 0, 0]
    assert places.amax(0).tolist() == [seen - 1] * 3


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_every_weight_feels_the_cube(plan, norm) -> None:
    network = build(plan, 2, 3, norm=norm)
    network(cubes(network)).square().sum().backward()
    # A bias that a batch normalisation follows is subtracted again: its gradient is rounding only.
    silent = [
        name
        for name, weight in network.named_parameters()
        if weight.grad is None or ((norm == "layer" or weight.ndim > 1) and not weight.grad.any())
    ]
    assert silent == []


@settings(max_examples=25)
@given(plan=st.sampled_from(sorted(PLANS)), window=st.integers(1, 45))
def test_any_window_of_which_something_is_left_will_do(plan, window) -> None:
    with torch.device("meta"):
        if not PLANS[plan].left(window):
            with pytest.raises(ValueError, match=r"`window` must be at least \d+ for plan"):
                CentreVoxelNet(plan, window=window)
            return
        network = CentreVoxelNet(plan, window=window)
        assert network(torch.empty(2, 1, *(window,) * 3)).shape == (2, 1, 1, 1, 1)


@pytest.mark.parametrize("size", [(31, 32, 32), (32, 32, 40), (8, 8, 8)])
def test_a_cube_of_another_size_is_answered_with_the_one_that_fits(size) -> None:
    network = build("4conv")
    assert network.next_size(size) == (32, 32, 32)
    fits = rf"got \({size[0]}, {size[1]}, {size[2]}\); the next that fits.* is \(32, 32, 32\)"
    with pytest.raises(ValueError, match=fits):
        network(torch.zeros(1, 1, *size))


def test_a_cube_of_the_wrong_kind_is_refused_by_name() -> None:
    network = build("3layer")
    with pytest.raises(ValueError, match=r"axes \(batch, channel, z, y, x\), got shape \(1, 8, 8"):
        network(torch.zeros(1, 8, 8, 8))
    with pytest.raises(ValueError, match="1 channel.*got 2"):
        network(torch.zeros(1, 2, 8, 8, 8))
    with pytest.raises(TypeError, match="must be floating point"):
        network(torch.zeros(1, 1, 8, 8, 8, dtype=torch.uint8))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"plan": "5conv"}, "`plan` must be one of 3layer, 4conv, .*, got '5conv'"),
        ({"norm": "instance"}, "`norm` must be one of batch, layer, got 'instance'"),
        ({"activation": "tanh"}, "`activation` must be one of relu, leaky_relu, gelu, got 'tanh'"),
        ({"window": 21}, "`window` must be at least 30 for plan '4conv', got 21"),
        ({"window": 0}, "`window` must be at least 30"),
        ({"plan": "4res", "window": 15}, "`window` must be at least 16 for plan '4res', got 15"),
        ({"out_channels": 0}, "`out_channels` must be at least 1, got 0"),
        ({"in_channels": 0}, "`in_channels` must be at least 1, got 0"),
    ],
)
def test_an_impossible_classifier_is_refused_by_argument(changes, message) -> None:
    with pytest.raises(ValueError, match=message):
        CentreVoxelNet(**changes)


def test_the_activation_is_the_papers_unless_another_is_asked_for() -> None:
    def kinds(network: nn.Module) -> set[type]:
        known = (nn.ReLU, nn.GELU, nn.LeakyReLU)
        return {type(layer) for layer in network.modules() if isinstance(layer, known)}

    with torch.device("meta"):
        assert {plan: kinds(CentreVoxelNet(plan)) for plan in PLANS} == {
            "3layer": {nn.ReLU},
            "4conv": {nn.GELU},
            "4res": {nn.GELU},
            "dil": {nn.ReLU},
            "dil16": {nn.ReLU},
        }
        assert kinds(CentreVoxelNet("dil", activation="leaky_relu")) == {nn.LeakyReLU}


def test_nothing_follows_the_sum_of_a_residual_pair() -> None:
    pair = Residual(nn.ReLU(), nn.Sequential(nn.Identity()))
    seen = torch.tensor([-1.0, 2.0]).reshape(1, 2, 1)
    assert pair(seen).flatten().tolist() == [-1.0, 4.0]


def test_layer_normalisation_is_over_the_channels_of_each_voxel() -> None:
    norm = ChannelNorm(3, eps=0.0)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, 2, 1]))
        norm.bias.copy_(torch.tensor([0.0, 0, 5]))
    voxels = torch.tensor([[1.0, 2, 3], [10, 10, 40]]).T.reshape(1, 3, 1, 1, 2)
    high = 1.5**0.5  # of (1, 2, 3): mean 2, standard deviation sqrt(2/3)
    expected = torch.tensor([[-high, 0, high + 5], [-(0.5**0.5), -(2**0.5), 2**0.5 + 5]])
    torch.testing.assert_close(norm(voxels).reshape(3, 2).T, expected)


def test_the_two_dilated_branches_lie_one_after_the_other() -> None:
    network = build("dil16").eval()
    first, branches = network.trunk[0], network.trunk[1]
    assert isinstance(branches, Concat)
    seen = first(cubes(network))
    both = branches(seen)
    assert both.shape == (2, 64, 2, 2, 2)
    torch.testing.assert_close(both[:, :32], branches[0](seen))
    torch.testing.assert_close(both[:, 32:], branches[1](seen))
    assert both[:, :32].min() >= 0  # normalised and rectified, the other branch is bare
    assert both[:, 32:].min() < 0


@pytest.mark.parametrize("size", [(4, 4, 4), (5, 2, 7)])
def test_the_mean_pool_is_that_of_torch(size) -> None:
    seen = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(MeanPool(2)(seen), nn.AvgPool3d(2)(seen))
    assert MeanPool(2)(seen.bfloat16()).isfinite().all()


def test_weights_of_a_regression_start_the_classifier_but_for_its_head(tmp_path) -> None:
    regression, network = build("3layer"), CentreVoxelNet("3layer", 1, 6)
    regression(cubes(regression))  # so that the statistics are not those of a fresh network
    save_file(regression.state_dict(), tmp_path / "model.safetensors")
    fresh = network.head.weight.clone()
    found = load_pretrained(network, tmp_path / "model.safetensors")
    assert {name for name, _, _ in found.misshapen} == {"head.weight", "head.bias"}
    assert (found.absent, found.unused) == ((), ())
    torch.testing.assert_close(network.head.weight, fresh)
    batch = cubes(network)
    torch.testing.assert_close(network.eval().trunk(batch), regression.eval().trunk(batch))


@pytest.mark.parametrize("plan", PLANS)
def test_the_arguments_rebuild_the_classifier_through_json(plan) -> None:
    network = build(plan, 2, 3, norm="layer")
    again = CentreVoxelNet(**json.loads(json.dumps(network.arguments)))
    assert again.arguments == network.arguments
    again.load_state_dict(network.state_dict())
    batch = cubes(network, 1)
    assert torch.equal(again.eval()(batch), network.eval()(batch))
