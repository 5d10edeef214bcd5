"""A slice of an image beside what networks say about it."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from topodelin.report.picture import as_png, draw_scale_bar

# Told apart with any colour vision (Okabe and Ito, 2008); the first is the ground, mostly.
COLOURS = ("#d9d9d9", "#d55e00", "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#56b4e9")
WIDTH = 10.0  # inches
MOST_PIXELS = 1600


def class_picture(
    image: np.ndarray,
    classes: np.ndarray,
    names: Sequence[str],
    pixel: Sequence[float],
    z: int,
) -> bytes:
    """PNG of a slice and its classes, with a legend of those that occur.

    Args:
        image: intensities `(y, x)`.
        classes: numbers of classes `(y, x)`.
        names: of the classes. With more than eight, colours come from a wheel.
        pixel: µm per pixel `(y, x)`.
        z: number of the slice, for the title.
    """
    figure, left, right = _figure(image, pixel, z)
    colours = COLOURS if len(names) <= len(COLOURS) else _wheel(len(names))
    view = {"vmin": -0.5, "vmax": len(names) - 0.5, "interpolation": "nearest"}
    _show(right, classes, pixel, cmap=ListedColormap(list(colours[: len(names)])), **view)
    right.set_title("predicted classes")
    present = np.unique(classes)
    handles = [Patch(color=colours[k], label=f"{k} {names[k]}") for k in present]
    figure.legend(handles=handles, loc="outside lower center", ncols=6, frameon=False)
    return as_png(figure, colours=128)


def distance_picture(
    image: np.ndarray, distance: np.ndarray, d_max: float, pixel: Sequence[float], z: int
) -> bytes:
    """PNG of a slice and its distance map, dark at the centrelines.

    Args:
        image, pixel, z: as in [`class_picture`][].
        distance: `(y, x)`, from 0 to `d_max`.
    """
    figure, _, right = _figure(image, pixel, z)
    shown = _show(right, distance, pixel, cmap="viridis", vmin=0, vmax=d_max)
    right.set_title("predicted distance")
    bar = figure.colorbar(shown, ax=right, shrink=0.8)
    bar.set_label("finest voxel edges")
    return as_png(figure, colours=256)


def _figure(image: np.ndarray, pixel: Sequence[float], z: int) -> tuple[Figure, Axes, Axes]:
    height, width = (n * step for n, step in zip(image.shape, pixel, strict=True))
    tall = float(np.clip(WIDTH / 2 * height / width + 1.0, 2.5, 12.0))
    figure = Figure(figsize=(WIDTH, tall), layout="compressed")
    left, right = figure.subplots(1, 2)
    low, high = np.percentile(image, (0.5, 99.5))
    _show(left, image, pixel, cmap="gray", vmin=low, vmax=max(high, low + 1e-6))
    left.set_title(f"slice {z}")
    draw_scale_bar(left)
    return figure, left, right


def _show(axes: Axes, image: np.ndarray, pixel: Sequence[float], **view):
    """Every n-th pixel where there are too many, in their true proportions."""
    step = -(-max(image.shape) // MOST_PIXELS)
    (rows, columns), (down, right) = image.shape, pixel
    axes.set_xticks([])
    axes.set_yticks([])
    extent = (0, columns * right, rows * down, 0)
    return axes.imshow(image[::step, ::step], extent=extent, **view)


def _wheel(count: int) -> list[tuple[float, float, float]]:
    from matplotlib.colors import hsv_to_rgb

    return [tuple(hsv_to_rgb((k / count, 0.5 + 0.4 * (k % 2), 0.9))) for k in range(count)]
