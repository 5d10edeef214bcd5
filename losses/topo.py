r"""The windowed topology loss: close the gaps and open the false bridges of a distance map.

The mean squared error of a distance map hardly notices a gap of a few pixels, and a tracing
that breaks there loses the whole branch behind it. This loss finds the few pixels that decide
what is connected (see `topodelin.losses.topology.weights`) and pulls only on these.

The default departs from the published program where that has known defects: gaps of any length
are seen (`far_cost`, `free_from`, `ties`), the loss is zero at the truth (`aim="truth"`),
trailing strips are judged (`ragged="keep"`), lines between pixels separate regions
(`separator_radius`), and the value does not grow with the image (`reduction="mean"`).
`TopoLoss.paper` gives the program.

References:
    D. Oner, M. Kozinski, L. Citraro, N. Dadap, A. Konings, P. Fua. Promoting connectivity of
    network-like structures by enforcing region separation. TPAMI 2021. arXiv:2009.07011.
    D. Oner, H. Osman, M. Kozinski, P. Fua. Enforcing connectivity of 3D linear structures
    using their 2D projections. MICCAI 2022. arXiv:2207.06832.
"""

import math
from collections.abc import Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from topodelin.losses.checks import check_distance_map, check_ignored, check_pair, full_precision
from topodelin.losses.prepared import check_prediction, check_target
from topodelin.losses.topology.backend import check_backend
from topodelin.losses.topology.prepared import (
    PreparedImages,
    check_rule,
    prepare_images,
    refuse_ignored,
)
from topodelin.losses.topology.rule import TopologyRule
from topodelin.losses.topology.weights import TopologyWeights, weights_of_prepared

Images = Float[Tensor, "batch channel height width"]
Scalar = Float[Tensor, ""]


def topo_loss(
    prediction: Tensor,
    target: Tensor,
    *,
    ignored: Tensor | None = None,
    backend: str = "auto",
    **constants: Any,
) -> Scalar:
    r"""Penalise the pixels on which wrong connections and separations hang.

    $$L(p, t) = \sum_u \lambda_{gap}\, w^-_u\, (p_u - t_u)^2
                     + \lambda_{bridge}\, w^+_u\, (t_u - p_u)^2$$

    divided by the number of windows for "mean". The weights $w$ are constants for
    differentiation. Zero, with zero gradient, where the prediction is the truth.

    Args:
        prediction: $p$, predicted distance maps `(batch, channel, height, width)`, of any float
            type; the raw map, neither clipped nor logits. Each channel is an image of its own.
        target: $t$, annotated distance maps of the same shape: 0 on the centreline, clipped at
            `d_max`. Without any line there is one region, where only bridges cost; with the map
            drawn between the pixels, none of them 0, lines separate all the same as long as they
            come nearer than `separator_radius`.
        ignored: bool, same shape, True where a pixel is left out. Paths do not pass there, and
            pixels it cuts off from each other cost nothing.
        backend: see [`topology_weights`][].
        constants: the fields of [`TopologyRule`][], by name: `window=32`, `d_max=20.0`, ...

    Returns a float32 scalar, float64 for a float64 prediction. Summed in float32 under autocast.

    Raises:
        TypeError, ValueError: one line that names the argument, the rule and the remedy; also
            for NaN and infinity.
    """
    rule = TopologyRule(**constants)
    check_backend(backend)
    check_pair(prediction, target, dims=2)
    check_distance_map(target, rule.d_max)
    check_ignored(ignored, target)
    prepared = prepare_images(target, rule, ignored, backend)
    return penalties([prediction], [prepared], backend)[0]


def penalties(
    predictions: Sequence[Tensor], prepared: Sequence[PreparedImages], backend: str
) -> list[Scalar]:
    """[`topo_loss`][] of several batches of images that were checked before, all at once."""
    weights = weights_of_prepared(predictions, prepared, backend)
    return [
        _penalty(prediction, part.target, part.rule, weight)
        for prediction, part, weight in zip(predictions, prepared, weights, strict=True)
    ]


def _penalty(
    prediction: Images, target: Images, rule: TopologyRule, weights: TopologyWeights
) -> Scalar:
    p, t = full_precision(prediction, target)
    if rule.aim == "extremes":
        above, below = p, rule.d_max - p
    else:
        above, below = p - t, t - p
    if rule.aim == "one-sided":
        above, below = above.clamp(min=0), below.clamp(min=0)
    gap = (weights.gap * above.square()).sum()
    bridge = (weights.bridge * below.square()).sum()
    total = rule.gap_weight * gap + rule.bridge_weight * bridge
    return total / max(weights.windows, 1) if rule.reduction == "mean" else total


class TopoLoss(nn.Module):
    """[`topo_loss`][] with its constants fixed: [`TopologyRule`][] describes each of them.

    `prepare` does what depends on the annotation only, in the worker of a data loader for example;
    its result takes the place of the target.
    """

    def __init__(
        self,
        *,
        window: int | Sequence[int] = 48,
        stride: int | Sequence[int] | None = None,
        ragged: str = "keep",
        d_max: float = 15.0,
        edge_lo: float | None = None,
        edge_hi: float | None = None,
        free_from: float | None = None,
        far_cost: float = math.inf,
        near_cost: float = -math.inf,
        separator_radius: float | None = None,
        separator_dilation: int = 0,
        connectivity: int = 4,
        ties: str = "line",
        pairs: str = "pixels",
        aim: str = "truth",
        gap_weight: float = 1.0,
        bridge_weight: float = 0.1,
        reduction: str = "mean",
        backend: str = "auto",
    ) -> None:
        super().__init__()
        check_backend(backend)
        self.backend = backend
        self.rule = TopologyRule(
            window=window,
            stride=stride,
            ragged=ragged,
            d_max=d_max,
            edge_lo=edge_lo,
            edge_hi=edge_hi,
            free_from=free_from,
            far_cost=far_cost,
            near_cost=near_cost,
            separator_radius=separator_radius,
            separator_dilation=separator_dilation,
            connectivity=connectivity,
            ties=ties,
            pairs=pairs,
            aim=aim,
            gap_weight=gap_weight,
            bridge_weight=bridge_weight,
            reduction=reduction,
        )

    @classmethod
    def paper(cls, variant: str = "proj48", **changes: Any) -> "TopoLoss":
        """The published programs, defects included; the value agrees to single precision.

        Args:
            variant: "proj48", of the projections of volumes (MICCAI 2022: windows of 48, d_max
                15), or "win32", of images (TPAMI 2021: windows of 32, d_max 20).
            changes: constants that shall differ, by name. The programs keep `edge_lo` and
                `edge_hi` when `d_max` is changed, and so does this.

        Pixels of equal cost are visited in the order of their index, where the programs leave
        it to an unstable sort. `gap_weight` and `bridge_weight` are those of the programs'
        configuration, meant to be added to a mean squared error, itself a mean.
        """
        if variant not in PAPER_VARIANTS:
            choices = " or ".join(map(repr, PAPER_VARIANTS))
            raise ValueError(f"`variant` must be {choices}, got {variant!r}")
        return cls(**{**PAPER_COMMON, **PAPER_VARIANTS[variant], **changes})

    def prepare(self, target: Tensor, *, ignored: Tensor | None = None) -> PreparedImages:
        """The annotation with its windows and regions, to be given in the place of the target.

        Args:
            target, ignored: as in [`topo_loss`][].
        """
        check_target(target, d_max=self.rule.d_max, dims=2)
        check_ignored(ignored, target)
        return prepare_images(target, self.rule, ignored, self.backend)

    def forward(
        self,
        prediction: Tensor,
        target: Tensor | PreparedImages,
        *,
        ignored: Tensor | None = None,
    ) -> Scalar:
        if not isinstance(target, PreparedImages):
            return topo_loss(
                prediction, target, ignored=ignored, backend=self.backend, **vars(self.rule)
            )
        check_rule(target, self.rule)
        refuse_ignored(ignored)
        annotated = target.target
        check_prediction(prediction, tuple(annotated.shape), annotated.device, dims=2)
        return penalties([prediction], [target], self.backend)[0]


PAPER_COMMON: dict[str, Any] = {
    "ragged": "drop",
    "near_cost": 0.0,
    "separator_radius": 0.0,
    "separator_dilation": 5,
    "connectivity": 8,
    "ties": "index",
    "aim": "extremes",
    "reduction": "sum",
}
PAPER_VARIANTS: dict[str, dict[str, Any]] = {
    "proj48": {
        "window": 48,
        "d_max": 15.0,
        "edge_lo": 8.0,
        "edge_hi": 15.0,
        "free_from": math.nextafter(15.0, math.inf),  # above `edge_hi`, not at it
        "far_cost": 15.0,
        "gap_weight": 1e-4,
        "bridge_weight": 1e-5,
    },
    "win32": {
        "window": 32,
        "d_max": 20.0,
        "edge_lo": 10.0,
        "edge_hi": 20.0,
        "free_from": math.nextafter(20.0, math.inf),
        "far_cost": 20.0,
        "gap_weight": 1e-2,
        "bridge_weight": 1e-4,
    },
}
