r"""How much each voxel of an annotation of classes counts in a loss, found before training.

class balance   rare classes count more
border          background between two cells that nearly touch counts more
diffusion       voxels near another class count more, most in its narrow parts

All take classes as [`class_indices`][] gives them, int64 `(z, y, x)` with -1 where nobody judged,
and return float32 of that shape, 0 where nobody judged. The last two look at one slice at a time:
serial sections are anisotropic, and cells that touch in depth are not a border to be learnt.

References:
    O. Ronneberger, P. Fischer, T. Brox. U-Net: convolutional networks for biomedical image
    segmentation. MICCAI 2015. arXiv:1505.04597. (Class balance and border.)
    M. D. Guay, Z. A. S. Emam, A. B. Anderson, M. A. Aronova, I. D. Pokrovskaya, B. Storrie,
    R. D. Leapman. Dense cellular segmentation for EM using 2D-3D neural network ensembles.
    Scientific Reports 11 (2021). (Diffusion; theirs wraps around at the borders of an image.)
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float32, Int
from scipy.ndimage import distance_transform_edt, find_objects, label

Classes = Int[np.ndarray, "z y x"]
Weights = Float32[np.ndarray, "z y x"]


def class_balance_weights(classes: Classes, count: int, *, most: float = 1.0) -> Weights:
    r"""Every class the same weight in total, whatever its share of the voxels.

    $$w(p) = m \, \frac{\min_k N_k}{N_{c(p)}}$$

    Args:
        classes: $c$.
        count: number of classes.
        most: $m$, the weight of the rarest class that occurs.
    """
    voxels = np.bincount(classes[classes >= 0], minlength=count)
    present = voxels > 0
    if not present.any():
        return np.zeros(classes.shape, np.float32)
    table = np.zeros(len(voxels) + 1, np.float32)  # the last entry is that of class -1
    table[:-1][present] = most * voxels[present].min() / voxels[present]
    return table[classes]


def border_weights(
    classes: Classes,
    cells: Sequence[int],
    *,
    w0: float = 10.0,
    sigma: float = 5.0,
    reach: float = 4.0,
) -> Weights:
    r"""More weight on background that lies between two cells.

    $$w(p) = w_0 \exp\Bigl(-\frac{(d_1(p) + d_2(p))^2}{2 \sigma^2}\Bigr)$$

    with the distances $d_1 \le d_2$ of $p$ to the two nearest cells. Cells are the components of
    `cells` in each slice, connected through edges of pixels, so that a membrane one pixel thin
    parts them even where it runs diagonally.

    Args:
        cells: the classes that cells are made of; everything else is background.
        w0: $w_0$, where two cells would touch.
        sigma: $\sigma$, pixels.
        reach: in sigmas; a cell farther away counts for nothing (it would add at most
            $w_0 e^{-8}$). Distances are computed only that far around each cell.

    0 on cells, and in slices with fewer than two.
    """
    inside = np.isin(classes, np.asarray(cells))
    background = (classes >= 0) & ~inside
    weights = np.zeros(classes.shape, np.float32)
    for number, drawn in enumerate(inside):
        both = _two_nearest(drawn, reach * sigma).sum(axis=0)
        weights[number] = w0 * np.exp(-(both**2) / (2 * sigma**2))
    return weights * background


def diffusion_weights(
    classes: Classes,
    count: int,
    *,
    steps: int = 50,
    rate: float = 0.2,
    decay: float = 0.98,
    floor: float = 0.2,
    most: float = 25.0,
) -> Weights:
    r"""More weight where classes meet, most where one is enclosed by another.

    A class $S$ is a source that is held at $u = 1$ and spreads into the others within each slice,

    $$u \leftarrow \max\bigl(\lambda (u + r \, \Delta u),\; 0\bigr), \qquad u|_S = 1,$$

    and the others get $\max(u - f, 0)$, scaled so that its largest value in the stack is `most`.
    Narrow parts are filled from all sides. Then the others are the source and the class is filled,
    and so on for each class; with two classes that is one pair, which is counted once.

    Args:
        count: number of classes.
        steps: of the diffusion.
        rate: $r$. $\Delta$ has weights -1, 1/6 (edges) and 1/12 (corners); the slice goes on with
            its border value outside.
        decay: $\lambda$.
        floor: $f$.
        most: largest weight that a source gives.

    Voxels that nobody judged are filled like others but are no source.
    """
    present = [number for number in range(count) if (classes == number).any()]
    total = np.zeros(classes.shape, np.float32)
    for number in present[: 1 if len(present) == 2 else None]:
        one = classes == number
        others = (classes >= 0) & ~one
        for source, target in ((one, others), (others, one)):
            spread = np.zeros(classes.shape, np.float32)
            for index in np.flatnonzero(source.any((1, 2)) & target.any((1, 2))):
                filled = _diffused(source[index], steps, rate, decay)
                spread[index] = np.maximum(filled - floor, 0) * target[index]
            highest = spread.max(initial=0)
            total += spread * (most / highest) if highest > 0 else 0
    return total


def _two_nearest(drawn: Bool[np.ndarray, "y x"], reach: float) -> Float32[np.ndarray, "2 y x"]:
    """Distances to the nearest and the next cell, pixels; infinite beyond `reach`."""
    distances = np.full((2, *drawn.shape), np.inf, np.float32)
    numbers = np.zeros(drawn.shape, np.int32)
    label(drawn, output=numbers)
    margin = int(np.ceil(reach))
    for number, box in enumerate(find_objects(numbers), start=1):
        wide = tuple(slice(max(0, side.start - margin), side.stop + margin) for side in box)
        away = np.asarray(distance_transform_edt(numbers[wide] != number), np.float32)
        away[away > reach] = np.inf
        nearest, second = distances[:, *wide]
        second[:] = np.minimum(second, np.maximum(nearest, away))
        nearest[:] = np.minimum(nearest, away)
    return distances


def _diffused(
    source: Bool[np.ndarray, "y x"], steps: int, rate: float, decay: float
) -> Float32[np.ndarray, "y x"]:
    wide = np.pad(source.astype(np.float32), 1, mode="edge")
    level = wide[1:-1, 1:-1]
    for _ in range(steps):
        beside = wide[:, :-2] + wide[:, 2:]
        edges = beside[1:-1] + wide[:-2, 1:-1] + wide[2:, 1:-1]
        corners = beside[:-2] + beside[2:]
        change = edges * np.float32(1 / 6) + corners * np.float32(1 / 12) - level
        np.maximum((level + np.float32(rate) * change) * np.float32(decay), 0, out=level)
        level[source] = 1
        _continue(wide)
    return level


def _continue(wide: np.ndarray) -> None:
    """Make the frame of one pixel repeat the border inside."""
    wide[0], wide[-1] = wide[1], wide[-2]
    wide[:, 0], wide[:, -1] = wide[:, 1], wide[:, -2]
