"""The spanning-path loss against brute force, and what it must notice."""

import itertools
import math
import pickle
from collections.abc import Sequence
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch import Tensor

from tests.losses.drawings import curves, distance_map, noisy
from topodelin.losses.spanning.edges import SpanningEdges, bridge_edges, gap_edges
from topodelin.losses.spanning.tube import Tube, TubeRule, prepare_tube
from topodelin.losses.spanning_path import SpanningPathLoss, spanning_path_loss

SEEDS = st.integers(0, 2**32 - 1)
SHAPES = st.sampled_from([(5, 6), (7, 4), (3, 4, 4), (4, 2, 5)])
LEVELS = st.sampled_from([3, 1000])
GAP: dict[str, Any] = {"merge_weight": 0.0}
MERGE: dict[str, Any] = {"gap_weight": 0.0}
BACKENDS = pytest.mark.parametrize("backend", ["numba", "torch"])
RULE = TubeRule(tube_radius=2.0)

Voxel = tuple[int, ...]
Counts = list[tuple[Voxel, Voxel, int, int]]


def small_case(seed: int, shape: Voxel, levels: int = 1000) -> tuple[Tensor, Tensor]:
    """A prediction with so many values, and the distance map of two short random walks."""
    rng = np.random.default_rng(seed)
    mask = np.zeros(shape, bool)
    for _ in range(2):
        place = rng.integers(0, shape)
        for _ in range(3):
            mask[tuple(place)] = True
            place = np.clip(place + rng.integers(-1, 2, len(shape)), 0, np.array(shape) - 1)
    values = rng.permutation(np.arange(mask.size) % levels).astype(np.float32)
    values *= np.float32(4 / min(levels, mask.size))
    return torch.from_numpy(values.reshape(1, 1, *shape)), distance_map(mask, d_max=6.0)


def plain_trees(truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The tree of each centreline voxel, and of each voxel of the tube of `RULE`, from 1."""
    trees, count = ndimage.label(truth == 0, np.ones((3,) * truth.ndim))  # type: ignore[misc]
    far = np.stack(
        [np.asarray(ndimage.distance_transform_edt(trees != k + 1)) for k in range(count)]
    )
    owner = np.where((far == far.min(0)).sum(0) == 1, far.argmin(0) + 1, 0)
    return trees, np.where(truth <= RULE.tube_radius, owner, 0)


def touching(voxels: Sequence[Voxel]) -> list[tuple[Voxel, Voxel]]:
    pairs = itertools.combinations(voxels, 2)
    return [(a, b) for a, b in pairs if np.abs(np.subtract(a, b)).max() == 1]


def plain_counts(
    costs: dict[tuple[Voxel, Voxel], tuple], vertex: dict[Voxel, Any], mass: dict[Any, int]
) -> Counts:
    """The edges of the forest with mass on both sides, by cutting each in turn.

    costs: of each pair of voxels, the costlier first, anything that can be compared.
    """
    graph = nx.Graph()
    graph.add_nodes_from(vertex.values())
    for weight, pair in enumerate(sorted(costs, key=lambda pair: costs[pair])):
        ends = [vertex[voxel] for voxel in pair]
        if ends[0] != ends[1] and not graph.has_edge(*ends):
            graph.add_edge(*ends, weight=weight, pair=pair)
    forest = nx.minimum_spanning_tree(graph)
    counts = []
    for a, b, edge in list(forest.edges(data=True)):
        forest.remove_edge(a, b)
        sides = [
            sum(mass.get(v, 0) for v in nx.node_connected_component(forest, end)) for end in (a, b)
        ]
        forest.add_edge(a, b, **edge)
        if min(sides) > 0:
            counts.append((*edge["pair"], min(sides), sum(sides)))
    return sorted(counts)


def plain_gap(prediction: np.ndarray, truth: np.ndarray) -> Counts:
    trees, owner = plain_trees(truth)
    tube = [voxel for voxel in np.ndindex(*truth.shape) if owner[voxel]]
    rank = {v: (prediction[v], truth[v], v) for v in tube}
    costs = {}
    for pair in touching(tube):
        low, high = sorted(pair, key=lambda v: rank[v])
        if owner[low] == owner[high]:
            costs[high, low] = rank[high], rank[low]
    return plain_counts(costs, {v: v for v in tube}, {v: 1 for v in tube if trees[v]})


def plain_bridges(prediction: np.ndarray, truth: np.ndarray, below: float) -> Counts:
    trees, owner = plain_trees(truth)
    voxels = list(np.ndindex(*truth.shape))
    rank = {v: (prediction[v], truth[v], v) for v in voxels}
    costs = {}
    for pair in touching(voxels):
        low, high = sorted(pair, key=lambda v: rank[v])
        allowed = min(max(truth[low], truth[high]), np.float32(below))
        if prediction[high] < allowed:
            costs[high, low] = prediction[high] - allowed, rank[high], rank[low]
    vertex: dict[Voxel, Any] = {v: int(owner[v]) if owner[v] else v for v in voxels}
    mass: dict[Any, int] = {k: int((trees == k).sum()) for k in range(1, trees.max() + 1)}
    return plain_counts(costs, vertex, mass)


def listed(edges: SpanningEdges, shape: Voxel) -> Counts:
    high, low = (
        [tuple(int(i) for i in place) for place in zip(*np.unravel_index(at, shape), strict=True)]
        for at in (edges.voxel.numpy(), edges.other.numpy())
    )
    return sorted(zip(high, low, edges.side.tolist(), edges.whole.tolist(), strict=True))


@BACKENDS
@given(seed=SEEDS, shape=SHAPES, levels=LEVELS)
def test_the_gap_counts_are_what_each_cut_parts(
    backend: str, seed: int, shape: Voxel, levels: int
) -> None:
    prediction, target = small_case(seed, shape, levels)
    edges = gap_edges(prediction, prepare_tube(target, RULE), backend)
    assert listed(edges, shape) == plain_gap(prediction[0, 0].numpy(), target[0, 0].numpy())


@BACKENDS
@given(seed=SEEDS, shape=SHAPES, levels=LEVELS)
def test_the_bridge_counts_are_what_each_cut_parts(
    backend: str, seed: int, shape: Voxel, levels: int
) -> None:
    prediction, target = small_case(seed, shape, levels)
    edges = bridge_edges(prediction, prepare_tube(target, RULE), 2.5, backend)
    plain = plain_bridges(prediction[0, 0].numpy(), target[0, 0].numpy(), 2.5)
    assert listed(edges, shape) == plain


@settings(max_examples=20)
@given(seed=SEEDS, dims=st.sampled_from([2, 3]), levels=LEVELS, snap=st.sampled_from([0.0, 2.0]))
def test_the_tensor_form_finds_the_edges_of_the_kernel(
    seed: int, dims: int, levels: int, snap: float
) -> None:
    shape = (2, 2, 13, 9, 10)[: 2 + dims]
    target = torch.cat([curves(seed + i, shape[2:], count=i) for i in range(4)]).reshape(shape)
    prediction = (noisy(target, seed) * levels / 20).round() * 20 / levels
    tube = prepare_tube(target, TubeRule(snap_radius=snap))
    gaps = (gap_edges(prediction, tube, backend) for backend in ("numba", "torch"))
    one, two = (
        [*listed(edges, shape), sorted(edges.voxel[edges.joins].tolist())] for edges in gaps
    )
    assert one == two and len(one) > 1
    bridges = (bridge_edges(prediction, tube, 3.0, backend) for backend in ("numba", "torch"))
    one, two = (
        [*listed(edges, shape), sorted(edges.voxel[edges.joins].tolist())] for edges in bridges
    )
    assert one == two


def minimax_paths(prediction: np.ndarray, tube: list[Voxel]) -> dict[Voxel, dict[Voxel, list]]:
    """The values met on the way from each voxel to each, the costliest end of every step."""
    pairs = touching(tube)
    pairs.sort(key=lambda pair: sorted((prediction[v] for v in pair), reverse=True))
    graph = nx.Graph()
    graph.add_nodes_from(tube)
    # A step outweighs all cheaper ones together, so the shortest path is the minimax path.
    graph.add_edges_from((a, b, {"weight": 1 << i}) for i, (a, b) in enumerate(pairs))
    return {
        a: {
            b: [max(prediction[u], prediction[v]) for u, v in itertools.pairwise(path)]
            for b, path in paths.items()
        }
        for a, (_, paths) in nx.all_pairs_dijkstra(graph)
    }


@settings(max_examples=20)
@given(seed=SEEDS, shape=SHAPES)
def test_with_an_infinite_span_it_is_the_mean_over_all_pairs(seed: int, shape: Voxel) -> None:
    prediction, target = small_case(seed, shape)
    values, truth = prediction[0, 0].numpy().astype(float), target[0, 0].numpy()
    trees, owner = plain_trees(truth)
    costs = []
    for tree in range(1, trees.max() + 1):
        paths = minimax_paths(values, [v for v in np.ndindex(*shape) if owner[v] == tree])
        centre = [v for v in np.ndindex(*shape) if trees[v] == tree]
        costs += [
            sum(max(value - 0.5, 0) ** 2 for value in paths[a][b])
            for a, b in itertools.combinations(centre, 2)
        ]
    loss = spanning_path_loss(prediction, target, spans=math.inf, slack=0.5, tube_radius=2.0, **GAP)
    assert loss.item() == pytest.approx(np.mean(costs) if costs else 0.0)


@settings(max_examples=20)
@given(seed=SEEDS, shape=SHAPES, span=st.sampled_from([1.0, 2.5, 4.0]))
def test_a_finite_span_counts_cable_up_to_it(seed: int, shape: Voxel, span: float) -> None:
    prediction, target = small_case(seed, shape)
    values, truth = prediction[0, 0].numpy(), target[0, 0].numpy()
    gap = sum(
        min(side, span) * min(whole - side, span) * max(values[voxel] - 1, 0) ** 2
        for voxel, _, side, whole in plain_gap(values, truth)
    )
    bridge = 0.0
    for high, low, side, whole in plain_bridges(values, truth, 2.5):
        excess = min(max(truth[high], truth[low]), 2.5) - values[high]
        bridge += min(side, span) * min(whole - side, span) * excess**2
    constants: dict[str, Any] = {"spans": span, "tube_radius": 2.0, "merge_below": 2.5}
    loss = spanning_path_loss(prediction, target, gap_weight=3.0, merge_weight=5.0, **constants)
    expected = (3 * gap + 5 * bridge) / span**2 / (truth == 0).sum()
    assert loss.item() == pytest.approx(expected, rel=1e-5)


@settings(max_examples=20)
@given(seed=SEEDS, shape=SHAPES)
def test_several_spans_are_the_mean_of_single_ones(seed: int, shape: Voxel) -> None:
    prediction, target = small_case(seed, shape)
    single = [spanning_path_loss(prediction, target, spans=span) for span in (2, 7.5, math.inf)]
    together = spanning_path_loss(prediction, target, spans=(2, 7.5, math.inf))
    torch.testing.assert_close(together, torch.stack(single).mean())


@given(seed=SEEDS, shape=SHAPES)
def test_the_gap_counts_depend_on_the_order_of_the_distances_only(seed: int, shape: Voxel) -> None:
    prediction, target = small_case(seed, shape)
    tube = prepare_tube(target, RULE)
    plain, stretched = gap_edges(prediction, tube), gap_edges(prediction.exp() * 3 - 7, tube)
    assert listed(plain, shape) == listed(stretched, shape)


@settings(max_examples=20)
@given(
    seed=SEEDS,
    shape=SHAPES,
    flips=st.lists(st.booleans(), min_size=3, max_size=3),
    turn=st.integers(0, 5),
    snap=st.sampled_from([0.0, 1.5]),
)
def test_mirrors_and_turns_change_nothing(
    seed: int, shape: Voxel, flips: list[bool], turn: int, snap: float
) -> None:
    prediction, target = small_case(seed, shape)
    axes = [2 + axis for axis in range(len(shape)) if flips[axis]]
    orders = list(itertools.permutations(range(2, 2 + len(shape))))
    order = (0, 1, *orders[turn % len(orders)])
    turned = [tensor.permute(order).flip(axes) for tensor in (prediction, target)]
    constants: dict[str, Any] = {"snap_radius": snap, "slack": 0.2}
    expected = spanning_path_loss(prediction, target, **constants)
    torch.testing.assert_close(spanning_path_loss(*turned, **constants), expected)


def line(shape: Voxel, *, gap: tuple[int, int] = (0, 0), at: int | None = None) -> Tensor:
    """The map of a line along the last axis, without the voxels from gap[0] to gap[1]."""
    mask = np.zeros(shape, bool)
    mask[(*(side // 2 if at is None else at for side in shape[:-1]), slice(None))] = True
    mask[..., gap[0] : gap[1]] = False
    return distance_map(mask)


SPACES = pytest.mark.parametrize("space", [(9, 40), (9, 9, 40)])


@SPACES
def test_a_longer_gap_costs_more(space: Voxel) -> None:
    # One voxel alone is bridged by its neighbours on the diagonal and predicted 1: no gap.
    target = line(space)
    costs = [
        spanning_path_loss(line(space, gap=(20 - n // 2, 20 - n // 2 + n)), target).item()
        for n in range(1, 34)
    ]
    assert costs[0] == costs[1] == 0
    assert all(longer > shorter for shorter, longer in itertools.pairwise(costs[1:]))


@SPACES
def test_the_gap_in_a_dead_end_is_seen(space: Voxel) -> None:
    # The line ends at 30; cut three voxels before its end, or the end itself is missing.
    target = line(space, gap=(30, 40))
    mask = (target == 0)[0, 0].numpy()
    mask[..., 23:27] = False
    p = distance_map(mask).requires_grad_()
    loss = spanning_path_loss(p, target)
    loss.backward()
    assert loss > 0 and p.grad is not None
    places = p.grad.nonzero()[:, -1]
    assert (p.grad >= 0).all() and places.min() >= 23 and places.max() <= 26
    mask[..., 27:] = False
    assert spanning_path_loss(distance_map(mask), target) > loss.detach()


def two_lines(space: Voxel, *, bridge: bool = False) -> np.ndarray:
    """Two lines along the last axis, 12 voxels apart, and a false one from one to the other."""
    mask = np.zeros(space, bool)
    middle = tuple(side // 2 for side in space[:-2])
    mask[(*middle, 2)] = mask[(*middle, 14)] = True
    if bridge:
        mask[(*middle, slice(2, 15), 10)] = True
    return mask


BRIDGED = pytest.mark.parametrize("space", [(17, 20), (7, 17, 20)])
AT = pytest.mark.parametrize("merge_at", ["path", "saddle"])


@BRIDGED
@AT
def test_a_false_bridge_costs_and_is_pushed_up(space: Voxel, merge_at: str) -> None:
    target = distance_map(two_lines(space))
    p = distance_map(two_lines(space, bridge=True)).requires_grad_()
    assert spanning_path_loss(target, target, merge_at=merge_at) == 0
    assert spanning_path_loss(p, target, **GAP) == 0
    loss = spanning_path_loss(p, target, merge_at=merge_at)
    loss.backward()
    assert loss > 0 and p.grad is not None
    on_bridge = (p == 0) & (target > 3)
    assert (p.grad <= 0).all() and (p.grad[~on_bridge] == 0).all()
    # All five voxels of the way outside the tubes, or the one farthest from both lines.
    assert (p.grad < 0).sum() == (5 if merge_at == "path" else 1)
    assert p.grad.argmin() == torch.where(p == 0, target, -1.0).argmax()


def test_a_joint_below_the_level_costs_only_where_the_annotation_forbids_it() -> None:
    # Two true lines that pass each other closer than the level: the truth costs nothing.
    mask = np.zeros((11, 30), bool)
    mask[4] = mask[6] = True
    target = distance_map(mask)
    assert spanning_path_loss(target, target) == 0
    p = target.clone()
    p[0, 0, 5, 12] = 0.25
    loss = spanning_path_loss(p, target, merge_at="saddle")
    assert loss.item() == pytest.approx((1 - 0.25) ** 2 / 2)


def test_a_true_approach_does_not_hide_a_bridge_elsewhere() -> None:
    # Two lines that come as near as two voxels, truly, and are joined by a false one far away.
    mask = np.zeros((24, 40), bool)
    for column in range(40):
        mask[11, column] = mask[min(13 + column // 4, 22), column] = True
    target = distance_map(mask)
    assert spanning_path_loss(target, target, **MERGE) == 0
    mask[11:22, 36] = True
    p = distance_map(mask).requires_grad_()
    spanning_path_loss(p, target, **MERGE).backward()
    assert p.grad is not None
    assert (p.grad.nonzero()[:, -1] == 36).all() and (p.grad < 0).sum() > 3


def test_a_gap_does_not_halve_a_tree_when_bridges_are_sought() -> None:
    target = distance_map(two_lines((17, 20)))
    mask = two_lines((17, 20), bridge=True)
    whole = spanning_path_loss(distance_map(mask), target, spans=math.inf, **MERGE)
    mask[2, 12:17] = False
    torch.testing.assert_close(
        spanning_path_loss(distance_map(mask), target, spans=math.inf, **MERGE), whole
    )


def joined(prediction: Tensor, below: float, a: Voxel, b: Voxel) -> bool:
    values = prediction.detach()[0, 0].numpy()
    parts = ndimage.label(values < below, np.ones((3,) * values.ndim))[0]  # type: ignore[index]
    return bool(parts[a] == parts[b] != 0)


def descended(prediction: Tensor, target: Tensor, steps: int, **constants: Any) -> Tensor:
    p = prediction.clone().requires_grad_()
    loss, optimizer = SpanningPathLoss(**constants), torch.optim.Adam([p], lr=0.2)
    tube = loss.prepare(target)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(p, tube).backward()
        optimizer.step()
    return p.detach()


@pytest.mark.parametrize("width", [4, 10])
def test_descent_closes_a_gap(width: int) -> None:
    target = line((9, 9, 30))
    broken = line((9, 9, 30), gap=(15 - width // 2, 15 + width // 2))
    assert not joined(broken, 1.5, (4, 4, 0), (4, 4, 29))
    assert joined(descended(broken, target, 40), 1.5, (4, 4, 0), (4, 4, 29))


@AT
def test_descent_cuts_a_bridge(merge_at: str) -> None:
    target = distance_map(two_lines((7, 17, 20)))
    bridged = distance_map(two_lines((7, 17, 20), bridge=True))
    ends = (3, 2, 0), (3, 14, 0)
    assert joined(bridged, 1.5, *ends)
    steps = 30 if merge_at == "path" else 200
    mended = descended(bridged, target, steps, merge_at=merge_at)
    assert not joined(mended, 1.5, *ends)
    assert joined(mended, 1.5, (3, 2, 0), (3, 2, 19))


@pytest.mark.parametrize("shape", [(14, 18), (8, 10, 12)])
def test_the_truth_costs_nothing(shape: Voxel) -> None:
    p = (target := curves(1, shape)).clone().requires_grad_()
    loss = spanning_path_loss(p, target)
    loss.backward()
    assert loss == 0 and p.grad is not None and (p.grad == 0).all()


def test_a_map_finer_than_the_voxels_costs_nothing_and_is_one_tree() -> None:
    # The distance to the line x = 0.3 z + 1.2, y = 0.7 z + 0.9, with no voxel at 0.
    z, y, x = np.indices((10, 11, 7))
    along = np.array([1, 0.7, 0.3]) / math.sqrt(1 + 0.7**2 + 0.3**2)
    offset = np.stack([z, y - 0.9, x - 1.2], -1)
    far = np.linalg.norm(offset - (offset @ along)[..., None] * along, axis=-1)
    target = torch.from_numpy(np.minimum(far, 15).astype(np.float32))[None, None]
    tube = prepare_tube(target, TubeRule())
    assert target.min() > 0 and len(tube.tree_sizes) == len(tube.piece_sizes) == 1
    assert spanning_path_loss(target, tube, spans=20) == 0
    assert spanning_path_loss(target + 1.5, tube, spans=20) > 0


def test_gradient_matches_finite_differences() -> None:
    prediction, target = small_case(3, (5, 4, 4))
    p = prediction.double().requires_grad_()
    for merge_at, snap in (("path", 0.0), ("saddle", 1.5)):
        loss = SpanningPathLoss(spans=(2, math.inf), merge_at=merge_at, snap_radius=snap)
        tube = loss.prepare(target)
        assert loss(p, tube).dtype == torch.float64 and loss(p, tube) > 0
        assert torch.autograd.gradcheck(lambda p, loss=loss, tube=tube: loss(p, tube), [p])


@pytest.mark.parametrize("shift", [1, 2])
def test_an_annotation_beside_the_neurite_does_not_pull_when_snapped(shift: int) -> None:
    neurite, target = line((12, 12, 40), at=5), line((12, 12, 40), at=5 + shift)
    loss = SpanningPathLoss(slack=0.0)
    snapped = SpanningPathLoss(slack=0.0, snap_radius=3.0)
    # Beside it on the diagonal: at 1.4 or 2.8 from it.
    assert loss(neurite, target) > 0.1 * shift
    assert snapped(neurite, target) == 0
    broken = line((12, 12, 40), at=5, gap=(15, 25))
    assert snapped(broken, target) > 0.1


@BACKENDS
@pytest.mark.parametrize("space", [(6, 7), (4, 5, 6)])
def test_without_an_annotation_it_is_zero_with_a_gradient(space: Voxel, backend: str) -> None:
    p = torch.zeros(2, 1, *space, requires_grad=True)
    target = torch.full_like(p, 15.0, requires_grad=False)
    loss = spanning_path_loss(p, target, snap_radius=1.0, backend=backend)
    loss.backward()
    assert loss == 0 and p.grad is not None and (p.grad == 0).all()


@BACKENDS
def test_a_tree_of_one_voxel_has_no_gap_but_can_be_bridged(backend: str) -> None:
    mask = np.zeros((7, 7, 20), bool)
    mask[3, 3, 4] = True
    high = torch.full((1, 1, 7, 7, 20), 9.0)
    for spans in (20, math.inf):
        assert spanning_path_loss(high, distance_map(mask), spans=spans, backend=backend) == 0
    mask[3, 3, 15] = True
    constants = {"spans": math.inf, "backend": backend}
    assert spanning_path_loss(high, distance_map(mask), **constants) == 0
    # One pair of voxels of different trees, joined by 11 steps predicted 0.
    loss = spanning_path_loss(torch.zeros_like(high), distance_map(mask), **constants, **MERGE)
    truth = distance_map(mask)[0, 0, 3, 3].clamp(max=3)
    outside = truth[8:12].square().sum()
    assert loss >= outside


@AT
@pytest.mark.parametrize("space", [(20, 24), (10, 12, 14)])
def test_prepared_ahead_and_on_the_spot_are_the_same(space: Voxel, merge_at: str) -> None:
    target = torch.cat([curves(seed, space) for seed in range(4)]).reshape(2, 2, *space)
    prediction = noisy(target, 0)
    loss = SpanningPathLoss(snap_radius=1.0, merge_at=merge_at)
    tube = loss.prepare(target)
    value = loss(prediction, target)
    assert torch.equal(loss(prediction, tube), value)
    assert torch.equal(loss(prediction, pickle.loads(pickle.dumps(tube)).to("cpu")), value)
    images = [
        loss(p[None, None], t[None, None])
        for p, t in zip(prediction.flatten(0, 1), target.flatten(0, 1), strict=True)
    ]
    torch.testing.assert_close(value, torch.stack(images).mean())
    in_tensors = SpanningPathLoss(snap_radius=1.0, merge_at=merge_at, backend="torch")
    torch.testing.assert_close(in_tensors(prediction, tube), value)


def test_trees_may_be_given_where_neurites_touch() -> None:
    # Two lines cross: one tree for the eye, two neurites for the one who drew them.
    mask = np.zeros((21, 21), bool)
    mask[10, :] = mask[:, 10] = True
    target = distance_map(mask)
    trees = torch.zeros(target.shape, dtype=torch.int64)
    trees[..., 10] = 7
    trees[..., 10, :] = 3
    loss = SpanningPathLoss(spans=math.inf)
    tube = loss.prepare(target, trees)
    assert tube.tree_sizes.tolist() == [21, 20]
    # The line that goes through is cut, with a detour by way of the other one's voxels.
    mask[10, 4:9] = False
    cut = distance_map(mask)
    assert loss(cut, target) > 0
    assert loss(cut, tube) != loss(cut, target)
    assert torch.equal(loss(cut, target, trees=trees), loss(cut, tube))


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ({"spans": ()}, "`spans` must be positive numbers of voxels"),
        ({"spans": (5.0, 0.0)}, "`spans` must be positive numbers of voxels"),
        ({"slack": -1.0}, "`slack` must be 0 or more and finite, got -1"),
        ({"merge_below": math.inf}, "`merge_below` must be 0 or more and finite"),
        ({"merge_at": "top"}, "`merge_at` must be 'path' or 'saddle', got 'top'"),
        ({"backend": "cuda"}, "`backend` must be 'auto' or 'numba' or 'torch', got 'cuda'"),
        ({"tube_radius": -1.0}, "`tube_radius` must be 0 or more and finite"),
        ({"centre_radius": 4.0}, "`centre_radius` must be at most `tube_radius`, 3"),
        ({"spacing": (1.0, 0.0)}, "`spacing` must be positive lengths"),
    ],
)
def test_bad_constants_are_refused(constants: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SpanningPathLoss(**constants)


def test_what_does_not_fit_the_prediction_is_refused() -> None:
    target = line((9, 9, 12))
    loss = SpanningPathLoss()
    tube: Tube = loss.prepare(target)
    with pytest.raises(ValueError, match="must have the same shape"):
        loss(target[..., 1:], tube)
    with pytest.raises(ValueError, match="`prediction` must be finite"):
        loss(target * math.nan, tube)
    with pytest.raises(ValueError, match="was prepared with .*tube_radius=3.0.*; prepare it with"):
        SpanningPathLoss(tube_radius=4.0)(target, tube)
    with pytest.raises(ValueError, match="`trees` must be given to `prepare`"):
        loss(target, tube, trees=torch.zeros(target.shape, dtype=torch.int64))
    with pytest.raises(ValueError, match="`spacing` must have one length for each of 3 axes"):
        SpanningPathLoss(spacing=(1.0, 2.0))(target, target)
    with pytest.raises(ValueError, match=r"or \(batch, channel, z, y, x\), got the shape"):
        loss(target[0, 0], target[0, 0])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda trees: trees.float(), TypeError, "`trees` must be an integer tensor"),
        (lambda trees: trees[..., 1:], ValueError, "`trees` must have the shape and device"),
        (lambda trees: trees - 1, ValueError, "`trees` must be 0 or more, got -1"),
    ],
)
def test_bad_trees_are_refused(change: Any, error: type[Exception], message: str) -> None:
    target = line((9, 9, 12))
    trees = torch.zeros(target.shape, dtype=torch.int64)
    with pytest.raises(error, match=message):
        SpanningPathLoss().prepare(target, change(trees))
