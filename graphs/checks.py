"""Parameters of metrics, checked once and answered in one line."""

import numpy as np


def check_positive(**values: float) -> None:
    """Refuse a length in µm that is not positive and finite."""
    for name, value in values.items():
        if not 0 < value < np.inf:
            raise ValueError(f"`{name}` must be a positive number of µm, got {value}")


def check_not_negative(**values: float) -> None:
    """Refuse a length or a count that is negative or not finite."""
    for name, value in values.items():
        if not 0 <= value < np.inf:
            raise ValueError(f"`{name}` must be a finite number from 0 up, got {value}")


def ratio(part: float, whole: float) -> float:
    """`part / whole`, NaN where there is no whole."""
    return part / whole if whole else float("nan")


def json_ready(numbers: dict[str, float]) -> dict[str, float | None]:
    """The same numbers with None where one is undefined, as JSON has no NaN."""
    return {name: None if np.isnan(value) else value for name, value in numbers.items()}
