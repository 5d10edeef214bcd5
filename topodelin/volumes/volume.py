"""A volume is an array that can be read by box, and the size of its voxels in micrometres."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

Spacing = tuple[float, float, float]
Index = tuple[int, int, int]

AXES = "(z, y, x)"
MIN_SPACING_UM = 1e-4
MAX_SPACING_UM = 1e4


@runtime_checkable
class ArrayLike(Protocol):
    """Anything that can be read by slices: numpy array, memory map, zarr array, lazy TIFF."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> Any: ...

    def __getitem__(self, key: Any, /) -> Any: ...


@dataclass(frozen=True)
class Box:
    """A half-open region `begin <= voxel < end` of a volume, in voxels `(z, y, x)`."""

    begin: Index
    end: Index

    def __post_init__(self) -> None:
        for name in ("begin", "end"):
            corner = tuple(int(value) for value in getattr(self, name))
            if len(corner) != 3:
                raise ValueError(f"`{name}` must hold 3 voxel indices {AXES}, got {corner}")
            object.__setattr__(self, name, corner)

    @property
    def shape(self) -> Index:
        """Voxels along each axis; 0 where the box is empty."""
        z, y, x = (max(0, e - b) for b, e in zip(self.begin, self.end, strict=True))
        return z, y, x

    @property
    def size(self) -> int:
        """Number of voxels."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Slices that read this box from an array with axes `(z, y, x)`."""
        z, y, x = (slice(b, e) for b, e in zip(self.begin, self.end, strict=True))
        return z, y, x

    def __and__(self, other: "Box") -> "Box":
        begin = np.maximum(self.begin, other.begin)
        return Box(_index(begin), _index(np.maximum(begin, np.minimum(self.end, other.end))))

    def grow(self, margin: int | Sequence[int]) -> "Box":
        """The box with `margin` voxels more on either side of each axis (a number or one each)."""
        each = np.broadcast_to(np.asarray(margin), (3,))
        return Box(_index(np.asarray(self.begin) - each), _index(np.asarray(self.end) + each))

    def clip(self, shape: Sequence[int]) -> "Box":
        """The part of the box inside a volume of that shape."""
        return self & Box((0, 0, 0), _index(shape))

    def relative_to(self, origin: Sequence[int]) -> "Box":
        """The same voxels counted from `origin`."""
        shift = np.asarray(origin)
        return Box(_index(np.asarray(self.begin) - shift), _index(np.asarray(self.end) - shift))


@dataclass(frozen=True)
class Volume:
    """An image in space: an array read by box, and its voxel size.

    Args:
        data: axes `(z, y, x)` or `(c, z, y, x)`; anything with `shape`, `dtype` and `[slices]`.
            It is never loaded whole.
        spacing: µm per voxel `(z, y, x)`. The centre of voxel `(0, 0, 0)` lies at 0 µm, so the
            centre of voxel `index` lies at `index * spacing`.
    """

    data: ArrayLike
    spacing: Spacing

    def __post_init__(self) -> None:
        if len(self.data.shape) not in (3, 4):
            raise ValueError(
                f"`data` must have axes {AXES} or (c, z, y, x), got shape {tuple(self.data.shape)}"
            )
        object.__setattr__(self, "spacing", check_spacing(self.spacing))

    @property
    def shape(self) -> Index:
        """Voxels along `(z, y, x)`."""
        z, y, x = self.data.shape[-3:]
        return int(z), int(y), int(x)

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(self.data.dtype)

    @property
    def box(self) -> Box:
        """All of the volume."""
        return Box((0, 0, 0), self.shape)

    def read(self, box: Box) -> np.ndarray:
        """The voxels of a box that lies inside the volume, as a numpy array."""
        if box != box.clip(self.shape):
            raise ValueError(
                f"`box` must lie inside the volume of shape {self.shape}, got {box}; "
                "clip it with `box.clip(volume.shape)`"
            )
        return np.asarray(self.data[(..., *box.slices)])


def check_spacing(spacing: Sequence[float], name: str = "spacing") -> Spacing:
    """The spacing as three floats, or an error that says what a spacing is."""
    try:
        values = tuple(float(value) for value in spacing)
    except (TypeError, ValueError):
        values = ()
    if len(values) != 3 or not all(np.isfinite(values)) or min(values) <= 0:
        raise ValueError(
            f"`{name}` must be three positive numbers, µm per voxel {AXES}, got {spacing!r}"
        )
    if min(values) < MIN_SPACING_UM or max(values) > MAX_SPACING_UM:
        raise ValueError(
            f"`{name}` must be in µm per voxel, between {MIN_SPACING_UM:g} and "
            f"{MAX_SPACING_UM:g}, got {spacing!r}; is it in metres (times 1e6 gives µm) or in nm "
            "(divided by 1000 gives µm)?"
        )
    return values


def _index(values: Any) -> Index:
    z, y, x = (int(value) for value in values)
    return z, y, x
