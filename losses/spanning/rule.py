"""The constants of the spanning-path loss, checked together."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from topodelin.losses.spanning.tube import CENTRE_RADIUS, TubeRule

BACKENDS = ("auto", "numba", "torch")


@dataclass(frozen=True, kw_only=True)
class SpanningPathRule:
    r"""What a connection is, how much cable counts, and who pays.

    All lengths are in units of the distance map, except the spans.

    Args:
        spans: $R$, in voxels of the centreline, each positive, infinity allowed: how far cable
            counts on either side of a gap or a bridge. The loss is the mean over the spans. An
            infinite span is a mean over pairs of voxels, whose paths are long: about the number
            of centreline voxels times a finite one, so rather give it alone. Where the annotation
            is finer than the voxels, a step of the curve has 2.4 voxels of centreline (1.7 in
            an image), not 1.
        slack: $\sigma$; a path predicted nowhere above it costs nothing. Not below
            `centre_radius` where the annotation is finer than the voxels, or the truth costs.
        merge_below: $\tau$; what is predicted below it and below the annotated distance is false.
        merge_at: what of a bridge pays. "path": all of it, weighed by the cable it joins, as the
            gaps are. "saddle": its costliest voxel only, every bridge alike:
            $\frac1K \sum_e [a_e - d_e]_+^2$ over the edges that join two groups of trees, of
            $K$ trees in the image. It changes fewer voxels, and needs about twice the steps to
            cut a thick bridge.
        gap_weight, merge_weight: factors of the two terms; a term of weight 0 is not computed.
        tube_radius, centre_radius, snap_radius, spacing: see [`TubeRule`][]. With a `snap_radius`
            the cable of a centreline voxel is counted where the prediction is lowest within it,
            in the tube of the same tree, so that an annotation beside the neurite does not pull.
        backend: "numba": compiled, on the host; "torch": on the device of the prediction; "auto":
            "numba" for tensors on the host, else "torch". The same edges and counts.
    """

    spans: float | Sequence[float] = (5.0, 20.0, 80.0)
    slack: float = 1.0
    merge_below: float = 3.0
    merge_at: str = "path"
    gap_weight: float = 1.0
    merge_weight: float = 1.0
    tube_radius: float = 3.0
    centre_radius: float = CENTRE_RADIUS
    snap_radius: float = 0.0
    spacing: Sequence[float] | None = None
    backend: str = "auto"

    def __post_init__(self) -> None:
        if not self.all_spans or not all(span > 0 for span in self.all_spans):
            raise ValueError(f"`spans` must be positive numbers of voxels, got {self.spans}")
        for name in ("slack", "merge_below", "gap_weight", "merge_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(
                    f"`{name}` must be 0 or more and finite, got {getattr(self, name)}"
                )
        for name, allowed in (("merge_at", ("path", "saddle")), ("backend", BACKENDS)):
            if getattr(self, name) not in allowed:
                choices = " or ".join(repr(choice) for choice in allowed)
                raise ValueError(f"`{name}` must be {choices}, got {getattr(self, name)!r}")
        _ = self.tube  # refuses its own constants

    @property
    def all_spans(self) -> tuple[float, ...]:
        """The spans, one or several."""
        given = self.spans if isinstance(self.spans, Sequence) else (self.spans,)
        return tuple(float(span) for span in given)

    @property
    def tube(self) -> TubeRule:
        """What of it concerns the annotation alone."""
        return TubeRule(
            tube_radius=self.tube_radius,
            centre_radius=self.centre_radius,
            snap_radius=self.snap_radius,
            spacing=None if self.spacing is None else tuple(self.spacing),
        )
