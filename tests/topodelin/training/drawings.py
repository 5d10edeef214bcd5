"""A small stack with one bent bright line, and runs that learn it in a moment."""

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from topodelin.annotation import graph_distance_map
from topodelin.graphs import NeuriteGraph, write_swc
from topodelin.training import Stack, TrainingConfig
from topodelin.volumes import IntensityRange, Volume

SPACING = (1.0, 0.5, 0.5)
SHAPE = (12, 40, 48)


def line() -> NeuriteGraph:
    """Two straight pieces through the stack, in µm."""
    voxels = np.array([[3, 4, 5], [6, 22, 20], [9, 30, 44]])
    return NeuriteGraph(voxels * SPACING, np.array([[0, 1], [1, 2]]))


def image(graph: NeuriteGraph | None = None) -> np.ndarray:
    """Bright on the line, dark 4 fine voxels away from it; uint8."""
    distance = graph_distance_map(graph or line(), SHAPE, SPACING, 4.0)
    return (200 * (1 - distance / 4)).astype(np.uint8)


def stack(name: str = "drawn", graph: NeuriteGraph | None = None, weight: float = 1.0) -> Stack:
    """The line as a stack in memory."""
    truth = graph or line()
    return Stack(name, Volume(image(truth), SPACING), IntensityRange(0.0, 200.0), truth, weight)


def write_run(folder: Path, **sections: Any) -> Path:
    """A YAML whose run takes a second, with its stack and tracing beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "image.npy", image())
    write_swc(folder / "truth.swc", line())
    entry = {"image": "image.npy", "truth": "truth.swc", "spacing": list(SPACING)}
    content: dict[str, Any] = {
        "data": {"train": [entry], "validation": [entry]},
        "model": {"name": "unet", "arguments": {"base": 2, "poolings": [[1, 2, 2]]}},
        "target": {"d_max": 5.0, "spacing": list(SPACING)},
        "sampling": {"crop": [8, 16, 16], "batch": 2, "min_foreground": 5},
        "optimizer": {"lr": 0.01, "warm_up": 2},
        "validation": {"margin": [0, 4, 4], "thresholds": [2.0, 3.0], "min_branch_um": 2.0},
        "steps": 8,
        "validate_every": 4,
        "checkpoint_every": 3,
        "threads": 1,
        "device": "cpu",
    }
    for name, section in sections.items():
        both = isinstance(section, dict) and isinstance(content.get(name), dict)
        content[name] = {**content[name], **section} if both else section
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def config(**sections: Any) -> TrainingConfig:
    """A configuration of one rendered volume, for what never opens a file."""
    content = {"data": {"train": [{"rendered": {"count": 1}}]}, "device": "cpu", **sections}
    return TrainingConfig.model_validate(content)
