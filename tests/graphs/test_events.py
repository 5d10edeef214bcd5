"""Every metric on every event of the catalogue: worse where it should be, best where not."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest

import topodelin.graphs
from tests.graphs.drawings import betti
from tests.graphs.events import EVENTS, draw, labels, lines, mask
from tests.graphs.scores import CATALOGUE, COLUMNS, SCORES, SEEN


def mark(score: float) -> str:
    return "-" if np.isnan(score) else "x" if score < 1 - 1e-9 else "."


def test_drawings_are_what_they_look_like() -> None:
    assert betti(EVENTS["identical"].truth) == (1, 0)
    assert betti(EVENTS["bridge between trees"].truth) == (2, 0)
    assert betti(EVENTS["ring"].truth) == (1, 1)
    assert betti(EVENTS["ring cut at one edge"].predicted) == (1, 0)
    assert betti(draw("+-><-+")) == (2, 0)
    assert draw("+--+").length == 12


def test_images_are_the_drawings() -> None:
    broken = draw("+-><-+")
    assert lines(broken).sum() == 2 * 9 and mask(broken).sum() == 2 * 3 * 11
    assert np.unique(labels(broken)).tolist() == [0, 1, 2]
    assert not mask(EVENTS["nothing"].predicted).any()


def test_the_table_has_every_score_and_every_event() -> None:
    assert set(SEEN) == set(SCORES)
    assert set(COLUMNS.values()) == set(CATALOGUE)
    assert all(set(row) == set(COLUMNS) for row in SEEN.values())


@pytest.mark.parametrize("name", SCORES)
def test_each_metric_sees_what_it_is_meant_to_see(name: str) -> None:
    scores = {head: SCORES[name](CATALOGUE[event]) for head, event in COLUMNS.items()}
    found = {head: mark(score) for head, score in scores.items()}
    assert found == SEEN[name], scores
    assert all(not score > 1 + 1e-9 for score in scores.values()), scores


def test_the_documentation_says_of_every_metric_what_it_is_blind_to() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
    rows = re.findall(r"^\| `(\w+)` \|(?:[^|\n]+\|){3}$", page.read_text("utf-8"), re.MULTILINE)
    public = {name: getattr(topodelin.graphs, name) for name in topodelin.graphs.__all__}
    metrics = {
        name
        for name, function in public.items()
        if inspect.isfunction(function)
        and list(inspect.signature(function).parameters)[:2]
        in (["truth", "predicted"], ["truth", "labels"])
    }
    made_of_others = {"score_tracing", "comparison_doubts"}
    assert metrics - made_of_others <= set(rows) and len(rows) == len(set(rows))
