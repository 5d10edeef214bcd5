"""What a model file says about its weights: enough to rebuild the network and to use it."""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from reprlib import repr as short
from typing import Any

FORMAT_VERSION = 1

Triple = tuple[float, float, float]
Voxels = tuple[int, int, int]


@dataclass(frozen=True)
class ModelCard:
    """How to rebuild a network that regresses distance maps, and what it was trained to read.

    Args:
        name: of the architecture, a key of `topodelin.models.MODELS`.
        arguments: of its constructor, plain JSON values (`UNet.arguments`).
        spacing: µm per voxel `(z, y, x)` of the volumes it was trained on; resample to it first.
        d_max: where its distance maps are clipped, in units of the finest voxel edge.
        threshold: the distance, in the same unit, below which a voxel counts as neurite.
        cube: voxels `(z, y, x)` that one prediction covers, at `spacing`.
        margin: voxels `(z, y, x)` of context to read around a cube and throw away.
        percentiles: of a volume's intensities, the two that are mapped to 0 and 1 beforehand.
        licence: of the weights.
        provenance: where they come from: data, date, scores, whatever helps to judge them.
        format_version: of the file; a newer one than `FORMAT_VERSION` is refused.

    Raises ValueError where a value has the wrong type, size or range.
    """

    name: str
    arguments: dict[str, Any]
    spacing: Triple
    d_max: float
    threshold: float
    cube: Voxels
    margin: Voxels
    percentiles: tuple[float, float] = (50.0, 99.9)
    licence: str = "unstated"
    provenance: dict[str, Any] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        for name, value in _checked(vars(self)).items():
            object.__setattr__(self, name, value)

    def to_json(self) -> str:
        """The card as one JSON object, keys in the order of the fields."""
        return json.dumps(dataclasses.asdict(self), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "ModelCard":
        """Read what [`ModelCard.to_json`][] wrote; ValueError for anything else."""
        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"the card must be JSON ({error})") from None
        if not isinstance(record, dict):
            raise ValueError(f"the card must be a JSON object, got {type(record).__name__}")
        version = record.get("format_version")
        if type(version) is int and version > FORMAT_VERSION:
            raise ValueError(
                f"the file has format version {version}, newer than {FORMAT_VERSION}, the newest "
                "that is understood here; upgrade topodelin"
            )
        fields = dataclasses.fields(cls)
        unknown = sorted(record.keys() - {f.name for f in fields})
        absent = sorted({f.name for f in fields} - record.keys())
        if unknown or absent:
            found = [f"lacks {name}" for name in absent] + [
                f"has unknown {short(name)}" for name in unknown
            ]
            raise ValueError(f"the card {', '.join(found)}")
        return cls(**_checked(record))


def _checked(card: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a card in their own types; ValueError where one is impossible."""
    version = card["format_version"]
    if type(version) is not int or version < 1:
        raise ValueError(f"`format_version` must be a whole number from 1, got {short(version)}")
    for name in ("name", "licence"):
        if not isinstance(card[name], str):
            raise ValueError(f"`{name}` must be text, got {short(card[name])}")
    checked = dict(card) | {
        "arguments": _plain("arguments", card["arguments"]),
        "provenance": _plain("provenance", card["provenance"]),
        "spacing": _numbers("spacing", card["spacing"], 3, above=0.0),
        "percentiles": _numbers("percentiles", card["percentiles"], 2),
        "d_max": _numbers("d_max", [card["d_max"]], 1, above=0.0)[0],
        "threshold": _numbers("threshold", [card["threshold"]], 1, above=0.0)[0],
        "cube": _voxels("cube", card["cube"], 1),
        "margin": _voxels("margin", card["margin"], 0),
    }
    low, high = checked["percentiles"]
    if not 0 <= low < high <= 100:
        raise ValueError(f"`percentiles` must rise within [0, 100], got {(low, high)}")
    if checked["threshold"] > checked["d_max"]:
        raise ValueError(
            f"`threshold` must be at most `d_max` = {checked['d_max']:g}, "
            f"got {checked['threshold']:g}"
        )
    return checked


def _plain(name: str, record: Any) -> dict[str, Any]:
    """A copy that holds nothing but JSON values; tuples become lists."""
    if not isinstance(record, Mapping):
        raise ValueError(f"`{name}` must be a dict, got {short(record)}")
    try:
        return json.loads(json.dumps(dict(record), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"`{name}` must hold JSON values only: {error}") from None


def _numbers(name: str, values: Any, count: int, *, above: float = -math.inf) -> tuple[float, ...]:
    try:
        numbers = tuple(float(value) for value in values)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"`{name}` must hold {count} number(s), got {short(values)}") from None
    if len(numbers) != count or not all(math.isfinite(v) and v > above for v in numbers):
        bound = "" if above == -math.inf else f" above {above:g}"
        raise ValueError(f"`{name}` must hold {count} finite number(s){bound}, got {short(values)}")
    return numbers


def _voxels(name: str, values: Any, least: int) -> tuple[int, ...]:
    voxels = _numbers(name, values, 3)
    if any(value != int(value) or value < least for value in voxels):
        raise ValueError(f"`{name}` must hold 3 whole numbers from {least}, got {short(values)}")
    return tuple(int(value) for value in voxels)
