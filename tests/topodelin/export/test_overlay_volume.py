from pathlib import Path

import numpy as np
import pytest

from tests.topodelin.export.small_run import bars, phantom_npy, write_run
from tests.topodelin.volumes.phantom import SHAPE, SPACING, phantom
from topodelin.export import FinishedRun
from topodelin.export.overlay_volume import OverlayRecipe, overlay_source
from topodelin.volumes import Box

INTENSITY = {"low": 0.0, "high": 100.0}


@pytest.fixture
def run(tmp_path: Path) -> FinishedRun:
    image = phantom_npy(tmp_path)
    return write_run(tmp_path / "run", bars(), image=image, spacing=SPACING, intensity=INTENSITY)


def test_the_overlay_lies_on_the_voxels_of_the_image(run: FinishedRun) -> None:
    # The distance map has half the resolution along y: 0 on the bars along z and y, so the
    # brightness there is (value / 100 + 1) / 2; far away, at 6, it is value / 200.
    overlay = overlay_source(run, OverlayRecipe(dtype="uint16")).volume()
    assert overlay.shape == SHAPE and overlay.spacing == SPACING
    seen = overlay.read(overlay.box) / 65535
    np.testing.assert_allclose(seen[0, :9, 0], (phantom()[0, :9, 0] / 100 + 1) / 2, atol=1e-4)
    np.testing.assert_allclose(seen[4, 12:, 5:], phantom()[4, 12:, 5:] / 200, atol=1e-4)


@pytest.mark.parametrize("colour", ["grey", "rgb"])
def test_boxes_agree_bit_for_bit(run: FinishedRun, colour: str) -> None:
    whole = overlay_source(run, OverlayRecipe(colour=colour)).volume()
    box = Box((1, 3, 5), (5, 17, 29))
    part = overlay_source(run, OverlayRecipe(colour=colour)).volume(box)
    expected = whole.read(whole.box)[(..., *box.slices)]
    np.testing.assert_array_equal(part.read(part.box), expected)
    inner = Box((1, 2, 3), (2, 9, 8))
    np.testing.assert_array_equal(part.read(inner), expected[(..., *inner.slices)])


def test_a_map_that_ends_before_the_image_goes_on(run: FinishedRun) -> None:
    (run.folder.path / "longer.npy").write_bytes(b"")
    longer = np.zeros((7, 20, 30), np.uint8)
    np.save(run.folder.path / "longer.npy", longer)
    run.settings["image"]["path"] = str(run.folder.path / "longer.npy")
    overlay = overlay_source(run, OverlayRecipe()).volume()
    assert overlay.shape == (7, 20, 30)
    assert not overlay.read(Box((5, 18, 5), (7, 20, 30))).any()  # 6 voxels from any neurite


def test_a_box_beyond_the_image_is_refused(run: FinishedRun) -> None:
    with pytest.raises(ValueError, match=r"`box` must lie inside the image of \(5, 17, 29\)"):
        overlay_source(run, OverlayRecipe()).volume(Box((0, 0, 0), (6, 17, 29)))


def test_an_image_of_several_channels_is_refused(run: FinishedRun) -> None:
    np.save(run.folder.path / "two.npy", np.stack([phantom()] * 2))
    run.settings["image"]["path"] = str(run.folder.path / "two.npy")
    with pytest.raises(ValueError, match="has 2 channels; .* --image"):
        overlay_source(run, OverlayRecipe()).volume()
