"""What a model file says about its weights: enough to rebuild the network and to use it.

There are two kinds of cards, for two kinds of output: distance maps and classes (or intensities).
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from reprlib import repr as short
from typing import Any

FORMAT_VERSION = 1
KIND = "classes"  # of a segmentation card; a card of distance maps, the older, names none
NORMALISATIONS = ("percentiles", "standard", "range")

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


@dataclass(frozen=True)
class SegmentationCard:
    """How to rebuild a network that tells classes (or intensities), and what it reads.

    Args:
        name, arguments, spacing, cube, margin, percentiles, licence, provenance, format_version:
            as in [`ModelCard`][]; the first of `cube` and `margin` is 1 and 0 for a network of
            images.
        classes: names of its output channels in their order; of a single channel, a logit, the
            names of 0 and 1; empty for a network that predicts intensities.
        normalisation: of images: "percentiles" as in [`ModelCard`][]; "standard" = mean 0 and
            standard deviation 1 over the whole volume; "range" = the range of the data type
            becomes 0 to 1, as in `intensity / 255`.

    Raises ValueError where a value has the wrong type, size or range.
    """

    name: str
    arguments: dict[str, Any]
    spacing: Triple
    cube: Voxels
    margin: Voxels
    classes: tuple[str, ...]
    normalisation: str = "standard"
    percentiles: tuple[float, float] = (50.0, 99.9)
    licence: str = "unstated"
    provenance: dict[str, Any] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        for name, value in _checked(vars(self)).items():
            object.__setattr__(self, name, value)

    def to_json(self) -> str:
        """The card as one JSON object; the key "kind" tells it from a [`ModelCard`][]."""
        return json.dumps({"kind": KIND, **dataclasses.asdict(self)}, allow_nan=False)


def read_card(text: str) -> ModelCard | SegmentationCard:
    """The card of a model file, of whichever kind; ValueError for anything else."""
    record = _record(text)
    kind = record.pop("kind", None)
    if kind not in (None, KIND):
        raise ValueError(f"the card is of an unknown kind, {short(kind)}; upgrade topodelin")
    if kind is None:
        return ModelCard(**_fields_of(ModelCard, record))
    return SegmentationCard(**_fields_of(SegmentationCard, record))


def _record(text: str) -> dict[str, Any]:
    """The JSON object of a card of a known format version."""
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
    return record


def _fields_of(card: type, record: dict[str, Any]) -> dict[str, Any]:
    """The record where it has all fields of that kind of card and no other."""
    fields = {field.name for field in dataclasses.fields(card)}
    unknown, absent = sorted(record.keys() - fields), sorted(fields - record.keys())
    if unknown or absent:
        found = [f"lacks {name}" for name in absent] + [
            f"has unknown {short(name)}" for name in unknown
        ]
        raise ValueError(f"the card {', '.join(found)}")
    return _checked(record)


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
        "cube": _voxels("cube", card["cube"], 1),
        "margin": _voxels("margin", card["margin"], 0),
    }
    low, high = checked["percentiles"]
    if not 0 <= low < high <= 100:
        raise ValueError(f"`percentiles` must rise within [0, 100], got {(low, high)}")
    return checked | (_checked_distance(card) if "d_max" in card else _checked_classes(card))


def _checked_distance(card: Mapping[str, Any]) -> dict[str, Any]:
    d_max = _numbers("d_max", [card["d_max"]], 1, above=0.0)[0]
    threshold = _numbers("threshold", [card["threshold"]], 1, above=0.0)[0]
    if threshold > d_max:
        raise ValueError(f"`threshold` must be at most `d_max` = {d_max:g}, got {threshold:g}")
    return {"d_max": d_max, "threshold": threshold}


def _checked_classes(card: Mapping[str, Any]) -> dict[str, Any]:
    classes = card["classes"]
    named = isinstance(classes, list | tuple) and all(isinstance(name, str) for name in classes)
    if not named or len(set(classes)) < len(classes) or len(classes) == 1:
        raise ValueError(f"`classes` must be two different names or more, got {short(classes)}")
    if card["normalisation"] not in NORMALISATIONS:
        raise ValueError(
            f"`normalisation` must be one of {', '.join(NORMALISATIONS)}, "
            f"got {short(card['normalisation'])}"
        )
    return {"classes": tuple(classes)}


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
