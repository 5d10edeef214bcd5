"""What the connectivity losses of volumes punish."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.losses.drawings import curves, noisy
from topodelin.losses import (
    ConnLoss,
    L3DLoss,
    MSELoss,
    TopoLoss,
    conn_loss,
    l3d_loss,
    min_projections,
    topo_loss,
)

SEEDS = st.integers(0, 2**16)
SHAPE = (24, 30, 27)


def fibre(gap: int = 0) -> Tensor:
    """A straight neurite along the last axis with a gap of so many voxels in its middle."""
    z, y, x = torch.meshgrid(*map(torch.arange, SHAPE), indexing="ij")
    begin = (SHAPE[2] - gap) // 2
    along = torch.minimum(x - begin + 1, begin + gap - x).clamp(min=0)
    return torch.sqrt((z - 11.0) ** 2 + (y - 14) ** 2 + along**2).clamp(max=15)[None, None]


@settings(max_examples=10)
@given(seed=SEEDS)
def test_the_truth_costs_nothing_and_pulls_nowhere(seed: int) -> None:
    target = curves(seed, SHAPE)
    prediction = target.clone().requires_grad_()
    loss = L3DLoss()(prediction, target)
    loss.backward()
    assert loss.item() == 0
    assert prediction.grad is not None and not prediction.grad.any()


def test_a_longer_gap_in_space_costs_more() -> None:
    costs = [conn_loss(fibre(gap).double(), fibre()).item() for gap in range(2, SHAPE[2] + 1, 2)]
    assert costs == sorted(set(costs)) and costs[0] > 0


def test_a_gap_along_the_view_is_not_seen_in_that_projection() -> None:
    assert conn_loss(fibre(6), fibre(), axes=(4,), bridge_weight=0.0) == 0
    assert conn_loss(fibre(6), fibre(), axes=(2,), bridge_weight=0.0) > 0


@settings(max_examples=10)
@given(seed=SEEDS)
def test_it_is_the_sum_of_the_image_losses(seed: int) -> None:
    target = curves(seed, SHAPE)
    prediction = noisy(target, seed)
    images = zip(min_projections(prediction), min_projections(target), strict=True)
    expected = torch.stack([topo_loss(*pair) for pair in images]).sum()
    torch.testing.assert_close(conn_loss(prediction, target), expected)


def test_the_combined_loss_is_the_sum_of_its_parts() -> None:
    target = curves(0, SHAPE)
    prediction = noisy(target, 0)
    parts = MSELoss()(prediction, target) + 0.5 * conn_loss(prediction, target, window=20)
    torch.testing.assert_close(l3d_loss(prediction, target, conn_weight=0.5, window=20), parts)
    module = L3DLoss(conn_weight=0.5, topo={"window": 20})
    torch.testing.assert_close(module(prediction, target), parts)


@settings(max_examples=10)
@given(
    seed=SEEDS,
    order=st.permutations([2, 3, 4]),
    mirrored=st.sets(st.sampled_from([2, 3, 4])),
)
def test_mirrors_and_turns_of_space_change_nothing(
    seed: int, order: list[int], mirrored: set[int]
) -> None:
    target = curves(seed, (24, 24, 24))
    prediction = noisy(target, seed)
    moved = [v.permute(0, 1, *order).flip(tuple(mirrored)) for v in (prediction, target)]
    torch.testing.assert_close(l3d_loss(*moved), l3d_loss(prediction, target))


def test_ignored_voxels_are_in_no_projection() -> None:
    target = curves(0, SHAPE)
    prediction = noisy(target, 0)
    ignored = torch.zeros_like(target, dtype=torch.bool)
    ignored[:, :, 5:9] = True
    kept = [torch.cat([v[:, :, :5], v[:, :, 9:]], 2) for v in (prediction, target)]
    found = conn_loss(prediction, target, axes=(2,), ignored=ignored)
    torch.testing.assert_close(found, conn_loss(*kept, axes=(2,)))
    assert found != conn_loss(prediction, target, axes=(2,))


def test_a_ray_of_ignored_voxels_is_an_ignored_pixel() -> None:
    target = curves(0, SHAPE)
    prediction = noisy(target, 0).requires_grad_()
    ignored = torch.zeros_like(target, dtype=torch.bool)
    ignored[:, :, :, 10:15] = True
    found = conn_loss(prediction, target, axes=(2,), ignored=ignored)
    images = [min_projections(v, (2,))[0] for v in (prediction, target)]
    expected = topo_loss(*images, ignored=ignored[:, :, 0])
    torch.testing.assert_close(found, expected)
    found.backward()
    assert prediction.grad is not None and prediction.grad.any()
    assert prediction.grad.isfinite().all() and not prediction.grad[ignored].any()


def test_ignored_voxels_count_in_neither_term() -> None:
    target = curves(0, SHAPE)
    prediction = noisy(target, 0)
    ignored = torch.zeros_like(target, dtype=torch.bool)
    ignored[..., 20:] = True
    spoiled = prediction.masked_fill(ignored, -100.0)
    found = [l3d_loss(p, target, ignored=ignored) for p in (prediction, spoiled)]
    assert found[0] == found[1] < l3d_loss(prediction, target)
    assert L3DLoss()(spoiled, target, ignored=ignored) == found[0]


def test_an_ignored_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="`ignored` must have the shape"):
        L3DLoss()(fibre(), fibre(), ignored=torch.zeros(1, 1, *SHAPE[1:], dtype=torch.bool))


def test_gradient_matches_finite_differences() -> None:
    target = curves(1, (4, 5, 3), 2, d_max=3.0).double()
    prediction = noisy(target, 1).double().requires_grad_()
    loss = L3DLoss(conn_weight=0.1, topo={"d_max": 3.0})
    assert torch.autograd.gradcheck(lambda p: loss(p, target), [prediction], eps=1e-6)


def test_the_paper_is_the_published_image_loss_on_two_or_three_projections() -> None:
    assert ConnLoss.paper().rule == TopoLoss.paper("proj48").rule
    assert ConnLoss.paper(axes=(2, 3)).axes == (2, 3)
    assert L3DLoss.paper(gap_weight=1e-2).rule.gap_weight == 1e-2


def test_an_unknown_constant_is_refused_by_its_name() -> None:
    with pytest.raises(TypeError, match="windw"):
        ConnLoss(topo={"windw": 32})


def test_a_negative_weight_is_refused() -> None:
    with pytest.raises(ValueError, match="`conn_weight` must be 0 or more, got -1"):
        L3DLoss(conn_weight=-1.0)
