"""The experiments of seed_experiments.py: preset, data, and what is changed to make it small."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Experiment:
    """A preset on some data.

    Args:
        preset: its name.
        data: name of a data set in seed_data.py.
        changes: settings by their key path, over the preset.
        published: the figures of the study, by the name of the score.
        start: another experiment whose weights it starts from.
        crf: whether the prediction is refined and judged again.
        note: what the table has to say beside the numbers.
    """

    preset: str
    data: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    published: Mapping[str, float] = field(default_factory=dict)
    start: str | None = None
    crf: bool = False
    note: str = ""


# Changes that several experiments share: what makes them small.
SMALL_2D = {
    "model.arguments.base": 16,
    "sampling.crop": [1, 128, 128],
    "sampling.batch": 2,
    "optimizer.lr": 5e-4,
    "optimizer.schedule": "cosine",
    "steps": 800,
    "validate_every": 200,
}
SMALL_MITO = {
    "model.arguments.base": 16,
    "model.arguments.frozen": False,
    "sampling.crop": [1, 160, 160],
    "sampling.batch": 2,
    "optimizer.schedule": "cosine",
    "steps": 300,
    "validate_every": 100,
}
SMALL_CLASSES = {
    "sampling.kind": "random",
    "optimizer.lr": 1e-3,
    "optimizer.betas": [0.9, 0.999],
    "optimizer.schedule": "cosine",
    "stopping.floor": None,
    "task.weights": None,
    "steps": 160,
    "validate_every": 80,
}
SMALL_CENTRE = {
    "data.normalisation": "standard",
    "model.arguments.out_channels": 3,
    "sampling.batch": 8,
    "task.metric": "f1",
    "steps": 300,
    "validate_every": 100,
}
SMALL_CUBES = SMALL_CENTRE | {
    "data.normalisation": "percentiles",
    "data.percentiles": [1, 99],
    "sampling.batch": 64,
    "steps": 300,
}
SMALL_3D = {
    "target.spacing": [1.0, 0.66, 0.66],
    "sampling.crop": [32, 64, 64],
    "sampling.batch": 1,
    "optimizer.schedule": "cosine",
    "validation.margin": [4, 16, 16],
    "steps": 120,
    "validate_every": 120,
}

EXPERIMENTS = {
    "isbi_unet2": Experiment(
        "isbi_unet2",
        "isbi2012",
        SMALL_2D,
        {"iou": 0.8840, "dice": 0.9556, "pixel_error": 0.0690, "pixel_rand_error": 0.1282},
    ),
    "isbi_dmcn": Experiment(
        "isbi_dmcn",
        "isbi2012",
        SMALL_2D,
        {"iou": 0.8760, "dice": 0.9528, "pixel_error": 0.0732, "pixel_rand_error": 0.1355},
    ),
    "neurite_unet": Experiment("neurite_unet", "diadem_op", SMALL_3D | {"model.arguments.base": 8}),
    "platelet_hybrid": Experiment(
        "platelet_hybrid",
        "vnc_sstem",
        SMALL_CLASSES
        | {
            "model.name": "hybrid2d3d",
            "model.arguments": {"base": 8},
            "sampling.crop": [5, 56, 56],
            "validation.cube": [5, 256, 256],
            "validation.margin": [2, 32, 32],
        },
        {"miou": 0.665, "miou_subset": 0.417},
        note="no weight maps, no ReLU after the logits",
    ),
    "platelet_unet": Experiment(
        "platelet_unet",
        "vnc_sstem",
        SMALL_CLASSES
        | {"model.arguments": {"base": 12}, "sampling.crop": [1, 284, 284], "sampling.batch": 2},
        {"miou": 0.626, "miou_subset": 0.334},
        note="no weight maps",
    ),
    "mito_resnet34": Experiment(
        "mito_resnet34",
        "sbem_mito",
        SMALL_MITO,
        {"iou": 0.713},
        note="no ImageNet weights at hand: random trunk, not frozen",
    ),
    "isbi_unet1": Experiment(
        "isbi_unet1",
        "isbi2012",
        SMALL_2D | {"sampling.crop": [1, 316, 316], "model.arguments.base": 8, "steps": 400},
        {"iou": 0.8980, "dice": 0.9623, "pixel_error": 0.0578, "pixel_rand_error": 0.1087},
    ),
    "isbi_weighted": Experiment(
        "isbi_weighted",
        "isbi2012",
        SMALL_2D | {"steps": 400},
        {"iou": 0.9020, "dice": 0.9617, "pixel_error": 0.0599, "pixel_rand_error": 0.1124},
    ),
    "fibsem_4conv": Experiment(
        "fibsem_4conv",
        "trailmap_axons",
        SMALL_CENTRE,
        {"f1": 0.906, "average_precision": 0.952, "kappa": 0.938, "crf_f1": 0.902},
        crf=True,
        note="light sheet, three slices with labels",
    ),
    "fibsem_3layer": Experiment(
        "fibsem_3layer",
        "trailmap_axons",
        SMALL_CUBES,
        crf=True,
        note="light sheet, three slices with labels",
    ),
    "fibsem_cr1": Experiment(
        "fibsem_cr1",
        "trailmap_unlabelled",
        {
            "data.normalisation": "percentiles",
            "data.percentiles": [1, 99],
            "model.name": "center3d_3layer",
            "sampling.crop": [8, 8, 8],
            "sampling.batch": 64,
            "steps": 300,
            "validate_every": 150,
        },
        note="pre-training of `fibsem_3layer_after_cr1`",
    ),
    "fibsem_3layer_after_cr1": Experiment(
        "fibsem_3layer",
        "trailmap_axons",
        SMALL_CUBES,
        start="fibsem_cr1",
        crf=True,
        note="as `fibsem_3layer`, from the weights of `fibsem_cr1`",
    ),
    "fibsem_classical": Experiment(
        "fibsem_classical",
        "trailmap_axons",
        {"data.normalisation": "percentiles", "data.percentiles": [1, 99], "task.metric": "f1"},
        {"f1": 0.319, "average_precision": 0.315, "kappa": 0.618},
        crf=True,
        note="light sheet, three slices with labels",
    ),
    "neurite_resunet": Experiment(
        "neurite_resunet", "diadem_op", SMALL_3D | {"model.arguments.base": 10}
    ),
    "neurite_resnet18_unet": Experiment(
        "neurite_resnet18_unet",
        "diadem_op",
        SMALL_3D | {"model.arguments": {"base": 16, "widths": [64, 32, 16, 16, 8]}},
        note="no MedicalNet weights at hand: random trunk",
    ),
}
