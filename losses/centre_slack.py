r"""Centre slack: near every voxel of the centreline the prediction must be low somewhere.

The simplest loss that looks for gaps and forgives an annotation beside the neurite: each voxel of
the centreline may take the lowest prediction within a small radius, and pays for what of it is
above a slack. It does not ask whether these lowest voxels are connected with each other, nor how
much cable hangs on a gap; for that see `topodelin.losses.spanning_path`, of which it is the
version without the sweep.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from topodelin.losses.checks import check_pair, full_precision
from topodelin.losses.spanning.tube import (
    CENTRE_RADIUS,
    Tube,
    TubeRule,
    check_prepared,
    prepare_tube,
)

Scalar = Float[Tensor, ""]

RADIUS = 2.0


def centre_slack_loss(
    prediction: Tensor,
    target: Tensor | Tube,
    *,
    trees: Tensor | None = None,
    radius: float = RADIUS,
    slack: float = 1.0,
    centre_radius: float = CENTRE_RADIUS,
    spacing: Sequence[float] | None = None,
) -> Scalar:
    r"""The mean squared excess of the lowest prediction near each voxel of the centreline.

    $$L = \frac1N \sum_{u \in C} \Bigl[\min_{|v - u| \le r} d_v - \sigma\Bigr]_+^2$$

    and the mean over the images, each channel of a sample being one.

    Args:
        prediction: $d$, raw predicted distance maps `(batch, channel, *space)` with two or three
            axes of space, of any float type.
        target: annotated distance maps of the same shape, 0 on the centreline, clipped anywhere
            above `radius`; or what `CentreSlackLoss.prepare` made of them.
        trees: see [`prepare_tube`][]; not with a prepared target. A voxel $v$ must be nearer to
            the tree of $u$ than to any other, and joined to it, so that no neurite is stood in
            for by the next one.
        radius: $r$, in units of the distance map.
        slack: $\sigma$, likewise. Not below `centre_radius` where the annotation is finer than
            the voxels, or the truth costs.
        centre_radius: voxels so near to the annotation are the centreline $C$, $N$ in number.
        spacing: length of a voxel edge along each axis; 1s when None.

    The gradient reaches the voxel that attains the minimum; of several, the nearest. Zero, with
    zero gradient, where nothing is annotated, and at the truth. Float32, float64 for a float64
    prediction.

    Raises:
        TypeError, ValueError: one line that names the argument, the rule and the remedy; also
            for NaN and infinity.
    """
    rule = slack_rule(radius, slack, centre_radius, spacing)
    if isinstance(target, Tube):
        check_prepared(prediction, target, rule, trees)
        tube = target
    else:
        check_pair(prediction, target)
        tube = prepare_tube(target, rule, trees)
    p, _ = full_precision(prediction, tube.target)
    values = p.reshape(-1).index_select(0, tube.voxels)
    around = tube.nearby.long()
    with torch.no_grad():
        first = values[around].argmin(1, keepdim=True)
    lowest = values.index_select(0, around.gather(1, first)[:, 0])
    counts = tube.image_centre.diff()
    weights = torch.repeat_interleave(1 / counts.clamp(min=1).to(p), counts)
    return (weights * (lowest - slack).clamp(min=0).square()).sum() / len(counts)


class CentreSlackLoss(nn.Module):
    """[`centre_slack_loss`][] with its constants fixed."""

    def __init__(
        self,
        *,
        radius: float = RADIUS,
        slack: float = 1.0,
        centre_radius: float = CENTRE_RADIUS,
        spacing: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.rule = slack_rule(radius, slack, centre_radius, spacing)
        self.slack = slack

    def prepare(self, target: Tensor, trees: Tensor | None = None) -> Tube:
        """Do what depends on the annotation alone; `forward` takes it in the target's place."""
        return prepare_tube(target, self.rule, trees)

    def forward(
        self, prediction: Tensor, target: Tensor | Tube, *, trees: Tensor | None = None
    ) -> Scalar:
        return centre_slack_loss(
            prediction,
            target,
            trees=trees,
            radius=self.rule.snap_radius,
            slack=self.slack,
            centre_radius=self.rule.centre_radius,
            spacing=self.rule.spacing,
        )


def slack_rule(
    radius: float, slack: float, centre_radius: float, spacing: Sequence[float] | None
) -> TubeRule:
    """The tube that holds all that is needed, its constants and the slack checked."""
    if not 0 <= radius < float("inf"):
        raise ValueError(f"`radius` must be 0 or more and finite, got {radius}")
    if not 0 <= slack < float("inf"):
        raise ValueError(f"`slack` must be 0 or more and finite, got {slack}")
    return TubeRule(
        # A voxel within `radius` of a voxel of the centreline lies so near to the annotation.
        tube_radius=radius + centre_radius,
        centre_radius=centre_radius,
        snap_radius=radius,
        spacing=None if spacing is None else tuple(spacing),
    )
