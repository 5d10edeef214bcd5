"""Weights of a term of a loss that change with the step of the training, or with its gradient.

A schedule is a function of the step alone, so a resumed training sees the same weights;
[`GradientBalance`][] depends on the step and on the gradients of that step.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass


@dataclass(frozen=True)
class Ramp:
    """`start_value` before the step `start`, then a straight line, then `end_value` for good.

    `Ramp(0, 1e-4, start=2000)` switches a term on at step 2000; `length` makes it grow over so
    many steps instead.

    Args:
        start_value, end_value: the weight before and after.
        start: the step at which the change begins.
        length: how many steps it takes; 0 for a jump.
    """

    start_value: float
    end_value: float
    _: KW_ONLY
    start: int
    length: int = 0

    def __post_init__(self) -> None:
        if self.start < 0 or self.length < 0:
            raise ValueError(
                f"`start` and `length` must be 0 or more steps, got {self.start} and {self.length}"
            )

    def __call__(self, step: int) -> float:
        """The weight at `step`."""
        if step < self.start:
            return float(self.start_value)
        if step >= self.start + self.length:
            return float(self.end_value)
        done = (step - self.start) / self.length
        return float(self.start_value + done * (self.end_value - self.start_value))


@dataclass(frozen=True)
class Switch:
    """One weight after another: `values[k]` from step `at[k - 1]` on, `values[0]` before them all.

    `Switch((0, 1e-3, 1e-4), at=(2000, 8000))` is 0 up to step 1999, 1e-3 up to 7999, then 1e-4.
    Two terms exchanged at one step, as the published snake loss replaces the squared error:
    `Switch((1, 0), at=(5000,))` for the one and `Switch((0, 1), at=(5000,))` for the other.

    Args:
        values: the weights, one more than there are steps in `at`.
        at: the steps at which the weight changes, increasing.
    """

    values: Sequence[float]
    _: KW_ONLY
    at: Sequence[int]

    def __post_init__(self) -> None:
        steps = list(self.at)
        if len(self.values) != len(steps) + 1:
            raise ValueError(
                f"`values` must hold one weight more than `at` has steps, got {len(self.values)} "
                f"and {len(steps)}"
            )
        if steps != sorted(set(steps)) or (steps and steps[0] < 0):
            raise ValueError(f"`at` must hold increasing steps from 0 on, got {tuple(steps)}")

    def __call__(self, step: int) -> float:
        """The weight at `step`."""
        return float(self.values[bisect_right(list(self.at), step)])


@dataclass(frozen=True)
class GradientBalance:
    r"""The weight at which a term pulls $\rho$ times as hard as the first term of the sum.

    $$w_i = \rho\, \frac{\lVert w_1 \nabla_p L_1 \rVert}{\lVert \nabla_p L_i \rVert},
      \qquad w_i \le w_{max}$$

    with the gradients of both terms with respect to the prediction $p$, of this batch. A term
    whose gradient vanishes gets weight 0. Weights of connectivity losses differ by orders of
    magnitude from one to another and during a training; the ratio of their gradients does not.

    Args:
        rho: the ratio, a number or a schedule of the step, such as `Ramp(0, 1, start=2000)`.
        most: $w_{max}$. Near the end of a training few voxels of a connectivity loss still have a
            gradient, and a fixed ratio pulls these the harder the fewer they are; a bound ends it.
    """

    rho: "float | Ramp | Switch"
    _: KW_ONLY
    most: float = math.inf

    def __post_init__(self) -> None:
        if not callable(self.rho) and not 0 <= self.rho < math.inf:
            raise ValueError(f"`rho` must be 0 or more, or a schedule, got {self.rho}")
        if not self.most > 0:
            raise ValueError(f"`most` must be positive, infinity for no bound, got {self.most}")


def weight_at(weight: float | Ramp | Switch, step: int) -> float:
    """A fixed weight, or the value of a schedule at `step`."""
    return float(weight(step) if callable(weight) else weight)
