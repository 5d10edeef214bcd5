"""The hybrid network: published counts and sizes, where it looks, and what its heads learn from."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from topodelin.models import predict_tiles
from topodelin.models.hybrid import Hybrid2D3D


def small(**changes) -> Hybrid2D3D:
    torch.manual_seed(0)
    return Hybrid2D3D(**{"out_channels": 2, "base": 2, **changes})


def image(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def open_everywhere(network: Hybrid2D3D) -> Hybrid2D3D:
    """Positive weights and mean pools: whatever can be felt is felt."""
    network.flat.pool = nn.AvgPool3d((1, 2, 2))
    if len(network.heads) > 1:
        network.pyramid.coarse[0] = nn.AvgPool3d((1, 2, 2))
    with torch.no_grad():
        for weight in network.parameters():
            weight.abs_()
    return network.double()


@pytest.mark.parametrize(
    ("changes", "weights"),
    [
        ({}, 10_267_022),
        ({"deep": False}, 9_916_238),
        ({"pyramid": False}, 7_882_311),
    ],
)
def test_the_network_and_its_ablations_have_the_published_number_of_weights(
    changes, weights
) -> None:
    with torch.device("meta"):
        network = Hybrid2D3D(1, 7, **changes)
    assert sum(weight.numel() for weight in network.parameters()) == weights


@pytest.mark.parametrize(
    ("crop", "size", "result"),
    [
        (4, (5, 300, 300), (5, 296, 296)),
        (0, (5, 296, 296), (5, 296, 296)),
        (0, (1, 8, 8), (1, 8, 8)),
    ],
)
def test_the_published_size_is_mapped_as_published(crop, size, result) -> None:
    with torch.device("meta"):
        told = Hybrid2D3D(1, 7, crop=crop)(torch.empty(1, 1, *size))
        alone = Hybrid2D3D(1, 7, crop=crop, pyramid=False)(torch.empty(1, 1, *size))
    assert {name: tuple(m.shape) for name, m in told.items()} == {
        "main": (1, 7, *result),
        "aux2d": (1, 7, *result),
    }
    assert tuple(alone.shape) == (1, 7, *result)


@settings(max_examples=20)
@given(crop=st.integers(0, 7), size=st.tuples(*[st.integers(1, 40)] * 3))
def test_the_next_size_is_the_smallest_that_fits(crop, size) -> None:
    with torch.device("meta"):
        network = small(crop=crop)
        fitting = network.next_size(size)
        assert network.next_size(fitting) == fitting
        mapped = network(torch.empty(1, 1, *fitting))["main"]
    assert fitting[0] == size[0]
    assert all(
        f % 8 == crop and f > crop and f - 8 < max(n, crop + 1)
        for f, n in zip(fitting[1:], size[1:], strict=True)
    )
    assert mapped.shape[2:] == (fitting[0], *(8 * (f // 8) for f in fitting[1:]))


@pytest.mark.parametrize(
    ("crop", "size", "remedy"),
    [
        (0, (5, 300, 296), r"a multiple of \(1, 8, 8\), got \(5, 300, 296\).*is \(5, 304, 296\)"),
        (4, (5, 300, 296), r"\(0, 4, 4\) more than \(1, 8, 8\), got .* is \(5, 300, 300\)"),
        (4, (5, 4, 12), r"the next that fits is \(5, 12, 12\)"),
    ],
)
def test_a_size_that_does_not_fit_is_answered_with_the_next_that_does(crop, size, remedy) -> None:
    with pytest.raises(ValueError, match=remedy), torch.device("meta"):
        small(crop=crop)(torch.empty(1, 1, *size))


@pytest.mark.parametrize(
    ("changes", "heads"),
    [({}, ["main", "aux2d"]), ({"deep": False}, ["main", "aux2d"]), ({"pyramid": False}, ["main"])],
)
def test_every_weight_feels_the_volume(changes, heads) -> None:
    network = open_everywhere(small(**changes))
    assert list(network.heads) == heads
    told = network(image(1, 1, 3, 16, 16).double().abs())
    (told["main"] if isinstance(told, dict) else told).square().sum().backward()
    silent = [n for n, w in network.named_parameters() if w.grad is None or not w.grad.any()]
    assert silent == []


def test_the_pyramid_sees_the_flat_prediction_but_does_not_change_it() -> None:
    network, batch = small(base=4), image(1, 1, 3, 16, 16)
    network(batch)["aux2d"].square().sum().backward()
    taught = {name.split(".")[0] for name, w in network.named_parameters() if w.grad is not None}
    assert taught == {"flat", "predictors"}
    assert all(weight.grad is None for weight in network.predictors["main"].parameters())
    network.zero_grad()
    network(batch)["main"].square().sum().backward()
    grads = [weight.grad for weight in network.predictors["aux2d"].parameters()]
    assert all(grad is not None and grad.any() for grad in grads)


def test_a_relu_passes_both_predictions_on_only_when_asked_for() -> None:
    raw, batch = small(base=4), image(1, 1, 3, 16, 16)
    rectified = small(base=4, relu_logits=True)
    assert all(m.min() < 0 for m in raw(batch).values())
    assert all(m.min() == 0 for m in rectified(batch).values())
    assert torch.equal(rectified(batch)["aux2d"], raw(batch)["aux2d"].relu())
    # The pyramid is shown the rectified prediction, so that the main one differs before its ReLU.
    assert not torch.equal(rectified(batch)["main"], raw(batch)["main"].relu())
    assert small(pyramid=False, relu_logits=True)(batch).min() >= 0


@pytest.mark.parametrize(
    ("changes", "across"),
    [
        ({}, 9),
        ({"deep": False}, 5),
        ({"pyramid": False}, 4),
        ({"deep": False, "pyramid": False}, 0),
    ],
)
def test_slices_are_felt_as_far_as_the_deep_convolutions_reach(changes, across) -> None:
    network = open_everywhere(small(**changes))
    assert network.reach[0] == across
    batch = image(1, 1, 21, 8, 8).double().abs().requires_grad_()
    told = network(batch)
    main = told["main"] if isinstance(told, dict) else told
    (felt,) = torch.autograd.grad(main[0, 0, 10].sum(), batch)
    slices = felt[0, 0].flatten(1).any(1).nonzero().flatten()
    assert (10 - slices.min(), slices.max() - 10) == (across, across)


@pytest.mark.parametrize("pyramid", [True, False])
def test_nothing_beyond_the_reach_is_felt_within_a_slice_and_something_at_it_is(pyramid) -> None:
    network = open_everywhere(small(pyramid=pyramid))
    tight = int(network.reach[1])
    size = 8 * math.ceil((2 * tight + 9) / 8)
    batch = image(1, 1, 1, size, size).double().abs().requires_grad_()
    told = network(batch)
    main = told["main"] if isinstance(told, dict) else told
    start, widest = size // 16 * 8, 0
    for place in range(start, start + 8):  # every place within a voxel of the bottom
        (felt,) = torch.autograd.grad(main[0, 0, 0, place, place], batch, retain_graph=True)
        widest = max(widest, int((felt[0, 0, 0].nonzero() - place).abs().max()))
    assert widest == tight


@pytest.mark.parametrize("crop", [0, 2, 4, 7])
def test_skipped_features_are_cropped_around_their_centre(crop) -> None:
    network = open_everywhere(small(pyramid=False, crop=crop))
    with torch.no_grad():
        for weight in network.flat.ups[0].parameters():
            weight.zero_()  # nothing comes up: only the uppermost skip is left
    batch = image(1, 1, 1, 16 + crop, 16 + crop).double().abs().requires_grad_()
    (felt,) = torch.autograd.grad(network(batch)[0, 0, 0, 8, 8], batch)
    places = felt[0, 0, 0].nonzero()
    assert ((places.amin(0) + places.amax(0)) / 2).tolist() == [8 + crop // 2] * 2
    assert (places.amax(0) - places.amin(0)).tolist() == [12, 12]  # 3 convolutions, twice


def test_fresh_weights_are_those_of_glorot_without_biases() -> None:
    network = small(base=16)
    for name, weight in network.named_parameters():
        if weight.ndim == 1:
            assert not weight.any(), name
            continue
        bound = (6 / (sum(weight.shape[:2]) * math.prod(weight.shape[2:]))) ** 0.5
        assert 0.8 * bound < weight.abs().max() <= bound, name


@pytest.mark.parametrize("crop", [0, 4])
def test_a_volume_of_any_size_is_mapped_tile_by_tile(crop) -> None:
    network = small(crop=crop, base=4)
    told = predict_tiles(network, np.random.default_rng(0).random((3, 21, 30)), tile=16, margin=8)
    assert told.shape == (2, 3, 21, 30)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base": 0}, "`base` must be at least 1, got 0"),
        ({"crop": 8}, "`crop` must be 0 to 7, got 8"),
        ({"crop": -1}, "`crop` must be 0 to 7, got -1"),
        ({"out_channels": 0}, "`out_channels` must be at least 1, got 0"),
    ],
)
def test_an_impossible_network_is_refused_by_argument(changes, message) -> None:
    with pytest.raises(ValueError, match=message):
        small(**changes)


@pytest.mark.parametrize("pyramid", [True, False])
def test_the_arguments_rebuild_the_network_through_json(pyramid) -> None:
    network = small(pyramid=pyramid, relu_logits=True, crop=4)
    again = Hybrid2D3D(**json.loads(json.dumps(network.arguments)))
    assert again.arguments == network.arguments
    again.load_state_dict(network.state_dict())
    batch = image(1, 1, 2, 12, 12)
    told, expected = again(batch), network(batch)
    if pyramid:
        told, expected = told["main"], expected["main"]
    assert torch.equal(told, expected)


def test_the_last_bias_is_that_of_the_main_prediction() -> None:
    # Training may set it, so that the network begins with a value that makes sense.
    assert [n for n, _ in small().named_parameters()][-1] == "predictors.main.bias"
