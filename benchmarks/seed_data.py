"""The data of seed_experiments.py: which part of which public file is for what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class DataSet:
    """Files of a data set, and which part of it is for what.

    Args:
        entries: of the sections `train`, `validation` and `test`; paths count from the folder of
            all data.
        task: settings of the task that follow from the data.
        binned: by how much the slices are made smaller, image by mean, labels by the first.
    """

    entries: Mapping[str, list[dict[str, Any]]]
    task: Mapping[str, Any] = field(default_factory=dict)
    binned: int = 1


def blocks(files: dict[str, str], spacing: list[float], **slices: list[int]) -> dict[str, Any]:
    """One volume, its slices shared out in contiguous blocks."""
    return {
        part: [{**files, "spacing": spacing, "slices": block}] for part, block in slices.items()
    }


def fibres(*numbers: int) -> list[dict[str, Any]]:
    return [
        {
            "image": f"diadem_op/OP_{n}.tif",
            "truth": f"diadem_op/OP_{n}.swc",
            "spacing": [1.0, 0.33, 0.33],
            "unit": "voxel",
        }
        for n in numbers
    ]


DATA = {
    "isbi2012": DataSet(
        blocks(
            {
                "image": "isbi2012/slices00-18_image.tif",
                "labels": "isbi2012/slices00-18_label.tif",
            },
            [0.05, 0.004, 0.004],
            train=[0, 12],
            validation=[12, 15],
            test=[15, 19],
        )
    ),
    "sbem_mito": DataSet(
        blocks(
            {
                "image": "sbem_mito/training_010-021_image.tif",
                "labels": "sbem_mito/training_010-021_mito.tif",
            },
            [0.03, 0.01, 0.01],  # not published; the net sees slices only
            train=[0, 7],
            validation=[7, 9],
            test=[9, 12],
        ),
        {"classes": {"background": 0, "mitochondrion": 1}},
        binned=2,
    ),
    "vnc_sstem": DataSet(
        blocks(
            {
                "image": "vnc_sstem/slices00-11_image.tif",
                "labels": "vnc_sstem/slices00-11_labels.tif",
            },
            [0.05, 0.0092, 0.0092],
            train=[0, 7],
            validation=[7, 9],
            test=[9, 12],
        ),
        {
            "classes": {
                "membrane": [0, 32, 64, 96, 128],
                "glia": 159,
                "mitochondrion": 191,
                "synapse": 223,
                "cytoplasm": 255,
            },
            "subset": ["mitochondrion", "synapse"],
        },
        binned=2,
    ),
    "trailmap_axons": DataSet(
        blocks(
            {
                "image": "trailmap_axons/train_volume.tif",
                "labels": "trailmap_axons/train_label.tif",
            },
            [0.003, 0.003, 0.003],
            train=[0, 33],
            validation=[32, 64],
            test=[61, 94],
        ),
        {"classes": {"background": 1, "axon": 2, "edge": 4}, "ignore": [0]},
    ),
    "trailmap_unlabelled": DataSet(
        blocks(
            {"image": "trailmap_axons/unlabelled_chunk_z000-079.tif"},
            [0.003, 0.003, 0.003],
            train=[0, 60],
            validation=[60, 80],
        )
    ),
    "diadem_op": DataSet(
        {"train": fibres(1, 4, 5), "validation": fibres(3), "test": fibres(6, 7)},
    ),
}
