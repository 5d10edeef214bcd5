"""The kinds of values that the sections of a configuration hold."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
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
