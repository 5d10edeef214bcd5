"""Points with properties as annotations for neuroglancer.

References:
    Neuroglancer, precomputed annotation format,
    https://neuroglancer-docs.web.app/datasource/precomputed/annotation.html
"""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

BYTES = {"float32": 4, "uint32": 4, "int32": 4, "uint16": 2, "int16": 2, "uint8": 1, "int8": 1}
CODES = {"float32": "<f4", "uint32": "<u4", "int32": "<i4"}
CODES |= {"uint16": "<u2", "int16": "<i2", "uint8": "<u1", "int8": "<i1"}


@dataclass(frozen=True)
class Property:
    """One number of each annotation.

    Args:
        name: small letters and underscores.
        type: a key of `BYTES`.
        values: one for each annotation.
        labels: names of the values 0, 1, 2 ..., where they are kinds rather than quantities.
    """

    name: str
    type: str
    values: Sequence[float]
    labels: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """How `info` describes it."""
        described: dict[str, Any] = {"id": self.name, "type": self.type}
        if self.labels:
            described |= {
                "enum_values": list(range(len(self.labels))),
                "enum_labels": list(self.labels),
            }
        return described


def write_points(
    folder: Path,
    positions: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    *,
    properties: Sequence[Property] = (),
    related: Mapping[str, Sequence[Sequence[int]]] | None = None,
) -> None:
    """A collection of points: `info`, an index by number and one spatial cell that holds all.

    The annotations are numbered from 1. Of each are written x, y, z in µm (float32), then the
    properties from the widest type to the narrowest, then zeros up to a multiple of four bytes.

    Args:
        folder: to create.
        positions: (P, 3) µm `(z, y, x)`.
        low, high: (3,) corners of the volume, µm; widened to hold all points.
        properties: numbers of each point.
        related: for each name the segments that each point belongs to.
    """
    low = np.minimum(low, positions.min(axis=0, initial=np.inf))[::-1]
    high = np.maximum(high, positions.max(axis=0, initial=-np.inf))[::-1]
    widest_first = sorted(properties, key=lambda p: -BYTES[p.type])
    links = dict(related or {})
    encoded = _encode(positions, widest_first)
    info = {
        "@type": "neuroglancer_annotations_v1",
        "dimensions": {axis: [1e-6, "m"] for axis in "xyz"},
        "lower_bound": low.tolist(),
        "upper_bound": high.tolist(),
        "annotation_type": "point",
        "properties": [prop.as_dict() for prop in widest_first],
        "relationships": [{"id": name, "key": f"by_{name}"} for name in links],
        "by_id": {"key": "by_id"},
        "spatial": [
            {
                "key": "spatial0",
                "grid_shape": [1, 1, 1],
                "chunk_size": (high - low).tolist(),
                "limit": max(1, len(positions)),
            }
        ],
    }
    for name in ("by_id", "spatial0", *(f"by_{name}" for name in links)):
        (folder / name).mkdir(parents=True)
    for at, record in enumerate(encoded):
        tails = [
            struct.pack(f"<I{len(ids[at])}Q", len(ids[at]), *ids[at]) for ids in links.values()
        ]
        (folder / "by_id" / str(at + 1)).write_bytes(b"".join([record, *tails]))
    every = np.random.default_rng(0).permutation(len(encoded))
    (folder / "spatial0" / "0_0_0").write_bytes(_list(encoded, every))
    for name, ids in links.items():
        for segment in sorted({number for numbers in ids for number in numbers}):
            members = np.array([at for at, numbers in enumerate(ids) if segment in numbers])
            (folder / f"by_{name}" / str(segment)).write_bytes(_list(encoded, members))
    (folder / "info").write_text(json.dumps(info), encoding="utf-8")


def _encode(positions: np.ndarray, properties: Sequence[Property]) -> list[bytes]:
    """Each annotation as bytes, without its number."""
    columns = [("place", "<f4", (3,))] + [(p.name, CODES[p.type]) for p in properties]
    packed = np.dtype(columns)
    table = np.zeros(len(positions), packed)
    table["place"] = positions[:, ::-1]
    for prop in properties:
        table[prop.name] = prop.values
    padding = bytes(-packed.itemsize % 4)
    return [row.tobytes() + padding for row in table]


def _list(encoded: Sequence[bytes], members: np.ndarray) -> bytes:
    """Some annotations one after the other: how many, their records, their numbers."""
    records = b"".join(encoded[at] for at in members)
    numbers = (np.asarray(members, np.uint64) + 1).astype("<u8").tobytes()
    return struct.pack("<Q", len(members)) + records + numbers
