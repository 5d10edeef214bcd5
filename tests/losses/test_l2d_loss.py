"""The loss that learns volumes from two-dimensional annotations."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.losses.drawings import curves, noisy
from topodelin.losses import L2DLoss, MSELoss, TopoLoss, l2d_loss, min_projections

SHAPE = (20, 30, 26)


def volume_and_annotations(seed: int = 0) -> tuple[Tensor, list[Tensor]]:
    """A noisy prediction and the projections of what it should be."""
    target = curves(seed, SHAPE)
    return noisy(target, seed), min_projections(target)


@settings(max_examples=10)
@given(seed=st.integers(0, 2**16))
def test_the_truth_costs_nothing_and_pulls_nowhere(seed: int) -> None:
    target = curves(seed, SHAPE)
    prediction = target.clone().requires_grad_()
    loss = L2DLoss()(prediction, min_projections(target))
    loss.backward()
    assert loss.item() == 0
    assert prediction.grad is not None and not prediction.grad.any()


def test_it_is_the_sum_over_the_projections() -> None:
    prediction, target = volume_and_annotations()
    parts = [
        MSELoss()(image, annotation) + 0.5 * TopoLoss(window=20)(image, annotation)
        for image, annotation in zip(min_projections(prediction), target, strict=True)
    ]
    found = l2d_loss(prediction, target, conn_weight=0.5, window=20)
    torch.testing.assert_close(found, torch.stack(parts).sum())


def test_annotations_need_not_agree() -> None:
    prediction, _ = volume_and_annotations()
    drawn = [
        curves(10 + axis, tuple(image.shape[2:]))
        for axis, image in enumerate(min_projections(prediction))
    ]
    assert l2d_loss(prediction, drawn) > 0


def test_one_annotated_axis_is_enough() -> None:
    prediction, target = volume_and_annotations()
    prediction.requires_grad_()
    l2d_loss(prediction, target[1:2], axes=(3,)).backward()
    assert prediction.grad is not None and prediction.grad.any()


def test_gradient_matches_finite_differences() -> None:
    target = min_projections(curves(1, (4, 5, 3), 2, d_max=3.0).double())
    prediction = noisy(curves(1, (4, 5, 3), 2, d_max=3.0), 1).double().requires_grad_()
    loss = L2DLoss(conn_weight=0.1, topo={"d_max": 3.0})
    assert torch.autograd.gradcheck(lambda p: loss(p, target), [prediction], eps=1e-6)


def test_ignored_pixels_cost_nothing() -> None:
    prediction, target = volume_and_annotations()
    ignored = [torch.zeros_like(image, dtype=torch.bool) for image in target]
    for mask in ignored:
        mask[..., :5] = True
    spoiled = [image.masked_fill(mask, 7.0) for image, mask in zip(target, ignored, strict=True)]
    found = l2d_loss(prediction, spoiled, ignored=ignored)
    assert torch.equal(found, l2d_loss(prediction, target, ignored=ignored))
    assert found != l2d_loss(prediction, target)


def test_it_says_what_it_takes() -> None:
    assert L2DLoss.takes == "projections"


def test_the_paper_is_the_published_image_loss_added_to_a_mean() -> None:
    loss = L2DLoss.paper(gap_weight=1e-2)
    assert loss.rule == TopoLoss.paper("proj48", gap_weight=1e-2).rule and loss.conn_weight == 1


def change(target: list[Tensor], how: str) -> Any:
    return {
        "one volume": curves(0, SHAPE),
        "one missing": target[:2],
        "exchanged": [target[0], target[2], target[1]],
        "negative": [target[0] - 1, *target[1:]],
        "not clipped": [*target[:2], target[2] + 30],
        "mask": [*target[:2], target[2] == 0],
        "not finite": [*target[:2], target[2] + torch.nan],
        "no channel": [image[:, 0] for image in target],
    }[how]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("one volume", "must be a sequence of one 2-D map for each axis.*use L3DLoss|Type-check"),
        ("one missing", r"must hold one map for each of the axes \(2, 3, 4\), got 2"),
        ("exchanged", r"must have the shape \(1, 1, 20, 26\) for axis 3"),
        ("negative", "0 on the centreline and positive elsewhere"),
        ("not clipped", "clipped at d_max=15"),
        ("mask", "make one with topodelin.annotation.distance_map"),
        ("not finite", "`target` must be finite"),
        ("no channel", "add the channel axis"),
    ],
)
def test_annotations_that_do_not_fit_are_refused(how: str, message: str) -> None:
    prediction, target = volume_and_annotations()
    with pytest.raises((TypeError, ValueError), match=message):
        L2DLoss()(prediction, change(target, how))


def test_a_prediction_that_is_not_finite_is_refused() -> None:
    prediction, target = volume_and_annotations()
    prediction[0, 0, 0, 0, 0] = torch.nan
    with pytest.raises(ValueError, match="`prediction` must be finite"):
        L2DLoss()(prediction, target)


def test_an_annotation_prepared_for_other_axes_is_refused() -> None:
    prediction, target = volume_and_annotations()
    prepared = L2DLoss(axes=(2, 3)).prepare(target[:2])
    with pytest.raises(ValueError, match=r"prepared for the axes \(2, 3, 4\), got \(2, 3\)"):
        L2DLoss()(prediction, prepared)
