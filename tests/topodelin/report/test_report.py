import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from tests.topodelin.report.drawings import line, nothing, phantom, together
from topodelin.graphs import NeuriteGraph, centreline_quality
from topodelin.report import Coverage, write_report
from topodelin.report.page import table

TRUTH = line((2, 1, 0.2), (2, 1, 2.4))
COVERAGE = Coverage(np.array([[[True, False, False, False]]]), (10.0, 3.5, 0.7))
VOID = {"meta", "img", "br"}


@pytest.fixture(autouse=True)
def coarse_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw few pixels: these tests read the words."""
    monkeypatch.setattr("topodelin.report.picture.DPI", 30)


class Page(HTMLParser):
    """Checks that tags nest; collects them, their attributes and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open += [] if tag in VOID else [tag]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def report(folder: Path, tracing: NeuriteGraph, *, judged: bool = True, title: str = "a") -> str:
    path = write_report(
        folder / "report.html",
        phantom(),
        tracing,
        title=title,
        truth=TRUTH if judged else None,
        quality=centreline_quality(TRUTH, tracing, tolerance=1.0) if judged else None,
        coverage=COVERAGE,
        made_with={"network": f"{title}.safetensors"},
        next_commands=[("score it", f"topodelin score {title} b.swc")],
    )
    return path.read_text(encoding="utf-8")


def test_the_page_parses_and_needs_nothing_from_outside(tmp_path: Path) -> None:
    text = report(tmp_path, TRUTH)
    page = Page(text)
    tags = [tag for tag, _ in page.tags]
    assert not {"script", "link", "iframe", "object"} & set(tags)
    assert not re.search(r"https?:|url\(|@import", text)
    sources = [attributes["src"] for tag, attributes in page.tags if tag == "img"]
    assert len(sources) == 3
    assert all(source and source.startswith("data:image/png;base64,") for source in sources)
    assert all(attributes["alt"] for tag, attributes in page.tags if tag == "img")
    assert tags.count("h1") == 1 and tags.count("main") == 1


def test_a_page_of_a_small_volume_is_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert len(report(tmp_path, TRUTH)) < 500_000


def test_every_text_from_outside_is_escaped(tmp_path: Path) -> None:
    text = report(tmp_path, TRUTH, title='<b onload="x">.tif & co')
    assert "<b " not in text
    assert text.count("&lt;b onload=&quot;x&quot;&gt;.tif &amp; co") == 4
    assert "<b" not in [tag for tag, _ in Page(text).tags]


def test_a_perfect_tracing_has_quality_one_and_no_errors(tmp_path: Path) -> None:
    text = Page(report(tmp_path, TRUTH)).text
    assert "Quality 1.00 at 1 µm: 100 % of the truth was found" in text
    assert "75 % of the volume was never computed" in text
    assert "1 of 4 cubes were computed" in text
    assert "No gap and no false branch" in text


def test_gaps_and_false_branches_are_listed_with_place_and_length(tmp_path: Path) -> None:
    text = Page(report(tmp_path, line((8, 3, 0.2), (8, 3, 2.4)))).text
    assert "Quality 0.00 at 1 µm" in text
    assert "gap 1 2.2 µm 2.0, 1.0, 1.3 1, 2, 5" in text
    assert "false 1 2.2 µm 8.0, 3.0, 1.3 4, 6, 5" in text


def test_more_errors_than_are_listed_are_summed_up(tmp_path: Path) -> None:
    strays = together(*(line((9, 0.3 * k, 0), (9, 0.3 * k, 1 + k / 10)) for k in range(12)))
    text = Page(report(tmp_path, strays)).text
    assert "false 10 " in text and "false 11" not in text
    assert "Not listed: 2 shorter false branches, 2.1 µm together." in text


def test_a_volume_computed_whole_is_said_to_be(tmp_path: Path) -> None:
    everything = Coverage(np.ones((1, 2, 2), bool), (10.0, 2.0, 2.0))
    path = write_report(tmp_path / "r.html", phantom(), TRUTH, title="a", coverage=everything)
    text = Page(path.read_text(encoding="utf-8")).text
    assert "the whole volume was computed." in text and "0 %" not in text


def test_an_empty_tracing_is_reported_as_such(tmp_path: Path) -> None:
    text = Page(report(tmp_path, nothing())).text
    assert "Quality 0.00 at 1 µm: 0 % of the truth was found" in text
    assert "trees 0" in text


def test_without_a_truth_the_report_says_what_was_traced(tmp_path: Path) -> None:
    text = Page(report(tmp_path, TRUTH, judged=False)).text
    assert "Traced 2 µm of neurite in 1 tree; there is no truth to judge it by" in text
    assert "completeness" not in text and "Errors" not in text
    assert "length traced 2.2 µm" in text


def test_nothing_traced_without_a_truth_still_makes_a_page(tmp_path: Path) -> None:
    assert "Traced no neurite at all" in Page(report(tmp_path, nothing(), judged=False)).text


def test_an_empty_truth_leaves_the_quality_undefined(tmp_path: Path) -> None:
    quality = centreline_quality(nothing(), TRUTH, tolerance=1.0)
    path = write_report(
        tmp_path / "r.html", phantom(), TRUTH, title="a", truth=nothing(), quality=quality
    )
    text = Page(path.read_text(encoding="utf-8")).text
    assert "its quality is undefined because the truth is empty" in text
    assert "completeness undefined" in text


def test_how_it_was_made_and_what_comes_next_are_on_the_page(tmp_path: Path) -> None:
    text = Page(report(tmp_path, TRUTH)).text
    assert "5 x 7 x 11 voxels (z, y, x), uint8" in text
    assert "2 x 0.5 x 0.25 µm" in text
    assert "network a.safetensors" in text
    assert "topodelin score a b.swc" in text


def test_truth_without_quality_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`quality` must be given with `truth`.*centreline_qual"):
        write_report(tmp_path / "r.html", phantom(), TRUTH, title="a", truth=TRUTH)


def test_an_old_report_is_replaced_at_once_and_nothing_else_is_left(tmp_path: Path) -> None:
    report(tmp_path, TRUTH, title="old")
    assert "old" not in Page(report(tmp_path, TRUTH, title="new")).text
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_half_traced_neurite_is_all_right_but_not_all_found(tmp_path: Path) -> None:
    text = Page(report(tmp_path, TRUTH.select(np.arange(11) < 3))).text
    assert re.search(r"[4-9]\d % of the truth was found, and 100 % of the tracing is right", text)


def test_a_table_escapes_every_cell() -> None:
    cells = ["<i>a", "<i>b", "<i>c"]
    text = table(cells, [cells], numbers=[1])
    assert "<i>" not in text and text.count("&lt;i&gt;") == 6
