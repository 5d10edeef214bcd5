"""The supervoxel loss: what counts extra, what it is at the truth, and what it refuses."""

import math
import pickle

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.losses.drawings import curves, distance_map, line, noisy
from topodelin.losses.supervoxel import SupervoxelLoss, supervoxel_loss

SPACES = pytest.mark.parametrize("space", [(20, 24), (10, 12, 14)])


def gradient(prediction: Tensor, target: Tensor, **constants: float) -> Tensor:
    p = prediction.clone().requires_grad_()
    supervoxel_loss(p, target, **constants).backward()  # pyright: ignore[reportArgumentType]
    assert p.grad is not None
    return p.grad


@SPACES
def test_the_truth_costs_nothing_and_is_left_alone(space: tuple[int, ...]) -> None:
    target = curves(3, space, 3)
    assert supervoxel_loss(target, target) == 0
    assert not gradient(target, target).any()


def test_three_voxels_by_hand() -> None:
    # Annotated in a row: 0 0 0; predicted 0 4 0: the middle is missing and a gap. Radius 2,
    # softness 1: the logits are 2, and -2 in the middle; H = log(1 + e^2) = 2 + log(1 + e^-2).
    target = torch.zeros(1, 1, 3)
    prediction = torch.tensor([0.0, 4, 0])[None, None]
    loss = supervoxel_loss(prediction, target, softness=1, aim="extremes", alpha=0.4, beta=0.75)
    right = math.log1p(math.exp(-2))
    expected = (2 * 0.6 * right + (0.6 + 0.4 * 0.75) * (2 + right)) / 3
    assert loss.item() == pytest.approx(expected)
    # To the truth: less the entropy of sigmoid(2); the two right voxels cost nothing.
    q = 1 / (1 + math.exp(-2))
    entropy = -q * math.log(q) - (1 - q) * math.log(1 - q)
    cross = -q * math.log(1 - q) - (1 - q) * math.log(q)
    loss = supervoxel_loss(prediction, target, softness=1, alpha=0.4, beta=0.75)
    assert loss.item() == pytest.approx(0.9 * (cross - entropy) / 3)


def test_a_gap_pulls_harder_than_a_frayed_end() -> None:
    target = line()
    frayed = line()
    frayed[..., 22:27, :6] = 9
    gap = line()
    gap[..., 22:27, 20:26] = 9
    ratio = supervoxel_loss(gap, target) / supervoxel_loss(frayed, target)
    assert ratio.item() == pytest.approx(1.5)


def test_with_alpha_one_only_critical_components_are_pulled() -> None:
    target = line()
    prediction = line()
    prediction[..., 22:27, 20:26] = 9  # a gap
    prediction[..., 40, 40] = 0  # a speck
    prediction[..., 22:27, :4] = 9  # a short end
    grad = gradient(prediction, target, alpha=1.0)[0, 0]
    rows, columns = grad.nonzero().T
    pulled = set(zip(rows.tolist(), columns.tolist(), strict=True))
    assert pulled == {(y, x) for y in range(22, 27) for x in range(20, 26)} | {(40, 40)}
    assert (grad[22:27, 20:26] > 0).all() and grad[40, 40] < 0
    missing_only = gradient(prediction, target, alpha=1.0, beta=1.0)[0, 0]
    assert missing_only[24, 22] > 0 and missing_only[40, 40] == 0


def test_a_bridge_between_two_lines_counts_extra() -> None:
    mask = np.zeros((24, 30), bool)
    mask[5] = mask[18] = True
    target = distance_map(mask)
    mask[5:18, 12] = True
    grad = gradient(distance_map(mask), target, alpha=1.0)
    assert grad[0, 0, 12, 12] < 0 and not grad[0, 0, :, :9].any()


@pytest.mark.parametrize("aim", ["truth", "extremes"])
def test_gradient_matches_finite_differences(aim: str) -> None:
    target = curves(1, (5, 6, 4), 2, d_max=5).double()
    prediction = noisy(target.float(), 1).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda p: supervoxel_loss(p, target, aim=aim), [prediction])


def test_far_from_the_radius_the_gradient_does_not_vanish() -> None:
    grad = gradient(torch.full((1, 1, 1, 5), 1000.0), torch.zeros(1, 1, 1, 5))
    assert (grad > 0.1).all()


def test_images_of_a_batch_are_averaged() -> None:
    targets = torch.cat([curves(seed, (20, 24), 3) for seed in range(4)])
    predictions = noisy(targets, 0)
    each = [supervoxel_loss(p[None], t[None]) for p, t in zip(predictions, targets, strict=True)]
    together = supervoxel_loss(predictions.reshape(2, 2, 20, 24), targets.reshape(2, 2, 20, 24))
    torch.testing.assert_close(together, torch.stack(each).mean())


@SPACES
def test_a_prepared_annotation_gives_the_same(space: tuple[int, ...]) -> None:
    target = curves(5, space, 3)
    prediction = noisy(target, 2)
    loss = SupervoxelLoss(alpha=0.9, radius=3)
    prepared = pickle.loads(pickle.dumps(loss.prepare(target))).to("cpu")
    assert torch.equal(loss(prediction, prepared), loss(prediction, target))


@pytest.mark.parametrize("target", [torch.full((1, 1, 6, 6), 15.0), torch.zeros(1, 1, 6, 6)])
def test_no_tree_or_nothing_else_is_no_error(target: Tensor) -> None:
    prediction = noisy(target, 0).requires_grad_()
    loss = supervoxel_loss(prediction, target)
    loss.backward()
    assert loss.isfinite()


def test_descent_closes_the_gap_and_cuts_the_bridge() -> None:
    target = line()
    prediction = line(9)
    prediction[..., 30, 20] = 0
    prediction.requires_grad_()
    optimizer = torch.optim.SGD([prediction], lr=600)
    for _ in range(100):
        optimizer.zero_grad()
        loss = supervoxel_loss(prediction, target, alpha=1.0)
        loss.backward()
        optimizer.step()
    assert prediction.detach()[0, 0, 24].max() <= 2 < prediction[0, 0, 30, 20]


def test_bad_constants_and_inputs_are_refused() -> None:
    target = curves(0, (20, 24))
    with pytest.raises(ValueError, match="`alpha` must be a share"):
        SupervoxelLoss(alpha=10)
    with pytest.raises(ValueError, match="`beta` must be a share"):
        supervoxel_loss(target, target, beta=-0.1)
    with pytest.raises(ValueError, match="`aim` must be one of 'truth', 'extremes'"):
        SupervoxelLoss(aim="one-sided")
    with pytest.raises(ValueError, match="`radius` must be positive"):
        SupervoxelLoss(radius=0)
    with pytest.raises(ValueError, match="got only the values 0 and 1, a mask"):
        supervoxel_loss(target, (target == 0).float())
    with pytest.raises(ValueError, match="`target` must be finite"):
        SupervoxelLoss().prepare(target * math.nan)
