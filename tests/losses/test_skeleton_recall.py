"""Skeleton recall: the mean probability along the annotated centreline."""

import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.losses.drawings import curves, line, line_with_bridge, noisy
from topodelin.losses.probability import foreground_probability
from topodelin.losses.skeleton_recall import (
    SkeletonRecallLoss,
    prepare_skeleton_recall,
    skeleton_recall_loss,
)


def test_the_recall_by_hand() -> None:
    # The tube of radius 1 around the middle pixel holds three of five. At the predicted distances
    # 2, 0 and 2 the probabilities are 1/2, 0.982 and 1/2.
    target = torch.tensor([[[2.0, 1.0, 0.0, 1.0, 2.0]]])
    prediction = torch.tensor([[[9.0, 2.0, 0.0, 2.0, -9.0]]])
    middle = 1 / (1 + torch.tensor(-4.0).exp().item())
    loss = skeleton_recall_loss(prediction, target)
    assert loss.item() == pytest.approx(1 - (0.5 + middle + 0.5) / 3)
    thin = skeleton_recall_loss(prediction, target, tube_radius=0)
    assert thin.item() == pytest.approx(1 - middle, rel=1e-5)


@pytest.mark.parametrize("shape", [(20, 24), (10, 12, 14)])
def test_it_is_one_minus_the_mean_probability_of_the_tube(shape: tuple[int, ...]) -> None:
    target = torch.cat([curves(seed, shape) for seed in (0, 1)])
    p = noisy(target, 0)
    expected = 1 - foreground_probability(p, radius=3, softness=1)[target <= 2].mean()
    loss = SkeletonRecallLoss(tube_radius=2, radius=3, softness=1)
    torch.testing.assert_close(loss(p, target), expected)


def test_only_the_tube_receives_gradient() -> None:
    target = line()
    p = noisy(target, 0).requires_grad_()
    skeleton_recall_loss(p, target).backward()
    assert p.grad is not None
    assert torch.equal(p.grad != 0, target <= 1) and bool((p.grad >= 0).all())


def test_a_longer_gap_costs_more_and_a_bridge_nothing() -> None:
    values = [skeleton_recall_loss(line(gap), line()).item() for gap in (0, 2, 4, 8, 16, 32, 48)]
    assert values == sorted(set(values)) and values[0] < 0.1
    assert skeleton_recall_loss(line_with_bridge(3), line()).item() <= values[0]


def test_nothing_annotated_costs_nothing() -> None:
    p = torch.zeros(1, 1, 4, 5, requires_grad=True)
    loss = skeleton_recall_loss(p, torch.full((1, 1, 4, 5), 15.0))
    loss.backward()
    assert loss.item() == 0
    assert p.grad is not None and not p.grad.any()


@given(seed=st.integers(0, 2**16), axis=st.integers(2, 4))
def test_a_mirror_changes_nothing(seed: int, axis: int) -> None:
    target = curves(seed, (8, 9, 10))
    p = noisy(target, seed)
    value = skeleton_recall_loss(p, target)
    mirrored = skeleton_recall_loss(p.flip(axis), target.flip(axis))
    torch.testing.assert_close(mirrored, value)
    turned = skeleton_recall_loss(p.transpose(2, axis), target.transpose(2, axis))
    torch.testing.assert_close(turned, value)


def test_gradient_matches_finite_differences() -> None:
    target = curves(0, (5, 6), count=1).double()
    p = 4 * torch.rand(1, 1, 5, 6, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda p: skeleton_recall_loss(p, target), [p.requires_grad_()])


def test_what_was_prepared_stands_for_the_target() -> None:
    target = curves(0, (10, 12, 14))
    loss = SkeletonRecallLoss(tube_radius=1.5)
    prepared = pickle.loads(pickle.dumps(loss.prepare(target))).to("cpu")
    first, second = (noisy(target, 1).requires_grad_() for _ in range(2))
    a, b = loss(first, target), loss(second, prepared)
    a.backward()
    b.backward()
    assert torch.equal(a, b) and torch.equal(first.grad, second.grad)  # type: ignore[arg-type]


def test_a_prediction_is_checked_against_what_was_prepared() -> None:
    target = curves(0, (20, 24))
    prepared = prepare_skeleton_recall(target)
    loss = SkeletonRecallLoss()
    with pytest.raises(ValueError, match="must have the same shape"):
        loss(target[..., 1:], prepared)
    with pytest.raises(ValueError, match="`prediction` must be finite"):
        loss(target.masked_fill(target == 0, torch.nan), prepared)
    with pytest.raises(TypeError, match="`prediction` must be a float tensor"):
        loss(target.long(), prepared)


def test_a_target_is_checked_when_it_is_prepared() -> None:
    target = curves(0, (20, 24))
    with pytest.raises(ValueError, match="got only the values 0 and 1, a mask"):
        prepare_skeleton_recall((target == 0).float())
    with pytest.raises(ValueError, match="`target` must be finite"):
        prepare_skeleton_recall(target.masked_fill(target == 0, torch.inf))
    with pytest.raises(ValueError, match="exchanged"):
        prepare_skeleton_recall(target - 1)
    with pytest.raises(TypeError, match="`target` must be a float tensor"):
        prepare_skeleton_recall(target.long())


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_a_tube_without_voxels_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="`tube_radius` must be 0 or more"):
        SkeletonRecallLoss(tube_radius=value)
