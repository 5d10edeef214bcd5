"""`SnakeLoss.paper` against stored results of the published program."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from tests.shared_files import HAS_SHARED, shared
from topodelin.losses.rendering import render_distance_map
from topodelin.losses.snake import SnakeLoss, adjust_graph
from topodelin.losses.snakes.forces import internal_forces
from topodelin.losses.voxel_graph import VoxelGraph

SMALL = sorted(Path(__file__).with_name("goldens").glob("snake*.npz"))
ALL = sorted(shared("goldens").glob("snake*.npz")) if HAS_SHARED else []
every_golden = pytest.mark.parametrize("file", [*SMALL, *ALL], ids=lambda path: path.stem)
both_solvers = pytest.mark.parametrize("solver", ["auto", "factorised"])


def prediction_of(golden: np.lib.npyio.NpzFile) -> Tensor:
    """The prediction, `(batch, 1, *space)`, unpacked where it is stored in quarters and a hash."""
    if "pred" in golden:
        return torch.from_numpy(golden["pred"])
    images = []
    for sample in range(int(golden["batch"])):
        quarters = golden[f"pred_q_{sample}"]
        i, j, k = np.indices(quarters.shape)
        scrambled = ((73856093 * i) ^ (19349663 * j) ^ (83492791 * k)) % 131072
        images.append((quarters / 4 + scrambled / 2**19).astype(np.float32))
    return torch.from_numpy(np.stack(images)[:, None])


def graphs_of(golden: np.lib.npyio.NpzFile) -> list[VoxelGraph]:
    """The graph of each sample as the published program cropped it."""
    dims = len(golden["shape"])
    return [
        VoxelGraph(
            golden[f"traj_{sample}"][0].reshape(-1, dims),
            golden[f"cropped_edges_{sample}"].reshape(-1, 2),
            golden[f"fixed_{sample}"].reshape(-1, dims),
        )
        for sample in range(int(golden["batch"]))
    ]


def constants(golden: np.lib.npyio.NpzFile) -> dict[str, float | int]:
    return {
        "steps": int(golden["nsteps"]),
        "step_size": float(golden["stepsz"]),
        "alpha": float(golden["alpha"]),
        "beta": float(golden["beta"]),
        "external_factor": float(golden["extgradfac"]),
        "sigma": float(golden["fltrstdev"]),
        "d_max": float(golden["dmax"]),
    }


def stored(
    golden: np.lib.npyio.NpzFile, name: str, found: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What was found and what is stored, all of it or at random places."""
    if name in golden:
        return found.reshape(golden[name].shape), golden[name]
    return found.reshape(-1)[golden["probe_idx"]], golden[f"{name}_probe"]


def test_a_small_golden_is_here() -> None:
    assert [file.stem for file in SMALL] == ["snake2d_crop_b2_48x40"]


@pytest.mark.parametrize(
    "file", [file for file in SMALL + ALL if "A_0" in np.load(file)], ids=lambda path: path.stem
)
def test_the_internal_forces_are_the_published_ones(file: Path) -> None:
    golden = np.load(file)
    graph = graphs_of(golden)[0]
    forces = internal_forces(graph.edges, len(graph), float(golden["alpha"]), float(golden["beta"]))
    matrix = forces(torch.eye(len(graph), dtype=torch.float64)).numpy()
    free_rows = ~graph.frozen[:, None]
    np.testing.assert_allclose(matrix[..., None] * free_rows, golden["A_0"], atol=1e-6)


@both_solvers
@every_golden
def test_every_step_is_the_published_one(file: Path, solver: str) -> None:
    golden = np.load(file)
    prediction = prediction_of(golden)
    rule = vars(SnakeLoss.paper(**constants(golden), solver=solver).rule)
    for sample, graph in enumerate(graphs_of(golden)):
        for steps, expected in enumerate(golden[f"traj_{sample}"]):
            found = adjust_graph(prediction[sample, 0], graph, **{**rule, "steps": steps})
            np.testing.assert_allclose(found.positions.reshape(expected.shape), expected, atol=2e-4)


@every_golden
def test_the_map_of_the_adjusted_annotation_is_the_published_one(file: Path) -> None:
    golden = np.load(file)
    prediction = prediction_of(golden)
    rule = vars(SnakeLoss.paper(**constants(golden)).rule)
    maps = []
    for sample, graph in enumerate(graphs_of(golden)):
        adjusted = adjust_graph(prediction[sample, 0], graph, **rule)
        nodes, edges = torch.tensor(adjusted.positions), torch.tensor(adjusted.edges)
        shape = prediction.shape[2:]
        maps.append(render_distance_map(nodes, edges, shape, float(golden["dmax"])).numpy())
    np.testing.assert_allclose(*stored(golden, "dmap", np.stack(maps)), atol=3e-4)
    assert np.sum(maps) == pytest.approx(float(golden["dmap_sum"]), rel=1e-5)


@both_solvers
@every_golden
def test_loss_and_gradient_are_the_published_ones(file: Path, solver: str) -> None:
    golden = np.load(file)
    prediction = prediction_of(golden).requires_grad_()
    loss = SnakeLoss.paper(**constants(golden), solver=solver)(prediction, graphs_of(golden))
    loss.backward()
    assert prediction.grad is not None
    assert loss.item() == pytest.approx(float(golden["loss_fast"]), rel=2e-5)
    found, expected = stored(golden, "grad_fast", prediction.grad.numpy())
    np.testing.assert_allclose(found, expected, atol=5e-4 * np.abs(expected).max())
    total = prediction.grad.double().abs().sum().item()
    assert total == pytest.approx(float(golden["grad_fast_abs_sum"]), rel=1e-4)


@every_golden
def test_without_gradient_through_the_snake_the_adjusted_map_is_the_target(file: Path) -> None:
    golden = np.load(file)
    prediction = prediction_of(golden).requires_grad_()
    loss = SnakeLoss.paper(**constants(golden), through_snake=0)
    value = loss(prediction, graphs_of(golden))
    value.backward()
    assert prediction.grad is not None
    assert value.item() == pytest.approx(float(golden["loss_fast"]), rel=2e-5)
    target = prediction.detach() - prediction.grad * prediction.numel() / 2
    np.testing.assert_allclose(*stored(golden, "dmap", target.numpy()), atol=3e-4)


@every_golden
def test_the_published_variant_with_drawn_lines_differs_by_their_rounding(file: Path) -> None:
    # It measures distances to the voxels that the snake was drawn on, we to the snake itself.
    golden = np.load(file)
    prediction = prediction_of(golden).requires_grad_()
    SnakeLoss.paper(**constants(golden), through_snake=0)(prediction, graphs_of(golden)).backward()
    assert prediction.grad is not None
    found, published = stored(golden, "grad_simple", prediction.grad.numpy())
    difference = np.abs(found - published).max() * prediction.numel() / 2
    assert difference < 1.5  # voxels; points are rounded, and the last of an edge may be missed
    lines = golden["lines"]
    if "probe_idx" in golden:
        lines = np.unpackbits(lines)[: prediction.numel()]
    lines = lines.reshape(prediction.shape)
    if lines.any() and len(lines) == 1:
        drawn = np.minimum(np.asarray(distance_transform_edt(lines[0] == 0)), golden["dmax"])
        loss = float(((prediction.detach().numpy()[0] - drawn) ** 2).mean())
        assert loss == pytest.approx(float(golden["loss_simple"]), rel=1e-4)
