"""Neurons as skeletons for neuroglancer.

References:
    Neuroglancer, precomputed skeleton and segment property formats,
    https://neuroglancer-docs.web.app/datasource/precomputed/skeleton.html
"""

import json
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from topodelin.graphs import NeuriteGraph

NM = 1000.0  # per µm
IDENTITY = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]
ATTRIBUTES = ("radius", "confidence")


@dataclass(frozen=True)
class Skeleton:
    """What is listed of a neuron once its file is written."""

    number: int
    name: str
    length_um: float
    nodes: int
    tips: int


def write_skeleton(
    folder: Path, number: int, name: str, graph: NeuriteGraph, confidence: np.ndarray
) -> Skeleton:
    """One binary file, named by the number of the neuron.

    Counts of vertices and edges (uint32), positions x, y, z in nm (float32), pairs of vertices
    (uint32), then for each vertex the radius in µm and the confidence (float32); little-endian.

    Args:
        folder: of the skeletons.
        number: from 1; neuroglancer calls it the segment.
        graph: µm.
        confidence: (N,) in [0, 1].

    Neuroglancer reads OME-Zarr with the centre of the first voxel at its translation, which is 0 µm
    here as well: image and skeletons coincide without a shift of half a voxel.
    """
    parts = (
        struct.pack("<II", len(graph), len(graph.edges)),
        (graph.positions[:, ::-1] * NM).astype("<f4").tobytes(),
        graph.edges.astype("<u4").tobytes(),
        np.nan_to_num(graph.radii).astype("<f4").tobytes(),
        confidence.astype("<f4").tobytes(),
    )
    (folder / str(number)).write_bytes(b"".join(parts))
    return Skeleton(number, name, graph.length, len(graph), len(graph.tips))


def write_skeleton_info(folder: Path, skeletons: list[Skeleton]) -> None:
    """`info` of the skeletons, and below `properties` names and lengths to search for."""
    attributes = [{"id": name, "data_type": "float32", "num_components": 1} for name in ATTRIBUTES]
    info = {
        "@type": "neuroglancer_skeletons",
        "transform": IDENTITY,
        "vertex_attributes": attributes,
        "segment_properties": "properties",
    }
    (folder / "properties").mkdir()
    numbers = {
        "length_um": ("float32", "cable length, µm", [round(s.length_um, 3) for s in skeletons]),
        "nodes": ("uint32", "nodes", [s.nodes for s in skeletons]),
        "tips": ("uint32", "ends of branches", [s.tips for s in skeletons]),
    }
    properties = [{"id": "name", "type": "label", "values": [s.name for s in skeletons]}]
    properties += [
        {"id": name, "type": "number", "data_type": kind, "description": text, "values": values}
        for name, (kind, text, values) in numbers.items()
    ]
    listed = {"ids": [str(s.number) for s in skeletons], "properties": properties}
    about = {"@type": "neuroglancer_segment_properties", "inline": listed}
    (folder / "properties" / "info").write_text(json.dumps(about), encoding="utf-8")
    (folder / "info").write_text(json.dumps(info), encoding="utf-8")
