"""A small image of bright discs on dark ground with their labels, and a run that learns them."""

from pathlib import Path
from typing import Any

import numpy as np
import yaml

SHAPE = (4, 48, 56)


def discs(shape: tuple[int, int, int] = SHAPE, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Image (uint8) and labels: 10 ground, 20 disc, 30 the rim of a disc."""
    rng = np.random.default_rng(seed)
    z, y, x = np.indices(shape)
    labels = np.full(shape, 10, np.uint8)
    for centre in ((12, 14), (30, 40), (38, 12)):
        distance = np.hypot(y - centre[0], x - centre[1])
        labels[distance < 8] = 30
        labels[distance < 6] = 20
    image = np.array([40, 200, 120])[labels // 10 - 1] + rng.normal(0, 5, shape)
    return np.clip(image, 0, 255).astype(np.uint8), labels


def write_labelled_run(folder: Path, **sections: Any) -> Path:
    """A YAML whose run takes a second, with image and labels beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    image, labels = discs()
    np.save(folder / "image.npy", image)
    np.save(folder / "labels.npy", labels)
    entry = {"image": "image.npy", "labels": "labels.npy", "spacing": [0.05, 0.004, 0.004]}
    content: dict[str, Any] = {
        "task": {"kind": "segmentation", "classes": {"ground": 10, "disc": 20, "rim": 30}},
        "data": {
            "train": [{**entry, "slices": [0, 3]}],
            "validation": [{**entry, "slices": [3, 4]}],
            "normalisation": "range",
        },
        "model": {"name": "unet", "arguments": {"dims": 2, "base": 4, "poolings": 1}},
        "sampling": {"crop": [1, 24, 24], "batch": 2},
        "loss": {"terms": {"cross_entropy": {}}},
        "optimizer": {"lr": 0.02, "warm_up": 2},
        "validation": {"margin": [0, 4, 4]},
        "steps": 8,
        "validate_every": 4,
        "threads": 1,
        "device": "cpu",
    }
    for name, section in sections.items():
        both = isinstance(section, dict) and isinstance(content.get(name), dict)
        content[name] = {**content[name], **section} if both else section
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path
