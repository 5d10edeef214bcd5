"""A weight that changes with the step of the training."""

from dataclasses import KW_ONLY, dataclass


@dataclass(frozen=True)
class Ramp:
    """`start_value` before the step `start`, then a straight line, then `end_value` for good.

    `Ramp(0, 1e-4, start=2000)` switches a term on at step 2000; `length` makes it grow over so
    many steps instead. A function of the step alone: a resumed training sees the same weights.

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
