"""Painting tubes and blobs of light into a voxel grid."""

from collections.abc import Sequence
from typing import no_type_check

import numpy as np
from jaxtyping import Float, Float32, Integer
from numba import njit

Image = Float32[np.ndarray, "z y x"]


def paint_tubes(
    image: Image,
    spacing: Float[np.ndarray, " 3"],
    corner: Integer[np.ndarray, " 3"],
    ends: Float[np.ndarray, "tubes 2 3"],
    radii: Float[np.ndarray, "tubes 2"],
    light: Float[np.ndarray, "tubes 2"],
) -> None:
    """Add tubes of light to an image, in place.

    Every 0.3 of the finest voxel along a tube, its disc is filled with points half a voxel apart
    (Vogel's spiral); each point shares its light among the eight voxels around it in proportion
    to their nearness. That widens everything by a sixth of a squared voxel in variance, which
    the blur that follows can leave out.

    Args:
        image: receives light per µm³; what falls outside is lost.
        spacing: µm per voxel.
        corner: voxel of the image at which 0 µm lies.
        ends: of each tube, µm.
        radii: at either end, µm.
        light: per µm of path, at either end.
    """
    _paint_tubes(image, spacing, corner.astype(np.float64), ends, radii, light)


def paint_blobs(
    image: Image,
    spacing: Float[np.ndarray, " 3"],
    centres: Float[np.ndarray, "blobs 3"],
    sigmas: Float[np.ndarray, "blobs 3"],
    peaks: Float[np.ndarray, " blobs"],
) -> None:
    """Add Gaussian blobs to an image, in place, cut off at three standard deviations.

    Args:
        image: receives light per µm³; its voxel (0, 0, 0) lies at 0 µm.
        spacing: µm per voxel.
        centres: of each blob, µm.
        sigmas: its standard deviation along each axis, µm.
        peaks: its value at the centre.
    """
    for centre, sigma, peak in zip(centres, sigmas, peaks, strict=True):
        _paint_blob(image, spacing, centre, sigma, float(peak))


def _paint_blob(
    image: np.ndarray, spacing: np.ndarray, centre: np.ndarray, sigma: np.ndarray, peak: float
) -> None:
    first = np.maximum(np.ceil((centre - 3 * sigma) / spacing), 0).astype(int)
    last = np.minimum(np.floor((centre + 3 * sigma) / spacing) + 1, image.shape).astype(int)
    if (first >= last).any():
        return
    z, y, x = (
        np.exp(-0.5 * ((np.arange(f, n) * s - c) / w) ** 2).astype(np.float32)
        for f, n, s, c, w in zip(first, last, spacing, centre, sigma, strict=True)
    )
    part = tuple(slice(f, n) for f, n in zip(first, last, strict=True))
    image[part] += (np.float32(peak) * z)[:, None, None] * (y[:, None] * x)


def smooth_field(
    shape: Sequence[int],
    spacing: Sequence[float],
    correlation: float,
    rng: np.random.Generator,
) -> Image:
    r"""A Gaussian random field: mean 0, variance 1, autocorrelation $e^{-(d / c)^2}$.

    White noise on a lattice of half the correlation length $c$ is spread by Gaussians of the
    same width; the sum is separable, three small matrix products.

    Args:
        shape: voxels of the field.
        spacing: µm per voxel.
        correlation: $c$, µm.
        rng: the source of the noise.
    """
    step = correlation / 2
    spread = []
    for count, edge in zip(shape, spacing, strict=True):
        voxels = np.arange(count) * edge
        lattice = np.arange(-3, int(np.ceil(count * edge / step)) + 4) * step
        weights = np.exp(-0.5 * ((voxels[:, None] - lattice) / step) ** 2)
        weights /= np.sqrt((weights**2).sum(axis=1, keepdims=True))
        spread.append(weights.astype(np.float32))
    z, y, x = spread
    noise = rng.standard_normal([w.shape[1] for w in spread], dtype=np.float32)
    return np.einsum("ai,bj,ck,ijk->abc", z, y, x, noise, optimize=True)


@njit(cache=True, nogil=True)
@no_type_check
def _paint_tubes(
    image: np.ndarray,
    spacing: np.ndarray,
    corner: np.ndarray,
    ends: np.ndarray,
    radii: np.ndarray,
    light: np.ndarray,
) -> None:
    finest = min(spacing[0], min(spacing[1], spacing[2]))
    volume = spacing[0] * spacing[1] * spacing[2]
    golden = np.pi * (3.0 - np.sqrt(5.0))
    turn = 0.0
    for tube in range(len(ends)):
        start, path = ends[tube, 0], ends[tube, 1] - ends[tube, 0]
        length = np.sqrt((path**2).sum())
        if length == 0.0:
            continue
        thick = max(radii[tube, 0], radii[tube, 1])
        far = False  # more than its radius and two voxels outside
        for axis in range(3):
            low = min(start[axis], start[axis] + path[axis]) - thick
            high = max(start[axis], start[axis] + path[axis]) + thick
            far |= high / spacing[axis] + corner[axis] < -2.0
            far |= low / spacing[axis] + corner[axis] > image.shape[axis] + 1.0
        if far:
            continue
        along = path / length
        aside = np.zeros(3)  # any unit vector across the tube, and the one across both
        least = np.argmin(np.abs(along))
        aside[least] = 1.0
        aside -= along[least] * along
        aside /= np.sqrt((aside**2).sum())
        across = np.cross(along, aside)
        discs = int(np.ceil(length / (0.3 * finest)))
        for disc in range(discs):
            share = (disc + 0.5) / discs
            radius = radii[tube, 0] * (1 - share) + radii[tube, 1] * share
            amount = (light[tube, 0] * (1 - share) + light[tube, 1] * share) * length / discs
            points = int(np.ceil(np.pi * (2 * radius / finest) ** 2))
            turn += 1.0
            for point in range(points):
                distance = radius * np.sqrt((point + 0.5) / points)
                angle = golden * point + turn
                sine, cosine = distance * np.sin(angle), distance * np.cos(angle)
                position = (start + share * path + cosine * aside + sine * across) / spacing
                _share_out(image, position + corner, amount / points / volume)


@njit(cache=True, nogil=True)
@no_type_check
def _share_out(image: np.ndarray, position: np.ndarray, amount: float) -> None:
    """Trilinear: the eight voxels around a position share the amount."""
    z0, y0, x0 = np.floor(position[0]), np.floor(position[1]), np.floor(position[2])
    fz, fy, fx = position[0] - z0, position[1] - y0, position[2] - x0
    for dz in range(2):
        z = int(z0) + dz
        if z < 0 or z >= image.shape[0]:
            continue
        wz = amount * (fz if dz else 1 - fz)
        for dy in range(2):
            y = int(y0) + dy
            if y < 0 or y >= image.shape[1]:
                continue
            wy = wz * (fy if dy else 1 - fy)
            for dx in range(2):
                x = int(x0) + dx
                if x >= 0 and x < image.shape[2]:
                    image[z, y, x] += wy * (fx if dx else 1 - fx)
