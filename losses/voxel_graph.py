"""A neurite graph in the voxel grid of a crop, cut at the faces of the crop.

A network sees a crop, so a loss that compares its output with curves needs the part of the
annotated curves that runs through it, in the coordinates of its array. Where a curve leaves the
crop a node is put on the face; it may slide along the face but not off it, or the curve would
shrink away from the border as if the neurite ended there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from topodelin.graphs.neurite_graph import NeuriteGraph


@dataclass(frozen=True, eq=False)
class VoxelGraph:
    """Nodes and straight edges of curves in an array of voxels, 2-D or 3-D.

    Args:
        positions: (N, d) float64, d = 2 or 3, in voxel indices and in the order of the array's
            axes: the centre of voxel `(i, j, k)` lies at `(i, j, k)`.
        edges: (E, 2) int64, rows of `positions`; no self-loops.
        frozen: (N, d) bool, coordinates that a snake may not move; none by default.

    A node without edges is a curve of one point. The arrays are copied and cannot be written to;
    `torch.tensor(graph.positions)` makes a tensor of its own.

    Raises:
        ValueError: another shape, a position that is NaN or infinite, an edge to a node that does
            not exist or from a node to itself.
    """

    positions: np.ndarray
    edges: np.ndarray
    frozen: np.ndarray = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        positions = np.array(self.positions, dtype=np.float64)
        if positions.ndim != 2 or positions.shape[1] not in (2, 3):
            raise ValueError(
                f"`positions` must be (nodes, 2) or (nodes, 3), got {positions.shape}; "
                "np.empty((0, 3)) for an empty graph"
            )
        if not np.isfinite(positions).all():
            raise ValueError("`positions` must be finite, got NaN or infinity")
        edges = np.array(self.edges, dtype=np.int64).reshape(-1, 2)
        count = len(positions)
        if len(edges) and (edges.min() < 0 or edges.max() >= count):
            wrong = edges[(edges < 0) | (edges >= count)][0]
            raise ValueError(f"`edges` must hold rows of the {count} positions, got {wrong}")
        loops = edges[edges[:, 0] == edges[:, 1]]
        if len(loops):
            raise ValueError(f"`edges` must join two different nodes, got a loop at {loops[0, 0]}")
        free = np.zeros(positions.shape, bool)
        frozen = free if self.frozen is None else np.array(self.frozen, dtype=bool)
        if frozen.shape != positions.shape:
            raise ValueError(
                f"`frozen` must have the shape of `positions`, {positions.shape}, "
                f"got {frozen.shape}"
            )
        for name, array in (("positions", positions), ("edges", edges), ("frozen", frozen)):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.positions)

    def __repr__(self) -> str:
        return f"VoxelGraph({len(self)} nodes, {len(self.edges)} edges, {self.dims}-D)"

    @property
    def dims(self) -> int:
        """2 or 3."""
        return self.positions.shape[1]

    @classmethod
    def of(
        cls,
        graph: NeuriteGraph,
        spacing: Sequence[float],
        origin: Sequence[float] = (0, 0, 0),
    ) -> "VoxelGraph":
        """From µm to voxels: `position / spacing - origin`. Radii and kinds are left behind.

        Args:
            graph: positions in µm.
            spacing: µm per voxel, `(z, y, x)`; with `(y, x)` the graph is seen along z, 2-D.
            origin: voxel of the volume at which the array begins, `(z, y, x)`.
        """
        scale, first = _frame(spacing, origin)
        return cls(graph.positions[:, -len(scale) :] / scale - first, graph.edges)

    def to_neurite_graph(
        self, spacing: Sequence[float], origin: Sequence[float] = (0, 0, 0)
    ) -> NeuriteGraph:
        """From voxels to µm: `(position + origin) * spacing`; a 2-D graph gets z = 0.

        Args:
            spacing: µm per voxel, one number for each axis of the graph.
            origin: voxel of the volume at which the array begins, `(z, y, x)`.
        """
        scale, first = _frame(spacing, origin)
        if len(scale) != self.dims:
            raise ValueError(
                f"`spacing` must be {self.dims} numbers for a {self.dims}-D graph, got {spacing!r}"
            )
        positions = np.zeros((len(self), 3))
        positions[:, -self.dims :] = (self.positions + first) * scale
        return NeuriteGraph(positions, self.edges)


def crop_graph(graph: VoxelGraph, begin: Sequence[int], end: Sequence[int]) -> VoxelGraph:
    r"""The part of a graph inside a crop of the array, in the coordinates of the crop.

    The box is closed and reaches from the centre of the first voxel to that of the last,
    $[b_a, e_a - 1]$ along axis $a$: outside it no voxel can be interpolated. Nodes inside are
    kept, in their order. An edge keeps its stretch inside the box (Liang and Barsky's line
    clipping), also when both of its ends lie outside; where it is cut, a node is added on the
    face, frozen in the coordinate of that face (in several at an edge or corner of the box). New
    nodes come after all kept ones. A kept node that lies on a face and has an edge that leaves
    there is frozen likewise. An edge that only touches the box in a point is dropped. What was
    frozen before stays frozen.

    Args:
        begin: $b$, the first voxel of the crop along each axis.
        end: $e$, one after its last voxel.

    Raises:
        ValueError: not one number per axis, or an `end` that is not after `begin`.
    """
    low, high = _box(begin, end, graph.dims)
    tails, heads = graph.edges.T
    start, stop = graph.positions[tails], graph.positions[heads]
    enter, leave = _fractions(start, stop, low, high)
    entry, departure = enter.max(axis=1, initial=0.0), leave.min(axis=1, initial=1.0)
    keep = entry < departure

    inside = np.all((graph.positions >= low) & (graph.positions <= high), axis=1)
    frozen = graph.frozen.copy()
    for node, other in ((tails, heads), (heads, tails)):
        at, beyond = graph.positions[node], graph.positions[other]
        leaving = ((at == low) & (beyond < low)) | ((at == high) & (beyond > high))
        np.logical_or.at(frozen, node, leaving)

    edges = graph.edges[keep].copy()
    new_positions, new_frozen = [graph.positions], [frozen]
    count = len(graph)
    for side, fraction, planes in (
        (0, entry[keep], enter[keep]),
        (1, departure[keep], leave[keep]),
    ):
        cut = np.flatnonzero(~inside[edges[:, side]])
        on_face = planes[cut] == fraction[cut, None]
        first, last, along = start[keep][cut], stop[keep][cut], fraction[cut, None]
        point = np.clip(first * (1 - along) + last * along, low, high)
        outside_end = first if side == 0 else last
        face = np.where(outside_end < low, low, high)
        new_positions.append(np.where(on_face, face, point))
        new_frozen.append(on_face)
        edges[cut, side] = count + np.arange(len(cut))
        count += len(cut)

    kept = np.append(inside, np.ones(count - len(graph), bool))
    renumber = np.cumsum(kept) - 1
    return VoxelGraph(
        np.concatenate(new_positions)[kept] - low,
        renumber[edges],
        np.concatenate(new_frozen)[kept],
    )


def _fractions(
    start: np.ndarray, stop: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(E, d) fractions of each segment at which it enters and leaves the slab of each axis."""
    step = stop - start
    with np.errstate(divide="ignore", invalid="ignore"):
        to_low, to_high = (low - start) / step, (high - start) / step
    parallel = step == 0
    within = (start >= low) & (start <= high)
    never, always = np.inf, -np.inf
    enter = np.where(parallel, np.where(within, always, never), np.minimum(to_low, to_high))
    leave = np.where(parallel, np.inf, np.maximum(to_low, to_high))
    return enter, leave


def _box(begin: Sequence[int], end: Sequence[int], dims: int) -> tuple[np.ndarray, np.ndarray]:
    """First and last voxel of a crop as floats, or an error that says what they must be."""
    low, high = np.array(begin, dtype=np.float64), np.array(end, dtype=np.float64) - 1
    if low.shape != (dims,) or high.shape != (dims,) or not (low <= high).all():
        raise ValueError(
            f"`begin` and `end` must be {dims} voxel indices each, `end` after `begin`, "
            f"got {tuple(begin)} and {tuple(end)}"
        )
    return low, high


def _frame(spacing: Sequence[float], origin: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Spacing and origin, one number for each of two or three axes."""
    scale, first = np.array(spacing, dtype=np.float64), np.array(origin, dtype=np.float64)
    if scale.shape not in ((2,), (3,)) or not np.isfinite(scale).all() or (scale <= 0).any():
        raise ValueError(
            f"`spacing` must be two or three positive numbers, µm per voxel, got {spacing!r}"
        )
    if first.ndim != 1 or len(first) < len(scale):
        raise ValueError(
            f"`origin` must be a voxel of the volume, one number per axis, got {origin!r}"
        )
    return scale, first[-len(scale) :]
