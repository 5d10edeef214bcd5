"""The section `task`: what a network learns, and how its output is read.

task: {kind: distance}                       the default: distance maps of traced neurites
task:                                        the class of every voxel
  kind: segmentation
  classes: {cell: 255, membrane: 0}          name: value, or values, in the label files
  ignore: [7]
task: {kind: centre_voxel, classes: ...}     the class of the voxel in the middle of a cube
task:                                        the class of every voxel, by trees (no network)
  kind: voxelwise
  classes: ...
  classifier: random_forest
task: {kind: centre_region, radius: 1}       the intensity that was masked there (pre-training)
task: {kind: reconstruction}                 the cube itself, through a narrow code (VAE)
"""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from topodelin.training.config_section import (
    Count,
    NotNegative,
    Positive,
    Section,
    Share,
    Whole,
)

METRICS = (
    "miou",
    "miou_subset",
    "f1",
    "kappa",
    "pixel_accuracy",
    "average_precision",
)


class Border(Section):
    """More weight on the background between two cells that nearly touch."""

    cells: list[str] = Field(min_length=1, description="classes whose components are the cells")
    w0: Positive = 10.0
    sigma: Positive = Field(default=5.0, description="voxels")


class Diffusion(Section):
    """More weight where classes meet, found by diffusion from each class into the others."""

    steps: Count = 50
    rate: Positive = 0.2
    decay: Share = 0.98
    floor: NotNegative = 0.2
    most: Positive = Field(default=25.0, description="the largest weight of each pair")


class Weights(Section):
    """The weight of every voxel in losses of classes: the sum of what is named here."""

    constant: NotNegative = Field(default=0.0, description="everywhere")
    balance: Positive | None = Field(
        default=None, description="in proportion to 1 / (voxels of the class), at most this"
    )
    border: Border | None = None
    diffusion: Diffusion | None = None

    @model_validator(mode="after")
    def not_nothing(self) -> "Weights":
        if not (self.constant or self.balance or self.border or self.diffusion):
            raise ValueError(
                "must name at least one of `constant`, `balance`, `border`, `diffusion`"
            )
        return self


class Distance(Section):
    """Distance maps of the centrelines of neurites."""

    kind: Literal["distance"] = "distance"


class Labelled(Section):
    """What tasks of classes have in common."""

    classes: dict[str, list[int]] = Field(
        min_length=2, description="name: value, or list of values, in the label files"
    )
    ignore: list[int] = Field(default=[], description="values of voxels that nobody judged")
    metric: Literal[METRICS] = Field(  # type: ignore[valid-type]
        default="miou", description="what selects the best network"
    )
    subset: list[str] = Field(default=[], description="classes of `miou_subset`")

    @field_validator("classes", mode="before")
    @classmethod
    def one_value_is_a_list(cls, classes: object) -> object:
        if not isinstance(classes, dict):
            return classes
        return {k: v if isinstance(v, list) else [v] for k, v in classes.items()}

    @model_validator(mode="after")
    def names_are_known(self) -> "Labelled":
        for name in self.subset:
            if name not in self.classes:
                raise ValueError(f"`subset` must name classes, got {name!r}")
        if self.metric == "miou_subset" and not self.subset:
            raise ValueError("`metric: miou_subset` needs `subset`, the classes that count")
        values = [value for each in self.classes.values() for value in each]
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise ValueError(f"`classes`: the value {twice[0]} stands for two classes")
        both = sorted(set(values) & set(self.ignore))
        if both:
            raise ValueError(f"`ignore`: {both[0]} is the value of a class as well")
        return self


class Segmentation(Labelled):
    """The class of every voxel."""

    kind: Literal["segmentation"]
    weights: Weights | None = Field(default=None, description="of voxels; 1 everywhere if null")

    @model_validator(mode="after")
    def cells_are_known(self) -> "Segmentation":
        cells = self.weights.border.cells if self.weights and self.weights.border else []
        for name in cells:
            if name not in self.classes:
                raise ValueError(f"`weights.border.cells` must name classes, got {name!r}")
        return self


class CentreVoxel(Labelled):
    """The class of the voxel in the middle of a cube."""

    kind: Literal["centre_voxel"]


class Voxelwise(Labelled):
    """The class of every voxel from filter features, by decision trees; needs `topodelin[em]`."""

    kind: Literal["voxelwise"]
    classifier: Literal["decision_tree", "random_forest", "adaboost", "gradient_boosting"] = (
        "random_forest"
    )
    arguments: dict[str, Any] = Field(
        default={}, description="of the classifier, as scikit-learn names them"
    )
    features: list[str] = Field(
        default=[
            "intensity",
            "sobel_y",
            "sobel_x",
            "sobel_magnitude",
            "laplace",
            "prewitt_y",
            "prewitt_x",
            "prewitt_magnitude",
        ],
        description="what a voxel is judged by, in the plane of its slice",
    )
    voxels: Count | None = Field(
        default=100_000, description="about how many are learnt from, drawn at random; null: all"
    )


class CentreRegion(Section):
    """The intensity of the middle of a cube, which was masked: pre-training without labels."""

    kind: Literal["centre_region"]
    radius: Whole = Field(default=1, description="N of CRN: a cube of side 1 + 2 N is masked")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.3, description="share of all voxels that are set to 0 as well"
    )


class Reconstruction(Section):
    """The cube itself, through a narrow code: pre-training without labels."""

    kind: Literal["reconstruction"]
    mask: Whole | None = Field(
        default=None, description="N: a cube of side 1 + 2 N in the middle is masked"
    )
    divergence: NotNegative = Field(
        default=0.5, description="weight of the Kullback-Leibler divergence"
    )


def _kind_of_task(value: object) -> str:
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return f"task:{kind or 'distance'}"


TASKS: dict[str, type[Section]] = {
    "task:distance": Distance,
    "task:segmentation": Segmentation,
    "task:centre_voxel": CentreVoxel,
    "task:voxelwise": Voxelwise,
    "task:centre_region": CentreRegion,
    "task:reconstruction": Reconstruction,
}
Task = Annotated[
    Annotated[Distance, Tag("task:distance")]
    | Annotated[Segmentation, Tag("task:segmentation")]
    | Annotated[CentreVoxel, Tag("task:centre_voxel")]
    | Annotated[Voxelwise, Tag("task:voxelwise")]
    | Annotated[CentreRegion, Tag("task:centre_region")]
    | Annotated[Reconstruction, Tag("task:reconstruction")],
    Discriminator(_kind_of_task),
]
