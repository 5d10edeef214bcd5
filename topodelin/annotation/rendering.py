"""Light microscopy of a neurite graph, made up: an image whose exact centrelines are known.

Tubes of light are blurred by the point spread function; boutons, spines, specks, clouds and a
background field are added; a detector counts photons. Only the graph is the truth: what hangs on
it or lies around it is what a tracer has to leave out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Shaped
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from topodelin.annotation.brightness import path_brightness
from topodelin.annotation.centreline import check_shape
from topodelin.annotation.microscope import Microscope
from topodelin.annotation.painting import paint_blobs, paint_tubes, smooth_field
from topodelin.graphs.neurite_graph import NeuriteGraph
from topodelin.volumes.volume import check_spacing

NODE_DISTANCE = 0.5  # µm, at which brightness is drawn along an edge
THINNEST = 0.05  # µm, least radius that is painted


def render_microscopy(
    graph: NeuriteGraph,
    shape: Sequence[int],
    spacing: Sequence[float],
    rng: np.random.Generator,
    microscope: Microscope,
) -> Shaped[np.ndarray, "z y x"]:
    """An image of the graph, as that microscope would have taken it.

    Args:
        graph: the neurites, µm; the centre of voxel `index` lies at `index * spacing`. Radii
            that are NaN count as `microscope.unknown_radius`. Neurites outside the image give
            light only as far as the blur reaches; an empty graph gives an image of the clutter.
        shape: voxels of the image `(z, y, x)`.
        spacing: µm per voxel `(z, y, x)`.
        rng: the only source of randomness.
        microscope: all the numbers.

    Returns:
        uint8, or uint16 where `microscope.bits` is 16.
    """
    expected = expected_photons(graph, shape, spacing, rng, microscope)
    grey = rng.poisson(expected).astype(np.float32) * np.float32(microscope.gain)
    grey += np.float32(microscope.read_noise) * rng.standard_normal(grey.shape, dtype=np.float32)
    if microscope.smoothing and grey.size:
        grey = gaussian_filter(grey, (0, microscope.smoothing, microscope.smoothing))
    grey += np.float32(microscope.offset - microscope.background_cut)
    dtype, largest = (np.uint8, 255) if microscope.bits == 8 else (np.uint16, 65535)
    return np.clip(np.rint(grey), 0, largest).astype(dtype)


def expected_photons(
    graph: NeuriteGraph,
    shape: Sequence[int],
    spacing: Sequence[float],
    rng: np.random.Generator,
    microscope: Microscope,
) -> Float32[np.ndarray, "z y x"]:
    r"""The image before the detector: the mean number of photons of every voxel.

    $$I(z, y, x) = e^{-z / \lambda} (N * h + P) + B$$

    with the neurites $N$, the point spread function $h$, specks and clouds $P$, the background
    $B$ and the attenuation length $\lambda$. Arguments as in [`render_microscopy`][].
    """
    size = check_shape(shape)
    scale = np.asarray(check_spacing(spacing))
    if 0 in size:
        return np.zeros(size, dtype=np.float32)
    image = _neurites(graph, size, scale, rng, microscope)
    _paint_specks(image, scale, rng, microscope)
    _paint_clouds(image, scale, rng, microscope)
    depth = np.arange(size[0]) * scale[0]
    image *= np.exp(-depth / microscope.attenuation_length).astype(np.float32)[:, None, None]
    if microscope.background:
        field = smooth_field(size, scale.tolist(), microscope.background_correlation, rng)
        width = np.float32(microscope.background_variation)
        field = np.exp(width * field - width**2 / 2)  # mean 1
        image += np.float32(microscope.background) * field
    return image


@dataclass(frozen=True)
class _Neurites:
    """A graph with a node every half µm, the radius of each, and its light per µm of path."""

    graph: NeuriteGraph
    radii: np.ndarray
    light: np.ndarray

    def at(
        self, edges: np.ndarray, fraction: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Position, radius and light on edges (rows of the graph's), a fraction along each."""
        start, end = self.graph.edges[edges].T
        rest = 1 - fraction
        where = (rest[:, None] * self.graph.positions[start]) + (
            fraction[:, None] * self.graph.positions[end]
        )
        radius = rest * self.radii[start] + fraction * self.radii[end]
        return where, radius, rest * self.light[start] + fraction * self.light[end]


def _neurites(
    graph: NeuriteGraph,
    size: tuple[int, int, int],
    scale: np.ndarray,
    rng: np.random.Generator,
    microscope: Microscope,
) -> np.ndarray:
    """Tubes and spines, blurred, and boutons; the median centreline at `photons`."""
    neurites = _labelled(graph, np.asarray(size) * scale, rng, microscope)
    sigma = _blur(microscope)
    reach = sigma if microscope.halo == 0 else np.maximum(sigma, [microscope.halo_sigma, 0, 0])
    pad = np.ceil(3 * reach / scale).astype(np.int64)
    image = np.zeros(np.asarray(size) + 2 * pad, dtype=np.float32)
    edges = neurites.graph.edges
    tubes = neurites.graph.positions[edges], neurites.radii[edges], neurites.light[edges]
    for ends, radii, light in (tubes, _spines(neurites, rng, microscope)):
        paint_tubes(image, scale, pad, ends, radii, light)
    blur = np.sqrt(np.maximum(sigma**2 - scale**2 / 6, 0))  # painting has blurred that much
    image = gaussian_filter(image, blur / scale, truncate=3.0, mode="constant")
    inner = tuple(slice(p, p + n) for p, n in zip(pad.tolist(), size, strict=True))
    image = np.ascontiguousarray(_with_halo(image, float(scale[0]), microscope)[inner])
    _paint_boutons(image, scale, neurites, rng, microscope)
    return image


def _with_halo(image: np.ndarray, step: float, microscope: Microscope) -> np.ndarray:
    r"""Light out of focus, added: $(N + h \frac{\sigma_h}{\sigma_z} N * g) / (1 + h)$.

    $g$ widens the axial standard deviation from $\sigma_z$ to $\sigma_h$, which lowers a thin
    neurite by $\sigma_z / \sigma_h$; a thin neurite in focus keeps its brightness.
    """
    narrow, wide = microscope.axial_sigma, microscope.halo_sigma
    if microscope.halo == 0 or wide <= narrow:
        return image
    extra = math.sqrt(wide**2 - narrow**2) / step
    halo = gaussian_filter1d(image, extra, axis=0, truncate=3.0, mode="constant")
    return (image + microscope.halo * (wide / narrow) * halo) / np.float32(1 + microscope.halo)


def _labelled(
    graph: NeuriteGraph, extent: np.ndarray, rng: np.random.Generator, microscope: Microscope
) -> _Neurites:
    """The neurites with their light, in units that give photons after the blur."""
    fine = _subdivided(graph, NODE_DISTANCE)
    radii = np.where(np.isfinite(fine.radii), fine.radii, microscope.unknown_radius)
    radii = np.maximum(radii, THINNEST)
    light = path_brightness(fine, rng, microscope) * radii**microscope.thickness_exponent
    inside = ((fine.positions >= 0) & (fine.positions <= extent)).all(axis=1)
    counted = inside if inside.any() else np.ones(len(fine), dtype=bool)
    levels = _peak(light, radii, microscope)[counted]
    level = float(np.median(levels)) if len(levels) else 1.0
    return _Neurites(fine, radii, light * (microscope.photons / max(level, 1e-9)))


def _blur(microscope: Microscope) -> np.ndarray:
    lateral = microscope.lateral_sigma
    return np.array([microscope.axial_sigma, lateral, lateral])


def _peak(light: np.ndarray, radii: np.ndarray, microscope: Microscope) -> np.ndarray:
    """Brightness on the centreline of a blurred tube in plane; a disc of radius r blurs by r/2."""
    across = np.sqrt(radii**2 / 4 + microscope.lateral_sigma**2)
    above = np.sqrt(radii**2 / 4 + microscope.axial_sigma**2)
    return light / (2 * np.pi * across * above)


def _subdivided(graph: NeuriteGraph, longest: float) -> NeuriteGraph:
    """The same curves with edges of at most `longest` µm."""
    pieces = np.maximum(np.ceil(graph.lengths / longest), 1).astype(np.int64)
    added = pieces - 1
    edge = np.repeat(np.arange(len(pieces)), added)
    rank = np.arange(len(edge)) - (np.cumsum(added) - added)[edge] + 1
    fraction = (rank / pieces[edge])[:, None]
    start, end = graph.edges[edge].T
    positions = (1 - fraction) * graph.positions[start] + fraction * graph.positions[end]
    radii = (1 - fraction[:, 0]) * graph.radii[start] + fraction[:, 0] * graph.radii[end]
    new = len(graph) + np.arange(len(edge))
    first = np.flatnonzero(rank == 1)
    last = np.flatnonzero(rank == added[edge])
    cut = added > 0
    edges = np.concatenate(
        [
            graph.edges[~cut],
            np.stack([graph.edges[cut, 0], new[first]], axis=1),
            np.stack([new[:-1], new[1:]], axis=1)[edge[:-1] == edge[1:]],
            np.stack([new[last], graph.edges[cut, 1]], axis=1),
        ]
    )
    kinds = np.append(graph.kinds, graph.kinds[end])
    return NeuriteGraph(
        np.concatenate([graph.positions, positions]), edges, np.append(graph.radii, radii), kinds
    )


def _scattered(
    neurites: _Neurites, allowed: np.ndarray, density: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Edges and fractions along them of random places on the allowed edges, `density` per µm."""
    lengths = np.where(allowed, neurites.graph.lengths, 0.0)
    count = int(rng.poisson(density * lengths.sum()))
    ends = np.cumsum(lengths)
    place = rng.uniform(0, ends[-1], size=count) if count else np.zeros(0)
    edges = np.minimum(np.searchsorted(ends, place, side="right"), len(lengths) - 1)
    return edges, rng.random(count)


def _spines(
    neurites: _Neurites, rng: np.random.Generator, microscope: Microscope
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Necks and heads as tubes: ends (S, 2, 3), radii (S, 2), light (S, 2)."""
    thick = neurites.radii[neurites.graph.edges].min(axis=1) >= microscope.spine_neurite_radius
    edges, fraction = _scattered(neurites, thick, microscope.spine_density, rng)
    foot, radius, light = neurites.at(edges, fraction)
    start, end = neurites.graph.edges[edges].T
    along = neurites.graph.positions[end] - neurites.graph.positions[start]
    side = np.cross(along, rng.normal(size=along.shape))
    side /= np.linalg.norm(side, axis=1, keepdims=True) + 1e-9
    head = rng.uniform(*microscope.spine_radius, size=len(edges))
    reach = radius + rng.uniform(*microscope.spine_length, size=len(edges))
    tip = foot + reach[:, None] * side
    beyond = tip + 2 * head[:, None] * side
    ends = np.concatenate([np.stack([foot, tip], axis=1), np.stack([tip, beyond], axis=1)])
    radii = np.concatenate([head / 2, head])
    shares = np.tile(light, 2) * (radii / np.tile(radius, 2)) ** microscope.thickness_exponent
    return ends, np.repeat(radii[:, None], 2, axis=1), np.repeat(shares[:, None], 2, axis=1)


def _paint_boutons(
    image: np.ndarray,
    scale: np.ndarray,
    neurites: _Neurites,
    rng: np.random.Generator,
    microscope: Microscope,
) -> None:
    """Swellings along thin neurites and at some of their ends."""
    edges = neurites.graph.edges
    thin = neurites.radii[edges].max(axis=1) <= microscope.bouton_neurite_radius
    places = neurites.at(*_scattered(neurites, thin, microscope.bouton_density, rng))
    swollen = neurites.graph.degrees == 1
    swollen &= neurites.radii <= microscope.bouton_neurite_radius
    swollen &= rng.random(len(swollen)) < microscope.end_swelling
    ends = neurites.graph.positions, neurites.radii, neurites.light
    centres, radii, light = (
        np.concatenate([a, b[swollen]]) for a, b in zip(places, ends, strict=True)
    )
    gain = rng.uniform(*microscope.bouton_gain, size=len(centres))
    size = rng.uniform(*microscope.bouton_radius, size=len(centres))
    sigmas = np.sqrt(_blur(microscope) ** 2 + size[:, None] ** 2 / 5)  # a ball's variance is r²/5
    peaks = np.maximum(gain - 1, 0) * _peak(light, radii, microscope)
    paint_blobs(image, scale, centres, sigmas, peaks)


def _paint_specks(
    image: np.ndarray, scale: np.ndarray, rng: np.random.Generator, microscope: Microscope
) -> None:
    """Bright specks, some of them in short rows, anywhere in and near the image."""
    margin = microscope.punctum_radius[1] + 3 * microscope.lateral_sigma
    extent = np.asarray(image.shape) * scale
    rows = rng.poisson(microscope.punctum_density / 1e3 * np.prod(extent + 2 * margin))
    members = rng.geometric(1 / microscope.punctum_row, size=rows)
    row = np.repeat(np.arange(rows), members)
    rank = np.arange(len(row)) - (np.cumsum(members) - members)[row]
    way = rng.normal(size=(rows, 3)) * [0.5, 1.0, 1.0]
    way *= 0.8 / (np.linalg.norm(way, axis=1, keepdims=True) + 1e-9)  # µm from speck to speck
    centres = rng.uniform(-margin, extent + margin, size=(rows, 3))[row] + rank[:, None] * way[row]
    centres += rng.normal(scale=0.3, size=centres.shape)
    radii = rng.uniform(*microscope.punctum_radius, size=(len(row), 1))
    low, high = np.log(np.maximum(microscope.punctum_brightness, 1e-6))
    peaks = microscope.photons * np.exp(rng.uniform(low, high, size=rows))[row]
    peaks *= rng.uniform(0.5, 1.0, size=len(row))
    sigmas = np.sqrt(_blur(microscope) ** 2 + radii**2 / 5)
    paint_blobs(image, scale, centres, sigmas, peaks)


def _paint_clouds(
    image: np.ndarray, scale: np.ndarray, rng: np.random.Generator, microscope: Microscope
) -> None:
    """Somata and smears out of focus, anywhere in and near the image."""
    margin = microscope.cloud_radius[1]
    extent = np.asarray(image.shape) * scale
    count = int(rng.poisson(microscope.cloud_density / 1e6 * np.prod(extent + 2 * margin)))
    centres = rng.uniform(-margin, extent + margin, size=(count, 3))
    sigmas = np.hypot(_blur(microscope), rng.uniform(*microscope.cloud_radius, size=(count, 3)))
    peaks = microscope.photons * rng.uniform(*microscope.cloud_brightness, size=count)
    paint_blobs(image, scale, centres, sigmas, peaks)
