"""Changes of a crop that keep image and annotation in step.

The image is turned as voxels, the annotation as a graph: its positions go through the same motion
and the distance map is computed afterwards. A turned distance map would be no distance map where
voxels are not cubes, and clipping and interpolation would round the centreline.

Angles change shapes only where spacing differs, so quarter turns act in planes of equal spacing
and free rotations in the last such plane (lateral, in microscopy). Flips act on every axis.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from topodelin.training.config import Augmentation, Intensity

NORMALISED = (-1.0, 2.0)  # range of a normalised image


@dataclass(frozen=True)
class Motion:
    """First a rotation by `angle`, then quarter turns, then flips, all about the crop's centre.

    Args:
        angle: radians, from the first towards the second axis of `plane`.
        plane: the two axes of the rotation.
        turns: `(first axis, second axis, quarter turns)`, as `np.rot90` counts them.
        flips: for each axis, whether it is mirrored.
    """

    angle: float = 0.0
    plane: tuple[int, int] = (1, 2)
    turns: tuple[tuple[int, int, int], ...] = ()
    flips: tuple[bool, bool, bool] = (False, False, False)

    def source_shape(self, shape: Sequence[int]) -> tuple[int, int, int]:
        """Voxels of the upright box that the motion turns into `shape` voxels."""
        wide = list(self._before_turns(shape))
        if self.angle:
            first, second = self.plane
            height, width = wide[first] - 1, wide[second] - 1
            c, s = abs(np.cos(self.angle)), abs(np.sin(self.angle))
            # one voxel more on either side for the linear interpolation
            wide[first] = int(np.ceil(c * height + s * width)) + 3
            wide[second] = int(np.ceil(s * height + c * width)) + 3
        return wide[0], wide[1], wide[2]

    def move_image(self, image: np.ndarray, shape: Sequence[int]) -> np.ndarray:
        """The crop of `shape` that the motion makes of an upright box of `source_shape`."""
        if self.angle:
            image = _rotate(image, self.angle, self.plane, self._before_turns(shape))
        for first, second, count in self.turns:
            image = np.rot90(image, count, (first, second))
        return np.flip(image, tuple(axis for axis in range(3) if self.flips[axis]))

    def move_positions(self, positions: np.ndarray) -> np.ndarray:
        """The same for `(N, 3)` positions relative to the centre, in µm."""
        moved = np.array(positions, dtype=np.float64)
        if self.angle:
            first, second = self.plane
            c, s = np.cos(self.angle), np.sin(self.angle)
            a, b = moved[:, first].copy(), moved[:, second].copy()
            moved[:, first], moved[:, second] = c * a - s * b, s * a + c * b
        for first, second, count in self.turns:
            for _ in range(count % 4):  # rot90 sends (a, b) to (-b, a)
                a, b = moved[:, first].copy(), moved[:, second].copy()
                moved[:, first], moved[:, second] = -b, a
        return moved * np.where(self.flips, -1.0, 1.0)

    def _before_turns(self, shape: Sequence[int]) -> tuple[int, int, int]:
        upright = list(shape)
        for first, second, count in reversed(self.turns):
            if count % 2:
                upright[first], upright[second] = upright[second], upright[first]
        return upright[0], upright[1], upright[2]


def equal_planes(spacing: Sequence[float]) -> list[tuple[int, int]]:
    """Pairs of axes whose spacing is equal within 0.1 %."""
    pairs = ((0, 1), (0, 2), (1, 2))
    return [(a, b) for a, b in pairs if abs(spacing[a] - spacing[b]) <= 1e-3 * spacing[a]]


def random_motion(
    rng: np.random.Generator, spacing: Sequence[float], augmentation: Augmentation
) -> Motion:
    """A motion that the spacing allows, of the kinds that the configuration allows."""
    planes = equal_planes(spacing)
    angle = rng.uniform(0, 2 * np.pi) if augmentation.rotation and planes else 0.0
    turns = ()
    if augmentation.quarter_turns:
        turns = tuple((a, b, int(rng.integers(4))) for a, b in planes)
    flips = (False, False, False)
    if augmentation.flips:
        z, y, x = (bool(flip) for flip in rng.integers(2, size=3))
        flips = (z, y, x)
    return Motion(float(angle), planes[-1] if planes else (1, 2), turns, flips)


def change_intensity(rng: np.random.Generator, image: np.ndarray, ranges: Intensity) -> np.ndarray:
    r"""Other contrast, brightness, gamma and noise, in the range of a normalised image.

    $x \to g\,\mathrm{sign}(x)|x|^\gamma + o + \sigma n$ with one draw of $g, o, \gamma, \sigma$ for
    the crop and of $n \sim N(0, 1)$ for each voxel, clipped to $[-1, 2]$.
    """
    gain, offset = rng.uniform(*ranges.gain), rng.uniform(*ranges.offset)
    gamma, noise = rng.uniform(*ranges.gamma), rng.uniform(*ranges.noise)
    changed = np.sign(image) * np.abs(image) ** np.float32(gamma)
    changed = changed * np.float32(gain) + np.float32(offset)
    changed += rng.standard_normal(image.shape, dtype=np.float32) * np.float32(noise)
    return np.clip(changed, np.float32(NORMALISED[0]), np.float32(NORMALISED[1]))


def _rotate(
    image: np.ndarray, angle: float, plane: tuple[int, int], shape: Sequence[int]
) -> np.ndarray:
    """Every slice along the remaining axis turned about its centre, linear interpolation."""
    import torch
    from kornia.geometry.transform import warp_affine

    first, second = plane
    height, width = shape[first], shape[second]
    slices = np.ascontiguousarray(np.moveaxis(image, plane, (1, 2)), dtype=np.float32)
    c, s = np.cos(angle), np.sin(angle)
    # Columns and rows (x, y) of the second and first axis: (first, second) goes to
    # (c first - s second, s first + c second) about the centre.
    matrix = np.array([[c, s, 0.0], [-s, c, 0.0]])
    centre = np.array([(slices.shape[2] - 1) / 2, (slices.shape[1] - 1) / 2])
    matrix[:, 2] = np.array([(width - 1) / 2, (height - 1) / 2]) - matrix[:, :2] @ centre
    turned = warp_affine(
        torch.from_numpy(slices)[None],
        torch.from_numpy(matrix[None].astype(np.float32)),
        (height, width),
        mode="bilinear",
        padding_mode="border",
        align_corners=True,
    )
    return np.moveaxis(turned[0].numpy(), (1, 2), plane)
