"""Centre slack: a low voxel near every voxel of the centreline."""

import math
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.losses.drawings import curves, distance_map, noisy
from topodelin.losses.centre_slack import CentreSlackLoss, centre_slack_loss

SPACES = pytest.mark.parametrize("space", [(11, 30), (9, 9, 30)])


def line(space: tuple[int, ...], at: int, gap: int = 0) -> Tensor:
    """A line along the last axis with a gap in its middle."""
    mask = np.zeros(space, bool)
    mask[(*(at for _ in space[1:]), slice(None))] = True
    begin = (space[-1] - gap) // 2
    mask[..., begin : begin + gap] = False
    return distance_map(mask)


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.sampled_from([(9, 8), (5, 6, 7)]),
    radius=st.sampled_from([0.0, 1.0, 1.5, 2.0, 3.3]),
)
def test_it_is_the_mean_excess_of_the_lowest_voxels(
    seed: int, shape: tuple[int, ...], radius: float
) -> None:
    target = curves(seed, shape, count=1)  # one tree
    prediction = noisy(target, seed)
    values = prediction[0, 0].numpy()
    centre = np.argwhere(target[0, 0].numpy() == 0)
    voxels = np.argwhere(np.ones(shape, bool))
    lowest = [values.ravel()[np.linalg.norm(voxels - u, axis=1) <= radius].min() for u in centre]
    expected = np.mean(np.maximum(np.array(lowest) - 0.3, 0) ** 2)
    loss = centre_slack_loss(prediction, target, radius=radius, slack=0.3)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


@SPACES
def test_a_gap_costs_the_more_the_longer_it_is(space: tuple[int, ...]) -> None:
    target = line(space, 4)
    costs = [centre_slack_loss(line(space, 4, gap), target).item() for gap in range(7, 26, 2)]
    assert costs[0] > 0 and costs == sorted(set(costs))
    # In the middle of a gap of 6 the line is 3 away: 2 of radius and 1 of slack.
    assert centre_slack_loss(line(space, 4, 6), target) == 0


@SPACES
def test_an_annotation_beside_the_neurite_does_not_pull(space: tuple[int, ...]) -> None:
    assert centre_slack_loss(line(space, 4), line(space, 5), slack=0.0) == 0
    assert centre_slack_loss(line(space, 4), line(space, 5), slack=0.0, radius=0.0) > 0


def test_the_next_neurite_does_not_stand_in() -> None:
    # Two lines three voxels apart, one of them not predicted.
    both = np.zeros((12, 20), bool)
    both[4] = both[7] = True
    one = both.copy()
    one[7] = False
    # The second line sees no farther than the wall between the two, where the first is 2 away.
    loss = centre_slack_loss(distance_map(one), distance_map(both), radius=3.0)
    assert loss.item() == pytest.approx((2 - 1) ** 2 / 2)


def test_the_gradient_pulls_the_lowest_voxels_only() -> None:
    target = line((9, 9, 30), 4)
    p = (target + 5).requires_grad_()
    centre_slack_loss(p, target).backward()
    assert p.grad is not None
    assert torch.equal(p.grad > 0, target == 0) and (p.grad[target > 0] == 0).all()


def test_gradient_matches_finite_differences() -> None:
    target = curves(0, (5, 6, 5), count=2)
    p = (noisy(target, 1) + 2).double().requires_grad_()
    loss = CentreSlackLoss(radius=1.5, slack=0.1)
    assert loss(p, target).dtype == torch.float64 and loss(p, target) > 0
    assert torch.autograd.gradcheck(lambda p: loss(p, target), [p])


@SPACES
def test_the_truth_and_an_empty_annotation_cost_nothing(space: tuple[int, ...]) -> None:
    for target in (curves(2, space), torch.full((2, 1, *space), 15.0)):
        p = target.clone().requires_grad_()
        loss = centre_slack_loss(p, target)
        loss.backward()
        assert loss == 0 and p.grad is not None and (p.grad == 0).all()


def test_prepared_ahead_and_on_the_spot_are_the_same() -> None:
    target = torch.cat([curves(seed, (12, 14)) for seed in range(4)]).reshape(2, 2, 12, 14)
    prediction = noisy(target, 0)
    loss = CentreSlackLoss()
    value = loss(prediction, target)
    assert torch.equal(loss(prediction, pickle.loads(pickle.dumps(loss.prepare(target)))), value)
    images = [
        loss(p[None, None], t[None, None])
        for p, t in zip(prediction.flatten(0, 1), target.flatten(0, 1), strict=True)
    ]
    torch.testing.assert_close(value, torch.stack(images).mean())
    with pytest.raises(ValueError, match="was prepared with .*; prepare it with the same"):
        CentreSlackLoss(radius=3.0)(prediction, loss.prepare(target))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_single(dtype: torch.dtype) -> None:
    target = curves(0, (12, 14))
    p = noisy(target, 0).to(dtype)
    loss = centre_slack_loss(p, target)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, centre_slack_loss(p.float(), target))


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ({"radius": -1.0}, "`radius` must be 0 or more and finite, got -1"),
        ({"slack": math.inf}, "`slack` must be 0 or more and finite, got inf"),
        ({"spacing": (1.0, -1.0)}, "`spacing` must be positive lengths"),
    ],
)
def test_bad_constants_are_refused(constants: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CentreSlackLoss(**constants)
