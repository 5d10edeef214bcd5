"""The tensor operations count what the kernel counts, pair for pair."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.losses.drawings import curves, noisy
from tests.shared_files import HAS_SHARED, shared
from topodelin.losses import (
    ConnLoss,
    L2DLoss,
    L3DLoss,
    TopologyRule,
    TopoLoss,
    min_projections,
    topology_weights,
)
from topodelin.losses.topology.backend import edge_constants, region_constants
from topodelin.losses.topology.maximin_pairs_torch import edge_pairs
from topodelin.losses.topology.prepared import prepare_images
from topodelin.losses.topology.regions import label_windows
from topodelin.losses.topology.regions_torch import label_windows_by_torch
from topodelin.losses.topology.weights import count_window

SMALL = sorted(Path(__file__).with_name("goldens").glob("topo2d_*.npz"))
ALL = sorted(shared("goldens").glob("topo2d_*.npz")) if HAS_SHARED else []
every_golden = pytest.mark.parametrize("file", [*SMALL, *ALL], ids=lambda path: path.stem[7:])
on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
RULES = {
    "default": TopologyRule(d_max=6, window=(5, 7)),
    "overlapping": TopologyRule(d_max=6, window=(5, 7), stride=(3, 4), connectivity=8),
    "published": TopologyRule(
        d_max=6,
        window=6,
        ragged="drop",
        ties="index",
        far_cost=6,
        near_cost=0,
        free_from=math.nextafter(6, 7),
        separator_radius=0,
        separator_dilation=1,
        connectivity=8,
    ),
    "costs within the range": TopologyRule(d_max=6, window=7, far_cost=4, near_cost=3),
    "equal regions": TopologyRule(d_max=6, window=7, pairs="regions"),
}


def counts_by_torch(prediction: Tensor, target: Tensor, rule: TopologyRule) -> Any:
    """Pair counts of windows as large as the image."""
    height, width = target.shape[2:]
    whole = TopologyRule(**{**vars(rule), "window": (height, width), "stride": None})
    prepared = prepare_images(target, whole, backend="torch")
    maps = prediction.flatten(0, 1).float()
    found = edge_pairs(
        maps, prepared.windows, prepared.outside, prepared.labels, **edge_constants(whole)
    )
    return prepared.labels, found.pairs


@settings(max_examples=100)
@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(2, 9),
    width=st.integers(2, 9),
    levels=st.sampled_from([1, 2, 5, 10**6]),
    name=st.sampled_from(list(RULES)),
)
def test_counts_are_equal_ties_included(
    seed: int, height: int, width: int, levels: int, name: str
) -> None:
    rng = np.random.default_rng(seed)
    prediction = (rng.integers(-levels, levels, (2, 1, height, width)) * 6 / levels).astype("f4")
    target = rng.integers(0, 7, (2, 1, height, width)).astype("f4")
    maps = torch.from_numpy(prediction), torch.from_numpy(target)
    labels, pairs = counts_by_torch(*maps, RULES[name])
    for index in range(2):
        expected = count_window(prediction[index, 0], target[index, 0], RULES[name])
        np.testing.assert_array_equal(labels[index], expected.labels)
        if name == "equal regions":
            np.testing.assert_allclose(pairs[0, index], expected.gap_pairs, atol=1e-5)
            np.testing.assert_allclose(pairs[1, index], expected.bridge_pairs, atol=1e-5)
        else:
            np.testing.assert_array_equal(pairs[0, index], expected.gap_pairs)
            np.testing.assert_array_equal(pairs[1, index], expected.bridge_pairs)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(*[st.integers(1, 17)] * 2),
    name=st.sampled_from(list(RULES)),
    holes=st.sampled_from([0.0, 0.1, 0.6, 1.0]),
    tied=st.booleans(),
)
def test_weights_are_equal_at_strips_holes_and_overlaps(
    seed: int, shape: tuple[int, int], name: str, holes: float, tied: bool
) -> None:
    rng = np.random.default_rng(seed)
    prediction = torch.from_numpy(rng.normal(3, 3, (2, 1, *shape)).astype("f4"))
    prediction = prediction.round() if tied else prediction
    target = torch.from_numpy(rng.integers(0, 7, (2, 1, *shape)).astype("f4"))
    ignored = torch.from_numpy(rng.random((2, 1, *shape)) < holes)
    host, other = (
        topology_weights(prediction, target, RULES[name], ignored, backend)
        for backend in ("numba", "torch")
    )
    assert host.windows == other.windows
    torch.testing.assert_close(other.gap, host.gap, rtol=0, atol=2e-6)
    torch.testing.assert_close(other.bridge, host.bridge, rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    "file",
    [file for file in (*SMALL, *ALL) if "small" not in file.stem],  # that one has no window
    ids=lambda path: path.stem[7:],
)
def test_published_pairs_are_equal(file: Path) -> None:
    golden = np.load(file)
    side = int(golden["window"])
    rule = TopoLoss.paper(file.stem.split("_")[1]).rule
    maps = [torch.from_numpy(golden[name]) for name in ("pred", "target")]
    prepared = prepare_images(maps[1], rule, backend="torch")
    windows = prepare_images(maps[0], rule, backend="torch").windows
    found = edge_pairs(
        windows, prepared.windows, prepared.outside, prepared.labels, **edge_constants(rule)
    )
    np.testing.assert_array_equal(found.totals[0], golden["norm_neg"])
    np.testing.assert_array_equal(found.totals[1], golden["norm_pos"])
    np.testing.assert_array_equal(found.pairs.sum(2), found.totals)
    assert prepared.labels.shape[1:] == (side, side)
    if "pairs_neg_stable" in golden:
        np.testing.assert_array_equal(found.pairs[0], golden["pairs_neg_stable"])
        np.testing.assert_array_equal(found.pairs[1], golden["pairs_pos_stable"])


@every_golden
def test_published_loss_and_gradient_are_equal(file: Path) -> None:
    golden = np.load(file)
    loss = TopoLoss.paper(
        file.stem.split("_")[1],
        d_max=float(golden["dmax"]),
        gap_weight=float(golden["neg_coeff"]),
        bridge_weight=float(golden["pos_coeff"]),
        backend="torch",
    )
    prediction = torch.from_numpy(golden["pred"]).requires_grad_()
    value = loss(prediction, torch.from_numpy(golden["target"]))
    value.backward()
    assert prediction.grad is not None
    stable = "_stable" if golden["ties_matter"] else ""
    gradient = golden[f"grad{stable}"]
    assert value.item() == pytest.approx(float(golden[f"loss{stable}"]), rel=1e-6, abs=1e-12)
    largest = float(np.abs(gradient).max())
    np.testing.assert_allclose(prediction.grad, gradient, rtol=0, atol=1e-6 * largest)


@settings(max_examples=50)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(*[st.integers(1, 12)] * 2),
    density=st.sampled_from([0.3, 0.45, 0.6]),
    rule=st.sampled_from(list(RULES.values())),
)
def test_regions_are_numbered_alike(
    seed: int, shape: tuple[int, int], density: float, rule: TopologyRule
) -> None:
    rng = np.random.default_rng(seed)
    target = np.where(rng.random((3, *shape)) < density, 0, 9).astype("f4")
    outside = rng.random((3, *shape)) < 0.1
    constants = region_constants(rule)
    expected = np.empty((3, *shape), np.int32)
    label_windows(target, outside, **constants, begin=0, end=3, labels=expected)
    maps = torch.from_numpy(target), torch.from_numpy(outside)
    np.testing.assert_array_equal(label_windows_by_torch(*maps, **constants), expected)


def test_a_spiral_is_one_region() -> None:
    spiral = np.ones((1, 41, 41), "f4")
    y, x, step = 20, 20, 1
    for turn in range(18):
        dy, dx = [(0, 1), (1, 0), (0, -1), (-1, 0)][turn % 4]
        for _ in range(2 * ((turn + 2) // 2)):
            spiral[0, y, x] = 9
            y, x = y + dy * step, x + dx * step
    outside = torch.zeros(1, 41, 41, dtype=torch.bool)
    labels = label_windows_by_torch(
        torch.from_numpy(spiral), outside, radius=1.0, dilation=0, diagonal=False
    )
    assert labels.max() == 1 and torch.equal(labels > 0, torch.from_numpy(spiral) > 1)


VOLUMES = torch.cat([curves(seed, (30, 40, 26)) for seed in range(2)])
LOSSES: dict[str, tuple[Any, Any]] = {
    "topo": (TopoLoss, curves(0, (60, 70))),
    "conn": (ConnLoss, VOLUMES),
    "l3d": (L3DLoss, VOLUMES),
    "l2d": (L2DLoss, min_projections(VOLUMES)),
}


def compared(loss: Any, other: Any, target: Any, device: str) -> None:
    """Value and gradient by the kernel, and by the other loss on a device."""
    prediction = noisy(target if target is LOSSES["topo"][1] else VOLUMES, 0)
    there = prediction.to(device).requires_grad_()
    prediction.requires_grad_()
    expected = loss(prediction, target)
    expected.backward()
    moved = target.to(device) if isinstance(target, Tensor) else [t.to(device) for t in target]
    for form in (moved, other.prepare(moved), loss.prepare(target).to(device)):
        there.grad = None
        value = other(there, form)
        value.backward()
        assert value.device == there.device and there.grad is not None
        torch.testing.assert_close(value.cpu(), expected, rtol=1e-5, atol=0)
        torch.testing.assert_close(there.grad.cpu(), prediction.grad, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_equal_with_either_backend(name: str) -> None:
    kind, target = LOSSES[name]
    compared(kind(backend="numba"), kind(backend="torch"), target, "cpu")


@on_gpu
@pytest.mark.parametrize("backend", ["auto", "torch", "numba"])
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_equal_on_a_gpu(name: str, backend: str) -> None:
    kind, target = LOSSES[name]
    compared(kind(), kind(backend=backend), target, "cuda")


@on_gpu
@pytest.mark.parametrize("levels", [2, 10**6])
def test_counts_are_equal_on_a_gpu(levels: int) -> None:
    rng = np.random.default_rng(0)
    prediction = torch.from_numpy(rng.integers(-levels, levels, (4, 1, 48, 48)).astype("f4"))
    target = curves(0, (48, 48)).expand(4, -1, -1, -1)
    expected = counts_by_torch(prediction, target, TopologyRule())
    found = counts_by_torch(prediction.cuda(), target.cuda(), TopologyRule())
    assert torch.equal(found[0].cpu(), expected[0]) and torch.equal(found[1].cpu(), expected[1])
