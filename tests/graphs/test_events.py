"""Every metric on every event of the catalogue: worse where it should be, best where not."""

from collections.abc import Callable

import pytest

from tests.graphs.drawings import betti
from tests.graphs.events import EVENTS, TOLERANCE, Event, draw
from topodelin.graphs import (
    apls,
    cable_connectivity,
    centreline_quality,
    critical_nodes,
    expected_run_length,
    find_errors,
    holes_and_marbles,
    junction_arms,
    junction_score,
    path_score,
    spatial_distance,
    tlts,
)


def wrong_junctions(event: Event) -> float:
    """Of either graph, as shares are undefined without junctions."""
    found = junction_arms(event.truth, event.predicted, tolerance=TOLERANCE)
    return found.truth - found.fitting + found.not_fitting


# All are 1 for a tracing without an error.
SCORES: dict[str, Callable[[Event], float]] = {
    "quality": lambda e: centreline_quality(e.truth, e.predicted, tolerance=TOLERANCE).quality,
    "nerl": lambda e: expected_run_length(e.truth, e.predicted, tolerance=TOLERANCE).normalised,
    "errors": lambda e: 1 - len(find_errors(e.truth, e.predicted, tolerance=TOLERANCE).errors),
    "apls there": lambda e: apls(e.truth, e.predicted, tolerance=TOLERANCE).truth_to_predicted,
    "apls back": lambda e: apls(e.truth, e.predicted, tolerance=TOLERANCE).predicted_to_truth,
    "tlts there": lambda e: (
        tlts(e.truth, e.predicted, tolerance=TOLERANCE).truth_paths.correct_share
    ),
    "tlts back": lambda e: (
        tlts(e.truth, e.predicted, tolerance=TOLERANCE).predicted_paths.correct_share
    ),
    "kept": lambda e: cable_connectivity(e.truth, e.predicted, tolerance=TOLERANCE).kept,
    "true": lambda e: cable_connectivity(e.truth, e.predicted, tolerance=TOLERANCE).true,
    "opt-j": lambda e: junction_score(e.truth, e.predicted, tolerance=TOLERANCE).f1,
    "opt-p": lambda e: path_score(e.truth, e.predicted, tolerance=TOLERANCE).f1,
    "critical": lambda e: critical_nodes(e.truth, e.predicted, tolerance=TOLERANCE).f1,
    "junct": lambda e: 1 - wrong_junctions(e),
    "marbles": lambda e: (
        holes_and_marbles(e.truth, e.predicted, tolerance=TOLERANCE, radius=40.0).f1
    ),
    "esa": lambda e: 1 - spatial_distance(e.truth, e.predicted).esa,
    "pds": lambda e: 1 - spatial_distance(e.truth, e.predicted, threshold=TOLERANCE).pds,
}
# Which of them an event makes worse. The others stay at 1: they are blind to it.
EVERY = set(SCORES)
NODES = {"opt-j", "critical"}  # the scores of junctions and endpoints
SEEN = {
    "identical": set(),
    "break of one edge": NODES
    | {"nerl", "errors", "apls there", "tlts there", "kept", "opt-p", "marbles", "esa"},
    "gap": EVERY - {"apls back", "tlts back", "true", "junct"},
    "longer gap": EVERY - {"apls back", "tlts back", "true", "junct"},
    "two gaps": EVERY - {"apls back", "tlts back", "true", "junct"},
    "missing branch": EVERY - {"apls back", "tlts back", "true"},
    "branch cut off": EVERY - {"apls back", "tlts back", "true"},
    "short end": EVERY - {"apls back", "tlts back", "true", "junct"},
    "spur": EVERY - {"nerl", "apls there", "tlts there", "kept", "true"},
    "island": NODES | {"quality", "errors", "apls back", "tlts back", "opt-p", "esa", "pds"},
    "detour": EVERY - NODES - {"true", "junct"},
    "bridge within a tree": EVERY - {"nerl", "kept", "true"},
    "bridge between trees": EVERY - {"apls there", "tlts there", "kept"},
    "one tree missing": EVERY - {"apls back", "tlts back", "true", "junct"},
    "ring": set(),
    "ring cut": EVERY - {"true", "junct"},
    "ring cut at one edge": NODES
    | {"errors", "apls there", "apls back", "tlts there", "tlts back", "opt-p", "marbles", "esa"},
    "nothing": EVERY - {"tlts back"},  # of paths that are not there no share is wrong
}


def test_drawings_are_what_they_look_like() -> None:
    assert betti(EVENTS["identical"].truth) == (1, 0)
    assert betti(EVENTS["bridge between trees"].truth) == (2, 0)
    assert betti(EVENTS["ring"].truth) == (1, 1)
    assert betti(EVENTS["ring cut at one edge"].predicted) == (1, 0)
    assert betti(draw("+-><-+")) == (2, 0)
    assert draw("+--+").length == 12


@pytest.mark.parametrize("event", EVENTS)
def test_each_metric_sees_what_it_is_meant_to_see(event: str) -> None:
    scores = {name: score(EVENTS[event]) for name, score in SCORES.items()}
    assert {name for name, score in scores.items() if score < 1 - 1e-9} == SEEN[event], scores
    assert max(scores.values()) <= 1 + 1e-9
