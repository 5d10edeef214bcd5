"""The losses on volumes against stored results of the published program."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.shared_files import HAS_SHARED, shared
from topodelin.losses import (
    ConnLoss,
    L2DLoss,
    L3DLoss,
    MinProjectionLoss,
    MSELoss,
    TopoLoss,
    min_projections,
    mse_loss,
)

SMALL = sorted(Path(__file__).with_name("goldens").glob("conn3d_*.npz"))
ALL = sorted(shared("goldens").glob("conn3d_*.npz")) if HAS_SHARED else []
every_golden = pytest.mark.parametrize("file", [*SMALL, *ALL], ids=lambda path: path.stem[7:])

LOSSES: dict[str, nn.Module] = {
    "conn": ConnLoss.paper(gap_weight=1e-4, bridge_weight=1e-5),
    "conn2proj": ConnLoss.paper(axes=(2, 3), gap_weight=1e-4, bridge_weight=1e-5),
    "mse": MSELoss(),
    "mse2proj": MinProjectionLoss(MSELoss(), axes=(2, 3)),
    "mse3proj": MinProjectionLoss(MSELoss()),
    "3d": L3DLoss.paper(gap_weight=1e-4, bridge_weight=1e-5),
}


class Golden(NamedTuple):
    """A stored volume with its annotation and the results of the published program."""

    arrays: np.lib.npyio.NpzFile
    prediction: Tensor
    target: Tensor


@pytest.fixture
def golden(file: Path) -> Golden:
    arrays = np.load(file)
    b, i, j, k = np.indices(arrays["pred_q"].shape)
    scattered = (73856093 * i) ^ (19349663 * j) ^ (83492791 * k) ^ (2654435761 * b)
    prediction = (arrays["pred_q"] / 4 + scattered % 131072 / 2**19).astype(np.float32)
    assert prediction.sum(dtype=np.float64) == pytest.approx(float(arrays["pred_sum"]), rel=1e-12)
    assert float(arrays["neg_coeff"]) == 1e-4 and float(arrays["pos_coeff"]) == 1e-5
    return Golden(arrays, torch.from_numpy(prediction)[:, None], squares(arrays["target_sq"]))


def squares(distances: np.ndarray) -> Tensor:
    return torch.from_numpy(np.sqrt(distances.astype(np.float64)).astype(np.float32))[:, None]


def assert_gradient(arrays: np.lib.npyio.NpzFile, name: str, gradient: np.ndarray) -> None:
    """Compare with what is stored of it: the entries that are not zero, or a sample of them."""
    if f"grad_{name}_idx" in arrays:
        stored = np.zeros_like(gradient)
        stored[arrays[f"grad_{name}_idx"]] = arrays[f"grad_{name}_val"]
    elif f"grad_{name}_probe" in arrays:
        index = arrays["probe_idx"]
        index = arrays.get(f"grad_{name}_probe_idx", index)
        stored, gradient = arrays[f"grad_{name}_probe"], gradient[index]
    else:
        return
    largest = float(np.abs(stored).max())
    np.testing.assert_allclose(gradient, stored, rtol=0, atol=1e-6 * largest)


@every_golden
@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_those_of_the_published_program(golden: Golden, name: str) -> None:
    prediction = golden.prediction.requires_grad_()
    loss = LOSSES[name](prediction, golden.target)
    loss.backward()
    assert prediction.grad is not None
    assert loss.item() == pytest.approx(float(golden.arrays[f"loss_{name}"]), rel=1e-6)
    assert_gradient(golden.arrays, name, prediction.grad.numpy().ravel())


@every_golden
def test_each_projection_costs_what_it_did(golden: Golden) -> None:
    found = [
        ConnLoss.paper(axes=(axis,))(golden.prediction, golden.target).item() for axis in (2, 3, 4)
    ]
    np.testing.assert_allclose(found, golden.arrays["loss_conn_per_projection"], rtol=1e-6)


PLANAR = L2DLoss.paper(gap_weight=1e-4, bridge_weight=1e-5)


@every_golden
def test_two_dimensional_loss_of_the_projected_annotation(golden: Golden) -> None:
    total = PLANAR(golden.prediction, min_projections(golden.target))
    assert total.item() == pytest.approx(float(golden.arrays["loss_2d_same"]), rel=1e-6)


@pytest.mark.skipif(not HAS_SHARED, reason="needs the reference data beside the checkout")
@pytest.mark.parametrize("file", ALL, ids=lambda path: path.stem[7:])
def test_two_dimensional_loss_of_three_separate_annotations(golden: Golden) -> None:
    prediction = golden.prediction.requires_grad_()
    annotations = [squares(golden.arrays[f"annot2d_sq_{axis}"]) for axis in range(3)]
    total = PLANAR(prediction, annotations)
    total.backward()
    assert total.item() == pytest.approx(float(golden.arrays["loss_2d_indep"]), rel=1e-6)
    assert prediction.grad is not None
    assert_gradient(golden.arrays, "2d_indep", prediction.grad.numpy().ravel())


@pytest.mark.skipif(not HAS_SHARED, reason="needs the reference data beside the checkout")
@pytest.mark.parametrize("file", ALL, ids=lambda path: path.stem[7:])
def test_each_separate_annotation_costs_what_it_did(golden: Golden) -> None:
    annotations = [squares(golden.arrays[f"annot2d_sq_{axis}"]) for axis in range(3)]
    images = zip(min_projections(golden.prediction), annotations, strict=True)
    parts = [[mse_loss(*pair).item(), TopoLoss.paper()(*pair).item()] for pair in images]
    np.testing.assert_allclose(parts, golden.arrays["loss_2d_indep_parts"], rtol=1e-6)
