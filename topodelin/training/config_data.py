"""The section `data`: what is learnt from, and what the network is judged on."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from topodelin.training.config_section import (
    Count,
    NotNegative,
    Percentile,
    Positive,
    Section,
    Spacing,
    Voxels,
    Whole,
)


class Rendered(Section):
    """Volumes of synthetic neurites, rendered once at the start of a run."""

    count: Count = Field(default=8, description="how many volumes")
    shape: Voxels = Field(default=(64, 256, 256), description="voxels (z, y, x)")
    spacing: Spacing | None = Field(
        default=None, description="µm per voxel; the target's by default"
    )
    seed: int | None = Field(default=None, description="another seed than that of the run")
    trees: tuple[Count, Count] = Field(
        default=(1, 5), description="fewest and most neurites per volume"
    )
    microscope: Literal["random", "two_photon", "confocal"] = Field(
        default="random", description="preset, or for each volume its own parameters"
    )


class Entry(Section):
    """A real stack with its annotation, or a set of rendered volumes."""

    image: Path | None = Field(default=None, description="a stack that `topodelin` can open")
    truth: Path | None = Field(default=None, description="its tracing, SWC")
    projections: tuple[Path, Path, Path] | None = Field(
        default=None,
        description="in the place of `truth`, for losses such as l2d: TIFFs of the lines traced in "
        "the projections along z, y and x, not 0 on a line",
    )
    labels: Path | None = Field(
        default=None, description="the class of every voxel, for tasks of classes: a volume"
    )
    slices: tuple[Whole, Count] | None = Field(
        default=None, description="of image and labels, first and one after the last, along z"
    )
    spacing: Spacing | None = Field(
        default=None, description="of the image, where its file has none"
    )
    unit: Literal["um", "voxel"] = Field(default="um", description="of the coordinates in `truth`")
    rendered: Rendered | None = None
    weight: Positive = Field(
        default=1.0, description="how often each volume of this entry is drawn"
    )

    @model_validator(mode="after")
    def one_kind(self) -> "Entry":
        given = [name for name in ("truth", "projections", "labels") if getattr(self, name)]
        if self.rendered is not None and (self.image is not None or given):
            raise ValueError("must hold either `rendered`, or an `image` with its annotation")
        if self.rendered is None and self.image is None:
            raise ValueError("must hold `image` or `rendered`")
        if len(given) > 1:
            raise ValueError(f"must hold one kind of annotation, got {' and '.join(given)}")
        if self.slices is not None and self.slices[0] >= self.slices[1]:
            raise ValueError(f"`slices` must rise, first and one after the last, got {self.slices}")
        return self

    @property
    def annotation(self) -> str | None:
        """Which kind of annotation it has."""
        if self.rendered is not None:
            return "rendered"
        return next((n for n in ("truth", "projections", "labels") if getattr(self, n)), None)


class Data(Section):
    """What is learnt from, and what the network is judged on."""

    train: list[Entry] = Field(min_length=1)
    validation: list[Entry] = []
    normalisation: Literal["percentiles", "standard", "range"] = Field(
        default="percentiles",
        description="of images: see `percentiles`; mean 0 and standard deviation 1 of a stack; or "
        "the range of the data type to 0 and 1. Distance maps take percentiles",
    )
    percentiles: tuple[Percentile, Percentile] = Field(
        default=(50.0, 99.9), description="of a stack's brightness, mapped to 0 and 1"
    )
    memory_gb: NotNegative = Field(
        default=4.0,
        description="stacks are held in memory up to this sum, the others read box by box",
    )

    @model_validator(mode="after")
    def judged_in_the_volume(self) -> "Data":
        for index, entry in enumerate(self.validation):
            if entry.projections is not None:
                raise ValueError(
                    f"`validation[{index}]` must hold `truth`: centrelines are judged in the volume"
                )
        return self
