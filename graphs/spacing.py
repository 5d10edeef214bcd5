"""The size of a voxel, checked."""

from collections.abc import Sequence

import numpy as np

Spacing = tuple[float, float, float]


def check_spacing(spacing: Sequence[float] | np.ndarray) -> Spacing:
    """The spacing as three floats, µm per voxel `(z, y, x)`, or an error that says what it is."""
    try:
        values = [float(value) for value in spacing]
    except (TypeError, ValueError):
        values = []
    if len(values) != 3 or not np.isfinite(values).all() or min(values) <= 0:
        raise ValueError(
            f"`spacing` must be three positive numbers, µm per voxel (z, y, x), got {spacing!r}; "
            "for example (1.0, 0.3, 0.3)"
        )
    return values[0], values[1], values[2]
