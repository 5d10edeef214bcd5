r"""Persistent-homology matching: the birth and death of every component and loop, as annotated.

Let the foreground grow from its most certain voxels to the least certain one. Components and loops
appear at one level and vanish at another, merged or filled; each is a point (birth, death) of the
persistence diagram. The points of the prediction are matched to those of the truth and pulled
there through the two voxels that decide them, the others are pulled to the diagonal, where a
component or loop is gone. The sweep is gudhi's and runs on the host, so this is a loss for images
and small windows; it does not see *where* a loop is, only that there is one.

References:
    X. Hu, F. Li, D. Samaras, C. Chen. Topology-preserving deep image segmentation. NeurIPS 2019.
    arXiv:1906.05404.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from topodelin.losses.checks import check_distance_map, check_pair
from topodelin.losses.persistence_diagram import (
    DIMENSIONS,
    Diagram,
    check_dimensions,
    check_window,
    window_diagrams,
)
from topodelin.losses.prepared import check_prediction, check_target
from topodelin.losses.probability import RADIUS, SOFTNESS, check_map, foreground_probability

Scalar = Float[Tensor, ""]

WINDOW = 32


@dataclass(frozen=True)
class PreparedPersistence:
    """The diagrams of the annotation, window after window, and what they were made with."""

    diagrams: tuple[Diagram, ...]
    shape: tuple[int, ...]
    device: torch.device

    def to(self, device: torch.device | str) -> "PreparedPersistence":
        """The same, for predictions on a device; the diagrams stay on the host."""
        return PreparedPersistence(self.diagrams, self.shape, torch.device(device))


def persistence_loss(
    prediction: Tensor,
    target: Tensor | PreparedPersistence,
    *,
    window: int | Sequence[int] | None = WINDOW,
    dimensions: Sequence[int] = DIMENSIONS,
    radius: float = RADIUS,
    softness: float = SOFTNESS,
) -> Scalar:
    r"""Squared distance between the persistence diagrams of prediction and truth.

    $$L = \frac{1}{W} \sum_{w} \sum_{(b, d)} (b - b^*)^2 + (d - d^*)^2$$

    over the points of the diagrams of the [`foreground_probability`][] of the prediction, of
    every window $w$. $(b^*, d^*)$ is the point of the truth that the best matching gives it, or
    the nearest point of the diagonal; points of the truth left over add their squared distance to
    the diagonal. As many points as possible are matched. Voxels that touch, at a corner too, are
    connected.

    Args:
        prediction: raw predicted distance maps `(batch, channel, *space)`, two or three axes of
            space, of any float type.
        target: annotated distance maps of the same shape, 0 on the centreline, clipped anywhere
            above `radius`; or what [`prepare_persistence`][] made of them.
        window: side of the windows in voxels, or one for each axis; each window is judged on its
            own, what is left at the end of an axis is a smaller one. None for the whole map. Time
            grows little faster than the number of voxels, and a window of 64^3 takes a second.
        dimensions: which features count: 0 components, 1 loops, 2 cavities (in volumes).
        radius, softness: of [`foreground_probability`][]. Far from `radius` the probability
            saturates; a larger `softness` carries the gradient deeper into a gap.

    Zero, with zero gradient, where the prediction is the truth. The gradient reaches critical
    voxels only; where several tie, gudhi's order decides which. A float32 scalar, float64 for a
    float64 prediction.

    Raises:
        TypeError, ValueError: one line that names the argument, the rule and the remedy.
    """
    if isinstance(target, PreparedPersistence):
        check_prediction(prediction, target.shape, target.device)
        check_space(prediction)
        ready = target
    else:
        check_pair(prediction, target)
        check_space(prediction)
        check_distance_map(target, math.inf)
        ready = _prepared(target, window, dimensions, radius, softness)
    p = foreground_probability(prediction, radius=radius, softness=softness)
    found = window_diagrams(p.detach().cpu().double().numpy(), window, dimensions)
    pulls = [pull_to(diagram, true) for diagram, true in zip(found, ready.diagrams, strict=True)]
    voxels = np.concatenate([diagram.voxels.ravel() for diagram in found])
    aims = np.concatenate([aim.ravel() for aim, _ in pulls])
    fixed = voxels < 0  # deaths that never come: levels without a voxel
    critical = p.reshape(-1).index_select(0, torch.from_numpy(voxels[~fixed]).to(p.device))
    moved = (critical - torch.from_numpy(aims[~fixed]).to(p)).square().sum()
    left = float((aims[fixed] ** 2).sum()) + sum(left_over for _, left_over in pulls)
    return (moved + left) / len(found)


def prepare_persistence(
    target: Tensor,
    *,
    window: int | Sequence[int] | None = WINDOW,
    dimensions: Sequence[int] = DIMENSIONS,
    radius: float = RADIUS,
    softness: float = SOFTNESS,
) -> PreparedPersistence:
    """The persistence diagrams of an annotated distance map, for a data loader to find."""
    check_target(target)
    check_space(target)
    return _prepared(target, window, dimensions, radius, softness)


class PersistenceLoss(nn.Module):
    """[`persistence_loss`][] with its constants fixed."""

    def __init__(
        self,
        *,
        window: int | Sequence[int] | None = WINDOW,
        dimensions: Sequence[int] = DIMENSIONS,
        radius: float = RADIUS,
        softness: float = SOFTNESS,
    ) -> None:
        super().__init__()
        check_map(radius, softness)
        check_window(window)
        check_dimensions(dimensions)
        self.window = window
        self.dimensions = tuple(dimensions)
        self.radius = radius
        self.softness = softness

    def prepare(self, target: Tensor) -> PreparedPersistence:
        """Do what depends on the annotation alone; `forward` takes it in the target's place."""
        return prepare_persistence(
            target,
            window=self.window,
            dimensions=self.dimensions,
            radius=self.radius,
            softness=self.softness,
        )

    def forward(self, prediction: Tensor, target: Tensor | PreparedPersistence) -> Scalar:
        return persistence_loss(
            prediction,
            target,
            window=self.window,
            dimensions=self.dimensions,
            radius=self.radius,
            softness=self.softness,
        )


def pull_to(found: Diagram, true: Diagram) -> tuple[np.ndarray, float]:
    """Where each point of a diagram is pulled (n, 2), and what unmatched points of the truth cost.

    Within each dimension the matching pairs as many points as possible at the least sum of squared
    distances, the way to the diagonal counted for those left over.
    """
    aims = np.repeat(found.levels.mean(1, keepdims=True), 2, axis=1)
    left_over = _to_diagonal(true.levels)
    for dimension in np.unique(true.dimensions):
        ours = np.flatnonzero(found.dimensions == dimension)
        theirs = np.flatnonzero(true.dimensions == dimension)
        apart = found.levels[ours, None] - true.levels[None, theirs]
        cost = (apart**2).sum(2) - _to_diagonal(found.levels[ours])[:, None]
        rows, columns = linear_sum_assignment(cost - left_over[theirs])
        aims[ours[rows]] = true.levels[theirs[columns]]
        left_over[theirs[columns]] = 0
    return aims, float(left_over.sum())


def check_space(maps: Tensor) -> None:
    """Refuse what is neither images nor volumes."""
    if maps.ndim not in (4, 5):
        raise ValueError(
            "`prediction` must be (batch, channel, height, width) or (batch, channel, z, y, x), "
            f"got the shape {tuple(maps.shape)}"
        )


def _to_diagonal(levels: np.ndarray) -> np.ndarray:
    return (levels[:, 0] - levels[:, 1]) ** 2 / 2


def _prepared(
    target: Tensor,
    window: int | Sequence[int] | None,
    dimensions: Sequence[int],
    radius: float,
    softness: float,
) -> PreparedPersistence:
    check_window(window)
    check_dimensions(dimensions)
    p = foreground_probability(target, radius=radius, softness=softness)
    diagrams = tuple(window_diagrams(p.cpu().double().numpy(), window, dimensions))
    return PreparedPersistence(diagrams, tuple(target.shape), target.device)
