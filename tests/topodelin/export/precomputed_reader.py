"""Neuroglancer's formats read back, written from their description alone."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

WIDTH = {"float32": "f", "uint32": "I", "int32": "i", "uint16": "H", "uint8": "B"}


def read_skeleton(folder: Path, number: int) -> dict[str, Any]:
    """Positions x, y, z in nm after the transform, edges, and the attributes by name."""
    info = json.loads((folder / "info").read_text())
    assert info["@type"] == "neuroglancer_skeletons"
    data = (folder / str(number)).read_bytes()
    nodes, edges = struct.unpack_from("<II", data)
    at = 8
    found: dict[str, Any] = {}
    positions = np.frombuffer(data, "<f4", 3 * nodes, at).reshape(nodes, 3)
    matrix = np.array(info["transform"]).reshape(3, 4)
    found["positions"] = positions @ matrix[:, :3].T + matrix[:, 3]
    at += 12 * nodes
    found["edges"] = np.frombuffer(data, "<u4", 2 * edges, at).reshape(edges, 2)
    at += 8 * edges
    for attribute in info["vertex_attributes"]:
        assert attribute["data_type"] == "float32" and attribute["num_components"] == 1
        found[attribute["id"]] = np.frombuffer(data, "<f4", nodes, at)
        at += 4 * nodes
    assert at == len(data)
    return found


def read_annotations(folder: Path, name: str = "spatial0/0_0_0") -> dict[int, dict[str, Any]]:
    """One list of annotations: for each number its place x, y, z (µm) and its properties."""
    info = json.loads((folder / "info").read_text())
    data = (folder / name).read_bytes()
    (count,) = struct.unpack_from("<Q", data)
    at, records = 8, []
    for _ in range(count):
        record, at = _record(info, data, at)
        records.append(record)
    numbers = struct.unpack_from(f"<{count}Q", data, at)
    assert at + 8 * count == len(data)
    return dict(zip(numbers, records, strict=True))


def read_annotation(folder: Path, number: int) -> dict[str, Any]:
    """One annotation of the index by number, with what it is related to."""
    info = json.loads((folder / "info").read_text())
    data = (folder / info["by_id"]["key"] / str(number)).read_bytes()
    record, at = _record(info, data, 0)
    for relationship in info["relationships"]:
        (count,) = struct.unpack_from("<I", data, at)
        record[relationship["id"]] = struct.unpack_from(f"<{count}Q", data, at + 4)
        at += 4 + 8 * count
    assert at == len(data)
    return record


def _record(info: dict[str, Any], data: bytes, at: int) -> tuple[dict[str, Any], int]:
    begin = at
    record: dict[str, Any] = {"place": struct.unpack_from("<3f", data, at)}
    at += 12
    for wanted in (4, 2, 1):
        for described in info["properties"]:
            letter = WIDTH[described["type"]]
            if struct.calcsize(letter) == wanted:
                (record[described["id"]],) = struct.unpack_from("<" + letter, data, at)
                at += wanted
    return record, at + (begin - at) % 4
