"""The renderer: exact against a plain twin and the published values, with the right gradient."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tests.shared_files import HAS_SHARED, shared
from topodelin.losses.kernels.segment_distance import nearest_segments
from topodelin.losses.kernels.segment_distance_torch import nearest_segments_torch
from topodelin.losses.rendering import render_distance_map

SMALL = sorted(Path(__file__).with_name("goldens").glob("render*.npz"))
ALL = sorted(shared("goldens").glob("render*.npz")) if HAS_SHARED else []
both_backends = pytest.mark.parametrize("backend", ["numba", "torch"])
NO_EDGES = torch.empty(0, 2, dtype=torch.int64)

seeds = st.integers(0, 2**16)
shapes = st.one_of(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.integers(1, 20), st.integers(1, 20), st.integers(1, 20)),
)
limits = st.sampled_from([0.7, 4.0, 15.0, 100.0])


def random_graph(
    seed: int, shape: Sequence[int], nodes: int | None = None
) -> tuple[Tensor, Tensor, tuple[float, ...]]:
    """Nodes in and around the map, edges of any length (some of none), and a spacing."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(0, 9)) if nodes is None else nodes
    positions = (rng.random((count, len(shape))) * 1.6 - 0.3) * shape
    positions[count // 2 :: 3] = positions[: len(positions[count // 2 :: 3])]
    pairs = rng.integers(0, max(count, 1), (count, 2))
    edges = pairs[pairs[:, 0] != pairs[:, 1]]
    spacing = rng.choice([1.0, 0.4, 2.5], len(shape))
    return torch.from_numpy(positions), torch.from_numpy(edges), tuple(spacing.tolist())


def plain_map(
    positions: Tensor,
    edges: Tensor,
    shape: Sequence[int],
    d_max: float,
    spacing: Sequence[float] | None = None,
) -> np.ndarray:
    """The definition: every voxel against every segment, and every node against every voxel."""
    scale = np.ones(len(shape)) if spacing is None else np.array(spacing)
    voxels = np.moveaxis(np.indices(shape), 0, -1) * scale
    points = positions.numpy() * scale
    distance = np.full(shape, d_max)
    for point in points:
        distance = np.minimum(distance, np.linalg.norm(voxels - point, axis=-1))
    for u, v in edges.tolist():
        step = points[v] - points[u]
        if (length := step @ step) > 0:
            along = np.clip((voxels - points[u]) @ step / length, 0, 1)[..., None]
            offset = voxels - points[u] - along * step
            distance = np.minimum(distance, np.linalg.norm(offset, axis=-1))
    return distance


def node_gradient(
    positions: Tensor,
    edges: Tensor,
    voxel: tuple[int, ...],
    d_max: float = 10.0,
    backend: str = "numba",
) -> list[list[float]]:
    """Derivative of the map at one voxel with respect to the nodes."""
    nodes = positions.double().requires_grad_()
    shape = [index + 3 for index in voxel]
    render_distance_map(nodes, edges, shape, d_max, backend=backend)[voxel].backward()
    assert nodes.grad is not None
    return nodes.grad.round(decimals=12).tolist()


def test_the_small_golden_is_here() -> None:
    assert len(SMALL) == 1


@both_backends
@pytest.mark.parametrize("file", [*SMALL, *ALL], ids=lambda path: path.stem)
def test_map_and_gradient_are_those_of_the_published_program(file: Path, backend: str) -> None:
    golden = np.load(file)
    nodes = torch.from_numpy(golden["nodes"]).requires_grad_()
    edges, shape = torch.from_numpy(golden["edges"]), golden["shape"].tolist()
    rendered = render_distance_map(nodes, edges, shape, float(golden["dmax"]), backend=backend)
    np.testing.assert_allclose(rendered.detach(), golden["dmap"], rtol=0, atol=1e-5)
    (rendered * torch.from_numpy(golden["cotangent"])).sum().backward()
    assert nodes.grad is not None
    largest = float(np.abs(golden["grad_nodes"]).max())
    np.testing.assert_allclose(nodes.grad, golden["grad_nodes"], rtol=0, atol=2e-5 * largest)


@both_backends
def test_one_point_by_hand(backend: str) -> None:
    #  0 1 2
    #  1 √2 √5
    #  2 √5 2.5 (clipped)
    lone = torch.zeros(1, 2, dtype=torch.float64)
    rendered = render_distance_map(lone, NO_EDGES, (3, 3), 2.5, backend=backend)
    expected = [[0, 1, 2], [1, 2**0.5, 5**0.5], [2, 5**0.5, 2.5]]
    torch.testing.assert_close(rendered, torch.tensor(expected, dtype=torch.float64))


@both_backends
@given(seed=seeds, shape=shapes, d_max=limits)
def test_the_map_is_that_of_the_definition(
    backend: str, seed: int, shape: tuple[int, ...], d_max: float
) -> None:
    positions, edges, spacing = random_graph(seed, shape)
    rendered = render_distance_map(positions, edges, shape, d_max, spacing=spacing, backend=backend)
    expected = plain_map(positions, edges, shape, d_max, spacing)
    np.testing.assert_allclose(rendered, expected, rtol=0, atol=1e-9)


@given(seed=seeds, shape=shapes, d_max=limits)
def test_both_backends_agree_in_single_precision(
    seed: int, shape: tuple[int, ...], d_max: float
) -> None:
    positions, edges, spacing = random_graph(seed, shape)
    maps = [
        render_distance_map(
            positions.float(), edges, shape, d_max, spacing=spacing, backend=backend
        )
        for backend in ("numba", "torch")
    ]
    torch.testing.assert_close(maps[0], maps[1], rtol=1e-6, atol=1e-5)


@given(
    seed=seeds,
    shape=shapes,
    d_max=limits,
    outer=st.integers(1, 45),
    inner=st.integers(1, 45),
    cut=st.integers(0, 20),
)
def test_blocks_of_the_kernel_change_nothing(
    seed: int, shape: tuple[int, ...], d_max: float, outer: int, inner: int, cut: int
) -> None:
    positions, edges, _ = random_graph(seed, shape, nodes=12)
    points = np.zeros((len(positions), 3))
    points[:, 3 - len(shape) :] = positions.numpy()
    starts, ends = points[edges[:, 0]], points[edges[:, 1]]
    volume = (1,) * (3 - len(shape)) + shape

    def kernel(outer_side: int, inner_side: int, cut: int) -> tuple[np.ndarray, np.ndarray]:
        distance, nearest = np.empty(volume), np.empty(volume, np.int32)
        spacing = np.array([1.0, 0.7, 1.9])
        for planes in ((0, cut), (cut, volume[0])):
            nearest_segments(
                starts, ends, spacing, d_max, outer_side, inner_side, *planes, distance, nearest
            )
        return distance, nearest

    one_voxel = kernel(1, 1, 0)
    np.testing.assert_array_equal(kernel(outer, inner, min(cut, volume[0])), one_voxel)
    np.testing.assert_array_equal(kernel(64, 64, 0), one_voxel)


@given(seed=seeds, shape=shapes, side=st.integers(1, 12), at_once=st.sampled_from([1, 500, 2**20]))
def test_blocks_and_pieces_of_the_torch_path_change_nothing(
    seed: int, shape: tuple[int, ...], side: int, at_once: int
) -> None:
    shape = tuple(min(size, 12) for size in shape)
    positions, edges, _ = random_graph(seed, shape, nodes=12)
    starts, ends = positions[edges[:, 0]].float(), positions[edges[:, 1]].float()
    spacing = torch.tensor([1.0, 0.7, 1.9])[: len(shape)]
    distance, nearest = nearest_segments_torch(
        starts, ends, spacing, shape, 4.0, side=side, at_once=at_once
    )
    expected = nearest_segments_torch(starts, ends, spacing, shape, 4.0)
    torch.testing.assert_close(distance, expected[0], rtol=0, atol=1e-6)
    assert torch.equal(nearest < 0, expected[1] < 0)


class LargestTensor(TorchDispatchMode):
    """Remembers how many elements the largest tensor had that any operation returned."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[override]
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            self.elements = max(self.elements, result.numel())
        return result


def test_the_torch_path_never_holds_all_voxels_times_all_segments() -> None:
    shape = (32, 32, 32)
    positions, edges, _ = random_graph(0, shape, nodes=100)
    with LargestTensor() as seen:
        starts, ends = positions[edges[:, 0]], positions[edges[:, 1]]
        nearest_segments_torch(starts, ends, torch.ones(3), shape, 8.0, at_once=2**13)
    assert seen.elements == 32**3  # the map itself


@both_backends
@pytest.mark.parametrize("shape", [(9, 11), (6, 7, 5)])
@pytest.mark.parametrize("d_max", [3.0, 50.0])
def test_gradient_matches_finite_differences(
    backend: str, shape: tuple[int, ...], d_max: float
) -> None:
    rng = np.random.default_rng(3)
    positions = torch.from_numpy(rng.random((6, len(shape))) * shape).requires_grad_()
    edges = torch.tensor([[0, 1], [2, 1], [1, 3], [1, 4]])  # a junction, and a lone node
    spacing = (1.0, 0.6, 1.7)[: len(shape)]
    assert torch.autograd.gradcheck(
        lambda p: render_distance_map(p, edges, shape, d_max, spacing=spacing, backend=backend),
        [positions],
    )


@given(seed=seeds, shape=shapes, d_max=limits)
def test_both_backends_give_the_same_gradient(
    seed: int, shape: tuple[int, ...], d_max: float
) -> None:
    rng = np.random.default_rng(seed)
    positions, spacing = torch.from_numpy(rng.random((5, len(shape))) * shape), [1.0, 2.0, 0.5]
    cotangent = torch.from_numpy(rng.normal(size=shape))
    edges = torch.tensor([[0, 1], [2, 3]])
    gradients = []
    for backend in ("numba", "torch"):
        nodes = positions.clone().requires_grad_()
        rendered = render_distance_map(
            nodes, edges, shape, d_max, spacing=spacing[: len(shape)], backend=backend
        )
        (rendered * cotangent).sum().backward()
        gradients.append(nodes.grad)
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-9)


@both_backends
def test_a_voxel_pulls_the_two_ends_of_its_nearest_segment(backend: str) -> None:
    # u . . . v     the voxel lies two rows below the second pixel: a quarter of the way to v
    #   x
    ends = torch.tensor([[0.0, 0.0], [0.0, 4.0], [9.0, 9.0]])
    gradient = node_gradient(ends, torch.tensor([[0, 1]]), (2, 1), backend=backend)
    assert gradient == [[-0.75, 0], [-0.25, 0], [0, 0]]


@both_backends
def test_a_voxel_pulls_a_lone_node_straight_towards_itself(backend: str) -> None:
    gradient = node_gradient(torch.zeros(1, 2), NO_EDGES, (3, 4), backend=backend)
    assert gradient == [[-0.6, -0.8]]


def test_the_kernel_lets_the_first_of_equally_near_segments_take_it_all() -> None:
    assert node_gradient(torch.zeros(2, 2), NO_EDGES, (3, 4)) == [[-0.6, -0.8], [0, 0]]


@both_backends
def test_a_voxel_beyond_d_max_pulls_nothing(backend: str) -> None:
    lone = torch.zeros(1, 2)
    assert node_gradient(lone, NO_EDGES, (3, 4), d_max=5.0, backend=backend) == [[0, 0]]
    assert node_gradient(lone, NO_EDGES, (3, 4), d_max=5.1, backend=backend) == [[-0.6, -0.8]]


@both_backends
def test_a_voxel_that_rounding_puts_at_d_max_pulls_nothing(backend: str) -> None:
    almost = torch.tensor([[0.0, 1e-8]], requires_grad=True)
    voxel = render_distance_map(almost, NO_EDGES, (1, 6), 5.0, backend=backend)[0, 5]
    voxel.backward()
    assert voxel == 5 and almost.grad is not None and not almost.grad.any()


@both_backends
def test_a_voxel_on_the_graph_pulls_nothing(backend: str) -> None:
    ends = torch.tensor([[0.0, 0.0], [4.0, 4.0]])
    gradient = node_gradient(ends, torch.tensor([[0, 1]]), (2, 2), backend=backend)
    assert gradient == [[0, 0], [0, 0]]


@both_backends
def test_an_edge_of_length_zero_is_a_point(backend: str) -> None:
    twins = torch.zeros(2, 2)
    edge = torch.tensor([[0, 1]])
    point = render_distance_map(twins[:1], NO_EDGES, (5, 6), 4.0, backend=backend)
    assert torch.equal(render_distance_map(twins, edge, (5, 6), 4.0, backend=backend), point)
    gradient = torch.tensor(node_gradient(twins, edge, (3, 4), backend=backend))
    torch.testing.assert_close(gradient.sum(0), torch.tensor([-0.6, -0.8]))


@both_backends
def test_an_edge_too_short_to_have_a_direction_is_a_point(backend: str) -> None:
    twins = torch.tensor([[0.0, 0.0], [0.0, 1e-21]])
    rendered = render_distance_map(twins, torch.tensor([[0, 1]]), (5, 6), 4.0, backend=backend)
    point = render_distance_map(twins[:1], NO_EDGES, (5, 6), 4.0, backend=backend)
    torch.testing.assert_close(rendered, point)


@both_backends
@pytest.mark.parametrize("shape", [(4, 5), (3, 4, 5)])
def test_without_nodes_the_map_is_d_max(backend: str, shape: tuple[int, ...]) -> None:
    nothing = torch.empty(0, len(shape), requires_grad=True)
    rendered = render_distance_map(nothing, NO_EDGES, shape, 7.5, backend=backend)
    assert torch.equal(rendered, torch.full(shape, 7.5))
    rendered.sum().backward()
    assert nothing.grad is not None and nothing.grad.shape == nothing.shape


@both_backends
def test_a_graph_far_outside_is_not_seen(backend: str) -> None:
    far = torch.tensor([[1e6, 0.0, 0.0], [1e6, 1e5, 0.0]], requires_grad=True)
    rendered = render_distance_map(far, torch.tensor([[0, 1]]), (20, 3, 20), 15.0, backend=backend)
    rendered.sum().backward()
    assert rendered.eq(15).all() and far.grad is not None and not far.grad.any()


@both_backends
def test_a_crop_of_the_map_is_the_map_of_the_crop(backend: str) -> None:
    positions, edges, _ = random_graph(5, (40, 30), nodes=9)
    whole = render_distance_map(positions, edges, (40, 30), 9.0, backend=backend)
    begin = torch.tensor([7.0, 11.0])
    part = render_distance_map(positions - begin, edges, (20, 10), 9.0, backend=backend)
    torch.testing.assert_close(part, whole[7:27, 11:21])


@both_backends
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.0, 1.0, 1.0), (0.5, 2.0, 1.25)])
def test_a_straight_line_is_scipys_distance_transform(
    backend: str, spacing: tuple[float, float, float]
) -> None:
    mask = np.zeros((9, 20, 22), bool)
    mask[4, 7, 3:18] = True
    expected = np.minimum(np.asarray(distance_transform_edt(~mask, sampling=spacing)), 6.0)
    line = torch.tensor([[4.0, 7.0, 3.0], [4.0, 7.0, 17.0]])
    rendered = render_distance_map(
        line, torch.tensor([[0, 1]]), mask.shape, 6.0, spacing=spacing, backend=backend
    )
    np.testing.assert_allclose(rendered, expected, rtol=0, atol=1e-5)


@both_backends
def test_thick_slices_are_those_of_a_finer_grid(backend: str) -> None:
    positions, edges, _ = random_graph(1, (10, 15, 12), nodes=8)
    thick = render_distance_map(
        positions, edges, (10, 15, 12), 8.0, spacing=(3, 1, 1), backend=backend
    )
    stretched = positions * torch.tensor([3.0, 1.0, 1.0])
    fine = render_distance_map(stretched, edges, (30, 15, 12), 8.0, backend=backend)
    torch.testing.assert_close(thick, fine[::3])


@both_backends
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_mirrors_and_turned_axes_mirror_and_turn_the_map(backend: str, axis: int) -> None:
    shape = (9, 10, 11)
    positions, edges, _ = random_graph(2, shape, nodes=7)
    rendered = render_distance_map(positions, edges, shape, 6.0, backend=backend)
    mirrored = positions.clone()
    mirrored[:, axis] = shape[axis] - 1 - mirrored[:, axis]
    flipped = render_distance_map(mirrored, edges, shape, 6.0, backend=backend)
    torch.testing.assert_close(flipped, rendered.flip(axis))
    order = [axis, (axis + 1) % 3, (axis + 2) % 3]
    turned = render_distance_map(
        positions[:, order], edges, [shape[a] for a in order], 6.0, backend=backend
    )
    torch.testing.assert_close(turned, rendered.permute(order))


@both_backends
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_map_is_never_rendered_in_half_precision(backend: str, dtype: torch.dtype) -> None:
    positions = random_graph(4, (9, 12), nodes=5)[0].to(dtype).requires_grad_()
    edges = torch.tensor([[0, 1], [2, 3]])
    with torch.autocast("cpu", torch.bfloat16):
        rendered = render_distance_map(positions, edges, (9, 12), 5.0, backend=backend)
    rendered.sum().backward()
    assert rendered.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert positions.grad is not None and positions.grad.dtype == dtype
    exact = plain_map(positions.detach().double(), edges, (9, 12), 5.0)
    np.testing.assert_allclose(rendered.detach(), exact, rtol=0, atol=1e-5)


@both_backends
def test_inputs_are_left_alone(backend: str) -> None:
    positions, edges, _ = random_graph(6, (9, 12), nodes=5)
    before = positions.clone(), edges.clone()
    rendered = render_distance_map(positions.requires_grad_(), edges, (9, 12), 5.0, backend=backend)
    rendered.sum().backward()
    assert torch.equal(positions, before[0]) and torch.equal(edges, before[1])


def test_on_the_host_the_kernel_is_chosen() -> None:
    positions, edges, _ = random_graph(7, (20, 25), nodes=9)
    maps = [
        render_distance_map(positions.float(), edges, (20, 25), 5.0, backend=backend)
        for backend in ("auto", "numba")
    ]
    assert torch.equal(*maps)


def test_threads_change_nothing() -> None:
    positions, edges, _ = random_graph(8, (70, 20, 20), nodes=40)
    maps = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        maps.append(render_distance_map(positions, edges, (70, 20, 20), 9.0))
    torch.set_num_threads(1)
    assert torch.equal(*maps)


def test_descent_moves_a_line_onto_its_distance_map() -> None:
    edges = torch.tensor([[0, 1], [1, 2]])
    truth = torch.tensor([[8.0, 2.0], [8.0, 12.0], [8.0, 22.0]])
    target = render_distance_map(truth, edges, (24, 24), 6.0)
    moved = (truth + torch.tensor([[1.5, 0.5], [-1.2, 0.0], [1.1, -0.4]])).requires_grad_()
    optimizer = torch.optim.SGD([moved], lr=4.0)
    for _ in range(200):
        optimizer.zero_grad()
        (render_distance_map(moved, edges, (24, 24), 6.0) - target).square().mean().backward()
        optimizer.step()
    rows = moved.detach()[:, 0]
    torch.testing.assert_close(rows, truth[:, 0], rtol=0, atol=0.05)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("backend", ["auto", "numba", "torch"])
def test_the_gpu_gives_the_map_and_gradient_of_the_host(backend: str) -> None:
    shape = (40, 33, 50)
    rng = np.random.default_rng(0)
    positions = torch.from_numpy(rng.random((60, 3)) * shape).float()
    edges = torch.tensor([[n, n + 1] for n in range(0, 58)])
    results = []
    for device in ("cpu", "cuda"):
        nodes = positions.to(device).requires_grad_()
        rendered = render_distance_map(
            nodes, edges.to(device), shape, 12.0, backend="auto" if device == "cpu" else backend
        )
        rendered.square().mean().backward()
        assert rendered.device.type == device and nodes.grad is not None
        results.append((rendered.detach().cpu(), nodes.grad.cpu()))
    torch.testing.assert_close(results[1][0], results[0][0], rtol=0, atol=1e-5)
    largest = float(results[0][1].abs().max())
    torch.testing.assert_close(results[1][1], results[0][1], rtol=0, atol=1e-4 * largest)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"positions": torch.zeros(3, 4)}, ValueError, r"`positions` must be .* got .*\(3, 4\)"),
        ({"positions": torch.zeros(3, 2).long()}, TypeError, "`positions` must be a float tensor"),
        ({"positions": torch.full((3, 2), torch.nan)}, ValueError, "`positions` must be finite"),
        ({"edges": torch.tensor([0, 1])}, ValueError, r"`edges` must be an int64 tensor \(edges"),
        ({"edges": torch.tensor([[0, 1]]).int()}, TypeError, "`edges` must be an int64 tensor"),
        ({"edges": torch.tensor([[0, 3]])}, ValueError, "rows of the 3 positions, got 0 to 3"),
        ({"edges": torch.tensor([[0, -1]])}, ValueError, "rows of the 3 positions, got -1 to 0"),
        ({"shape": (4, 4, 4)}, ValueError, r"`shape` must be 2 positive numbers of voxels"),
        ({"shape": (4, 0)}, ValueError, r"`shape` must be 2 positive .* got \(4, 0\)"),
        ({"d_max": 0.0}, ValueError, "`d_max` must be a positive number"),
        ({"d_max": float("inf")}, ValueError, "`d_max` must be a positive number"),
        ({"spacing": (1.0, 1.0, 1.0)}, ValueError, "`spacing` must be 2 positive lengths"),
        ({"spacing": (1.0, 0.0)}, ValueError, "`spacing` must be 2 positive lengths"),
        ({"backend": "cuda"}, ValueError, "`backend` must be one of 'auto', 'numba', 'torch'"),
    ],
)
def test_what_cannot_be_rendered_is_refused(
    change: dict[str, object], error: type[Exception], message: str
) -> None:
    arguments = {
        "positions": torch.zeros(3, 2),
        "edges": torch.tensor([[0, 1]]),
        "shape": (4, 4),
        "d_max": 5.0,
    }
    with pytest.raises(error, match=message):
        render_distance_map(**{**arguments, **change})  # type: ignore[arg-type]
