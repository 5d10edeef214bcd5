"""The constants of the windowed topology loss, checked together."""

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass

SEPARATOR_SHARE = 1 / 3  # of `d_max`: the published 5 pixels where d_max is 15


@dataclass(frozen=True, kw_only=True)
class TopologyRule:
    r"""Which windows are judged, what separates regions, which edges are blamed, and how.

    An edge joins two neighbouring pixels. Its cost is the SUM of the two predicted distances; how
    far it is from the annotation is the sum of the two annotated ones. All lengths are in units
    of the distance map.

    Args:
        window: side in pixels, or (height, width); each window is judged on its own.
        stride: from one window to the next, likewise; the window itself when None. A pixel
            covered by several windows is charged by each.
        ragged: "keep" judges what does not fill a window at the end of an axis, too; "drop"
            leaves it out.
        d_max: where the distance maps are clipped.
        edge_lo: gaps are searched on the edges nearer to the annotation than this SUM of two
            distances; d_max / 2 when None.
        edge_hi: bridges are searched on the edges at least so far from it; `d_max` when None.
        free_from: edges at least so far from it (a SUM again) cost `far_cost` while gaps are
            searched; `edge_lo` when None, so that every edge that cannot be blamed is free.
        far_cost: infinity lets every path run freely away from the annotation, so that a gap is
            its weakest place however wide it is. The published programs use `edge_hi`, below
            the cost of a wide gap, and only for edges farther than `edge_hi`: they are blind to
            gaps of `edge_hi` pixels and longer.
        near_cost: cost of the edges nearer than `edge_lo` while bridges are searched. Minus
            infinity keeps paths inside a region from running along the annotation; the published
            programs use 0, which does so only where the prediction is positive.
        separator_radius: pixels whose annotated distance is at most this separate the regions;
            d_max / 3 when None. A line between the pixels separates, too.
        separator_dilation: grow the separator inside each window by so many steps between
            4-neighbours.
        connectivity: 4 or 8, of the pixels of a region.
        ties: which of two edges of exactly equal cost is the weaker. "line": for gaps the one
            nearer the annotation, for bridges the one farther from it, then the one of higher
            index; "index": the one of higher index. Edges are numbered along x in raster order,
            then along y.
        pairs: which pairs weigh the same. "pixels": all pairs of pixels, as published, so that
            large regions decide. "regions": all pairs of regions in a gap, and all regions in a
            bridge, whatever their sizes, so that a small loop counts as much as a large one.
        aim: where the blamed pixels are pulled. "truth": to the annotated distance. "one-sided":
            likewise, but only those above it in a gap and below it in a bridge. "extremes": to 0
            in a gap and to `d_max` in a bridge, as published, which is not zero at the truth.
        gap_weight, bridge_weight: factors of the two terms, $\lambda_{gap}$, $\lambda_{bridge}$.
        reduction: "mean" over the windows of the batch, or "sum".
    """

    window: int | Sequence[int] = 48
    stride: int | Sequence[int] | None = None
    ragged: str = "keep"
    d_max: float = 15.0
    edge_lo: float | None = None
    edge_hi: float | None = None
    free_from: float | None = None
    far_cost: float = math.inf
    near_cost: float = -math.inf
    separator_radius: float | None = None
    separator_dilation: int = 0
    connectivity: int = 4
    ties: str = "line"
    pairs: str = "pixels"
    aim: str = "truth"
    gap_weight: float = 1.0
    bridge_weight: float = 0.1
    reduction: str = "mean"

    def __post_init__(self) -> None:
        if not 0 < self.d_max < math.inf:
            raise ValueError(f"`d_max` must be positive and finite, got {self.d_max}")
        for name, allowed in (
            ("ragged", ("keep", "drop")),
            ("ties", ("line", "index")),
            ("pairs", ("pixels", "regions")),
            ("aim", ("truth", "one-sided", "extremes")),
            ("reduction", ("mean", "sum")),
            ("connectivity", (4, 8)),
        ):
            if getattr(self, name) not in allowed:
                choices = " or ".join(repr(choice) for choice in allowed)
                raise ValueError(f"`{name}` must be {choices}, got {getattr(self, name)!r}")
        for name in ("gap_weight", "bridge_weight", "separator_dilation"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"`{name}` must be 0 or more, got {getattr(self, name)}")
        if math.isnan(self.far_cost) or math.isnan(self.near_cost):
            raise ValueError("`far_cost` and `near_cost` must be numbers or infinite, got NaN")
        if not 0 < self.near_bound <= self.far_bound < math.inf:
            raise ValueError(
                "`edge_lo` and `edge_hi` must satisfy 0 < edge_lo <= edge_hi, got "
                f"{self.near_bound:g} and {self.far_bound:g}; both bound the sum of two distances"
            )
        if not 0 <= self.separator < self.d_max:
            raise ValueError(
                f"`separator_radius` must be at least 0 and below d_max={self.d_max:g}, got "
                f"{self.separator:g}"
            )
        if min(self.window_shape) < 2:
            raise ValueError(f"`window` must be at least 2 pixels in each axis, got {self.window}")
        if min(self.step) < 1 or any(map(operator.gt, self.step, self.window_shape)):
            raise ValueError(
                f"`stride` must be between 1 and the window {self.window} in each axis, got "
                f"{self.stride}; a larger one would leave pixels unseen"
            )

    @property
    def window_shape(self) -> tuple[int, int]:
        """Height and width of a window, in pixels."""
        return _per_axis("window", self.window)

    @property
    def step(self) -> tuple[int, int]:
        """Pixels from one window to the next, down and across."""
        return self.window_shape if self.stride is None else _per_axis("stride", self.stride)

    @property
    def near_bound(self) -> float:
        """`edge_lo`, or what it stands for."""
        return self.d_max / 2 if self.edge_lo is None else self.edge_lo

    @property
    def far_bound(self) -> float:
        """`edge_hi`, or what it stands for."""
        return self.d_max if self.edge_hi is None else self.edge_hi

    @property
    def free_bound(self) -> float:
        """`free_from`, or what it stands for."""
        return self.near_bound if self.free_from is None else self.free_from

    @property
    def separator(self) -> float:
        """`separator_radius`, or what it stands for."""
        if self.separator_radius is None:
            return SEPARATOR_SHARE * self.d_max
        return self.separator_radius


def _per_axis(name: str, value: int | Sequence[int]) -> tuple[int, int]:
    sides = (value, value) if isinstance(value, int) else tuple(value)
    if len(sides) != 2 or not all(isinstance(side, int) for side in sides):
        raise ValueError(f"`{name}` must be a whole number or a pair (height, width), got {value}")
    return sides
