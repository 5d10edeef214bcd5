"""The snake loss: forgives a shifted annotation, zero at the truth, with the right gradient."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.losses.snake_drawings import bow, empty, fork, gradient, map_of, noise, noisy_map, path
from topodelin.losses.snake import SnakeLoss, adjust_graph, snake_loss
from topodelin.losses.snakes.motion import final_positions, motion_of, trajectory
from topodelin.losses.voxel_graph import VoxelGraph, crop_graph

IMAGE, VOLUME = (20, 20), (20, 20, 20)
both_spaces = pytest.mark.parametrize("shape", [IMAGE, VOLUME], ids=["2d", "3d"])
every_rest = pytest.mark.parametrize("rest", ["ends", "annotation", "none"])


# What it punishes


@both_spaces
@every_rest
def test_a_shifted_annotation_costs_a_fraction_of_what_it_costs_without_a_snake(
    shape: tuple[int, ...], rest: str
) -> None:
    prediction, annotation = map_of(bow(len(shape), 1.5), shape), bow(len(shape))
    still = snake_loss(prediction, [annotation], steps=0)
    assert still.item() == pytest.approx(
        (prediction - map_of(annotation, shape)).square().mean().item()
    )
    assert snake_loss(prediction, [annotation], rest=rest) < 0.1 * still


@both_spaces
@pytest.mark.parametrize("steps", [1, 10, 100])
@pytest.mark.parametrize("beta", [0.01, 1.0])
def test_a_perfect_prediction_costs_nothing_and_stays_so(
    shape: tuple[int, ...], steps: int, beta: float
) -> None:
    # With `rest="annotation"` no force acts at the truth, in whole numbers of rounding errors: the
    # slope of the prediction is the slope that is subtracted, bit for bit.
    graph = fork(0, shape)
    constants = {"rest": "annotation", "steps": steps, "beta": beta}
    prediction = map_of(graph, shape)
    assert snake_loss(prediction, [graph], **constants).item() == 0
    assert not gradient(prediction, [graph], **constants).any()
    assert snake_loss(prediction + 0.1, [graph], **constants) > 0


@both_spaces
def test_ends_stay_in_place_on_a_perfect_prediction(shape: tuple[int, ...]) -> None:
    graph = bow(len(shape))
    prediction = map_of(graph, shape)
    drawn_in, kept = (
        adjust_graph(prediction[0, 0], graph, rest=rest, steps=50).positions[[0, -1]]
        for rest in ("none", "ends")
    )
    ends = graph.positions[[0, -1]]
    assert np.linalg.norm(drawn_in - ends, axis=1).min() > 0.5
    assert np.linalg.norm(kept - ends, axis=1).max() < 0.2
    spared = snake_loss(prediction, [graph], steps=50)
    assert spared < 0.1 * snake_loss(prediction, [graph], rest="none", steps=50)


def test_a_jittered_annotation_loses_its_jitter_between_its_ends() -> None:
    # Only the ends are spared a pull. Were every node, each would keep what its own kink exerts.
    columns = np.arange(2.0, 18.0)
    offsets = 0.8 * (-1) ** np.arange(16)
    zigzag = path(np.stack([10 + offsets, columns], axis=1))
    straight = map_of(path([(10, 2), (10, 17)]), IMAGE)[0, 0]
    left = {
        rest: np.abs(adjust_graph(straight, zigzag, rest=rest).positions[1:-1, 0] - 10).mean()
        for rest in ("ends", "annotation", "none")
    }
    assert left["ends"] == pytest.approx(left["none"], rel=0.05)
    assert left["ends"] < 0.75 * left["annotation"]


def test_a_snake_moves_downhill_by_hand() -> None:
    # One node on a ramp of slope 1 along the last axis, free of internal forces: every step takes
    # it down by step size times external factor.
    ramp = torch.arange(12.0).expand(9, 12)
    node = VoxelGraph(np.array([[4.0, 8.0]]), np.empty((0, 2)))
    moved = adjust_graph(ramp, node, steps=5, step_size=0.1, external_factor=2.0, rest="none")
    np.testing.assert_allclose(moved.positions, [[4, 7]], atol=1e-5)


def test_a_voxel_that_is_three_times_as_long_is_crossed_three_times_as_slowly() -> None:
    # The map falls by 1 per unit of length, so by 3 per voxel along the first axis.
    z, y = torch.meshgrid(torch.arange(9.0), torch.arange(12.0), indexing="ij")
    node = VoxelGraph(np.array([[4.0, 8.0]]), np.empty((0, 2)))
    moved = adjust_graph(3 * z + y, node, steps=3, rest="none", spacing=(3.0, 1.0))
    np.testing.assert_allclose(moved.positions, [[4 - 0.6 / 3, 8 - 0.6]], atol=1e-5)


def test_an_annotation_slides_along_a_face_but_not_off_it() -> None:
    whole = bow(2, side=30)
    annotation = crop_graph(whole, (5, 8), (25, 22))
    assert annotation.frozen.any()
    truth = map_of(VoxelGraph(annotation.positions + (1.5, 0), annotation.edges), (20, 14))
    moved = adjust_graph(truth[0, 0], annotation)
    on_face = annotation.frozen[:, 1]
    assert np.array_equal(moved.positions[on_face, 1], annotation.positions[on_face, 1])
    assert (moved.positions[on_face, 0] > annotation.positions[on_face, 0] + 1).all()


# The gradient


@pytest.mark.parametrize(
    ("shape", "spacing", "rest", "solver"),
    [
        ((6, 5), None, "ends", "fixed-point"),
        ((5, 6), (1.0, 1.7), "annotation", "factorised"),
        ((4, 3, 4), None, "none", "fixed-point"),
        ((3, 4, 4), (2.0, 1.0, 1.3), "ends", "factorised"),
    ],
)
def test_gradients_match_finite_differences(
    shape: tuple[int, ...], spacing: tuple[float, ...] | None, rest: str, solver: str
) -> None:
    graph = fork(3, shape)
    truth = map_of(fork(4, shape), shape, spacing=spacing, dtype=torch.float64)
    prediction = (truth + noise(1, truth.shape, 0.4)).requires_grad_()
    constants = {"spacing": spacing, "rest": rest, "solver": solver, "steps": 3, "sigma": 0.8}
    assert torch.autograd.gradcheck(
        lambda p: snake_loss(p, [graph], alpha=0.05, beta=0.05, d_max=4.0, **constants),
        (prediction,),
    )


@both_spaces
def test_the_part_through_the_snake_has_a_factor(shape: tuple[int, ...]) -> None:
    prediction, graphs = noisy_map(shape), [bow(len(shape))]
    none, half, whole = (gradient(prediction, graphs, through_snake=f) for f in (0, 0.5, 1))
    torch.testing.assert_close(half, (none + whole) / 2, rtol=1e-4, atol=1e-9)
    adjusted = adjust_graph(prediction[0, 0], graphs[0])
    direct = 2 * (prediction - map_of(adjusted, shape)) / prediction.numel()
    torch.testing.assert_close(none, direct, rtol=1e-4, atol=1e-8)
    assert (whole - none).norm() > none.norm()  # more than a correction
    values = {snake_loss(prediction, graphs, through_snake=f).item() for f in (0, 0.5, 1)}
    assert len(values) == 1


def test_both_solvers_give_the_same_loss_and_gradient() -> None:
    prediction, graphs = noisy_map(VOLUME), [fork(0, VOLUME)]
    iterated, factorised = (
        gradient(prediction, graphs, solver=solver) for solver in ("auto", "factorised")
    )
    torch.testing.assert_close(
        iterated, factorised, rtol=1e-4, atol=1e-4 * factorised.abs().max().item()
    )


def test_steps_taken_one_by_one_through_autograd_give_the_same_gradient() -> None:
    # The loss walks back by hand; here autograd unrolls the same steps.
    prediction = torch.randn(8, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    graph = fork(2, (8, 9))
    loss = SnakeLoss(solver="fixed-point", steps=4)
    sample = loss.prepare([graph]).samples[0]
    motion = motion_of(prediction, sample, loss.rule)
    walked, unrolled = (prediction.clone().requires_grad_() for _ in range(2))
    place = sample.positions
    for _ in range(4):
        place = motion.step(unrolled, place)
    final = final_positions(walked, sample.positions, motion)
    assert torch.equal(final, trajectory(prediction, sample.positions, motion)[-1])
    final.square().sum().backward()
    place.square().sum().backward()
    assert walked.grad is not None and unrolled.grad is not None
    torch.testing.assert_close(walked.grad, unrolled.grad)


# Symmetries


@both_spaces
def test_a_batch_costs_the_mean_of_its_samples(shape: tuple[int, ...]) -> None:
    dims = len(shape)
    predictions = [noisy_map(shape, seed) for seed in range(3)]
    graphs = [bow(dims), empty(dims), fork(1, shape)]
    together = snake_loss(torch.cat(predictions), graphs)
    apart = [snake_loss(p, [g]) for p, g in zip(predictions, graphs, strict=True)]
    torch.testing.assert_close(together, torch.stack(apart).mean())
    parts = [gradient(p, [g]) / 3 for p, g in zip(predictions, graphs, strict=True)]
    torch.testing.assert_close(gradient(torch.cat(predictions), graphs), torch.cat(parts))


@every_rest
@settings(max_examples=12)
@given(seed=st.integers(0, 2**16), axis=st.sampled_from([0, 1, 2]))
def test_a_mirror_changes_nothing(seed: int, axis: int, rest: str) -> None:
    shape, graph = (9, 11, 8), fork(seed, (9, 11, 8))
    prediction = map_of(fork(seed + 1, shape), shape) + noise(seed, (1, 1, *shape), 0.5)
    positions = graph.positions.copy()
    positions[:, axis] = shape[axis] - 1 - positions[:, axis]
    mirrored = VoxelGraph(positions, graph.edges, graph.frozen)
    expected = snake_loss(prediction, [graph], rest=rest)
    found = snake_loss(prediction.flip(axis + 2), [mirrored], rest=rest)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


@every_rest
@settings(max_examples=12)
@given(seed=st.integers(0, 2**16), order=st.permutations([0, 1, 2]))
def test_the_order_of_the_axes_does_not_matter(seed: int, order: list[int], rest: str) -> None:
    shape, spacing = (9, 11, 8), (2.0, 1.0, 1.5)
    graph = fork(seed, shape)
    prediction = map_of(fork(seed + 1, shape), shape, spacing=spacing)
    prediction = prediction + noise(seed, (1, 1, *shape), 0.5)
    turned = VoxelGraph(graph.positions[:, order], graph.edges, graph.frozen[:, order])
    found = snake_loss(
        prediction.permute(0, 1, *(axis + 2 for axis in order)),
        [turned],
        spacing=[spacing[axis] for axis in order],
        rest=rest,
    )
    expected = snake_loss(prediction, [graph], spacing=spacing, rest=rest)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


@every_rest
@settings(max_examples=12)
@given(seed=st.integers(0, 2**16))
def test_the_order_of_nodes_and_edges_does_not_matter(seed: int, rest: str) -> None:
    # Frozen nodes need not come last.
    graph, rng = fork(seed, IMAGE), np.random.default_rng(seed)
    order = rng.permutation(len(graph))
    renumber = np.argsort(order)
    edges = rng.permutation(renumber[graph.edges])[:, ::-1]
    shuffled = VoxelGraph(graph.positions[order], edges, graph.frozen[order])
    prediction = noisy_map(IMAGE, seed)
    expected = snake_loss(prediction, [graph], rest=rest)
    found = snake_loss(prediction, [shuffled], rest=rest)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_other_units_give_the_same_snake() -> None:
    # Halve the unit of length: all lengths double, and so does the way of one step.
    prediction, graph = noisy_map(IMAGE), bow(2)
    expected = snake_loss(prediction, [graph], external_factor=1.0)
    found = snake_loss(
        2 * prediction, [graph], spacing=(2, 2), sigma=1.0, d_max=30.0, external_factor=2.0
    )
    torch.testing.assert_close(found, 4 * expected, rtol=1e-4, atol=0)
