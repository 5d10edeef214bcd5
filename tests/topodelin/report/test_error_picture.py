"""The picture of a tracing against its truth: what is drawn, and that it never fails."""

from io import BytesIO

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread
from matplotlib.text import Text

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


def test_numbers_lie_off_each_other_off_the_marks_and_inside_the_views(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Seven breaks in a row, at both ends of the view, and 4 µm apart.
    line = [(0.0, 0.0, 2.0 * x) for x in range(201)]
    cuts = [1, 3, 5, 100, 102, 104, 198]
    edges = np.array([(k, k + 1) for k in range(200)])
    truth = NeuriteGraph(np.array(line), edges)
    broken = NeuriteGraph(np.array(line), np.delete(edges, cuts, axis=0))
    errors = find_errors(truth, broken, tolerance=1.0).errors
    assert len(errors) == len(cuts)
    figures = []
    monkeypatch.setattr(
        "topodelin.report.error_picture.as_png", lambda figure: figures.append(figure) or b""
    )
    error_picture(truth, broken, errors, numbered=6)
    (figure,) = figures
    figure.draw_without_rendering()
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == list("123456")
    boxes = [Text.get_window_extent(text) for text in axes.texts]
    marks = axes.transData.transform([(e.position[2], e.position[1]) for e in errors])
    frame = axes.get_window_extent()
    for k, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:k])
        assert not any(box.contains(*mark) for mark in marks)
        assert frame.contains(*box.min) and frame.contains(*box.max)


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
