"""What each loss of the registry punishes, takes and costs, as data.

The facts are in `catalogue.toml`, so that `topodelin losses` can print them without torch.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class LossEntry:
    """One loss.

    Args:
        name: its name in the registry `LOSSES` and in configurations.
        path: of its class, to be imported.
        punishes: what makes it large.
        dims: the numbers of axes of space that it accepts.
        takes: "distance_map", "projections", "graphs" or "labels".
        cost: how its time grows.
        milliseconds_96: measured, forward and backward, one thread; None if it was not.
        paper: where it was published.
    """

    name: str
    path: str
    punishes: str
    dims: tuple[int, ...]
    takes: str
    cost: str
    milliseconds_96: float | None
    paper: str


def read_catalogue() -> Mapping[str, LossEntry]:
    """Name -> entry, in the order of the registry."""
    text = Path(__file__).with_name("catalogue.toml").read_text(encoding="utf-8")
    return {
        name: LossEntry(
            name,
            path=facts["class"],
            punishes=facts["punishes"],
            dims=tuple(facts["dims"]),
            takes=facts["takes"],
            cost=facts["cost"],
            milliseconds_96=facts.get("milliseconds_96"),
            paper=facts["paper"],
        )
        for name, facts in tomllib.loads(text).items()
    }


CATALOGUE = read_catalogue()
