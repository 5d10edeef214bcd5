"""The section `loss`: terms, their weights and schedules."""

import math
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from topodelin.training.config_section import NotNegative, Positive, Section, Whole


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

    head: str | None = Field(
        default=None, description="output of the network that it judges; `main` by default"
    )
    of_class: str | None = Field(
        default=None,
        description="for losses of distance maps in tasks of classes: this class against the rest",
    )

    loss: str | None = Field(
        default=None, description="name of the loss, where it is not that of the term"
    )
    weight: Weight = 1.0
    arguments: dict[str, Any] = {}


class Loss(Section):
    """A weighted sum of terms, each by its name."""

    terms: dict[str, Term] = Field(default={"mse": Term()}, min_length=1)
