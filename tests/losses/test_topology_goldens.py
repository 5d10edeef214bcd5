"""`TopoLoss.paper` against stored results of the published programs."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.shared_files import HAS_SHARED, shared
from topodelin.losses import TopoLoss, topology_weights
from topodelin.losses.topology.weights import WindowCounts, count_window

SMALL = sorted(Path(__file__).with_name("goldens").glob("topo2d_*.npz"))
ALL = sorted(shared("goldens").glob("topo2d_*.npz")) if HAS_SHARED else []
every_golden = pytest.mark.parametrize("file", [*SMALL, *ALL], ids=lambda path: path.stem[7:])


def paper_loss(file: Path, golden: np.lib.npyio.NpzFile) -> TopoLoss:
    return TopoLoss.paper(
        file.stem.split("_")[1],
        d_max=float(golden["dmax"]),
        gap_weight=float(golden["neg_coeff"]),
        bridge_weight=float(golden["pos_coeff"]),
    )


def expected(golden: np.lib.npyio.NpzFile, name: str) -> np.ndarray:
    """The published result; in the order of the edges where equal costs make it arbitrary."""
    return golden[f"{name}_stable" if golden["ties_matter"] else name]


def windows(file: Path, golden: np.lib.npyio.NpzFile) -> list[WindowCounts]:
    """The counts of every whole window, in the order of the stored ones."""
    rule = paper_loss(file, golden).rule
    side = int(golden["window"])
    return [
        count_window(
            image[0, y : y + side, x : x + side], target[0, y : y + side, x : x + side], rule
        )
        for image, target in zip(golden["pred"], golden["target"], strict=True)
        for y in range(0, image.shape[1] - side + 1, side)
        for x in range(0, image.shape[2] - side + 1, side)
    ]


def test_the_small_goldens_are_here() -> None:
    assert len(SMALL) == 3


@every_golden
def test_regions_are_those_of_the_published_program(file: Path) -> None:
    golden = np.load(file)
    side = int(golden["window"])
    labels = golden["labels"]
    down, across = labels.shape[1] // side, labels.shape[2] // side
    cut = labels[:, : down * side, : across * side]
    stored = cut.reshape(len(cut), down, side, across, side).swapaxes(2, 3).reshape(-1, side, side)
    found = [counts.labels for counts in windows(file, golden)]
    np.testing.assert_array_equal(np.array(found).reshape(-1, side, side), stored)


@every_golden
def test_pairs_are_those_of_the_published_program(file: Path) -> None:
    golden = np.load(file)
    counts = windows(file, golden)
    gap_pairs = np.array([window.gap_pairs for window in counts])
    bridge_pairs = np.array([window.bridge_pairs for window in counts])
    np.testing.assert_array_equal(gap_pairs.sum(-1), golden["norm_neg"])
    np.testing.assert_array_equal(bridge_pairs.sum(-1), golden["norm_pos"])
    if "pairs_neg_stable" in golden:
        np.testing.assert_array_equal(gap_pairs, golden["pairs_neg_stable"])
        np.testing.assert_array_equal(bridge_pairs, golden["pairs_pos_stable"])


@every_golden
def test_weights_are_those_of_the_published_program(file: Path) -> None:
    golden = np.load(file)
    prediction, target = torch.from_numpy(golden["pred"]), torch.from_numpy(golden["target"])
    weights = topology_weights(prediction, target, paper_loss(file, golden).rule)
    np.testing.assert_allclose(weights.gap, expected(golden, "weights_neg"), rtol=0, atol=1e-7)
    np.testing.assert_allclose(weights.bridge, expected(golden, "weights_pos"), rtol=0, atol=1e-7)


@every_golden
def test_loss_and_gradient_are_those_of_the_published_program(file: Path) -> None:
    golden = np.load(file)
    prediction = torch.from_numpy(golden["pred"]).requires_grad_()
    loss = paper_loss(file, golden)(prediction, torch.from_numpy(golden["target"]))
    loss.backward()
    assert prediction.grad is not None
    gradient = expected(golden, "grad")
    assert loss.item() == pytest.approx(float(expected(golden, "loss")), rel=1e-6, abs=1e-12)
    largest = float(np.abs(gradient).max())
    np.testing.assert_allclose(prediction.grad, gradient, rtol=0, atol=1e-6 * largest)
