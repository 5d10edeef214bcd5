"""What the snake loss accepts, what it refuses with a remedy, and what it leaves alone."""

import pickle

import numpy as np
import pytest
import torch
from torch import nn

from tests.losses.snake_drawings import bow, empty, fork, gradient, map_of, noisy_map, path
from topodelin.graphs.neurite_graph import NeuriteGraph
from topodelin.losses.snake import SnakeLoss, adjust_graph, snake_loss
from topodelin.losses.snakes.motion import final_positions, motion_of
from topodelin.losses.voxel_graph import VoxelGraph

IMAGE, VOLUME = (20, 20), (20, 20, 20)
both_spaces = pytest.mark.parametrize("shape", [IMAGE, VOLUME], ids=["2d", "3d"])
both_solvers = pytest.mark.parametrize("solver", ["fixed-point", "factorised"])


@both_spaces
def test_without_annotation_every_voxel_is_far(shape: tuple[int, ...]) -> None:
    prediction = noisy_map(shape)
    loss = snake_loss(prediction, [empty(len(shape))])
    torch.testing.assert_close(loss, (prediction - 15).square().mean())
    torch.testing.assert_close(
        gradient(prediction, [empty(len(shape))]), 2 * (prediction - 15) / prediction.numel()
    )


def test_a_node_without_edges_is_a_point_that_moves() -> None:
    truth = VoxelGraph(np.array([[10.0, 9.0]]), np.empty((0, 2)))
    annotation = VoxelGraph(np.array([[10.0, 10.4]]), np.empty((0, 2)))
    moved = adjust_graph(map_of(truth, IMAGE)[0, 0], annotation, steps=50)
    assert np.linalg.norm(moved.positions - truth.positions) < 0.2


@both_spaces
def test_prepared_annotations_give_the_same_result(shape: tuple[int, ...]) -> None:
    loss, prediction = SnakeLoss(), torch.cat([noisy_map(shape, seed) for seed in range(2)])
    graphs = [bow(len(shape)), fork(0, shape)]
    prepared = pickle.loads(pickle.dumps(loss.prepare(graphs))).to("cpu")
    assert torch.equal(loss(prediction, prepared), loss(prediction, graphs))


def test_the_module_is_the_function_without_state() -> None:
    loss, prediction, graphs = SnakeLoss(steps=3, rest="none"), noisy_map(IMAGE), [bow(2)]
    assert isinstance(loss, nn.Module) and SnakeLoss.takes == "graphs"
    before = pickle.dumps(loss)
    assert torch.equal(
        loss(prediction, graphs), snake_loss(prediction, graphs, steps=3, rest="none")
    )
    assert loss.state_dict() == {} and pickle.dumps(loss) == before
    assert torch.equal(pickle.loads(before)(prediction, graphs), loss(prediction, graphs))


def test_inputs_are_left_alone() -> None:
    prediction, graph = noisy_map(IMAGE), fork(0, IMAGE)
    before = prediction.clone(), graph.positions.copy()
    gradient(prediction, [graph])
    adjust_graph(prediction[0, 0], graph)
    assert torch.equal(prediction, before[0]) and np.array_equal(graph.positions, before[1])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_any_float_type_is_computed_in_full_precision(dtype: torch.dtype) -> None:
    prediction = noisy_map(IMAGE).to(dtype).requires_grad_()
    value = snake_loss(prediction, [bow(2)])
    value.backward()
    assert value.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert prediction.grad is not None and prediction.grad.dtype == dtype
    expected = snake_loss(prediction.detach().float(), [bow(2)])
    torch.testing.assert_close(value.detach().float(), expected, rtol=1e-4, atol=0)


def test_autocast_and_memory_order_change_nothing() -> None:
    prediction, graphs = noisy_map(VOLUME), [bow(3)]
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(snake_loss(prediction, graphs), snake_loss(prediction, graphs))
    turned = prediction.transpose(-1, -2).contiguous().transpose(-1, -2)
    torch.testing.assert_close(snake_loss(turned, graphs), snake_loss(prediction, graphs))
    torch.testing.assert_close(gradient(turned, graphs), gradient(prediction, graphs))


def test_the_torch_path_gives_the_same_loss_and_gradient() -> None:
    prediction, graphs = noisy_map(VOLUME), [bow(3)]
    kernel, tensors = (gradient(prediction, graphs, backend=name) for name in ("numba", "torch"))
    torch.testing.assert_close(tensors, kernel, rtol=1e-4, atol=1e-4 * kernel.abs().max().item())


@both_spaces
def test_a_snake_moves_on_the_device_of_its_map(shape: tuple[int, ...]) -> None:
    # "meta" tensors hold no values; mixing them with tensors of the host is an error.
    loss = SnakeLoss(rest="none")
    sample = loss.prepare([fork(0, shape)]).to("meta").samples[0]
    image = torch.empty(shape, device="meta", requires_grad=True)
    motion = motion_of(image, sample, loss.rule)
    final_positions(image, sample.positions.to(image), motion).sum().backward()
    assert image.grad is not None and image.grad.device.type == "meta"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@both_solvers
def test_the_gpu_gives_the_value_of_the_host(solver: str) -> None:
    loss, prediction, graphs = SnakeLoss(solver=solver), noisy_map(VOLUME), [fork(0, VOLUME)]
    on_host, on_gpu = prediction.clone().requires_grad_(), prediction.cuda().requires_grad_()
    expected, value = loss(on_host, graphs), loss(on_gpu, loss.prepare(graphs).to("cuda"))
    expected.backward()
    value.backward()
    assert value.device.type == "cuda" and on_host.grad is not None and on_gpu.grad is not None
    torch.testing.assert_close(value.cpu(), expected, rtol=1e-4, atol=0)
    largest = on_host.grad.abs().max().item()
    torch.testing.assert_close(on_gpu.grad.cpu(), on_host.grad, rtol=0, atol=1e-3 * largest)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_another_number_of_graphs_is_refused(count: int) -> None:
    prediction = torch.cat([noisy_map(IMAGE)] * 2)
    with pytest.raises(ValueError, match=f"one graph for each of 2 samples, got {count}; give an"):
        snake_loss(prediction, [bow(2)] * count)


def test_a_graph_of_another_dimension_is_refused() -> None:
    with pytest.raises(ValueError, match="must be 2-D like the prediction, got graph 0 in 3-D"):
        snake_loss(noisy_map(IMAGE), [bow(3)])
    with pytest.raises(ValueError, match="must be 3-D like the prediction, got graph 0 in 2-D"):
        snake_loss(noisy_map(VOLUME), [empty(2)])


@pytest.mark.parametrize("node", [(-1.1, 5), (5, 20.1), (200, 5)])
def test_a_graph_outside_the_map_is_refused(node: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="cut it with crop_graph"):
        snake_loss(noisy_map(IMAGE), [path([(5, 5), node])])


def test_a_graph_may_reach_one_voxel_beyond_the_map() -> None:
    assert snake_loss(noisy_map(IMAGE), [path([(5, -1), (20, 20)])]).isfinite()


def test_a_graph_in_micrometres_is_refused() -> None:
    graph = NeuriteGraph(np.ones((2, 3)), np.array([(0, 1)]))
    with pytest.raises(TypeError, match="VoxelGraph.of|Type-check"):
        snake_loss(noisy_map(VOLUME), [graph])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("shape", "remedy"),
    [
        ((1, 2, 9, 9), "choose a channel"),
        ((1, 9, 9), r"prediction\[None, None\]"),
        ((1, 1, 9), "height, width"),
        ((0, 1, 9, 9), "must not be empty"),
    ],
)
def test_another_shape_is_refused(shape: tuple[int, ...], remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        snake_loss(torch.zeros(shape), [bow(2, side=9)])


def test_predictions_that_are_not_finite_or_no_maps_are_refused() -> None:
    prediction = noisy_map(IMAGE)
    with pytest.raises(TypeError, match="must be a float tensor"):
        snake_loss(prediction.long(), [bow(2)])
    with pytest.raises(TypeError, match="torch.from_numpy|Type-check"):
        snake_loss(prediction.numpy(), [bow(2)])  # type: ignore[arg-type]
    prediction[0, 0, 3, 3] = torch.nan
    with pytest.raises(ValueError, match="`prediction` must be finite"):
        snake_loss(prediction, [bow(2)])


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ({"steps": -1}, "`steps` must be 0 or more, got -1"),
        ({"step_size": 0}, "`step_size` must be above 0"),
        ({"alpha": -1e-4}, "`alpha` must be 0 or more"),
        ({"sigma": float("nan")}, "`sigma` must be above 0"),
        ({"sigma": 0.2, "gain": "published"}, "above 0.25 voxels"),
        ({"d_max": float("inf")}, "`d_max` must be above 0 and finite"),
        ({"through_snake": 1.5}, "`through_snake` must be between 0 and 1, got 1.5"),
        ({"spacing": (1, 0)}, "`spacing` must be positive"),
        ({"gain": "half"}, "`gain` must be 'unit' or 'published', got 'half'"),
        ({"rest": "never"}, "`rest` must be 'ends' or 'annotation' or 'none', got 'never'"),
        ({"solver": "lu"}, "`solver` must be 'auto' or 'fixed-point' or 'factorised', got 'lu'"),
    ],
)
def test_impossible_constants_are_refused_at_once(
    constants: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        SnakeLoss(**constants)  # type: ignore[arg-type]


def test_a_spacing_for_other_axes_is_refused() -> None:
    with pytest.raises(ValueError, match="one number for each of 2 axes of space, got"):
        snake_loss(noisy_map(IMAGE), [bow(2)], spacing=(1, 1, 1))
