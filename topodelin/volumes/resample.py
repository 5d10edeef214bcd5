r"""Resampling to another spacing, voxel by voxel, wherever a box happens to be read.

Each axis is resampled on its own. Output voxel $j$ lies at input coordinate
$c_j = j \, s_{out} / s_{in}$ (the centres of both first voxels coincide at 0 µm), and its value is

$$v_j = \sum_k w(k - c_j)\, u_k ,$$

where $w$ is the tent of linear interpolation, convolved with a Gaussian of
$\sigma = (s_{out}/s_{in} - 1) / 2$ input voxels when the axis is coarsened, so that detail finer
than the new voxels is averaged and not aliased. The image goes on with its border value outside.

Every output voxel sums the same number of terms in the same order, so its value is the same, bit
for bit, in whichever box it is read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor

import numpy as np

from topodelin.volumes.lazy import LazyArray, Slices
from topodelin.volumes.volume import Spacing, Volume, check_spacing

SAME = 1e-3  # relative difference of spacing that is no difference
TRUNCATE = 3.0  # standard deviations at which the Gaussian ends


def resample(volume: Volume, spacing: Sequence[float]) -> Volume:
    """The volume at another spacing, computed lazily, float32.

    Args:
        spacing: µm per voxel `(z, y, x)` wanted.

    Output size along each axis is `floor((n - 1) * s_in / s_out) + 1`: the voxels whose centres
    lie within the centres of the first and last input voxels. Anti-aliased where the axis gets
    coarser, linear where it gets finer. A spacing equal within 0.1 % returns the volume itself.
    """
    wanted = check_spacing(spacing)
    if all(abs(o / i - 1) <= SAME for o, i in zip(wanted, volume.spacing, strict=True)):
        return volume
    return Volume(ResampledArray(volume, wanted), wanted)


class ResampledArray(LazyArray):
    """The array of a volume, seen at another spacing."""

    def __init__(self, volume: Volume, spacing: Spacing) -> None:
        self.volume = volume
        self.axes = tuple(
            _Axis(size, out / into)
            for size, into, out in zip(volume.shape, volume.spacing, spacing, strict=True)
        )
        self.shape = (*volume.data.shape[:-3], *(axis.size for axis in self.axes))
        self.dtype = np.dtype(np.float32)

    def read_slices(self, slices: Slices) -> np.ndarray:
        wanted = slices[-3:]
        needed = tuple(axis.source(s) for axis, s in zip(self.axes, wanted, strict=True))
        array = np.asarray(self.volume.data[(*slices[:-3], *needed)])
        # the axis that shrinks most comes first, the later ones then have less to do
        for i in sorted(range(3), key=lambda i: -self.axes[i].ratio):
            array = self.axes[i].interpolate(array, i - 3, wanted[i], needed[i].start)
        return array.astype(np.float32, copy=False)


@dataclass(frozen=True)
class _Axis:
    """Resampling along one axis of `length` voxels, to voxels `ratio` times as large."""

    length: int
    ratio: float

    @property
    def size(self) -> int:
        """Voxels along the axis afterwards; a rounding error must not cost the last one."""
        return floor((self.length - 1) / self.ratio + 1e-6) + 1

    @property
    def reach(self) -> int:
        """Input voxels looked at on either side of a position."""
        return 1 + ceil(TRUNCATE * self._sigma) if self._sigma > 0 else 1

    @property
    def _sigma(self) -> float:
        return max(0.0, (self.ratio - 1) / 2)

    def source(self, wanted: slice) -> slice:
        """The input voxels that the output voxels `wanted` depend on."""
        if self.ratio == 1.0:
            return wanted
        first = floor(wanted.start * self.ratio) - self.reach + 1
        last = floor((wanted.stop - 1) * self.ratio) + self.reach
        low = min(max(0, first), self.length - 1)
        return slice(low, max(low, min(last, self.length - 1)) + 1)

    def interpolate(self, array: np.ndarray, axis: int, wanted: slice, start: int) -> np.ndarray:
        """Output voxels `wanted` along `axis` of an array whose first voxel is input `start`."""
        if self.ratio == 1.0:
            return array
        places = np.arange(wanted.start, wanted.stop) * self.ratio
        base = np.floor(places).astype(np.int64)
        offsets = np.arange(1 - self.reach, self.reach + 1)
        weights = self._weights(base[:, None] + offsets - places[:, None])
        shape = [1] * array.ndim
        shape[axis] = len(places)
        result = np.zeros((*array.shape[:axis], len(places), *array.shape[axis:][1:]), np.float32)
        for offset, weight in zip(offsets, weights.T, strict=True):
            index = np.clip(base + offset, 0, self.length - 1) - start
            result += array.take(index, axis=axis) * weight.reshape(shape)
        return result

    def _weights(self, distance: np.ndarray) -> np.ndarray:
        """Weight of an input voxel at that distance; each row of weights adds up to 1."""
        sigma = self._sigma
        if sigma == 0:
            return np.maximum(0.0, 1 - np.abs(distance)).astype(np.float32)
        weights = _smoothed_tent(distance, sigma)
        weights[np.abs(distance) >= self.reach] = 0  # the same on either side
        return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _smoothed_tent(t: np.ndarray, sigma: float) -> np.ndarray:
    r"""The tent $\max(0, 1 - |t|)$ convolved with a Gaussian: second difference of its integral.

    With $G(t) = \sigma^2 g(t) + t \Phi(t)$, where $g$ is the Gaussian density and $\Phi$ its
    distribution, the convolution is $G(t+1) - 2 G(t) + G(t-1)$.
    """
    from scipy.special import ndtr

    def integral(t: np.ndarray) -> np.ndarray:
        density = np.exp(-0.5 * (t / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
        return sigma**2 * density + t * ndtr(t / sigma)

    return np.maximum(0.0, integral(t + 1) - 2 * integral(t) + integral(t - 1))
