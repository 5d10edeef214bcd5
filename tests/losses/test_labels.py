"""Losses of classes: against torch, by hand, and what they refuse."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from topodelin.losses import (
    CrossEntropyLoss,
    DiceBCELoss,
    DiceLoss,
    FocalLoss,
    LabelTarget,
    WeightedSum,
    cross_entropy_loss,
    dice_loss,
)
from topodelin.losses.labels import IGNORE

LOSSES = [CrossEntropyLoss(), FocalLoss(), DiceLoss(), DiceBCELoss()]


def random_case(seed: int, classes: int = 3, *, ignored: bool = True) -> tuple[Tensor, LabelTarget]:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(2, classes, 5, 6, generator=generator, dtype=torch.float64)
    labels = torch.randint(-1 if ignored else 0, max(2, classes), (2, 5, 6), generator=generator)
    weights = torch.rand(2, 5, 6, generator=generator)
    return logits, LabelTarget(labels, weights)


@given(seed=st.integers(0, 10**6))
def test_cross_entropy_is_that_of_torch(seed: int) -> None:
    logits, target = random_case(seed)
    expected = functional.cross_entropy(logits, target.classes, ignore_index=IGNORE)
    torch.testing.assert_close(cross_entropy_loss(logits, target.classes), expected)
    each = functional.cross_entropy(logits, target.classes, ignore_index=IGNORE, reduction="none")
    assert target.weights is not None
    weighed = (each * target.weights).sum()
    torch.testing.assert_close(cross_entropy_loss(logits, target, reduction="sum"), weighed)
    judged = (target.classes != IGNORE).sum()
    torch.testing.assert_close(cross_entropy_loss(logits, target), weighed / judged)


@given(seed=st.integers(0, 10**6), gamma=st.floats(0, 4))
def test_the_focal_form_is_its_formula(seed: int, gamma: float) -> None:
    logits, target = random_case(seed, ignored=False)
    p = logits.softmax(1).gather(1, target.classes[:, None])[:, 0]
    expected = ((1 - p) ** gamma * -p.log()).mean()
    torch.testing.assert_close(cross_entropy_loss(logits, target.classes, gamma=gamma), expected)


@given(seed=st.integers(0, 10**6))
def test_one_channel_says_the_same_as_two(seed: int) -> None:
    logits, target = random_case(seed, classes=1)
    two = torch.cat([torch.zeros_like(logits), logits], dim=1)
    for gamma in (0.0, 2.0):
        one = cross_entropy_loss(logits, target, gamma=gamma)
        torch.testing.assert_close(one, cross_entropy_loss(two, target, gamma=gamma))


def test_dice_of_a_drawing_by_hand() -> None:
    told = torch.tensor([[[0.5, 0.5, 0.25, 0.0]]], dtype=torch.float64)
    logits = torch.logit(told, eps=1e-12)
    target = torch.tensor([[1, 1, 0, 0]])
    expected = 1 - 2 * (0.5 + 0.5) / (0.25 + 0.25 + 0.0625 + 2 + 1e-6)
    assert dice_loss(logits, target).item() == pytest.approx(expected, abs=1e-9)


def test_dice_of_the_truth_is_zero_and_absent_classes_are_left_out() -> None:
    target = torch.tensor([[[0, 2], [2, 0]]])
    logits = 50.0 * functional.one_hot(target, 3).movedim(-1, 1).double()
    assert dice_loss(logits, target).item() == pytest.approx(0, abs=1e-6)
    assert dice_loss(logits.roll(1, 1), target).item() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_ignored_voxels_change_nothing(loss: torch.nn.Module) -> None:
    logits, target = random_case(3)
    changed = logits.clone()
    changed[(target.classes == IGNORE)[:, None].expand_as(changed)] += 7
    torch.testing.assert_close(loss(logits, target), loss(changed, target))
    nothing = LabelTarget(torch.full_like(target.classes, IGNORE))
    leaf = logits.clone().requires_grad_()
    value = loss(leaf, nothing)
    value.backward()
    assert value.item() == 0 and leaf.grad is not None and not leaf.grad.any()


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("classes", [1, 3])
def test_gradients_are_those_of_differences(loss: torch.nn.Module, classes: int) -> None:
    logits, target = random_case(5, classes)
    leaf = logits[:1, :, :2, :3].clone().requires_grad_()
    part = LabelTarget(target.classes[:1, :2, :3], target.weights[:1, :2, :3].double())  # type: ignore[index]
    assert torch.autograd.gradcheck(lambda x: loss(x, part), leaf)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_extreme_logits_stay_finite(loss: torch.nn.Module) -> None:
    logits = torch.tensor([[[1e4, -1e4]], [[-1e4, 1e4]]]).movedim(0, 1).requires_grad_()
    for labels in ([[0, 1]], [[1, 0]]):
        value = loss(logits, torch.tensor(labels))
        (gradient,) = torch.autograd.grad(value, logits)
        assert math.isfinite(value.item()) and bool(gradient.isfinite().all())


def test_half_precision_is_computed_in_full() -> None:
    logits, target = random_case(1)
    value = cross_entropy_loss(logits.bfloat16(), target)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(cross_entropy_loss(logits, target).item(), rel=0.02)


def test_a_weighted_sum_hands_the_labels_to_whom_they_belong() -> None:
    logits, target = random_case(2)
    total = WeightedSum({"ce": (CrossEntropyLoss(), 1.0), "dice": (DiceLoss(), 0.5)})
    assert total.takes == {"labels"}
    value = total(logits, total.prepare({"labels": target}))
    expected = CrossEntropyLoss()(logits, target) + 0.5 * DiceLoss()(logits, target)
    torch.testing.assert_close(value, expected)
    assert target.to("cpu") == target or target.to("cpu").classes is not None


@pytest.mark.parametrize(
    ("prediction", "target", "error", "said"),
    [
        (torch.zeros(1, 2, 4), torch.zeros(1, 4), TypeError, "must hold whole numbers"),
        (torch.zeros(1, 2, 4).long(), torch.zeros(1, 4).long(), TypeError, "floating point logits"),
        (torch.zeros(1, 2, 4), torch.zeros(1, 5).long(), ValueError, r"\(1, 4\), got \(1, 5\)"),
        (torch.zeros(1, 2, 4), torch.full((1, 4), 2), ValueError, "from 0 to 1, or -1 .*, got 2"),
        (torch.zeros(1, 1, 4), torch.full((1, 4), -2), ValueError, "got -2"),
        (torch.full((1, 2, 4), math.nan), torch.zeros(1, 4).long(), ValueError, "must be finite"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(prediction, target, error, said) -> None:
    with pytest.raises(error, match=said) as refusal:
        cross_entropy_loss(prediction, target)
    assert "\n" not in str(refusal.value)


def test_constants_out_of_range_are_refused() -> None:
    logits, target = random_case(0)
    with pytest.raises(ValueError, match="`gamma` must be 0 or more, got -1"):
        cross_entropy_loss(logits, target, gamma=-1)
    with pytest.raises(ValueError, match="`reduction` must be 'mean' or 'sum'"):
        cross_entropy_loss(logits, target, reduction="none")
    with pytest.raises(ValueError, match="`epsilon` must be positive"):
        dice_loss(logits, target, epsilon=0)
    with pytest.raises(ValueError, match="`weights` must have the shape"):
        cross_entropy_loss(logits, LabelTarget(target.classes, torch.ones(1)))
