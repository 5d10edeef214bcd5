"""The U-Net against the published weight counts, by law, and by where an input can be felt."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from topodelin.models import UNet


def count(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def small(**changes) -> UNet:
    torch.manual_seed(0)
    return UNet(**{"dims": 3, "base": 2, "poolings": 2, **changes})


def image(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("preset", "arguments", "weights"),
    [
        (UNet.distance_3d, {"base": 16}, 5_647_857),
        (UNet.distance_3d, {}, 22_581_217),
        (UNet.distance_3d, {"base": 64}, 90_304_449),
        (UNet.distance_3d, {"poolings": 3}, 5_602_529),
        (UNet.valid_2d, {}, 31_030_593),
        (UNet.valid_2d, {"out_channels": 7}, 31_030_983),
        (UNet.same_2d, {}, 31_030_593),
        (UNet.light_2d, {}, 8_629_921),
        (UNet.light_2d, {"norm": "batch"}, 8_635_809),
        (UNet.thin_3d, {}, 2_033_767),
        (UNet.thick_3d, {}, 2_074_727),
        (UNet.thin_3d, {"base": 64}, 8_130_759),
        (UNet.thick_3d, {"base": 64}, 8_294_599),
    ],
)
def test_a_preset_has_the_published_number_of_weights(preset, arguments, weights) -> None:
    with torch.device("meta"):
        assert count(preset(**arguments)) == weights


@pytest.mark.parametrize(
    ("preset", "size", "result"),
    [
        (UNet.valid_2d, (572, 572), (388, 388)),
        (UNet.valid_2d, (512 + 60, 188), (388, 4)),
        (UNet.same_2d, (512, 512), (512, 512)),
        (UNet.light_2d, (512, 512), (512, 512)),
        (UNet.thin_3d, (5, 300, 300), (5, 300, 300)),
        (UNet.thick_3d, (16, 180, 180), (16, 180, 180)),
        (UNet.distance_3d, (96, 96, 96), (96, 96, 96)),
    ],
)
def test_a_preset_maps_the_published_size(preset, size, result) -> None:
    with torch.device("meta"):
        network = preset()
        mapped = network(torch.empty(1, 1, *size))
    assert mapped.shape[2:] == result
    assert tuple(s - shrink for s, shrink in zip(size, network.shrink, strict=True)) == result


def test_the_final_relu_is_the_papers_choice_and_the_raw_map_the_house_default() -> None:
    batch = image(1, 1, 16, 16, 16)
    assert small(dims=3).eval()(batch).min() < 0
    assert UNet.distance_3d(base=2).eval()(batch).min() >= 0
    assert UNet.distance_3d(base=2, final="none").arguments["final"] == "none"


@settings(max_examples=25)
@given(
    dims=st.sampled_from([2, 3]),
    norm=st.sampled_from(["batch", "instance", "none"]),
    poolings=st.sampled_from([1, 2]),
    up_kernel=st.sampled_from([None, 2, 3, 4]),
    channels=st.tuples(st.integers(1, 2), st.integers(1, 3)),
)
def test_the_map_has_the_size_of_the_image_and_its_own_channels(
    dims, norm, poolings, up_kernel, channels
) -> None:
    network = UNet(
        dims, *channels, base=2, poolings=poolings, norm=norm, up_kernel=up_kernel, dropout=0.1
    )
    size = (8, 4, 12)[:dims]
    assert network(image(2, channels[0], *size)).shape == (2, channels[1], *size)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
def test_every_weight_feels_the_image(padding, norm) -> None:
    network = small(padding=padding, norm=norm, dims=2, base=4, convolutions=3)
    network(image(2, 1, *network.next_size((60, 60)))).square().sum().backward()
    norms = dict(zip(("batch", "instance"), ((nn.BatchNorm2d,), (nn.InstanceNorm2d,)), strict=True))
    # A bias that a normalisation follows is subtracted again: its gradient is rounding only.
    idle = {
        f"{parent}.{index}.bias"
        for parent, block in network.named_modules()
        if isinstance(block, nn.Sequential)
        for index in range(len(block) - 1)
        if isinstance(block[index + 1], norms.get(norm, ()))
    }
    gradients = {n: w.grad for n, w in network.named_parameters() if n not in idle}
    silent = [name for name, grad in gradients.items() if grad is None or not grad.any()]
    assert silent == []


@settings(max_examples=20)
@given(size=st.tuples(*[st.integers(1, 60)] * 3), padding=st.sampled_from(["same", "valid"]))
def test_the_next_size_is_the_smallest_that_fits(size, padding) -> None:
    with torch.device("meta"):
        network = small(padding=padding, poolings=((1, 2, 3), (2, 2, 2))).eval()
        fitting = network.next_size(size)
        assert network.next_size(fitting) == fitting
        mapped = network(torch.empty(1, 1, *fitting))
    assert all(f >= s for f, s in zip(fitting, size, strict=True))
    steps = zip(fitting, size, network.divisor, network.shrink, strict=True)
    assert all(f - d < max(s, lost + 1) for f, s, d, lost in steps)
    assert mapped.shape[2:] == tuple(
        f - lost for f, lost in zip(fitting, network.shrink, strict=True)
    )


@pytest.mark.parametrize(
    ("changes", "size", "remedy"),
    [
        ({}, (15, 16, 16), r"a multiple of \(4, 4, 4\), got \(15, 16, 16\); .* \(16, 16, 16\)"),
        ({"poolings": ((1, 2, 2), 2)}, (7, 9, 8), r"\(2, 4, 4\), got \(7, 9, 8\); .* \(8, 12, 8\)"),
        ({"dims": 2, "padding": "valid", "poolings": 4}, (512, 570), r"fits is \(524, 572\)"),
        ({"norm": "instance"}, (4, 4, 4), r"fits is \(4, 4, 8\)"),
    ],
)
def test_a_size_that_does_not_fit_is_answered_with_the_next_that_does(
    changes, size, remedy
) -> None:
    with pytest.raises(ValueError, match=remedy):
        small(**changes)(image(1, 1, *size))


def test_an_image_of_the_wrong_kind_is_refused_by_name() -> None:
    network = small(dims=2)
    with pytest.raises(TypeError, match=r"`images` must be floating point, got torch.uint8"):
        network(torch.zeros(1, 1, 8, 8, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"axes \(batch, channel, y, x\), got shape \(1, 8, 8\)"):
        network(torch.zeros(1, 8, 8))
    with pytest.raises(ValueError, match=r"1 channel\(s\), the network's `in_channels`, got 3"):
        network(torch.zeros(1, 3, 8, 8))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dims": 4}, "`dims` must be 2 or 3, got 4"),
        ({"base": 0}, "`base` must be at least 1"),
        ({"convolutions": 99}, "`convolutions` must be at most 8"),
        ({"poolings": 0}, "`poolings` must count 1 to 8"),
        ({"poolings": 10**9}, "`poolings` must count 1 to 8"),
        ({"poolings": ((2, 2), 2)}, "`poolings` must hold 3 sizes"),
        ({"kernels": 4}, "`kernels` must be odd"),
        ({"kernels": (3, 3)}, "`kernels` must hold 3 sizes, one a level, got 2"),
        ({"dropout": 1.0}, "`dropout` must be one probability"),
        ({"dropout": (0.1, 0.2)}, "`dropout` must be one probability"),
        ({"up_kernel": 1}, "`up_kernel` must be at least 2"),
    ],
)
def test_an_impossible_architecture_is_refused_by_argument(changes, message) -> None:
    with pytest.raises(ValueError, match=message):
        small(**changes)


def test_the_finest_level_may_look_within_slices_only() -> None:
    # One pooling within slices, flat kernels everywhere: two slices never meet.
    network = small(poolings=((1, 2, 2),), kernels=((1, 3, 3), (1, 3, 3)), base=4).eval()
    both = image(1, 1, 2, 8, 8)
    alone = network(both[:, :, :1])
    torch.testing.assert_close(network(both)[:, :, :1], alone)
    assert network.reach[0] == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"norm": "none"},
        {"norm": "none", "poolings": ((2, 3), 2)},
        {"norm": "none", "up_kernel": 3},
        {"norm": "none", "up_kernel": 4, "convolutions": 1},
        {"norm": "none", "kernels": (5, 3, 1)},
    ],
)
def test_nothing_beyond_the_reach_is_felt_and_something_near_it_is(changes) -> None:
    network = small(dims=2, base=8, **changes).double().eval()
    shape = network.next_size((72, 72))
    batch = image(1, 1, *shape).double().requires_grad_()
    mapped = network(batch)
    # Over all places of a voxel within its pooling window, the widest is the reach.
    widest = [0, 0]
    for y in range(32, 32 + network.divisor[0]):
        for x in range(32, 32 + network.divisor[1]):
            (felt,) = torch.autograd.grad(mapped[0, 0, y, x], batch, retain_graph=True)
            places = felt[0, 0].nonzero()
            away = (places - torch.tensor([y, x])).abs().amax(0)
            widest = [max(w, int(a)) for w, a in zip(widest, away, strict=True)]
    assert all(w <= r for w, r in zip(widest, network.reach, strict=True))
    assert all(w >= r - 4 for w, r in zip(widest, network.reach, strict=True))


def test_a_shift_by_the_divisor_shifts_the_map() -> None:
    network = small(dims=2, base=4).eval()
    (step, _), (reach, _) = network.divisor, network.reach
    scene = image(1, 1, 96, 96 + step)
    here, there = network(scene[..., :-step]), network(scene[..., step:])
    inner = slice(reach + 1, 96 - step - reach - 1)
    torch.testing.assert_close(
        here[..., inner, slice(inner.start + step, inner.stop)],
        there[..., inner, slice(inner.start, inner.stop - step)],
    )
    assert here[..., inner, inner].std() > 0


def test_evaluation_is_deterministic_and_dropout_belongs_to_training() -> None:
    network = small(dropout=0.5, base=4)
    batch = image(1, 1, 8, 8, 8)
    assert not torch.equal(network(batch), network(batch))
    network.eval()
    assert torch.equal(network(batch), network(batch))


def test_far_from_the_border_padding_makes_no_difference() -> None:
    padded, bare = small(dims=2, base=4).eval(), small(dims=2, base=4, padding="valid").eval()
    bare.load_state_dict(padded.state_dict())
    batch = image(1, 1, 88, 88)
    # Bare pooling windows begin 2 + 4 voxels further in: 2 beyond a multiple of the divisor, 4.
    shift, reach, cut = 2, padded.reach[0], bare.shrink[0] // 2
    shifted = padded(batch[..., shift:-shift, shift:-shift])
    same = shifted[..., reach:-reach, reach:-reach]
    deeper = slice(reach + shift - cut, -(reach + shift - cut))
    torch.testing.assert_close(bare(batch)[..., deeper, deeper], same)
    assert same.std() > 0


def test_dropout_strikes_only_the_levels_it_is_given_for() -> None:
    network = small(dropout=(0, 0, 0.5))
    struck = [name for name, part in network.named_modules() if isinstance(part, nn.Dropout3d)]
    assert struck == ["down.2.6"]


def test_the_arguments_rebuild_the_network() -> None:
    network = small(poolings=((1, 2, 2), 2), kernels=((1, 3, 3), 3, 3), final="relu")
    again = UNet(**network.arguments)
    assert again.arguments == network.arguments
    again.load_state_dict(network.state_dict())
    batch = image(1, 1, 4, 8, 8)
    assert torch.equal(again.eval()(batch), network.eval()(batch))


def test_fresh_weights_keep_the_scale_of_a_signal_through_all_levels() -> None:
    # He initialisation: neither dying out nor exploding over 4 poolings without normalisation.
    torch.manual_seed(0)
    network = UNet(2, base=16, poolings=4, norm="none")
    assert 0.1 < network(image(1, 1, 64, 64)).std().item() < 10
