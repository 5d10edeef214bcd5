r"""The path loss: what is connected in the annotation must be connected by a cheap path.

Take two points on one annotated neurite, a short stretch apart, and walk from one to the other
along the cheapest path of the prediction, inside a tube around the annotation. Where the predicted
neurite is whole, the path runs along its centreline, where distances are 0; where it is broken,
the path must cross the gap, and pays for it. The gradient pulls down the distances on that path,
so that the gap closes where it is narrowest.

Every stretch of the annotated centreline is walked (see `topodelin.losses.path_cover`). What it
cannot see: false branches and bridges, since no path has to take them, and gaps outside the
annotation. A neighbouring neurite inside the tube may serve as a detour.

Departures from the paper: pairs of points follow from the annotated distance map, which has no
graph, cover it once and are the same in every step for the same `seed`; the cost is an integral
along the path, so that it does not depend on how voxels touch; and by default only what the path
costs beyond that of the annotation counts.

Reference:
    E. Esmaeilzadeh, E. Garaaghaji, F. Hallaji Azad, D. Oner. CAPE: connectivity-aware path
    enforcement loss for curvilinear structure delineation. MICCAI 2025. arXiv:2504.00753.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Int32, Int64
from torch import Tensor, nn

from topodelin.losses.checks import check_distance_map, check_pair, full_precision
from topodelin.losses.kernels.cheapest_path import cheapest_paths
from topodelin.losses.path_cover import Frame, centreline_stretches
from topodelin.losses.prepared import check_prediction, check_target, moved_record

Scalar = Float[Tensor, ""]

AIMS = ("truth", "extremes")


@dataclass(frozen=True, kw_only=True)
class PathRule:
    """Which stretches are walked, where their paths may run, and what is charged.

    Lengths are in units of the distance map.

    Args:
        spacing: length of a voxel edge along each axis; None for 1.
        stretch: length of a stretch, from 0.5 to 1.5 times this; shorter where a branch is.
        shortest: side branches that end so near to another path have no stretch of their own.
        tube: paths stay so near to the annotated centreline.
        snap: an end moves to the lowest predicted distance so near, for annotations that are off
            by a voxel or two; but by a quarter of the length of its stretch at most.
        seed: decides where stretches begin and end.
        aim: "truth" charges what a path costs beyond the cheapest one of the annotation;
            "extremes" charges all, as published, which is zero at the truth only for maps that
            are 0 on a connected line of voxels.
    """

    spacing: Sequence[float] | None = None
    stretch: float = 48.0
    shortest: float = 2.0
    tube: float = 4.0
    snap: float = 2.0
    seed: int = 0
    aim: str = "truth"

    def __post_init__(self) -> None:
        for name, value in (("stretch", self.stretch), ("tube", self.tube)):
            if not 0 < value < math.inf:
                raise ValueError(f"`{name}` must be positive and finite, got {value}")
        for name, value in (("shortest", self.shortest), ("snap", self.snap)):
            if not 0 <= value < math.inf:
                raise ValueError(f"`{name}` must be 0 or more and finite, got {value}")
        if self.seed < 0:
            raise ValueError(f"`seed` must be 0 or more, got {self.seed}")
        if self.aim not in AIMS:
            raise ValueError(f"`aim` must be one of {', '.join(map(repr, AIMS))}, got {self.aim!r}")
        if self.spacing is not None and not all(0 < edge < math.inf for edge in self.spacing):
            raise ValueError(f"`spacing` must be positive and finite, got {self.spacing}")

    def frame(self, space: tuple[int, ...]) -> Frame:
        """The grid of an image of this shape."""
        spacing = (1.0,) * len(space) if self.spacing is None else tuple(self.spacing)
        if len(spacing) != len(space):
            raise ValueError(
                f"`spacing` must name a length for each of {len(space)} axes, got {self.spacing}"
            )
        return Frame(space, spacing, max(self.tube, self.shortest, self.snap))


@dataclass(frozen=True)
class PreparedPaths:
    """The stretches of an annotation and their tubes, made by [`PathLoss.prepare`][].

    Voxels are indices into a flat framed image. All but `truth` and `weights` stays on the host.
    """

    rule: PathRule
    shape: tuple[int, ...]
    """Of the annotation, `(batch, channel, *space)`."""
    images: Int64[np.ndarray, " stretches"]
    tubes: Int32[np.ndarray, " voxels"]
    starts: Int64[np.ndarray, " stretches_1"]
    """Where in `tubes` each begins, and their end."""
    ends: Int32[np.ndarray, "stretches 2"]
    reach: Int64[np.ndarray, " stretches"]
    """How many steps of the ball of radius `snap` an end may choose from."""
    length: float
    """Of all stretches."""
    truth: Float[Tensor, "stretches longest"]
    """Annotated distances along the cheapest path of the annotation."""
    weights: Float[Tensor, "stretches longest"]
    """What each counts; 0 behind the end of a path."""

    def to(self, device: torch.device | str) -> "PreparedPaths":
        """The same, ready for predictions on a device."""
        return moved_record(self, device)


def path_loss(prediction: Tensor, target: Tensor | PreparedPaths, **constants: Any) -> Scalar:
    r"""Charge the cheapest predicted path along each annotated stretch.

    $$L(p, t) = \frac{1}{\sum_s \ell_s} \sum_s \max(C_s(p) - C_s(t),\, 0) \qquad
      C_s(p) = \min_\gamma \int_\gamma \max(p, 0)^2$$

    over the paths $\gamma$ inside the tube of stretch $s$ that join its two ends, with $\ell_s$
    its length: the mean squared distance along the centreline, in units of the map squared. The
    path is a constant for differentiation, and $C_s$ has that gradient, since its path is the
    cheapest. Zero, with zero gradient, where the prediction is the truth.

    Args:
        prediction: $p$, predicted distance maps `(batch, channel, *space)`, of any float type,
            raw; each channel is an image of its own.
        target: $t$, annotated distance maps of the same shape, 0 on the centreline, clipped
            anywhere above half the diagonal of a voxel; or what [`PathLoss.prepare`][] made of
            them, whose constants are then used.
        constants: the fields of [`PathRule`][], by name.

    Zero without an annotated path. Paths are found on the host in single precision; of equally
    cheap ones any, but always the same. A float32 scalar, float64 for a float64 prediction.

    Raises:
        TypeError, ValueError: one line that names the argument, the rule and the remedy.
    """
    if isinstance(target, PreparedPaths):
        ready = target
        check_prediction(prediction, ready.shape, ready.truth.device)
    else:
        rule = PathRule(**constants)
        check_pair(prediction, target)
        check_distance_map(target, math.inf)
        ready = prepare_paths(target, rule)
    p, t = full_precision(prediction, ready.truth)
    voxels, weights = walk(prediction, ready)
    along = p.reshape(-1)[voxels.to(p.device, non_blocking=True)]
    charge = (weights.to(p) * along.clamp(min=0).square()).sum(1)
    if ready.rule.aim == "truth":
        floor = (ready.weights.to(p) * t.square()).sum(1)
        charge = torch.relu(charge - floor)  # unlike clamp, without a gradient at 0
    return charge.sum() / (ready.length or 1.0)


class PathLoss(nn.Module):
    """[`path_loss`][] with its constants fixed: [`PathRule`][] describes each of them."""

    def __init__(
        self,
        *,
        spacing: Sequence[float] | None = None,
        stretch: float = 48.0,
        shortest: float = 2.0,
        tube: float = 4.0,
        snap: float = 2.0,
        seed: int = 0,
        aim: str = "truth",
    ) -> None:
        super().__init__()
        self.rule = PathRule(
            spacing=None if spacing is None else tuple(spacing),
            stretch=stretch,
            shortest=shortest,
            tube=tube,
            snap=snap,
            seed=seed,
            aim=aim,
        )

    def prepare(self, target: Tensor) -> PreparedPaths:
        """Stretches and tubes of an annotation; give the result to `forward` in its place."""
        check_target(target)
        return prepare_paths(target, self.rule)

    def forward(self, prediction: Tensor, target: Tensor | PreparedPaths) -> Scalar:
        return path_loss(prediction, target, **vars(self.rule))


def prepare_paths(target: Tensor, rule: PathRule) -> PreparedPaths:
    """What [`path_loss`][] needs of an annotation that was checked before."""
    frame = rule.frame(tuple(target.shape[2:]))
    maps = target.detach().to("cpu", torch.float32).flatten(0, 1).numpy()
    inside = frame.add(np.ones(frame.space, bool), 0)
    ball, _ = frame.ball(rule.tube)
    _, snap_lengths = frame.ball(rule.snap)
    images, tubes, ends, lengths = [], [np.empty(0, np.int32)], [], []
    for image, distance in enumerate(maps):
        for path, length in centreline_stretches(
            distance, frame, shortest=rule.shortest, stretch=rule.stretch, seed=rule.seed
        ):
            tube = np.unique(path[:, None] + ball)
            tubes.append(tube[inside[tube]].astype(np.int32))
            images.append(image)
            ends.append((path[0], path[-1]))
            lengths.append(length)
    unknown = torch.zeros((len(images), 0))
    ready = PreparedPaths(
        rule=rule,
        shape=tuple(target.shape),
        images=np.array(images, np.int64),
        tubes=np.concatenate(tubes),
        starts=np.cumsum([len(tube) for tube in tubes], dtype=np.int64),
        ends=np.array(ends, np.int32).reshape(-1, 2),
        length=float(sum(lengths)),
        truth=unknown,
        weights=unknown,
        reach=np.searchsorted(snap_lengths, np.array(lengths) / 4, side="right"),
    )
    voxels, weights = walk(target, ready)
    along = target.detach().reshape(-1)[voxels.to(target.device)]
    return replace(ready, truth=along, weights=weights.to(target.device))


def walk(
    distance: Tensor, ready: PreparedPaths
) -> tuple[Int[Tensor, "stretches longest"], Float[Tensor, "stretches longest"]]:
    """The cheapest paths of a map: its voxels, into the flat batch, and what each counts.

    Padded behind the end of a path by voxel 0 with a weight of 0. On the host.
    """
    frame = ready.rule.frame(ready.shape[2:])
    maps = distance.detach().to("cpu", torch.float32).flatten(0, 1).numpy()
    jumps, lengths = frame.neighbours()
    ball, _ = frame.ball(ready.rule.snap)
    paths = np.empty(len(ready.tubes), np.int32)
    weights = np.empty(len(ready.tubes))
    sizes = np.empty(len(ready.images), np.int64)
    cheapest_paths(
        frame.add(maps, 0),
        ready.images,
        ready.tubes,
        ready.starts,
        ready.ends,
        ready.reach,
        ball,
        jumps,
        lengths,
        paths,
        weights,
        sizes,
    )
    longest = int(sizes.max(initial=0))
    voxels = np.zeros((len(sizes), longest), np.int64)
    padded = np.zeros((len(sizes), longest))
    for s, (start, size) in enumerate(zip(ready.starts[:-1], sizes, strict=True)):
        voxels[s, :size] = frame.remove(paths[start : start + size])
        voxels[s, :size] += ready.images[s] * math.prod(frame.space)
        padded[s, :size] = weights[start : start + size]
    return torch.from_numpy(voxels), torch.from_numpy(padded)
