"""Elastic changes of slices: every pixel reads a little beside itself, all slices alike.

References:
    P. Y. Simard, D. Steinkraus, J. C. Platt. Best practices for convolutional neural networks
    applied to visual document analysis. ICDAR 2003.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter, zoom

from topodelin.training.config import Elastic
from topodelin.training.interpolation import read_slices

CLOSE = 1e-3  # pixels by which a place may be missed
GENTLE = 0.75  # slope at which a displacement can still be undone with ease


@dataclass(frozen=True, eq=False)
class Displacement:
    """The place `q` of the new slice shows what was at `q + field(q)`.

    Args:
        field: `(2, rows, columns)` pixels along both axes; linear between pixels, and constant
            beyond the border.
        spacing: µm per pixel along both axes.
    """

    field: Float[np.ndarray, "2 rows columns"]
    spacing: tuple[float, float]

    @cached_property
    def slope(self) -> float:
        """By how many pixels the displacements of neighbouring pixels differ at most.

        Below 1 no two places read the same one, so that the displacement can be undone.
        """
        wide = np.pad(self.field, ((0, 0), (0, 1), (0, 1)), mode="edge")
        down, across = np.abs(np.diff(wide, axis=1)), np.abs(np.diff(wide, axis=2))
        # in a cell between four pixels the slope is a mean of those along its two sides
        down = np.maximum(down[:, :, :-1], down[:, :, 1:])
        across = np.maximum(across[:, :-1], across[:, 1:])
        return float(np.sqrt((down**2 + across**2).sum(axis=0)).max())

    def gentle(self, most: float = GENTLE) -> "Displacement":
        """The same, weakened where it takes to have a slope of at most `most`."""
        if self.slope <= most:
            return self
        return Displacement(self.field * (most / self.slope), self.spacing)

    def undo(self, positions: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
        r"""Where positions of the old slice are in the new one, µm relative to the centre.

        Iterates $q \leftarrow p - e(q)$, which comes closer by the factor `slope` each time, to
        within a thousandth of a pixel.

        Raises:
            ValueError: for a slope of 1 or more, where a place may be seen twice or not at all.
        """
        if self.slope >= 1:
            raise ValueError(
                f"an elastic displacement must have a slope below 1 to be undone, got "
                f"{self.slope:.2f}; take its `gentle()` version"
            )
        old = (positions / self.spacing).T
        centre = (np.array(self.field.shape[1:])[:, None] - 1) / 2
        new, error = old, float(np.linalg.norm(self.field, axis=0).max())
        while error > CLOSE:
            new = old - read_slices(self.field, new + centre, 1)
            error *= self.slope
        return new.T * self.spacing


def random_displacement(
    rng: np.random.Generator,
    shape: tuple[int, int],
    spacing: tuple[float, float],
    elastic: Elastic,
) -> Displacement:
    """A smooth field for slices of `shape`.

    Uniform in (-1, 1) at `points` x `points` nodes, smoothed by a Gaussian of `smoothing` nodes,
    times `amplitude` pixels, and interpolated by cubic splines in between. Smoothing makes it
    weaker: with the defaults it is some 6 pixels (standard deviation), not 20.
    """
    nodes = rng.uniform(-1, 1, (2, elastic.points, elastic.points))
    smooth = gaussian_filter(nodes, (0, elastic.smoothing, elastic.smoothing), mode="nearest")
    size = np.array(shape) / elastic.points
    enlarged = [np.asarray(zoom(part, size, order=3), np.float32) for part in smooth]
    return Displacement(np.float32(elastic.amplitude) * np.stack(enlarged), spacing)
