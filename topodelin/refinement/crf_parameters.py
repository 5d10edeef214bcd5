"""The numbers of a fully connected random field, apart from the images: a preset, a file."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from topodelin.refinement.crf_checks import (
    check_images,
    check_numbers,
    check_spacing,
    class_matrix,
)
from topodelin.refinement.dense_crf import dense_crf

Costs = float | tuple[tuple[float, ...], ...]


@dataclass(frozen=True, kw_only=True)
class CRFParameters:
    """Arguments of [`dense_crf`][], as JSON or YAML can hold them.

    Args:
        theta_alpha, theta_beta, theta_gamma, compatibility, smoothness, steps, normalization,
            include_self: as in [`dense_crf`][].
        by_slice: each image of a stack by itself, without its neighbours along the first axis.
        classes: names of the rows of the matrices in their order; may be left empty.

    Raises ValueError where a value is out of range.
    """

    theta_alpha: float
    theta_beta: float
    theta_gamma: float
    compatibility: Costs
    smoothness: Costs
    steps: int = 10
    normalization: str = "symmetric"
    include_self: bool = True
    by_slice: bool = False
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, value in _checked(vars(self)).items():
            object.__setattr__(self, name, value)

    @classmethod
    def fibsem(cls) -> "CRFParameters":
        """Six classes of FIB-SEM of neural tissue at isotropic voxels, as A. Shkalikov set them.

        Widths are in voxels; the images of a stack are refined one by one.
        """
        return cls(
            theta_alpha=1.0,
            theta_beta=1.0,
            theta_gamma=1.0,
            compatibility=(
                (0.0, 1.0, 100.0, 1.0, 1.0, 100.0),
                (1.0, 0.0, 100.0, 10.0, 0.5, 100.0),
                (100.0, 100.0, 0.0, 5.0, 100.0, 100.0),
                (1.0, 10.0, 5.0, 0.0, 100.0, 100.0),
                (1.0, 0.5, 100.0, 100.0, 0.0, 100.0),
                (100.0, 100.0, 100.0, 100.0, 100.0, 0.0),
            ),
            smoothness=1.0,
            by_slice=True,
            classes=(
                "cytoplasm",
                "membrane",
                "mitochondrion",
                "mitochondrial membrane",
                "synapse",
                "vesicle",
            ),
        )

    @classmethod
    def from_file(cls, path: str | Path) -> "CRFParameters":
        """Read a JSON or YAML file of one mapping, whose keys are the arguments."""
        try:
            record = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(
                f"{path}: must be JSON or YAML ({' '.join(str(error).split())})"
            ) from None
        known = [field.name for field in fields(cls)]
        required = [field.name for field in fields(cls) if field.default is MISSING]
        if not isinstance(record, dict):
            raise ValueError(f"{path}: must be a mapping of {', '.join(known)}")
        unknown = [key for key in record if key not in known]
        if unknown:
            raise ValueError(f"{path}: unknown key {unknown[0]!r}; known are {', '.join(known)}")
        missing = [name for name in required if name not in record]
        if missing:
            raise ValueError(f"{path}: `{missing[0]}` is missing")
        absent = {field.name: field.default for field in fields(cls)}
        try:
            return cls(**_checked({**absent, **record}))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    def refine(
        self,
        probabilities: Tensor,
        image: Tensor,
        *,
        spacing: Sequence[float] | None = None,
    ) -> Tensor:
        """[`dense_crf`][] of a volume, or of each of its slices along the first axis."""
        numbers: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        del numbers["by_slice"], numbers["classes"]
        if not self.by_slice or image.ndim < 3:
            return dense_crf(probabilities, image, **numbers, spacing=spacing)
        check_images(probabilities, image)
        check_spacing(spacing, image.ndim)
        plane = None if spacing is None else tuple(spacing)[1:]
        slices = zip(probabilities.unbind(1), image, strict=True)
        return torch.stack([dense_crf(p, i, **numbers, spacing=plane) for p, i in slices], 1)


def _checked(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of all fields, lists made tuples."""
    names = ("theta_alpha", "theta_beta", "theta_gamma", "steps", "normalization")
    check_numbers(**{name: values[name] for name in names})
    for name in ("include_self", "by_slice"):
        if not isinstance(values[name], bool):
            raise ValueError(f"`{name}` must be true or false, got {values[name]!r}")
    classes = values["classes"]
    if not (isinstance(classes, list | tuple) and all(isinstance(name, str) for name in classes)):
        raise ValueError(f"`classes` must be a list of names, got {classes!r}")
    costs = {
        name: _costs(values[name], len(classes), name) for name in ("compatibility", "smoothness")
    }
    return {**values, **costs, "classes": tuple(classes)}


def _costs(given: Any, classes: int, name: str) -> Costs:
    """A number, or rows of numbers: as many as there are classes, if these are known."""
    if not isinstance(given, list | tuple):
        class_matrix(given, classes or 1, name)
        return float(given)
    matrix = class_matrix(given, classes or len(given), name)
    return tuple(map(tuple, matrix.tolist()))
