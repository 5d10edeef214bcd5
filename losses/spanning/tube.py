r"""The tube around an annotation: where a predicted neurite may run and still be the annotated one.

The tube is every voxel whose annotated distance is at most `tube_radius`. Its voxels are the
vertices of a graph, joined to all neighbours that touch them (8 in an image, 26 in a volume) in
the tube of the same annotated tree: the nearest one. So a path in this graph follows its own
neurite within a tolerance and never jumps to the next. A voxel as near to two trees belongs to
neither.

All of it depends on the annotation only. A data loader builds it in its worker, once per crop,
and the losses that use it take it in the place of the annotation.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int32, Int64
from scipy import ndimage
from torch import Tensor

from topodelin.losses.prepared import check_prediction, check_target, moved_record
from topodelin.losses.spanning.tube_kernel import flood_pieces, join_neighbours, nearest_trees

CENTRE_RADIUS = 0.87
"""Half the diagonal of a cubic voxel, rounded up: the voxels that a curve passes through, which
touch each other. A map of a drawn mask is 0 or at least 1, so there it means 0."""


@dataclass(frozen=True, kw_only=True)
class TubeRule:
    """How the tube is laid around the annotation; all lengths in units of the distance map.

    Args:
        tube_radius: how far from the annotation a path may run.
        centre_radius: a voxel this near to the annotation is a voxel of the centreline; the
            connected components of the centreline are the trees. With coarser voxels along one
            axis and a map finer than the voxels, give half the diagonal of a voxel.
        snap_radius: how far a voxel of the centreline may be moved to where the prediction is
            lowest; 0 to leave it.
        spacing: length of a voxel edge along each axis; 1s when None.
    """

    tube_radius: float = 3.0
    centre_radius: float = CENTRE_RADIUS
    snap_radius: float = 0.0
    spacing: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("tube_radius", "centre_radius", "snap_radius"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(
                    f"`{name}` must be 0 or more and finite, got {getattr(self, name)}"
                )
        if self.centre_radius > self.tube_radius:
            raise ValueError(
                f"`centre_radius` must be at most `tube_radius`, {self.tube_radius}, got "
                f"{self.centre_radius}"
            )
        if self.spacing is not None:
            edges = tuple(float(edge) for edge in self.spacing)
            if not edges or not all(0 < edge < math.inf for edge in edges):
                raise ValueError(f"`spacing` must be positive lengths, got {self.spacing}")
            object.__setattr__(self, "spacing", edges)


@dataclass(frozen=True, kw_only=True)
class Tube:
    """The tubes of a batch as one graph of voxels, built by [`prepare_tube`][].

    Voxels are numbered in raster order over the whole batch, so those of an image, a channel of a
    sample, follow each other. No two images and no two trees share an edge.
    """

    target: Float[Tensor, "batch channel *space"]
    """The annotated distance maps."""
    voxels: Int64[Tensor, " n"]
    """Where each voxel of the tube lies in the flattened batch."""
    trees: Int32[Tensor, " n"]
    """Which tree it belongs to, counted from 0 over the batch."""
    by_truth: Int32[Tensor, " n"]
    """The voxels of each image in order of annotated distance, then of number: decides ties."""
    starts: Int32[Tensor, " n_and_1"]
    """Where the neighbours of each voxel begin and end."""
    neighbours: Int32[Tensor, " arcs"]
    """The neighbours of voxel v are `neighbours[starts[v] : starts[v + 1]]`."""
    centre: Int32[Tensor, " c"]
    """The voxels of the centreline."""
    nearby: Int32[Tensor, "c ball"]
    """The voxels of the same piece within `snap_radius` of each, the nearest first; the number of
    the voxel itself stands in for those that are elsewhere."""
    image_voxels: Int64[Tensor, " images_and_1"]
    image_centre: Int64[Tensor, " images_and_1"]
    image_trees: Int64[Tensor, " images_and_1"]
    """Where the voxels, centreline voxels and trees of each image begin and end."""
    pieces: Int64[Tensor, " i"]
    """How many connected pieces the tubes of each image have; a tree may have several."""
    piece_sizes: Int64[Tensor, " p"]
    """How many centreline voxels each piece has."""
    piece_images: Int64[Tensor, " p"]
    """Which image it lies in."""
    tree_sizes: Int64[Tensor, " t"]
    """How many centreline voxels each tree has."""
    rule: TubeRule

    def to(self, device: torch.device | str) -> "Tube":
        """The same with every tensor on that device."""
        return moved_record(self, device)


def prepare_tube(target: Tensor, rule: TubeRule, trees: Tensor | None = None) -> Tube:
    """Lay the tube around each annotated tree of a batch and list its voxels and neighbours.

    Args:
        target: annotated distance maps `(batch, channel, *space)`, two or three axes of space.
        rule: how.
        trees: integers of the same shape: the tree of each voxel of the centreline from 1, or 0
            for none, as where two neurites touch. Read only on the centreline. The connected
            components of the centreline when None.

    Computed on the host, returned on the device of `target`. Without a centreline every array is
    empty.
    """
    check_target(target)
    space = tuple(target.shape[2:])
    if len(space) not in (2, 3):
        raise ValueError(
            "`target` must be (batch, channel, height, width) or (batch, channel, z, y, x), got "
            f"the shape {tuple(target.shape)}"
        )
    if rule.spacing is not None and len(rule.spacing) != len(space):
        raise ValueError(
            f"`spacing` must have one length for each of {len(space)} axes, got {rule.spacing}"
        )
    _check_trees(trees, target)
    maps = target.detach().to("cpu", torch.float32).reshape(-1, *(1,) * (3 - len(space)), *space)
    labels = None if trees is None else trees.detach().cpu().numpy().reshape(maps.shape)
    images = [
        _tube_of(image, None if labels is None else labels[i], rule)
        for i, image in enumerate(maps.numpy())
    ]
    return _concatenate(images, target, rule).to(target.device)


def check_prepared(prediction: Tensor, tube: Tube, rule: TubeRule, trees: Tensor | None) -> None:
    """Refuse a prediction that does not fit the tube, or a tube laid in another way."""
    check_prediction(prediction, tuple(tube.target.shape), tube.target.device)
    if tube.rule != rule:
        raise ValueError(
            f"`target` was prepared with {tube.rule}, but the loss has {rule}; prepare it with "
            "the same constants"
        )
    if trees is not None:
        raise ValueError("`trees` must be given to `prepare`, not with a prepared target")


def _tube_of(truth: np.ndarray, labels: np.ndarray | None, rule: TubeRule) -> dict[str, np.ndarray]:
    """The arrays of one image, numbered from 0."""
    on_centre = truth <= rule.centre_radius
    if labels is None:
        centre, count = ndimage.label(on_centre, np.ones((3, 3, 3)))  # type: ignore[misc]
    else:
        numbers, centre = np.unique(np.where(on_centre, labels, 0), return_inverse=True)
        centre = centre.reshape(truth.shape) + (0 if 0 in numbers else 1)
        count = int(centre.max())
    spacing = (
        (1.0,) * 3 if rule.spacing is None else (1.0,) * (3 - len(rule.spacing)) + rule.spacing
    )
    offsets, squares = _ball(rule.tube_radius + rule.centre_radius, spacing)
    tree = nearest_trees(centre.astype(np.int32), truth <= rule.tube_radius, offsets, squares)

    framed_shape = tuple(side + 2 for side in truth.shape)
    strides = np.array([framed_shape[1] * framed_shape[2], framed_shape[2], 1])
    steps = np.array([s for s in itertools.product((-1, 0, 1), repeat=3) if any(s)]) @ strides
    framed_centre = np.pad(centre.astype(np.int32), 1).ravel()
    piece = np.zeros(framed_centre.size, np.int32)
    pieces = flood_pieces(framed_centre, np.pad(tree, 1).ravel(), steps, piece)
    framed = np.flatnonzero(piece)
    number = np.full(piece.size, -1, np.int32)
    number[framed] = np.arange(len(framed))
    starts, neighbours = join_neighbours(framed, piece, number, steps)
    at_centre = framed[framed_centre[framed] > 0]
    ball = _ball(rule.snap_radius, spacing)[0]
    nearby = _nearby(at_centre, ball, framed_shape, piece, number)
    voxels = np.flatnonzero(piece.reshape(framed_shape)[1:-1, 1:-1, 1:-1])
    return {
        "voxels": voxels,
        "trees": tree.ravel()[voxels] - 1,
        "by_truth": np.argsort(truth.ravel()[voxels], kind="stable"),
        "starts": starts,
        "neighbours": neighbours,
        "centre": number[at_centre],
        "nearby": nearby,
        "piece_sizes": np.bincount(piece[at_centre], minlength=pieces + 1)[1:],
        "tree_sizes": np.bincount(framed_centre[at_centre], minlength=count + 1)[1:],
    }


def _nearby(
    at: np.ndarray,
    ball: np.ndarray,
    framed_shape: tuple[int, ...],
    piece: np.ndarray,
    number: np.ndarray,
) -> np.ndarray:
    """(c, ball) numbers of the voxels around each voxel `at` that lie in its piece."""
    shape = np.array(framed_shape)
    position = np.stack(np.unravel_index(at, framed_shape), -1)[:, None] + ball
    inside = ((position > 0) & (position < shape - 1)).all(-1)
    strides = np.array([shape[1] * shape[2], shape[2], 1])
    flat = np.where(inside, position @ strides, at[:, None])
    return number[np.where(piece[flat] == piece[at][:, None], flat, at[:, None])]


def _ball(radius: float, spacing: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Voxels (m, 3) at most `radius` from the one in the middle, the nearest first, and squares
    (m) of their distances."""
    reach = [int(radius / edge + 1e-9) for edge in spacing]
    offsets = np.array(list(itertools.product(*(range(-r, r + 1) for r in reach))), np.int64)
    # Adding the smallest first gives the same number for the same voxel seen along other axes.
    squares = np.sort((offsets * np.array(spacing)) ** 2, axis=1).sum(1)
    order = np.argsort(squares, kind="stable")
    order = order[squares[order] <= radius**2 * (1 + 1e-9)]
    return offsets[order], squares[order]


def _concatenate(images: list[dict[str, np.ndarray]], target: Tensor, rule: TubeRule) -> Tube:
    """Number the voxels of all images through."""
    size = math.prod(target.shape[2:])
    first = _begins([len(image["voxels"]) for image in images])
    first_centre = _begins([len(image["centre"]) for image in images])
    first_tree = _begins([len(image["tree_sizes"]) for image in images])
    first_arc = _begins([len(image["neighbours"]) for image in images])

    def joined(name: str, shifts: Sequence[int] | np.ndarray, dtype: type) -> Tensor:
        parts = [image[name] + shift for image, shift in zip(images, shifts, strict=True)]
        return torch.from_numpy(np.concatenate(parts).astype(dtype))

    voxel, none = first[:-1], [0] * len(images)
    return Tube(
        target=target.detach(),
        voxels=joined("voxels", [i * size for i in range(len(images))], np.int64),
        trees=joined("trees", first_tree[:-1], np.int32),
        by_truth=joined("by_truth", voxel, np.int32),
        starts=torch.from_numpy(
            np.concatenate(
                [
                    *(
                        image["starts"][:-1] + a
                        for image, a in zip(images, first_arc[:-1], strict=True)
                    ),
                    first_arc[-1:],
                ]
            ).astype(np.int32)
        ),
        neighbours=joined("neighbours", voxel, np.int32),
        centre=joined("centre", voxel, np.int32),
        nearby=joined("nearby", voxel, np.int32),
        image_voxels=torch.from_numpy(first),
        image_centre=torch.from_numpy(first_centre),
        image_trees=torch.from_numpy(first_tree),
        pieces=torch.tensor([len(image["piece_sizes"]) for image in images]),
        piece_sizes=joined("piece_sizes", none, np.int64),
        piece_images=torch.from_numpy(
            np.repeat(np.arange(len(images)), [len(image["piece_sizes"]) for image in images])
        ),
        tree_sizes=joined("tree_sizes", none, np.int64),
        rule=rule,
    )


def _begins(counts: list[int]) -> np.ndarray:
    """(n + 1) int64: where each begins, and the end."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _check_trees(trees: Tensor | None, target: Tensor) -> None:
    if trees is None:
        return
    if trees.is_floating_point() or trees.dtype == torch.bool:
        raise TypeError(
            "`trees` must be an integer tensor, the number of the tree of each centreline voxel, "
            f"got {trees.dtype}"
        )
    if trees.shape != target.shape or trees.device != target.device:
        raise ValueError(
            f"`trees` must have the shape and device of `target`, {tuple(target.shape)} on "
            f"{target.device}, got {tuple(trees.shape)} on {trees.device}"
        )
    if bool((trees < 0).any()):
        raise ValueError(f"`trees` must be 0 or more, got {int(trees.min())}")
