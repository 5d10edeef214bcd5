"""The path loss: what a gap costs, what is pulled, what it is at the truth, what it refuses."""

import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.losses.drawings import curves, distance_map, line, noisy
from tests.losses.test_path_cover import costs_by_scipy
from topodelin.losses.path import PathLoss, PathRule, path_loss, prepare_paths, walk

SPACES = pytest.mark.parametrize("space", [(20, 24), (10, 12, 14)])


def gradient(prediction: Tensor, target: Tensor, **constants: object) -> Tensor:
    p = prediction.clone().requires_grad_()
    path_loss(p, target, **constants).backward()
    assert p.grad is not None
    return p.grad


@SPACES
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_truth_costs_nothing_and_is_left_alone(
    space: tuple[int, ...], dtype: torch.dtype
) -> None:
    # Between the voxels, too, where no voxel of the centreline is 0.
    target = (curves(3, space, 3) + 0.1).clamp(max=15).to(dtype)
    assert path_loss(target, target) == 0
    assert not gradient(target, target).any()
    assert path_loss(target, target, aim="extremes").item() == pytest.approx(0.01, rel=0.1)


def test_a_row_of_voxels_by_hand() -> None:
    # 0 0 0 4 4 0 0 0: one stretch of length 7, costs 16 between the two and 8 on either side.
    target = torch.zeros(1, 1, 8)
    prediction = torch.tensor([0.0, 0, 0, 4, 4, 0, 0, 0])[None, None].requires_grad_()
    loss = path_loss(prediction, target)
    loss.backward()
    assert loss.item() == pytest.approx(32 / 7)
    assert prediction.grad is not None
    expected = torch.tensor([0, 0, 0, 8, 8, 0, 0, 0]) / 7
    torch.testing.assert_close(prediction.grad[0, 0], expected)


def test_steps_are_as_long_as_the_voxels() -> None:
    target = torch.zeros(1, 1, 8)
    prediction = torch.full_like(target, 3)
    assert path_loss(prediction, target, spacing=(2.5,), snap=0).item() == pytest.approx(9)


@pytest.mark.parametrize("gap", [2, 5, 12, 30])
def test_only_the_path_across_the_gap_is_pulled(gap: int) -> None:
    grad = gradient(line(gap), line())[0, 0]
    begin = (48 - gap) // 2
    assert (grad >= 0).all() and grad.any()
    assert not grad[:, : begin - 1].any() and not grad[:, begin + gap + 1 :].any()
    assert ((grad > 0).sum(0) <= 1).all()


def test_a_longer_gap_costs_more() -> None:
    costs = [path_loss(line(gap), line()).item() for gap in range(0, 26, 2)]
    assert costs == sorted(set(costs)) and costs[0] == 0


def test_a_dead_end_counts() -> None:
    whole = np.zeros((24, 24), bool)
    whole[12, 4:20] = True
    broken = whole.copy()
    broken[12, 9:14] = False
    assert path_loss(distance_map(broken), distance_map(whole)) > 0.1


def test_an_annotation_beside_the_neurite_costs_nothing_within_the_snap() -> None:
    # The neurite is predicted whole, two voxels below its annotation.
    target = line()
    beside = target.roll(2, -2)
    assert path_loss(beside, target, aim="extremes") == 0
    assert path_loss(beside, target, aim="extremes", snap=0) > 0.01


def test_the_ends_of_a_short_neurite_do_not_move_together() -> None:
    # Length 4: an end moves by a quarter at most, so both stay apart and 9 9 0 9 9 is walked.
    target = torch.zeros(1, 1, 5)
    prediction = torch.tensor([3.0, 3, 0, 3, 3])[None, None]
    assert path_loss(prediction, target).item() == pytest.approx((9 + 4.5 + 4.5 + 9) / 4)


def test_a_path_cheaper_than_the_true_one_is_left_alone() -> None:
    target = line() + 0.5
    grad = gradient(target - 0.3, target)
    assert path_loss(target - 0.3, target) == 0 and not grad.any()
    assert path_loss(target - 0.3, target, aim="extremes").item() == pytest.approx(0.04)


def test_distances_below_zero_count_as_zero() -> None:
    assert path_loss(line() - 3, line(), aim="extremes") == 0


def test_a_neurite_outside_the_tube_is_no_detour() -> None:
    target = line()
    elsewhere = target.roll(8, -2)
    expected = path_loss(torch.full_like(target, 4), target)
    assert path_loss(elsewhere, target) >= expected


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
def test_paths_cost_what_scipy_says(seed: int) -> None:
    z, y, x = np.indices((7, 6, 3))
    across = np.hypot(z - 3, 2 * (x - 1))
    target = torch.from_numpy(across)[None, None].float()
    noise = torch.from_numpy(np.random.default_rng(seed).random((1, 1, 7, 6, 3)))
    prediction = noise.float() * 3 + 0.1
    rule = PathRule(spacing=(1, 1, 2), tube=2, snap=0, stretch=100, aim="extremes")
    ready = prepare_paths(target, rule)
    assert ready.length == 5 and len(ready.images) == 1
    values = prediction[0, 0].numpy().astype(np.float64)
    inside = np.zeros(across.size, bool)
    inside[rule.frame(across.shape).remove(ready.tubes)] = True
    near = across <= 2  # a straight tube, open at both ends
    np.testing.assert_array_equal(inside.reshape(across.shape), near)
    begin, end = np.flatnonzero((across == 0) & ((y == 0) | (y == 5))).tolist()
    costs = costs_by_scipy(values, near, (1, 1, 2), 0, begin)
    assert path_loss(prediction, ready).item() == pytest.approx(costs[end] / 5)


def test_a_path_leads_from_end_to_end_through_the_tube() -> None:
    target = curves(2, (12, 16, 18), 3)
    ready = prepare_paths(target, PathRule(snap=0))
    voxels, weights = walk(noisy(target, 1), ready)
    frame = ready.rule.frame((12, 16, 18))
    for s, ends in enumerate(frame.remove(ready.ends)):
        path = voxels[s][: int(weights[s].count_nonzero())].numpy()
        tube = frame.remove(ready.tubes[ready.starts[s] : ready.starts[s + 1]])
        steps = np.diff(np.array(np.unravel_index(path, (12, 16, 18))), axis=1)
        assert {path[0], path[-1]} == set(ends) and set(path) <= set(tube)
        assert np.abs(steps).max() == 1
        assert weights[s].sum().item() == pytest.approx(np.linalg.norm(steps, axis=0).sum())


@pytest.mark.parametrize("aim", ["truth", "extremes"])
def test_gradient_matches_finite_differences(aim: str) -> None:
    target = curves(1, (5, 6, 9), 2).double()
    prediction = (noisy(target.float(), 1).double().abs() + 0.3).requires_grad_()
    loss = PathLoss(aim=aim)
    ready = loss.prepare(target)
    assert torch.autograd.gradcheck(lambda p: loss(p, ready), [prediction])


def test_images_of_a_batch_are_weighed_by_their_length() -> None:
    targets = torch.cat([curves(seed, (20, 24), 3) for seed in range(4)])
    predictions = noisy(targets, 0)
    rule = PathRule(stretch=1000)
    each = torch.stack(
        [
            path_loss(p[None], t[None], stretch=1000)
            for p, t in zip(predictions, targets, strict=True)
        ]
    )
    lengths = torch.tensor([prepare_paths(t[None], rule).length for t in targets])
    together = path_loss(
        predictions.reshape(2, 2, 20, 24), targets.reshape(2, 2, 20, 24), stretch=1000
    )
    torch.testing.assert_close(together, (each * lengths).sum() / lengths.sum())


@SPACES
def test_a_prepared_annotation_gives_the_same(space: tuple[int, ...]) -> None:
    target = curves(5, space, 3)
    prediction = noisy(target, 2)
    loss = PathLoss(stretch=10, seed=3, spacing=[1.0] * len(space))
    prepared = pickle.loads(pickle.dumps(loss.prepare(target))).to("cpu")
    assert torch.equal(loss(prediction, prepared), loss(prediction, target))
    assert loss(prediction, target) > 0


@pytest.mark.parametrize("target", [torch.full((1, 1, 6, 6), 15.0), torch.zeros(1, 1, 6, 6)])
def test_no_tree_or_nothing_else_is_no_error(target: Tensor) -> None:
    prediction = noisy(target, 0).requires_grad_()
    loss = path_loss(prediction, target)
    loss.backward()
    assert loss.isfinite()


def test_descent_closes_the_gap() -> None:
    loss = PathLoss()
    ready = loss.prepare(line())
    prediction = line(20).requires_grad_()
    optimizer = torch.optim.SGD([prediction], lr=3)
    for _ in range(100):
        optimizer.zero_grad()
        loss(prediction, ready).backward()
        optimizer.step()
    voxels, _ = walk(prediction, ready)
    assert prediction.detach().reshape(-1)[voxels].max() < 2


def test_bad_constants_and_inputs_are_refused() -> None:
    target = curves(0, (20, 24))
    for name in ("stretch", "tube"):
        with pytest.raises(ValueError, match=f"`{name}` must be positive"):
            path_loss(target, target, **{name: 0})
    for name in ("snap", "shortest"):
        with pytest.raises(ValueError, match=f"`{name}` must be 0 or more"):
            path_loss(target, target, **{name: -1})
    with pytest.raises(ValueError, match="`seed` must be 0 or more"):
        PathLoss(seed=-1)
    with pytest.raises(ValueError, match="`aim` must be one of 'truth', 'extremes'"):
        PathLoss(aim="one-sided")
    with pytest.raises(ValueError, match="`spacing` must be positive"):
        PathLoss(spacing=(1, 0))
    with pytest.raises(ValueError, match="`spacing` must name a length for each of 2 axes"):
        path_loss(target, target, spacing=(1, 1, 1))
    with pytest.raises(ValueError, match="got only the values 0 and 1, a mask"):
        path_loss(target, (target == 0).float())
    with pytest.raises(ValueError, match="must have the same shape"):
        path_loss(target[..., :-1], PathLoss().prepare(target))
    with pytest.raises(ValueError, match="`prediction` must be finite"):
        path_loss(target * math.nan, PathLoss().prepare(target))
