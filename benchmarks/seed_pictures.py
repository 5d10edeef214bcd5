"""Pictures of what the networks of seed_experiments.py say: image, labels and prediction."""

import json
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from seed_table import RESULTS

from topodelin.models import ModelCard, load_model, predict_tiled
from topodelin.report.picture import as_png
from topodelin.training import load_config
from topodelin.training.stacks import open_stacks

# file -> the experiments side by side; of classes first, then of lines
CLASSES = {
    "reproduce_isbi": ("isbi_dmcn", "isbi_unet1", "isbi_weighted", "isbi_unet2"),
    "reproduce_mito": ("mito_resnet34",),
    "reproduce_classes": ("platelet_hybrid", "platelet_unet"),
    "reproduce_centre": ("fibsem_4conv", "fibsem_3layer", "fibsem_3layer_after_cr1"),
}
LINES = {"reproduce_neurites": ("neurite_unet", "neurite_resunet", "neurite_resnet18_unet")}
COLOURS = ["#000000", "#e69f00", "#56b4e9", "#cc3311", "#f0e442", "#009e73", "#cc79a7"]
MOST = 320  # pixels of a panel


def draw_pictures(work: Path, folder: Path) -> None:
    """Write every picture of which an experiment was run."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, experiments in CLASSES.items():
        found = [e for e in experiments if (work / e / "prediction.npz").exists()]
        if found:
            figure = picture_of_classes(work, found)
            (folder / f"{name}.png").write_bytes(as_png(figure))
    for name, experiments in LINES.items():
        found = [e for e in experiments if (work / e / "run" / "model.safetensors").exists()]
        if found:
            figure = picture_of_lines(work, found)
            (folder / f"{name}.png").write_bytes(as_png(figure))


def picture_of_classes(work: Path, names: list[str]) -> Figure:
    """The middle labelled slice: image, labels, then what each network says, refined or not."""
    panels: list[tuple[str, np.ndarray]] = []
    for name in names:
        kept = np.load(work / name / "prediction.npz")
        labelled = np.flatnonzero((kept["classes"] >= 0).any(axis=(1, 2)))
        z = int(labelled[len(labelled) // 2])
        cut = tuple(
            slice((n - m) // 2, (n + m) // 2)
            for n, m in zip(
                kept["image"].shape[1:], np.minimum(kept["image"].shape[1:], MOST), strict=True
            )
        )
        if not panels:
            panels += [("image", kept["image"][z][cut]), ("labels", kept["classes"][z][cut])]
        known = kept["classes"][z][cut] >= 0
        panels.append((name, np.where(known, kept["told"][z][cut], -1)))
        if "refined" in kept:
            panels.append((f"{name}, CRF", np.where(known, kept["refined"][z][cut], -1)))
    figure, axes = grid(len(panels))
    count = max(int(panel.max()) for title, panel in panels if title != "image") + 1
    for place, (title, panel) in zip(axes, panels, strict=True):
        if title == "image":
            low, high = np.percentile(panel, (1, 99))
            place.imshow(panel, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
        else:
            colours = ListedColormap(["#999999", *colours_of(count)])
            place.imshow(panel, cmap=colours, vmin=-1, vmax=count - 1, interpolation="nearest")
        place.set_title(title, fontsize=8)
    return figure


def picture_of_lines(work: Path, names: list[str]) -> Figure:
    """Seen along z, the first validation stack: image and tracing, then each distance map."""
    panels: list[tuple[str, np.ndarray]] = []
    truth = np.zeros((0, 2))
    for name in names:
        config = load_config(work / name / "run.yaml")
        network, card = load_model(work / name / "run" / "model.safetensors")
        assert isinstance(card, ModelCard)
        (stack, *_) = open_stacks(config.data.validation, (), config)
        image = stack.read(stack.image.box)
        told = predict_tiled(network, image, d_max=card.d_max, tile=card.cube, margin=card.margin)
        if not panels:
            truth = stack.centreline[:, 1:]
            panels.append(("image and tracing", image.max(0)))
        record = json.loads((RESULTS / f"{name}.json").read_text("utf-8"))
        threshold = record["scores"]["threshold"]
        panels.append((f"{name}: smallest distance", told.min(0)))
        panels.append((f"{name}: nearer than {threshold:g}", np.asarray((told < threshold).any(0))))
    figure, axes = grid(len(panels))
    for place, (title, panel) in zip(axes, panels, strict=True):
        bright = "gray_r" if "distance" in title else "gray"
        place.imshow(panel, cmap=bright, interpolation="nearest")
        place.set_title(title, fontsize=8)
    axes[0].plot(truth[:, 1], truth[:, 0], ",", color="#cc3311")
    return figure


def colours_of(count: int) -> list[str]:
    return ["#000000", "#ffffff"] if count == 2 else COLOURS[:count]


def grid(count: int) -> tuple[Figure, list[Axes]]:
    """Square panels, four a row at most."""
    columns = min(count, 4) if count != 6 else 3
    rows = -(-count // columns)
    figure = Figure(figsize=(2.4 * columns, 2.6 * rows), dpi=100, layout="constrained")
    axes = [figure.add_subplot(rows, columns, 1 + k) for k in range(count)]
    for each in axes:
        each.set_axis_off()
    return figure, axes
