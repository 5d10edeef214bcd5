"""What `topodelin score` was asked for, in one record; mistakes are answered before any reading."""

from dataclasses import dataclass

from topodelin.cli.options import parse_spacing

VOLUMES = ("auto", "mask", "labels")
RANKINGS = ("run_length", "connectivity")
FORMATS = ("apo", "csv", "swc")


@dataclass(frozen=True)
class ScoreOptions:
    """The options of the command under their names there, which its `--help` explains."""

    truth: str
    traced: str
    tolerance_um: float
    step_um: float | None
    unit: str | None
    truth_unit: str | None
    spacing: str | None
    volumes: str
    union: bool
    min_branch_um: float
    apls_starts: int
    also: str
    errors: str | None
    errors_as: str
    rank_by: str
    picture: str | None
    as_json: bool

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("volumes", self.volumes, VOLUMES),
            ("rank-by", self.rank_by, RANKINGS),
            ("errors-as", self.errors_as, FORMATS),
        ):
            if value not in allowed:
                raise ValueError(f"`--{name}` must be one of {', '.join(allowed)}, got {value!r}")
        if self.apls_starts < 0:
            raise ValueError(f"`--apls-starts` must be 0 for all or more, got {self.apls_starts}")

    @property
    def voxel(self) -> tuple[float, float, float] | None:
        """µm per voxel `(z, y, x)` where the user gave it."""
        return parse_spacing(self.spacing)

    @property
    def units(self) -> dict[str, str | None]:
        """Of the coordinates in the SWC files of either side; None is what the files say."""
        return {"truth": self.truth_unit or self.unit, "traced": self.unit}

    @property
    def also_names(self) -> tuple[str, ...]:
        """The metrics to add, each once and in the order they were named."""
        return tuple(dict.fromkeys(name for name in self.also.replace(" ", "").split(",") if name))
