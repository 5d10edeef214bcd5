"""Persistence matching: components and loops are born and die where the truth says."""

import itertools
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.losses.drawings import curves, line, line_with_bridge, noisy
from topodelin.losses.persistence import (
    PersistenceLoss,
    persistence_loss,
    prepare_persistence,
    pull_to,
)
from topodelin.losses.persistence_diagram import Diagram, superlevel_diagram
from topodelin.losses.probability import distance_from_probability, foreground_probability


def values(*rows: str) -> np.ndarray:
    """A map from rows of digits: tenths; `.` is 0."""
    return np.array([[0 if c == "." else int(c) for c in row] for row in rows]) / 10


def as_distance(p: np.ndarray) -> Tensor:
    return distance_from_probability(torch.from_numpy(p))[None, None]


def points(diagram: Diagram) -> list[tuple[int, float, float]]:
    return sorted(
        (int(dimension), *np.round(levels, 6).tolist())
        for dimension, levels in zip(diagram.dimensions, diagram.levels, strict=True)
    )


RING = values("........", ".99999..", ".9...9..", ".9...9..", ".99999..", "........")
BROKEN = values("........", ".99999..", ".9...9..", ".9...4..", ".99999..", "........")
TWO_LINES = values("9999999", ".......", ".......", "9999999")
BRIDGED = values("9999999", "..7....", "..8....", "9999999")


def test_the_diagram_of_a_broken_ring_by_hand() -> None:
    diagram = superlevel_diagram(BROKEN)
    # one component that never dies; one loop, closed by its weakest voxel, filled by the hole
    assert points(diagram) == [(0, 0.9, 0.0), (1, 0.4, 0.0)]
    (loop,) = np.flatnonzero(diagram.dimensions == 1)
    birth, death = diagram.voxels[loop]
    assert np.unravel_index(birth, RING.shape) == (3, 5)
    assert death in np.flatnonzero(RING == 0)
    assert diagram.voxels[diagram.dimensions == 0][0, 1] == -1


def test_the_diagram_of_a_bridge_by_hand() -> None:
    assert points(superlevel_diagram(TWO_LINES)) == [(0, 0.9, 0.0), (0, 0.9, 0.0)]
    bridged = superlevel_diagram(BRIDGED)
    # the second line lives until the weaker voxel of the bridge joins it to the first
    assert points(bridged) == [(0, 0.9, 0.0), (0, 0.9, 0.7)]
    death = bridged.voxels[bridged.voxels[:, 1] >= 0, 1].item()
    assert np.unravel_index(death, BRIDGED.shape) == (1, 2)


def test_a_broken_ring_costs_the_square_of_what_is_missing_and_is_closed() -> None:
    p = as_distance(BROKEN).requires_grad_()
    loss = persistence_loss(p, as_distance(RING).clamp(min=0))
    loss.backward()
    assert loss.item() == pytest.approx((0.9 - 0.4) ** 2, abs=1e-9)
    assert p.grad is not None
    # nearer to the centreline at the weak voxel, and nothing else moves
    assert p.grad[0, 0, 3, 5] > 0 and (p.grad.abs() > 1e-9).sum() == 1


def test_a_bridge_is_cut_at_its_weakest_voxel() -> None:
    p = as_distance(BRIDGED).requires_grad_()
    loss = persistence_loss(p, as_distance(TWO_LINES).clamp(min=0))
    loss.backward()
    assert loss.item() == pytest.approx(0.7**2, abs=1e-5)
    assert p.grad is not None
    assert p.grad[0, 0, 1, 2] < 0 and (p.grad.abs() > 1e-5).sum() == 1


def test_a_false_component_is_pulled_to_the_diagonal() -> None:
    island = values("999999", "......", "......", "..6...", "......")
    p = as_distance(island).requires_grad_()
    target = as_distance(values("999999", "......", "......", "......", "......"))
    loss = persistence_loss(p, target.clamp(min=0))
    loss.backward()
    assert loss.item() == pytest.approx(0.6**2 / 2, abs=1e-5)
    assert p.grad is not None and p.grad[0, 0, 3, 2] < 0


def test_what_is_not_found_at_all_still_costs() -> None:
    empty = torch.full((1, 1, 6, 8), 15.0, dtype=torch.float64)
    loss = persistence_loss(empty, as_distance(RING).clamp(min=0))
    # the loop is left over, and the one component is far too weak
    assert loss.item() == pytest.approx(0.9**2 / 2 + 0.9**2, abs=1e-6)


def test_windows_are_judged_apart() -> None:
    ring, broken = (
        torch.cat([as_distance(a), as_distance(b)], -1) for a, b in ((RING, RING), (RING, BROKEN))
    )
    loss = persistence_loss(broken, ring.clamp(min=0), window=(6, 8))
    assert loss.item() == pytest.approx((0.9 - 0.4) ** 2 / 2, abs=1e-9)
    odd = persistence_loss(broken, ring.clamp(min=0), window=5)
    assert PersistenceLoss(window=5)(broken, ring.clamp(min=0)) == odd


def slow_matching(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The least cost over all ways to pair as many points as possible, by trying all of them."""

    def diagonal(points: np.ndarray) -> float:
        return float(((points[:, 0] - points[:, 1]) ** 2).sum() / 2)

    few, many = (ours, theirs) if len(ours) <= len(theirs) else (theirs, ours)
    costs = []
    for chosen in itertools.permutations(range(len(many)), len(few)):
        rest = [i for i in range(len(many)) if i not in chosen]
        pairs = ((few - many[list(chosen)]) ** 2).sum()
        costs.append(float(pairs) + diagonal(many[rest]))
    return min(costs)


@given(seed=st.integers(0, 2**16), ours=st.integers(0, 4), theirs=st.integers(0, 4))
def test_the_matching_is_the_best_of_all(seed: int, ours: int, theirs: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = (
        Diagram(np.sort(rng.random((n, 2)))[:, ::-1], np.zeros((n, 2), np.int64), np.ones(n))
        for n in (ours, theirs)
    )
    aims, left_over = pull_to(a, b)
    cost = ((a.levels - aims) ** 2).sum() + left_over
    assert cost == pytest.approx(slow_matching(a.levels, b.levels))


@pytest.mark.parametrize("shape", [(40, 50), (12, 14, 16)])
def test_the_truth_costs_nothing_and_pulls_nothing(shape: tuple[int, ...]) -> None:
    target = curves(0, shape)
    p = target.clone().requires_grad_()
    loss = persistence_loss(p, target)
    loss.backward()
    assert loss.item() == 0
    assert p.grad is not None and not p.grad.any()


def test_a_gap_and_a_bridge_are_pulled_the_right_way() -> None:
    target = line()
    p = line(6).requires_grad_()
    persistence_loss(p, target, window=None).backward()
    assert p.grad is not None and float(p.grad[0, 0, 24, 21:27].max()) > 0
    # one branch makes no loop and no component, two that meet make a loop
    arch = (line_with_bridge(1) == 0) | (line_with_bridge(1).roll(10, -1) == 0)
    arch[..., 4, 24:35] = True
    q = torch.where(arch, 1.0, 15.0).where(target > 0, 0.0).requires_grad_()
    persistence_loss(q, target, window=None).backward()
    assert q.grad is not None and float(q.grad[arch & (target > 0)].min()) < 0


@pytest.mark.parametrize("shape", [(6, 7), (4, 4, 5)])
def test_gradient_matches_finite_differences(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(3)
    target = torch.from_numpy(rng.random((1, 2, *shape)) * 4)
    p = torch.from_numpy(rng.permutation(np.linspace(0.5, 4, target.numel())))
    p = p.reshape(target.shape).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda p: persistence_loss(p, target, window=4, softness=1), [p]
    )


@given(seed=st.integers(0, 2**16), axis=st.integers(2, 3))
def test_a_mirror_changes_nothing(seed: int, axis: int) -> None:
    target = curves(seed, (12, 14))
    p = noisy(target, seed)
    value = persistence_loss(p, target)
    torch.testing.assert_close(persistence_loss(p.flip(axis), target.flip(axis)), value)
    torch.testing.assert_close(persistence_loss(p.mT, target.mT), value)


def test_only_critical_voxels_receive_gradient() -> None:
    target = curves(0, (32, 32))
    p = noisy(target, 0).requires_grad_()
    persistence_loss(p, target).backward()
    diagram = superlevel_diagram(foreground_probability(p)[0, 0].detach().double().numpy())
    critical = set(diagram.voxels.ravel().tolist())
    assert p.grad is not None
    assert set(p.grad.flatten().nonzero()[:, 0].tolist()) <= critical


@pytest.mark.parametrize("shape", [(20, 24), (8, 9, 10)])
def test_what_was_prepared_stands_for_the_target(shape: tuple[int, ...]) -> None:
    target = torch.cat([curves(0, shape), curves(1, shape)])
    loss = PersistenceLoss(window=7, dimensions=(0,))
    prepared = pickle.loads(pickle.dumps(loss.prepare(target))).to("cpu")
    first, second = (noisy(target, 1).requires_grad_() for _ in range(2))
    a, b = loss(first, target), loss(second, prepared)
    a.backward()
    b.backward()
    assert torch.equal(a, b) and torch.equal(first.grad, second.grad)  # type: ignore[arg-type]


def test_cavities_count_where_they_are_asked_for() -> None:
    shell = np.full((5, 5, 5), 0.9)
    shell[2, 2, 2] = 0.1
    p, target = as_distance(np.full((5, 5, 5), 0.9)), as_distance(shell).clamp(min=0)
    assert persistence_loss(p, target).item() == pytest.approx(0, abs=1e-12)
    found = persistence_loss(p, target, dimensions=(2,))
    assert found.item() == pytest.approx(0.8**2 / 2)


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ({"window": 2}, "`window` must be at least 3"),
        ({"window": (8, 1)}, "`window` must be at least 3"),
        ({"dimensions": ()}, "`dimensions` must be drawn from 0"),
        ({"dimensions": (0, 0)}, "`dimensions` must be drawn from 0"),
        ({"dimensions": (3,)}, "`dimensions` must be drawn from 0"),
        ({"radius": 0.0}, "`radius` must be positive"),
    ],
)
def test_wrong_constants_are_refused(constants: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PersistenceLoss(**constants)  # type: ignore[arg-type]


def test_other_spaces_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must be \(batch, channel, height, width\) or"):
        persistence_loss(torch.zeros(1, 1, 5), torch.zeros(1, 1, 5))
    prepared = prepare_persistence(line())
    with pytest.raises(ValueError, match="must have the same shape"):
        persistence_loss(line()[..., 1:], prepared)
