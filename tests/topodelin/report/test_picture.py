from io import BytesIO

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from tests.topodelin.report.drawings import SPACING, line, phantom, together
from topodelin.report import Coverage, maximum_projections, stretches
from topodelin.report.pages import before_and_after, coverage_picture, three_views
from topodelin.report.picture import Overlay, draw_image, draw_overlay, draw_scale_bar
from topodelin.volumes import Box, Volume

VOLUME = phantom()
PROJECTIONS = maximum_projections(VOLUME)


@pytest.fixture(autouse=True)
def coarse_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw a sixteenth of the pixels."""
    monkeypatch.setattr("topodelin.report.picture.DPI", 40)


def pixels(png: bytes) -> np.ndarray:
    return imread(BytesIO(png))


def close_to(picture: np.ndarray, colour: tuple[int, int, int]) -> int:
    """How many pixels have about that colour."""
    return int((np.abs(picture[..., :3] * 255 - colour).max(axis=-1) < 40).sum())


@pytest.mark.parametrize(("down", "right"), [(1, 2), (0, 2), (1, 0)])
def test_the_bright_voxel_is_drawn_at_its_place_in_um(down: int, right: int) -> None:
    axes = Figure().subplots()
    draw_image(axes, PROJECTIONS, down, right)
    (image,) = axes.images
    drawn = np.asarray(image.get_array())
    left, far, bottom, top = image.get_extent()
    row, column = np.argwhere(drawn == 1)[0]
    x = left + (far - left) * (column + 0.5) / drawn.shape[1]
    y = top + (bottom - top) * (row + 0.5) / drawn.shape[0]
    bright = np.multiply((1, 2, 4), SPACING)
    assert (y, x) == pytest.approx((bright[down], bright[right]))
    assert axes.get_aspect() == 1.0


def test_a_ring_surrounds_its_gap_in_every_view() -> None:
    gap = line((2, 1, 0.5), (8, 1, 2.5))
    overlay = Overlay(truth=gap, missed=gap, gaps=stretches(gap))
    for down, right in ((1, 2), (0, 2), (1, 0)):
        axes = Figure().subplots()
        draw_image(axes, PROJECTIONS, down, right)
        draw_overlay(axes, overlay, down, right)
        (ring,) = axes.patches
        inside = ring.get_path().transformed(ring.get_patch_transform())
        assert inside.contains_points(gap.positions[:, [right, down]]).all()


def test_the_scale_bar_is_a_round_length() -> None:
    axes = Figure().subplots()
    axes.set(xlim=(0, 88), ylim=(38, 0))
    draw_scale_bar(axes)
    assert [text.get_text() for text in axes.texts] == ["10 µm"]
    start, end = np.asarray(axes.lines[0].get_xdata())
    assert end - start == pytest.approx(10)


def test_truth_tracing_and_errors_can_be_told_apart_in_the_picture() -> None:
    truth = line((2, 1, 0.2), (2, 1, 2.4))
    traced = line((4, 3, 0.2), (4, 3, 2.4))
    overlay = Overlay(
        tracing=traced,
        truth=truth,
        missed=truth,
        false=traced,
        gaps=stretches(truth),
        inventions=stretches(traced),
    )
    picture = pixels(before_and_after(PROJECTIONS, overlay))
    bare = pixels(before_and_after(PROJECTIONS, Overlay()))
    for colour in ((0, 114, 178), (213, 94, 0)):
        assert close_to(picture, colour) > 30
        assert close_to(bare, colour) == 0


@pytest.mark.parametrize("shape", [(1, 1, 1), (40, 3, 3), (2, 90, 4), (2, 4, 90), (30, 30, 1)])
def test_pictures_of_any_proportion_stay_within_bounds(shape: tuple[int, int, int]) -> None:
    projections = maximum_projections(Volume(np.ones(shape, np.uint8), SPACING))
    coverage = Coverage(np.ones((1, 1, 1), bool), (100.0, 100.0, 100.0))
    for png in (
        before_and_after(projections, Overlay()),
        three_views(projections, Overlay()),
        coverage_picture(projections, coverage),
    ):
        height, width = pixels(png).shape[:2]
        assert width == 400
        assert height <= 640


def test_a_volume_that_was_never_read_is_drawn_grey() -> None:
    projections = maximum_projections(VOLUME, boxes=[Box((0, 0, 0), (0, 0, 0))])
    picture = pixels(before_and_after(projections, Overlay()))
    assert close_to(picture, (217, 217, 217)) > 0.2 * picture.shape[0] * picture.shape[1]


def test_the_same_figure_gives_the_same_bytes() -> None:
    overlay = Overlay(tracing=together(line((0, 0, 0), (4, 3, 2)), line((0, 3, 0), (4, 0, 2))))
    assert three_views(PROJECTIONS, overlay) == three_views(PROJECTIONS, overlay)


def test_cubes_never_computed_are_darker_than_computed_ones() -> None:
    flat = maximum_projections(Volume(np.zeros((2, 4, 8), np.uint8), (1.0, 1.0, 1.0)))
    half = np.array([[[True, False]]])
    both = pixels(coverage_picture(flat, Coverage(half, (2.0, 4.0, 4.0))))[..., :3].mean(axis=-1)
    rows = slice(both.shape[0] // 4, both.shape[0] // 2)
    left, right = both[rows, 100:175], both[rows, 250:325]
    assert right.mean() < left.mean() - 0.2


def test_coverage_counts_cubes() -> None:
    visited = np.zeros((2, 3, 4), bool)
    visited[0, 0] = True
    coverage = Coverage(visited, (1.0, 1.0, 1.0))
    assert (coverage.cubes, coverage.computed) == (24, 4)
    assert coverage.never_computed == pytest.approx(20 / 24)


def test_a_coverage_without_cubes_is_refused() -> None:
    with pytest.raises(ValueError, match="one entry per cube"):
        Coverage(np.zeros((2, 3), bool), (1.0, 1.0, 1.0))
