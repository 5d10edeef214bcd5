"""Picture: gradient descent on a raw distance map closes a gap and cuts a bridge.

    python benchmarks/picture_gradient_descent.py [-o docs/gradient_descent.png] [--toy]

No network: the "prediction" is the distance map of two lines, one with a gap, and of a false bridge
between them, and its pixels themselves move down the gradient of one connectivity loss. In each
step the pixel with the strongest gradient moves by a quarter of a pixel. The upper row is an image
under `TopoLoss`, the lower a volume under `ConnLoss`, of which one minimum projection is shown.
Colours tell what hangs together at a distance of at most 2.

Printed as JSON: the loss, whether the upper line is whole and whether the lines are joined, at
each moment.
"""

import argparse
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from provenance import provenance
from scipy import ndimage

from topodelin.losses import ConnLoss, TopoLoss

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

D_MAX = 15.0
LEVEL = 2.0  # what is at most so far from a predicted centreline is foreground
RATE = 0.25
MOMENTS = ("before", "on the way", "after")


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Descend, draw, print and return what was found."""
    parser = argparse.ArgumentParser(description="Picture of gradient descent on a distance map.")
    parser.add_argument("-o", "--output", default="docs/gradient_descent.png")
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--toy", action="store_true", help="a few steps")
    options = parser.parse_args(arguments)
    steps = 100 if options.toy else options.steps

    rows = {}
    for name, loss, shape in (
        ("TopoLoss, image", TopoLoss(window=64, bridge_weight=1.0), (64, 96)),
        ("ConnLoss, volume", ConnLoss(topo={"window": 64, "bridge_weight": 1.0}), (24, 64, 96)),
    ):
        truth, wrong = drawing(shape)
        rows[name] = (truth, *descend(loss, wrong, truth, steps))
    draw(rows, options.output)
    result = {
        "benchmark": "picture_gradient_descent",
        "answer": {
            name: {
                moment: {"loss": value, **joined(distance)}
                for moment, distance, value in zip(MOMENTS, maps, values, strict=True)
            }
            for name, (_, maps, values) in rows.items()
        },
        "steps": steps,
        **provenance(),
    }
    print(json.dumps(result, indent=2))
    return result


def lines(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows of the upper and of the lower line in each column."""
    columns = np.arange(width)
    upper = height * 0.3 + 4 * np.sin(columns / 14)
    lower = height * 0.7 + 4 * np.cos(columns / 17)
    return np.round(upper).astype(int), np.round(lower).astype(int)


def drawing(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Distance maps of two lines across the last axis, and of the same with a gap and a bridge."""
    height, width = shape[-2:]
    columns = np.arange(width)
    upper, lower = lines(height, width)
    depth = [()] if len(shape) == 2 else [(shape[0] // 2,)]
    mask = np.zeros(shape, bool)
    for rows in (upper, lower):
        mask[(*depth[0], rows, columns)] = True
    truth = clipped(mask)
    gap = slice(int(width * 0.2), int(width * 0.32))
    mask[(*depth[0], upper[gap], columns[gap])] = False
    bridge = int(width * 0.7)
    mask[(*depth[0], slice(upper[bridge], lower[bridge]), bridge)] = True
    return truth, clipped(mask)


def clipped(mask: np.ndarray) -> np.ndarray:
    return np.minimum(np.asarray(ndimage.distance_transform_edt(~mask)), D_MAX).astype(np.float32)


def descend(
    loss: Loss, wrong: np.ndarray, truth: np.ndarray, steps: int
) -> tuple[list[np.ndarray], list[float]]:
    """The map and the loss before, in the middle and after."""
    target = torch.from_numpy(truth)[None, None]
    prediction = torch.from_numpy(wrong)[None, None].clone()
    maps, values = [], []
    for step in range(steps + 1):
        prediction.requires_grad_()
        value = loss(prediction, target)
        (gradient,) = torch.autograd.grad(value, prediction)
        prediction = prediction.detach()
        if step in (0, steps // 8, steps):
            maps.append(prediction[0, 0].numpy().copy())
            values.append(value.item())
        strongest = float(gradient.abs().max())
        if strongest > 0:
            prediction -= RATE * gradient / strongest
    return maps, values


def parts(distance: np.ndarray) -> np.ndarray:
    """The foreground in connected parts: 1 holds the left end of the upper line, then the rest."""
    touching = np.ones((3,) * distance.ndim)
    found, count = ndimage.label(distance <= LEVEL, touching)  # type: ignore[misc]
    labels = np.asarray(found).astype(np.int64)
    first = labels[upper_left(labels.shape)]
    order = [first, *(number for number in range(1, count + 1) if number != first)]
    numbers = np.zeros(count + 1, int)
    numbers[order] = np.arange(1, count + 1)
    return numbers[labels]


def joined(distance: np.ndarray) -> dict[str, bool]:
    """Whether the two ends of the upper line hang together, and the upper line and the lower."""
    labels = parts(distance)
    left = upper_left(distance.shape)
    right = (*left[:-2], lines(*distance.shape[-2:])[0][-1], -1)
    lower = (*left[:-2], lines(*distance.shape[-2:])[1][-1], -1)
    return {
        "the upper line is whole": bool(labels[left] == labels[right] > 0),
        "the lines are joined": bool(labels[right] == labels[lower] > 0),
    }


def upper_left(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*(extent // 2 for extent in shape[:-2]), int(lines(*shape[-2:])[0][0]), 0)


def draw(rows: dict[str, tuple[np.ndarray, list[np.ndarray], list[float]]], output: str) -> None:
    """One row for each loss, one column for each moment; the truth is a thin white line."""
    figure = Figure(figsize=(10, 4.7), dpi=110, layout="constrained")
    axes = figure.subplots(len(rows), 3)
    paint = ListedColormap(["#1f77b4", "#ff7f0e", "#2ca02c", "#d62728"])
    for (name, (truth, maps, values)), line in zip(rows.items(), axes, strict=True):
        flat = tuple(range(truth.ndim - 2))  # project volumes along their depth
        for moment, distance, value, axis in zip(MOMENTS, maps, values, line, strict=True):
            axis.imshow(distance.min(flat), cmap="gray", vmin=0, vmax=D_MAX)
            labels = parts(distance).max(flat)
            axis.imshow(np.ma.masked_equal(labels, 0), cmap=paint, vmin=1, vmax=4, alpha=0.8)
            axis.contour(truth.min(flat), levels=[0.5], colors="white", linewidths=0.6)
            axis.set_title(f"{name}, {moment}: {value:.3g}", fontsize=9)
            axis.set_axis_off()
    figure.savefig(output)


if __name__ == "__main__":
    main()
