"""The picture of a sweep: what is drawn, by the parts of the figure."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image

from topodelin.report.histogram import write_histogram


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures in the order in which they were saved."""
    figures: list[Figure] = []
    save = Figure.savefig

    def keep(self: Figure, *given: object, **more: object) -> None:
        figures.append(self)
        save(self, *given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Figure, "savefig", keep)
    return figures


def test_every_run_is_counted_once_and_has_a_tick(tmp_path: Path, drawn: list[Figure]) -> None:
    scores = [0.5, 0.52, 0.55, 0.55, 0.61]
    write_histogram(tmp_path / "h.png", scores, name="miou")
    axes = drawn[0].axes[0]
    assert sum(bar.get_height() for bar in axes.patches) == 5  # type: ignore[attr-defined]
    assert list(axes.lines[0].get_xdata()) == scores  # type: ignore[arg-type]
    assert axes.get_xlabel() == "best miou of a run" and axes.get_legend() is None


def test_the_ensemble_is_a_line_with_its_score(tmp_path: Path, drawn: list[Figure]) -> None:
    write_histogram(tmp_path / "h.png", [0.5, 0.6], name="miou", together=0.71)
    axes = drawn[0].axes[0]
    assert axes.lines[1].get_xdata()[0] == 0.71  # type: ignore[index]
    legend = axes.get_legend()
    assert legend is not None and legend.get_texts()[0].get_text() == "the best together: 0.710"


def test_one_run_and_equal_runs_have_a_picture_too(tmp_path: Path) -> None:
    for scores in ([0.5], [0.5, 0.5, 0.5], [0.1] * 26):
        write_histogram(tmp_path / "h.png", scores, name="miou")
        with Image.open(tmp_path / "h.png") as picture:
            assert picture.size == (900, 480)
