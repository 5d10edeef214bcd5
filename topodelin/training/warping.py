r"""Changes of a crop's geometry that keep image and annotation in step.

Labels are moved like the image. Neurites are moved as graphs: their positions go through the same
warp and the distance map is computed afterwards. A turned distance map would be no distance map
where voxels are not cubes, and clipping and interpolation would round the centreline.

    source --> zoom, shear, rotation --> elastic displacement --> quarter turns --> flips --> crop

Angles change shapes only where spacing differs, so quarter turns act in planes of equal spacing,
rotation and shear in the last such plane (lateral, in microscopy); the displacement acts there
too, the same in every slice. Zoom and flips act along every axis.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from topodelin.training.config import Augmentation
from topodelin.training.displacement import Displacement, random_displacement
from topodelin.training.interpolation import read_between_slices, read_slices

Voxels = tuple[int, int, int]


@dataclass(frozen=True)
class Warp:
    """Zoom, shear, rotation and displacement, then quarter turns, then flips, about the centre.

    Args:
        angle: radians, from the first towards the second axis of `plane`.
        zoom: factor by which everything becomes larger.
        shear: radians by which the first axis of `plane` leans towards the second.
        plane: two axes, ascending.
        displacement: of slices in `plane`; it is made for crops of one shape.
        turns: `(first axis, second axis, quarter turns)`, as `np.rot90` counts them.
        flips: for each axis, whether it is mirrored.
    """

    angle: float = 0.0
    zoom: float = 1.0
    shear: float = 0.0
    plane: tuple[int, int] = (1, 2)
    displacement: Displacement | None = None
    turns: tuple[tuple[int, int, int], ...] = ()
    flips: tuple[bool, bool, bool] = (False, False, False)

    @property
    def matrix(self) -> Float[np.ndarray, "2 2"]:
        """Of zoom, shear and rotation in `plane`, from the source to the crop."""
        c, s = np.cos(self.angle), np.sin(self.angle)
        lean = np.array([[1.0, 0.0], [np.tan(self.shear), 1.0]])
        return self.zoom * np.array([[c, -s], [s, c]]) @ lean

    @property
    def interpolates(self) -> bool:
        """False where voxels only change places."""
        return (self.angle, self.zoom, self.shear, self.displacement) != (0, 1, 0, None)

    @property
    def stretches(self) -> tuple[float, float]:
        """Between which factors lengths change; the second is infinite where the crop folds."""
        least, most = np.linalg.svd(self.matrix, compute_uv=False)[::-1]
        slope = 0.0 if self.displacement is None else self.displacement.slope
        return float(least / (1 + slope)), float(most / (1 - slope)) if slope < 1 else float("inf")

    def rearrangement(self) -> "Warp":
        """The turns and flips alone, which need no interpolation."""
        return Warp(turns=self.turns, flips=self.flips)

    def source_shape(self, shape: Sequence[int]) -> Voxels:
        """Voxels of the upright box about the centre from which a crop of `shape` is read."""
        upright = self.upright_shape(shape)
        return self._box(upright, self._read_places(upright)) if self.interpolates else upright

    def upright_shape(self, shape: Sequence[int]) -> Voxels:
        """The shape of a crop before it is turned by quarters."""
        upright = list(shape)
        for first, second, count in reversed(self.turns):
            if count % 2:
                upright[first], upright[second] = upright[second], upright[first]
        return upright[0], upright[1], upright[2]

    def move(self, array: np.ndarray, shape: Sequence[int], order: int) -> np.ndarray:
        """The crop of `shape` that the warp makes of a box of `source_shape`.

        Args:
            array: `(z, y, x)`.
            order: 1 interpolates linearly (images), 0 takes the nearest voxel (labels, weights).

        Nothing is smoothed before it is made smaller: zoom far below 1 aliases.
        """
        if self.interpolates:
            array = self._interpolated(array, self.upright_shape(shape), order)
        elif array.shape != self.upright_shape(shape):
            raise _wrong_box(array, self.upright_shape(shape))
        for first, second, count in self.turns:
            array = np.rot90(array, count, (first, second))
        return np.flip(array, tuple(axis for axis in range(3) if self.flips[axis]))

    def move_positions(self, positions: np.ndarray) -> np.ndarray:
        """Where `(N, 3)` positions of the source are in the crop, µm relative to the centre.

        Raises:
            ValueError: for a displacement that folds the crop.
        """
        moved = np.array(positions, dtype=np.float64) * self.zoom
        moved[:, self.plane] = np.asarray(positions)[:, self.plane] @ self.matrix.T
        if self.displacement is not None:
            moved[:, self.plane] = self.displacement.undo(moved[:, self.plane])
        for first, second, count in self.turns:
            for _ in range(count % 4):  # rot90 sends (a, b) to (-b, a)
                a, b = moved[:, first].copy(), moved[:, second].copy()
                moved[:, first], moved[:, second] = -b, a
        return moved * np.where(self.flips, -1.0, 1.0)

    def _interpolated(self, array: np.ndarray, upright: Voxels, order: int) -> np.ndarray:
        places = self._read_places(upright)
        if array.shape != self._box(upright, places):
            raise _wrong_box(array, self._box(upright, places))
        slices = np.ascontiguousarray(np.moveaxis(array, self.plane, (1, 2)))
        if self.zoom != 1:
            depth = upright[self._across]
            across = (np.arange(depth) - (depth - 1) / 2) / self.zoom + (len(slices) - 1) / 2
            slices = read_between_slices(slices, across, order)
        middle = (np.array(slices.shape[1:])[:, None, None] - 1) / 2
        return np.moveaxis(read_slices(slices, places + middle, order), (1, 2), self.plane)

    def _read_places(self, upright: Voxels) -> Float[np.ndarray, "2 rows columns"]:
        """Where each pixel of a slice is read in the source, voxels relative to the centre."""
        shape = tuple(upright[axis] for axis in self.plane)
        places = np.indices(shape) - (np.array(shape)[:, None, None] - 1) / 2
        if self.displacement is not None:
            field = self.displacement.field
            if field.shape[1:] != shape:
                raise ValueError(
                    f"`shape` must be the one that the displacement was made for, with slices of "
                    f"{field.shape[1:]}, got {shape}"
                )
            places = places + field
        return np.einsum("ab,bij->aij", np.linalg.inv(self.matrix), places)

    def _box(self, upright: Voxels, places: np.ndarray) -> Voxels:
        """The box that holds all places, as many voxels more on either side of the crop."""
        far = dict(zip(self.plane, np.abs(places).max(axis=(1, 2)), strict=True))
        far[self._across] = (upright[self._across] - 1) / 2 / self.zoom
        grown = (n + 2 * int(np.ceil(far[a] - (n - 1) / 2 - 1e-6)) for a, n in enumerate(upright))
        z, y, x = grown
        return z, y, x

    @property
    def _across(self) -> int:
        return 3 - sum(self.plane)


def equal_planes(spacing: Sequence[float]) -> list[tuple[int, int]]:
    """Pairs of axes whose spacing is equal within 0.1 %."""
    pairs = ((0, 1), (0, 2), (1, 2))
    return [(a, b) for a, b in pairs if abs(spacing[a] - spacing[b]) <= 1e-3 * spacing[a]]


def random_warp(
    rng: np.random.Generator,
    shape: Sequence[int],
    spacing: Sequence[float],
    augmentation: Augmentation,
) -> Warp:
    """A warp for crops of `shape`, of the kinds that spacing and configuration allow.

    Crops one voxel deep are images: they are not turned out of their plane.
    """
    planes = [pair for pair in equal_planes(spacing) if all(shape[axis] > 1 for axis in pair)]
    plane = planes[-1] if planes else (1, 2)
    angle = rng.uniform(0, 2 * np.pi) if augmentation.rotation and planes else 0.0
    turns = ()
    if augmentation.quarter_turns:
        turns = tuple((a, b, int(rng.integers(4))) for a, b in planes)
    flips = (False, False, False)
    if augmentation.flips:
        z, y, x = (bool(flip) for flip in rng.integers(2, size=3))
        flips = (z, y, x)
    zoom = float(rng.uniform(*augmentation.zoom))
    shear = float(np.deg2rad(rng.uniform(*augmentation.shear))) if planes else 0.0
    displacement = None
    if augmentation.elastic is not None:
        upright = Warp(turns=turns).upright_shape(shape)
        a, b = plane
        displacement = random_displacement(
            rng, (upright[a], upright[b]), (spacing[a], spacing[b]), augmentation.elastic
        )
    return Warp(float(angle), zoom, shear, plane, displacement, turns, flips)


def _wrong_box(array: np.ndarray, wanted: Voxels) -> ValueError:
    return ValueError(f"`array` must have the `source_shape` {wanted}, got {array.shape}")
