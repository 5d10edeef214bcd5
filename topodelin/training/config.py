"""The sections of a training run, checked field by field; unknown keys are refused.

One YAML file describes one run (`config_file.py` reads it). Lengths with `_um` are micrometres,
everything called spacing is µm per voxel `(z, y, x)`, distances of maps are finest voxel edges.
What is learnt is the section `task` (`config_task.py`); without it, distance maps.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from topodelin.training.config_data import Data
from topodelin.training.config_loss import Loss
from topodelin.training.config_section import (
    Count,
    Extent,
    NotNegative,
    Positive,
    Range,
    Section,
    Share,
    Spacing,
    Voxels,
    Whole,
)
from topodelin.training.config_task import Distance, Labelled, Task


class Model(Section):
    """A network by name, with the arguments of its class."""

    name: str = Field(default="unet", description="see `topodelin models list`")
    arguments: dict[str, Any] = {}
    weights: Path | None = Field(
        default=None,
        description="start from the weights of this .safetensors file where names and shapes match",
    )
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
    """Crops: where they are taken."""

    kind: Literal["auto", "random", "foreground", "lattice", "centred"] = Field(
        default="auto",
        description="random: anywhere; foreground: with enough voxels that matter; lattice: one "
        "random corner in every bin, all bins once per epoch; centred: around a labelled voxel. "
        "auto: what suits the task",
    )
    bins: Voxels | None = Field(default=None, description="voxels of the bins of `lattice`")
    foreground: list[str] = Field(
        default=[], description="classes that `foreground` and `centred` look for; all if empty"
    )
    crop: Voxels = Field(default=(32, 96, 96), description="voxels (z, y, x) of the target's grid")
    batch: Count = Field(default=2, description="crops per step, over all devices")
    min_foreground: Whole = Field(
        default=100, description="centreline (or foreground) voxels that a crop holds at least"
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
    blur: Range = Field(default=(0.0, 0.0), description="sigma of a Gaussian blur, voxels")
    missing_slice: Share = Field(
        default=0.0, description="probability that one slice of a crop is blank"
    )


class Elastic(Section):
    """A smooth random displacement within the slices, the same in all slices of a crop."""

    points: Count = Field(default=20, description="nodes of the coarse grid along y and x")
    amplitude: Positive = Field(default=20.0, description="voxels")
    smoothing: NotNegative = Field(
        default=0.6, description="sigma of the Gaussian on the coarse grid, nodes"
    )


class Augmentation(Section):
    """Geometry that respects the spacing, and brightness."""

    flips: bool = Field(default=True, description="along every axis")
    quarter_turns: bool = Field(default=True, description="in planes of equal spacing")
    rotation: bool = Field(
        default=True, description="any angle, in the last plane of equal spacing"
    )
    zoom: Range = Field(default=(1.0, 1.0), description="factors; the same along every axis")
    shear: Range = Field(default=(0.0, 0.0), description="degrees, in the plane of the rotation")
    elastic: Elastic | None = None
    intensity: Intensity | None = Intensity()


class Group(Section):
    """Weights that are treated differently."""

    match: str = Field(description="regular expression, found in the name of a weight")
    rate: NotNegative = Field(default=1.0, description="factor on the learning rate; 0 freezes")
    weight_decay: NotNegative | None = Field(default=None, description="the optimiser's if null")

    @field_validator("match")
    @classmethod
    def is_an_expression(cls, match: str) -> str:
        try:
            re.compile(match)
        except re.error as error:
            raise ValueError(f"must be a regular expression, got {match!r}: {error}") from None
        return match


class Optimizer(Section):
    """How the weights follow the gradient."""

    name: Literal["adam", "adamw", "nadam", "sgd"] = "adam"
    lr: Positive = 1e-3
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = Field(
        default=(0.9, 0.999), description="of adam and its kin; sgd takes the first"
    )
    eps: Positive = 1e-8
    weight_decay: NotNegative = Field(
        default=0.0, description="times the weight is added to its gradient (adamw: see there)"
    )
    groups: list[Group] = Field(default=[], description="the first that matches a name counts")
    schedule: Literal["constant", "cosine", "exponential", "plateau"] = "cosine"
    decay: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.75, description="factor of exponential and plateau"
    )
    decay_every: Count = Field(
        default=2512,
        description="steps between two factors of exponential; of plateau, validations without "
        "improvement",
    )
    warm_up: Whole = Field(
        default=100, description="steps over which the learning rate rises from 0"
    )
    clip: Positive | None = Field(default=10.0, description="largest norm of the gradient")
    averaging: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0,
        description="decay per step of a running mean of the weights, which is what is judged",
    )


class Stopping(Section):
    """When a run ends before its last step."""

    patience: Count | None = Field(
        default=None, description="validations without an improvement of `min_delta`"
    )
    min_delta: NotNegative = 0.0
    floor: float | None = Field(
        default=None, description="stop when a validation from step `floor_from` on is below"
    )
    floor_from: Whole = 0


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
    task: Task = Distance()
    data: Data
    model: Model = Model()
    target: Target = Target()
    sampling: Sampling = Sampling()
    augmentation: Augmentation = Augmentation()
    loss: Loss = Loss()
    optimizer: Optimizer = Optimizer()
    validation: Validation = Validation()
    stopping: Stopping = Stopping()
    steps: Count = 10_000
    validate_every: Count = 500
    checkpoint_every: Count = 100
    precision: Literal["32", "bf16-mixed"] = "32"
    threads: Count | None = Field(
        default=None, description="CPU threads of torch; its own choice if null"
    )
    device: str = Field(default="auto", description="auto, cpu, mps, cuda, or one such as cuda:1")
    devices: Count = Field(default=1, description="how many devices of a node share a batch")
    nodes: Count = Field(default=1, description="how many machines share a batch")

    @field_validator("device")
    @classmethod
    def is_a_device(cls, device: str) -> str:
        if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", device):
            raise ValueError(f"must be auto, cpu, mps, cuda, or one such as cuda:1, got {device!r}")
        return device

    @field_validator("precision", mode="before")
    @classmethod
    def may_be_a_number(cls, precision: object) -> object:
        return "32" if precision == 32 else precision

    @property
    def score_name(self) -> str:
        """What a validation measures, by name."""
        if isinstance(self.task, Labelled):
            return str(self.task.metric)
        return "quality" if isinstance(self.task, Distance) else "negative loss"

    @model_validator(mode="after")
    def batch_fits_devices(self) -> "TrainingConfig":
        share = self.devices * self.nodes
        if self.sampling.batch % share:
            raise ValueError(
                f"`sampling.batch` must be a multiple of `devices` x `nodes` ({share}), "
                f"got {self.sampling.batch}"
            )
        return self

    @model_validator(mode="after")
    def one_device_is_not_several(self) -> "TrainingConfig":
        if ":" in self.device and self.devices * self.nodes > 1:
            raise ValueError(
                f"`device` must not name a single one for {self.devices} `devices` x {self.nodes} "
                f"`nodes`, got {self.device!r}; e.g. {self.device.partition(':')[0]}"
            )
        return self

    @model_validator(mode="after")
    def trees_need_one_process(self) -> "TrainingConfig":
        if self.task.kind == "voxelwise" and self.devices * self.nodes > 1:
            raise ValueError("`devices` and `nodes` must be 1 for the task `voxelwise`")
        return self

    @model_validator(mode="after")
    def annotations_suit_the_task(self) -> "TrainingConfig":
        suits: tuple[str | None, ...] = ("truth", "projections", "rendered")
        wanted = "`image` and `truth`, or `image` and `projections`, or `rendered`"
        if isinstance(self.task, Labelled):
            suits, wanted = ("labels",), "`image` and `labels`"
        elif not isinstance(self.task, Distance):
            suits, wanted = (None,), "`image` alone"
        for part, entries in (("train", self.data.train), ("validation", self.data.validation)):
            for index, entry in enumerate(entries):
                place = f"`data.{part}[{index}]`"
                if entry.annotation not in suits:
                    raise ValueError(
                        f"{place} must hold {wanted} for the task `{self.task.kind}`, "
                        f"got {entry.annotation or '`image` alone'}"
                    )
                if entry.slices is not None and isinstance(self.task, Distance):
                    raise ValueError(f"{place}: `slices` is for tasks without tracings")
        return self

    @model_validator(mode="after")
    def classes_are_known(self) -> "TrainingConfig":
        known = self.task.classes if isinstance(self.task, Labelled) else {}
        named = [("sampling.foreground", name) for name in self.sampling.foreground]
        for name, term in self.loss.terms.items():
            if term.of_class is not None:
                named.append((f"loss.terms.{name}.of_class", term.of_class))
        for place, name in named:
            if name not in known:
                raise ValueError(f"`{place}` must name a class of `task.classes`, got {name!r}")
        return self

    @model_validator(mode="after")
    def a_lattice_has_bins(self) -> "TrainingConfig":
        if self.sampling.kind == "lattice" and self.sampling.bins is None:
            raise ValueError("`sampling.kind: lattice` needs `sampling.bins`, voxels (z, y, x)")
        return self
