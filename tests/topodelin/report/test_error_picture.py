"""The picture of a tracing against its truth: what is drawn, and that it never fails."""

from io import BytesIO

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from tests.graphs.drawings import EMPTY
from tests.graphs.events import EVENTS, TOLERANCE
from topodelin.graphs import NeuriteGraph, TracingError, find_errors
from topodelin.report.error_picture import MARKS, error_picture


@pytest.fixture(autouse=True)
def coarse_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw a quarter of the pixels."""
    monkeypatch.setattr("topodelin.report.picture.DPI", 80)


def errors_of(event: str) -> tuple[TracingError, ...]:
    return find_errors(EVENTS[event].truth, EVENTS[event].predicted, tolerance=TOLERANCE).errors


def pixels_of(png: bytes, kind: str) -> int:
    """How many pixels have the colour of the marks of a kind."""
    picture = imread(BytesIO(png))[..., :3]
    return int((np.abs(picture - to_rgb(MARKS[kind][1])).max(axis=-1) < 0.08).sum())


@pytest.mark.parametrize(
    ("event", "kind"), [("gap", "gap"), ("bridge between trees", "bridge"), ("detour", "displaced")]
)
def test_every_error_is_marked_in_its_colour(event: str, kind: str) -> None:
    errors = errors_of(event)
    assert [error.kind for error in errors] == [kind]
    bare = error_picture(EVENTS[event].truth, EVENTS[event].predicted, [])
    marked = error_picture(EVENTS[event].truth, EVENTS[event].predicted, errors)
    assert pixels_of(marked, kind) > pixels_of(bare, kind) + 60


def test_the_same_graphs_give_the_same_bytes() -> None:
    event = EVENTS["two gaps"]
    one, two = (
        error_picture(event.truth, event.predicted, errors_of("two gaps")) for _ in range(2)
    )
    assert one == two


@pytest.mark.parametrize(
    "graph",
    [
        EMPTY,
        NeuriteGraph(np.array([(5.0, 5.0, 5.0)]), np.zeros((0, 2), np.int64)),
        EVENTS["ring"].truth,
    ],
    ids=["nothing", "a point", "a ring"],
)
def test_nothing_and_a_point_and_a_ring_are_drawn(graph: NeuriteGraph) -> None:
    assert error_picture(graph, EMPTY, []).startswith(b"\x89PNG")
