"""Losses on distance maps for networks that give logits or probabilities."""

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from torch import Tensor

from tests.losses.drawings import curves, distance_map, noisy
from topodelin.losses import ConnLoss, MSELoss, TopoLoss, WeightedSum
from topodelin.losses.adapters import (
    FromLogits,
    FromProbabilities,
    logits_to_distance,
    probabilities_to_distance,
)
from topodelin.losses.cldice import ClDiceLoss
from topodelin.losses.mask_distance import mask_to_distance, skeleton
from topodelin.losses.probability import foreground_probability

TARGET = curves(0, (20, 24))
CENTRELINE = TARGET == 0


def logits(seed: int = 0) -> Tensor:
    """Of a network that has learnt the target, with errors."""
    return (2 - noisy(TARGET, seed)) / 0.5


def two_channels(x: Tensor) -> Tensor:
    """Background and foreground, before a softmax, with the logit `x`."""
    background = torch.sin(torch.arange(x.numel()).reshape(x.shape))
    return torch.cat([background, background + x], 1)


def test_the_distance_by_hand() -> None:
    x = torch.tensor([[[4.0, 0.0, -26.0]]])
    expected = torch.tensor([[[0.0, 2.0, 15.0]]])
    torch.testing.assert_close(logits_to_distance(x), expected)
    torch.testing.assert_close(logits_to_distance(two_channels(x)), expected)
    torch.testing.assert_close(logits_to_distance(x, radius=3, softness=1), 3 - x)


def test_probabilities_and_logits_are_the_same_distance() -> None:
    x = torch.linspace(-9, 9, 24).reshape(1, 1, 4, 6)
    expected = logits_to_distance(x)
    soft = two_channels(x).softmax(1)
    torch.testing.assert_close(probabilities_to_distance(x.sigmoid()), expected, rtol=1e-3, atol=0)
    torch.testing.assert_close(probabilities_to_distance(soft), expected, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(foreground_probability(expected), x.sigmoid())


@given(a=st.floats(-8, 8), b=st.floats(-8, 8))
def test_more_foreground_is_nearer(a: float, b: float) -> None:
    x = torch.tensor([[[a, b]]], dtype=torch.float64)
    if abs(a - b) > 1e-6:
        for turn, values in (
            (logits_to_distance, x),
            (probabilities_to_distance, x.sigmoid()),
            (logits_to_distance, two_channels(x)),
        ):
            near, far = turn(values)[0, 0].tolist()
            assert (near < far) == (a > b)


def test_gradients_match_finite_differences() -> None:
    x = torch.linspace(-3, 4, 12, dtype=torch.float64).reshape(1, 1, 3, 4)
    for turn, values in (
        (logits_to_distance, x),
        (logits_to_distance, two_channels(x)),
        (probabilities_to_distance, x.sigmoid()),
    ):
        assert torch.autograd.gradcheck(turn, [values.clone().requires_grad_()])


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("loss", [MSELoss(), TopoLoss(window=20), ClDiceLoss()])
def test_the_loss_sees_the_distance(loss: torch.nn.Module, channels: int) -> None:
    x = logits() if channels == 1 else two_channels(logits())
    expected = loss(noisy(TARGET, 0), TARGET)
    torch.testing.assert_close(FromLogits(loss)(x, TARGET), expected, rtol=1e-4, atol=1e-5)
    p = x.double().sigmoid() if channels == 1 else x.double().softmax(1)
    value = FromProbabilities(loss)(p, TARGET.double())
    clamped = loss(noisy(TARGET, 0).clamp(2 - 0.5 * 13.8155, 2 + 0.5 * 13.8155), TARGET)
    torch.testing.assert_close(value.float(), clamped, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "mask",
    [
        CENTRELINE,
        CENTRELINE.long(),
        CENTRELINE.to(torch.uint8),
        CENTRELINE.float(),
        CENTRELINE.bfloat16(),
        CENTRELINE[:, 0].long(),
    ],
    ids=["bool", "int64", "uint8", "float32", "bfloat16", "without channel"],
)
def test_a_mask_becomes_the_distance_to_its_centreline(mask: Tensor) -> None:
    expected = MSELoss()(noisy(TARGET, 0), mask_to_distance(CENTRELINE))
    torch.testing.assert_close(FromLogits(MSELoss())(logits(), mask), expected)


def test_a_thick_line_has_its_middle_as_centreline() -> None:
    thick = np.zeros((11, 40), bool)
    thick[3:8] = True
    found = mask_to_distance(torch.from_numpy(thick)[None, None], d_max=4)
    assert torch.equal(found[0, 0, 5, 5:-5], torch.zeros(30))
    column = torch.tensor([4.0, 4, 3, 2, 1, 0, 1, 2, 3, 4, 4])
    assert torch.equal(found[0, 0, :, 20], column)
    stretched = mask_to_distance(torch.from_numpy(thick)[None], d_max=4, spacing=(2, 1))
    assert torch.equal(stretched[0, 0, :, 20], (2 * column).clamp(max=4).where(column < 4, 4.0))


def test_an_empty_mask_is_far_from_everything() -> None:
    assert torch.equal(mask_to_distance(torch.zeros(2, 1, 4, 5)), torch.full((2, 1, 4, 5), 15.0))


@given(seed=st.integers(0, 2**16), dims=st.integers(2, 3), size=st.integers(1, 3))
def test_every_part_of_a_mask_keeps_a_connected_centreline(seed: int, dims: int, size: int) -> None:
    seeds = np.random.default_rng(seed).random((8,) * dims) < 0.03
    mask = np.asarray(ndimage.binary_dilation(seeds, np.ones((size,) * dims)), dtype=bool)
    thin, touching = skeleton(mask), np.ones((3,) * dims)
    parts, count = ndimage.label(mask, touching)  # type: ignore[misc]
    assert not (thin & ~mask).any()
    assert set(parts[thin]) == set(range(1, count + 1))
    assert ndimage.label(thin, touching)[1] == count  # type: ignore[index]


def test_what_was_prepared_stands_for_the_mask() -> None:
    mask = CENTRELINE.long()
    for loss in (FromLogits(ClDiceLoss()), FromLogits(MSELoss()), FromProbabilities(ClDiceLoss())):
        output = logits() if isinstance(loss, FromLogits) else logits().sigmoid()
        assert torch.equal(loss(output, loss.prepare(mask)), loss(output, mask))


def test_a_sum_is_prepared_and_judged_term_by_term() -> None:
    both = WeightedSum({"mse": (MSELoss(), 1.0), "cldice": (ClDiceLoss(), 0.5)})
    loss = FromLogits(both)
    value = loss(logits(), CENTRELINE)
    assert set(both.last_terms) == {"mse", "cldice"}
    torch.testing.assert_close(loss(logits(), {"distance_map": CENTRELINE}), value)
    torch.testing.assert_close(loss(logits(), loss.prepare(CENTRELINE)), value)
    assert loss.takes == both.takes


def test_other_targets_are_passed_on() -> None:
    class Graphs(torch.nn.Module):
        takes = "graphs"

        def forward(self, prediction: Tensor, target: Any) -> Tensor:
            return prediction.sum() + len(target)

    loss = FromLogits(Graphs())
    assert loss.takes == "graphs"
    assert loss(torch.zeros(1, 1, 2, 2), ["a graph", "another"]).item() == 4 * 2 + 2


def test_gradient_flows_to_the_logits_and_lowers_the_loss() -> None:
    x = two_channels(logits()).requires_grad_()
    loss = FromLogits(MSELoss())
    value = loss(x, TARGET)
    value.backward()
    assert x.grad is not None and x.grad.shape == x.shape
    # a step of a ten thousandth of a line search: less than before
    assert loss((x - x.grad).detach(), TARGET) < value


def test_half_precision_and_autocast() -> None:
    loss = FromLogits(MSELoss())
    x = logits().half()
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(x, TARGET)
    assert value.dtype == torch.float32 and torch.equal(value, loss(x.float(), TARGET))


def test_it_holds_no_state_and_survives_pickling() -> None:
    loss = pickle.loads(pickle.dumps(FromLogits(ConnLoss(), d_max=15)))
    assert loss.state_dict() == {} and not list(loss.parameters())


@pytest.mark.parametrize("adapter", [FromLogits, FromProbabilities])
def test_more_than_two_classes_are_refused(adapter: type[FromLogits]) -> None:
    with pytest.raises(ValueError, match="one channel, or two .* got 3: .* one kind of line"):
        adapter(MSELoss())(torch.rand(1, 3, 4, 5), torch.rand(1, 1, 4, 5))


@pytest.mark.parametrize("adapter", [FromLogits, FromProbabilities])
def test_labels_of_more_classes_are_refused(adapter: type[FromLogits]) -> None:
    with pytest.raises(ValueError, match="`mask` must hold 0 .* between 0 and 2; choose one class"):
        adapter(MSELoss())(torch.rand(1, 1, 2, 3), torch.tensor([[[[0, 1, 2], [0, 0, 0]]]]))


def test_logits_given_as_probabilities_are_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1, .* logits go to FromLogits"):
        FromProbabilities(MSELoss())(logits(), TARGET)
    with pytest.raises(ValueError, match="must add up to 1 in every voxel"):
        FromProbabilities(MSELoss())(torch.full((1, 2, 4, 5), 0.9), torch.ones(1, 1, 4, 5))
    with pytest.raises(ValueError, match="between nan and nan"):
        FromProbabilities(MSELoss())(torch.full((1, 1, 4, 5), torch.nan), torch.ones(1, 1, 4, 5))


def test_logits_that_are_not_finite_are_refused_by_the_loss() -> None:
    with pytest.raises(ValueError, match="`prediction` must be finite"):
        FromLogits(MSELoss())(logits().log(), TARGET)


def test_exchanged_arguments_are_refused() -> None:
    with pytest.raises(TypeError, match=r"the order is loss\(logits, target\)"):
        FromLogits(MSELoss())(CENTRELINE, logits())


def test_missing_axes_are_asked_for() -> None:
    with pytest.raises(ValueError, match=r"must be \(batch, channel, \*space\)"):
        FromLogits(MSELoss())(logits()[0, 0], CENTRELINE[0, 0])
    with pytest.raises(ValueError, match=r"`mask` must be \(batch, 1, \*space\)"):
        mask_to_distance(torch.zeros(4, 5))
    with pytest.raises(ValueError, match="`spacing` must hold the length .* for 2 axes"):
        mask_to_distance(CENTRELINE, spacing=(1, 1, 1))


def test_the_map_of_a_centreline_is_exact() -> None:
    centreline = np.zeros((20, 24), bool)
    centreline[7, 3:20] = True
    found = mask_to_distance(torch.from_numpy(centreline)[None])
    assert torch.equal(found, distance_map(centreline))
