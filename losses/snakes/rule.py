"""The constants of the snake loss, checked together."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from topodelin.losses.snakes.forces import SOLVERS
from topodelin.losses.snakes.gradient_filter import GAINS, AxisFilter, axis_filter

RESTS = ("ends", "annotation", "none")


@dataclass(frozen=True, kw_only=True)
class SnakeRule:
    r"""How a snake moves, and how much of the gradient passes through it.

    All lengths are in units of the distance map.

    Args:
        steps: how often it moves.
        step_size: $\tau$.
        alpha: strength of its springs, which keep neighbouring nodes together.
        beta: strength of its bending, at nodes of two edges.
        external_factor: $\kappa$, how strongly the predicted map pulls. A node moves at most about
            $\tau \kappa$ in one step.
        sigma: width of the Gaussian filter whose derivative is the slope of the prediction.
        gain: answer of that filter to a ramp, see [`axis_filter`][]: "unit" or "published".
        rest: which pull a snake does not feel, because a perfect prediction would exert it. "none"
            spares it nothing, as published: an end lies at the foot of a slope and is drawn
            inwards along its own neurite. "ends" subtracts, at nodes of one edge, the slope that
            the annotation's own map has there: on a perfect prediction hardly anything moves, and
            ends follow the neurite sideways as other nodes do. "annotation" subtracts it at every
            node and measures the internal forces from the annotated shape: loss and gradient are
            exactly zero at the truth, but a jittered annotation keeps more of its jitter.
        d_max: where the distance maps are clipped.
        spacing: length of a voxel edge along each axis of space; 1s when None.
        through_snake: 0 to 1, a factor on the gradient that passes through the positions of the
            snake. 1 is the derivative of the loss; 0 takes the adjusted annotation for a constant.
        solver: of the implicit step, see [`ImplicitStep`][].
        backend: of the renderer, see [`render_distance_map`][].
    """

    steps: int = 10
    step_size: float = 0.1
    alpha: float = 1e-4
    beta: float = 0.01
    external_factor: float = 2.0
    sigma: float = 0.5
    gain: str = "unit"
    rest: str = "ends"
    d_max: float = 15.0
    spacing: Sequence[float] | None = None
    through_snake: float = 1.0
    solver: str = "auto"
    backend: str = "auto"

    def __post_init__(self) -> None:
        for name, allowed in (("gain", GAINS), ("rest", RESTS), ("solver", SOLVERS)):
            if getattr(self, name) not in allowed:
                choices = " or ".join(repr(choice) for choice in allowed)
                raise ValueError(f"`{name}` must be {choices}, got {getattr(self, name)!r}")
        for name in ("step_size", "sigma", "d_max"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"`{name}` must be above 0 and finite, got {getattr(self, name)}")
        for name in ("steps", "alpha", "beta", "external_factor"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"`{name}` must be 0 or more, got {getattr(self, name)}")
        if not 0 <= self.through_snake <= 1:
            raise ValueError(f"`through_snake` must be between 0 and 1, got {self.through_snake}")
        edges = (1.0,) if self.spacing is None else tuple(self.spacing)
        if not all(0 < edge < math.inf for edge in edges):
            raise ValueError(
                f"`spacing` must be positive, the length of a voxel edge per axis, got {edges}"
            )
        for edge in edges:
            axis_filter(self.sigma / edge, self.gain)

    def voxel_edges(self, dims: int) -> tuple[float, ...]:
        """`spacing` of so many axes of space.

        Raises:
            ValueError: it was given for another number of axes.
        """
        edges = (1.0,) * dims if self.spacing is None else tuple(self.spacing)
        if len(edges) != dims:
            raise ValueError(
                f"`spacing` must have one number for each of {dims} axes of space, got {edges}"
            )
        return edges

    def filters(self, dims: int) -> list[AxisFilter]:
        """The filter of each axis, `sigma` turned into voxels."""
        return [axis_filter(self.sigma / edge, self.gain) for edge in self.voxel_edges(dims)]
