"""The sections of a training run, checked field by field; unknown keys are refused.

One YAML file describes one run (`config_file.py` reads it). Lengths with `_um` are micrometres,
everything called spacing is µm per voxel `(z, y, x)`, distances of maps are finest voxel edges.
"""

import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(gt=0)]
Spacing = tuple[Positive, Positive, Positive]
Voxels = tuple[Count, Count, Count]
Whole = Annotated[int, Field(ge=0)]
Extent = tuple[Whole, Whole, Whole]
Percentile = Annotated[float, Field(ge=0, le=100)]
Range = tuple[float, float]


class Section(BaseModel):
    """A part of the configuration: frozen, and closed to keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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
    """A real stack with its tracing, or a set of rendered volumes."""

    image: Path | None = Field(default=None, description="a stack that `topodelin` can open")
    truth: Path | None = Field(default=None, description="its tracing, SWC")
    projections: tuple[Path, Path, Path] | None = Field(
        default=None,
        description="in the place of `truth`, for losses such as l2d: TIFFs of the lines traced in "
        "the projections along z, y and x, not 0 on a line",
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
        annotations = (self.truth is not None) + (self.projections is not None)
        real = self.image is not None and annotations == 1 and self.rendered is None
        made = self.rendered is not None and self.image is None and annotations == 0
        if not real and not made:
            raise ValueError(
                "must hold either `image` and `truth`, or `image` and `projections`, or `rendered`"
            )
        return self


class Data(Section):
    """What is learnt from, and what the network is judged on."""

    train: list[Entry] = Field(min_length=1)
    validation: list[Entry] = []
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


class Model(Section):
    """A network by name, with the arguments of its class."""

    name: str = "unet"
    arguments: dict[str, Any] = {}
    licence: str = Field(
        default="unstated", description="of the weights, for the model file's card"
    )


class Target(Section):
    """The distance map that the network regresses."""

    d_max: Positive = Field(
        default=10.0, description="where distances are clipped, finest voxel edges"
    )
    spacing: Spacing = Field(
        default=(1.0, 0.33, 0.33), description="grid that stacks are resampled to"
    )


class Sampling(Section):
    """Random crops."""

    crop: Voxels = Field(default=(32, 96, 96), description="voxels (z, y, x) of the target's grid")
    batch: Count = Field(default=2, description="crops per step, over all devices")
    min_foreground: Whole = Field(
        default=100, description="centreline voxels that a crop holds at least"
    )
    workers: Whole = Field(
        default=1, description="threads that prepare crops ahead; 0 prepares them in between"
    )


class Intensity(Section):
    """Ranges that changes of brightness are drawn from; the image is normalised already."""

    gain: Range = (0.8, 1.25)
    offset: Range = (-0.05, 0.05)
    gamma: Range = (0.8, 1.25)
    noise: Range = Field(
        default=(0.0, 0.05), description="standard deviation of added Gaussian noise"
    )


class Augmentation(Section):
    """Geometry that respects the spacing, and brightness."""

    flips: bool = Field(default=True, description="along every axis")
    quarter_turns: bool = Field(default=True, description="in planes of equal spacing")
    rotation: bool = Field(
        default=True, description="any angle, in the last plane of equal spacing"
    )
    intensity: Intensity | None = Intensity()


class Ramp(Section):
    """A weight that moves from one value to another over some steps."""

    ramp: tuple[float, float] = Field(description="weight before and after")
    start: Whole = Field(default=0, description="step at which it begins to move")
    length: Whole = Field(default=0, description="steps that the move takes")


class Switch(Section):
    """One weight after another."""

    switch: list[float] = Field(description="weights, one more than steps in `at`")
    at: list[Whole] = Field(description="steps at which the weight changes")


class Balance(Section):
    """The weight that keeps the term's gradient in proportion to that of the first term."""

    balance: NotNegative | Ramp | Switch = Field(
        description="norm of the term's gradient over that of the first"
    )
    most: Positive = Field(default=math.inf, description="largest weight")


def _kind_of_weight(value: object) -> str:
    held = value if isinstance(value, dict) else vars(value) if hasattr(value, "__dict__") else ()
    kinds = (Ramp, Switch, Balance)
    named = (kind.__name__ for kind in kinds if kind.__name__.lower() in held)
    return next(named, "float")


Weight = Annotated[
    Annotated[float, Tag("float")]
    | Annotated[Ramp, Tag("Ramp")]
    | Annotated[Switch, Tag("Switch")]
    | Annotated[Balance, Tag("Balance")],
    Discriminator(_kind_of_weight),
]


class Term(Section):
    """One term of the loss, with the arguments of its class."""

    loss: str | None = Field(
        default=None, description="name of the loss, where it is not that of the term"
    )
    weight: Weight = 1.0
    arguments: dict[str, Any] = {}


class Loss(Section):
    """A weighted sum of terms, each by its name."""

    terms: dict[str, Term] = Field(default={"mse": Term()}, min_length=1)


class Optimizer(Section):
    """How the weights follow the gradient."""

    name: Literal["adam", "adamw", "sgd"] = "adam"
    lr: Positive = 1e-3
    weight_decay: NotNegative = 0.0
    schedule: Literal["constant", "cosine"] = "cosine"
    warm_up: Whole = Field(
        default=100, description="steps over which the learning rate rises from 0"
    )
    clip: Positive | None = Field(default=10.0, description="largest norm of the gradient")
    averaging: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0,
        description="decay per step of a running mean of the weights, which is what is judged",
    )


class Validation(Section):
    """How the network is judged: centrelines traced on whole stacks, against the truth."""

    tolerance_um: Positive = Field(default=3.0, description="how far a match may lie")
    thresholds: list[Positive] = Field(
        default=[2.0, 3.0, 4.0, 5.0],
        min_length=1,
        description="distances tried, finest voxel edges",
    )
    threshold_slack: NotNegative = Field(
        default=0.01,
        description="the smallest threshold is taken whose quality is that close to the best",
    )
    min_branch_um: NotNegative = Field(default=5.0, description="shorter spurs are pruned")
    cube: Voxels | None = Field(
        default=None, description="voxels kept of one prediction; the crop's"
    )
    margin: Extent = Field(default=(4, 16, 16), description="voxels read around it")


class TrainingConfig(Section):
    """A whole run."""

    seed: Whole = 0
    data: Data
    model: Model = Model()
    target: Target = Target()
    sampling: Sampling = Sampling()
    augmentation: Augmentation = Augmentation()
    loss: Loss = Loss()
    optimizer: Optimizer = Optimizer()
    validation: Validation = Validation()
    steps: Count = 10_000
    validate_every: Count = 500
    checkpoint_every: Count = 100
    precision: Literal["32", "bf16-mixed"] = "32"
    threads: Count | None = Field(
        default=None, description="CPU threads of torch; its own choice if null"
    )
    device: str = Field(default="auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")
    devices: Count = Field(default=1, description="how many devices share a batch")

    @model_validator(mode="after")
    def batch_fits_devices(self) -> "TrainingConfig":
        if self.sampling.batch % self.devices:
            raise ValueError(
                f"`sampling.batch` must be a multiple of `devices` ({self.devices}), "
                f"got {self.sampling.batch}"
            )
        return self
