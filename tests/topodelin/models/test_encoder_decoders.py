"""Laws that ResUNet, ResUNet++, CE-Net and DMCN obey alike, and their published weight counts."""

import json
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from topodelin.models.cenet import CENet
from topodelin.models.dmcn import DMCN
from topodelin.models.network import Network
from topodelin.models.resunet import ResUNet
from topodelin.models.resunetpp import ResUNetPlusPlus

NETWORKS = [ResUNet, ResUNetPlusPlus, CENet, DMCN]
SMALL: dict[type, dict] = {
    ResUNet: {"base": 4},
    ResUNetPlusPlus: {"base": 4, "reduction": 1},  # a lone squeezed value may be rectified away
    CENet: {"base": 4},
    DMCN: {"base": 4, "branch": 4},
}
EVERY = pytest.mark.parametrize("network", NETWORKS)
NORMALISED = pytest.mark.parametrize("network", [ResUNet, ResUNetPlusPlus, CENet])
DIMS = pytest.mark.parametrize("dims", [2, 3])


def small(network: Any, dims: int = 2, *channels: int, **changes) -> Network:
    torch.manual_seed(0)
    return network(dims, *channels, **{**SMALL[network], **changes})


def image(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("build", "weights"),
    [
        (lambda: ResUNet(2, 3), 8_223_809),
        (lambda: ResUNet(3, 1), 23_780_289),
        (lambda: ResUNetPlusPlus.published_2d(), 4_062_993),
        (lambda: ResUNetPlusPlus.volume_3d(), 11_882_737),
        (lambda: CENet(2, 3), 29_003_093),
        (lambda: CENet(3, 1), 85_857_447),
        (lambda: DMCN(2, 1), 7_741_569),
    ],
)
def test_a_published_network_has_the_published_number_of_weights(build, weights) -> None:
    with torch.device("meta"):
        assert sum(weight.numel() for weight in build().parameters()) == weights


@pytest.mark.parametrize(
    ("build", "size"),
    [
        (lambda: ResUNet(2, 3), (224, 224)),
        (lambda: ResUNetPlusPlus.published_2d(), (256, 256)),
        (lambda: ResUNetPlusPlus.volume_3d(), (96, 96, 96)),
        (lambda: CENet(2, 3), (448, 448)),
        (lambda: CENet(3), (96, 96, 96)),
        (lambda: DMCN(2), (512, 512)),
    ],
)
def test_a_published_network_maps_the_published_size(build, size) -> None:
    with torch.device("meta"):
        network = build()
        assert network(torch.empty(2, network.in_channels, *size)).shape == (2, 1, *size)


@EVERY
@settings(max_examples=4)
@given(dims=st.sampled_from([2, 3]), channels=st.tuples(st.integers(1, 2), st.integers(1, 3)))
def test_the_map_has_the_size_of_the_image_and_its_own_channels(network, dims, channels) -> None:
    built = small(network, dims, *channels)
    size = (2 * built.divisor[0], *built.divisor[1:])
    assert built(image(1, channels[0], *size)).shape == (1, channels[1], *size)


@EVERY
@settings(max_examples=5)
@given(size=st.tuples(*[st.integers(1, 70)] * 3), dims=st.sampled_from([2, 3]))
def test_the_next_size_is_the_smallest_that_fits(network, size, dims) -> None:
    size = size[:dims]
    with torch.device("meta"):
        built = small(network, dims).eval()
        fitting = built.next_size(size)
        assert built.next_size(fitting) == fitting
        assert built(torch.empty(1, 1, *fitting)).shape[2:] == fitting
    steps = zip(fitting, size, built.divisor, strict=True)
    assert all(s <= f < s + d and f % d == 0 for f, s, d in steps)


@EVERY
def test_a_size_that_does_not_fit_is_answered_with_the_next_that_does(network) -> None:
    d = small(network).divisor[0]
    fits = rf"a multiple of \({d}, {d}\), got \({d + 1}, {d}\); .* fits is \({2 * d}, {d}\)"
    with pytest.raises(ValueError, match=fits):
        small(network)(image(1, 1, d + 1, d))


@EVERY
@DIMS
def test_every_weight_feels_the_image(network, dims) -> None:
    built = small(network, dims, base=8)
    built(image(2, 1, *[2 * d for d in built.divisor])).square().sum().backward()
    # A bias that a normalisation follows is subtracted again: its gradient is rounding only.
    silent = [
        name
        for name, weight in built.named_parameters()
        if weight.grad is None or (weight.ndim > 1 and not weight.grad.any())
    ]
    assert silent == []


@NORMALISED
@DIMS
def test_a_lone_voxel_at_the_bottom_is_refused_in_training_with_the_remedy(network, dims) -> None:
    built = small(network, dims)
    lone, d = built.divisor, built.divisor[0]
    remedy = rf"give two `images`, or one of \({'%d, ' * (dims - 1) % lone[1:]}{2 * d}\) or more"
    with pytest.raises(ValueError, match=remedy):
        built(image(1, 1, *lone))
    assert built(image(2, 1, *lone)).isfinite().all()
    assert built(image(1, 1, *lone[:-1], 2 * d)).isfinite().all()
    assert built.eval()(image(1, 1, *lone)).isfinite().all()


@EVERY
@DIMS
@pytest.mark.parametrize("number", [torch.bfloat16, torch.float16])
def test_half_precision_stays_finite_and_near(network, dims, number) -> None:
    built = small(network, dims).eval()
    batch = image(1, 1, *built.divisor)
    with torch.no_grad():
        exact, rounded = built(batch), built.to(number)(batch.to(number))
    assert rounded.dtype == number
    assert rounded.isfinite().all()
    assert (rounded.float() - exact).std() < 0.1 * exact.std()


@EVERY
def test_the_arguments_rebuild_the_network_through_json(network) -> None:
    built = small(network, 3, 2, 3)
    again = network(**json.loads(json.dumps(built.arguments)))
    assert again.arguments == built.arguments
    again.load_state_dict(built.state_dict())
    batch = image(1, 2, *built.divisor)
    assert torch.equal(again.eval()(batch), built.eval()(batch))


@EVERY
def test_fresh_weights_keep_the_scale_of_a_signal(network) -> None:
    built = small(network, 2, base=16)
    assert 0.02 < built(image(2, 1, 64, 64)).std().item() < 50


@pytest.mark.parametrize(
    ("network", "arguments", "tight"),
    [
        (ResUNet, {"halvings": 1}, 8),
        (ResUNet, {"halvings": 2}, 20),
        (DMCN, {}, 54),
    ],
)
def test_nothing_beyond_the_reach_is_felt_and_something_at_it_is(network, arguments, tight) -> None:
    built = small(network, **{"base": 8, **arguments}).double().eval()
    assert built.reach == (tight, tight)
    step = built.divisor[0]
    shape = built.next_size((2 * tight + step,) * 2)
    batch = image(1, 1, *shape).double().requires_grad_()
    mapped = built(batch)
    start = shape[0] // 2 // step * step
    widest = 0
    for place in range(start, start + step):  # every place within a voxel of the bottom
        (felt,) = torch.autograd.grad(mapped[0, 0, place, place], batch, retain_graph=True)
        widest = max(widest, int((felt[0, 0].nonzero() - place).abs().max()))
    assert widest == tight


@EVERY
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base": 0}, "`base` must be at least"),
        ({"dims": 4}, "`dims` must be 2 or 3, got 4"),
        ({"out_channels": 0}, "`out_channels` must be at least 1, got 0"),
    ],
)
def test_an_impossible_architecture_is_refused_by_argument(network, changes, message) -> None:
    with pytest.raises(ValueError, match=message):
        network(**changes)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ResUNet(2, halvings=0), "`halvings` must be 1 to 8, got 0"),
        (lambda: ResUNet(2, halvings=9), "`halvings` must be 1 to 8, got 9"),
        (lambda: ResUNetPlusPlus(2, reduction=0), "`reduction` must be at least 1, got 0"),
        (lambda: ResUNetPlusPlus(2, rates=(0,)), "`rates` must be one or more"),
        (lambda: CENet(2, base=4, windows=(0,)), "`windows` must be sizes of at least 1"),
        (lambda: DMCN(2, branch=0), "`branch` must be at least 1, got 0"),
    ],
)
def test_an_impossible_part_is_refused_by_argument(build, message) -> None:
    with pytest.raises(ValueError, match=message):
        build()


def test_evaluation_is_deterministic_and_a_mode_apart_from_training() -> None:
    built, batch = small(ResUNet), image(2, 1, 16, 16)
    trained = built(batch)
    built.eval()
    assert torch.equal(built(batch), built(batch))
    assert not torch.equal(trained, built(batch))
