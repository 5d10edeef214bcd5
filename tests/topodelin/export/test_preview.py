from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.topodelin.export.small_run import D_MAX, bars, phantom_npy, write_run
from tests.topodelin.volumes.phantom import SPACING, phantom
from topodelin.annotation.overlay import grey_overlay
from topodelin.export.frame import Frame
from topodelin.export.overlay_volume import OverlayRecipe, overlay_source
from topodelin.export.preview import _nearest, preview, preview_blocks
from topodelin.export.written_chunks import WrittenChunks
from topodelin.volumes import Box, IntensityRange, Volume, create_ome_zarr, write_ome_zarr
from topodelin.volumes.pyramid import reduce_voxels

INTENSITY = {"low": 0.0, "high": 100.0}
SIZES = st.tuples(*[st.integers(1, 12)] * 3)
SPACINGS = st.tuples(*[st.sampled_from([0.3, 0.5, 1.0, 2.0])] * 3)


@given(shape=SIZES, spacing=SPACINGS, longest=st.integers(1, 12))
def test_no_axis_is_longer_than_asked_and_none_is_finer_than_the_image(
    shape: tuple[int, int, int], spacing: tuple[float, float, float], longest: int
) -> None:
    image = Volume(np.zeros(shape), spacing)
    blocks = preview_blocks(image, longest)
    assert max(Frame.of_blocks(image, blocks).shape) <= longest and min(blocks) >= 1
    fits = max(shape) <= longest
    assert (blocks == (1, 1, 1)) == fits


def test_a_preview_is_the_mean_of_the_image_and_the_closest_of_the_map(tmp_path: Path) -> None:
    image = phantom_npy(tmp_path)
    run = write_run(tmp_path / "run", bars(), image=image, spacing=SPACING, intensity=INTENSITY)
    small, frame = preview(run, overlay_source(run, OverlayRecipe()), longest=10)
    # 29 voxels of 0.5 µm become 10 of 1.5 µm, then 17 of 0.25 become 3 of 1.5, and z stays
    assert small.shape == frame.shape == (5, 3, 10) and small.spacing == (1.5, 1.5, 1.5)
    assert frame.origin == (0.0, 0.25 * 2.5, 0.5)
    means = reduce_voxels(phantom("float32"), (1, 6, 3), "mean")
    near = np.full((5, 3, 10), D_MAX)
    near[0, 0, :7] = 1.5  # the bar along x, 20 voxels
    near[0, :2, 0], near[:2, 0, 0] = 0, 0
    expected = grey_overlay(means, near, intensity=IntensityRange(0.0, 100.0))
    np.testing.assert_array_equal(small.read(small.box), expected)


@given(
    map_shape=SIZES,
    map_spacing=SPACINGS,
    blocks=st.tuples(*[st.integers(1, 5)] * 3),
    place=st.tuples(*[st.floats(0, 1)] * 3),
)
def test_no_neurite_is_lost_in_a_preview(
    map_shape: tuple[int, int, int],
    map_spacing: tuple[float, float, float],
    blocks: tuple[int, int, int],
    place: tuple[float, float, float],
) -> None:
    lit = tuple(int(p * (n - 1)) for p, n in zip(place, map_shape, strict=True))
    field = np.full(map_shape, 9, np.float32)
    field[lit] = 0
    spacing = (0.5, 0.3, 1.0)
    size = [
        int((n - 1) * w / s) + 1 for n, w, s in zip(map_shape, map_spacing, spacing, strict=True)
    ]
    image = Volume(np.zeros(size), spacing)
    frame = Frame.of_blocks(image, blocks)
    box = Box((0, 0, 0), frame.shape)
    written = WrittenChunks(Path("nowhere"))
    near = _nearest(Volume(field, map_spacing), frame, box, 9.0, written)
    at = (np.array(lit) * map_spacing - frame.origin) / frame.spacing
    index = tuple(np.clip(np.rint(at).astype(int), 0, np.array(frame.shape) - 1))
    assert near.shape == frame.shape and near[index] == 0


def test_chunks_that_were_never_written_are_not_read(tmp_path: Path) -> None:
    writer = create_ome_zarr(
        tmp_path / "a.ome.zarr", shape=(8, 8, 8), spacing=(1, 1, 1), dtype="f4", chunks=(4, 4, 4)
    )
    writer.write(Box((0, 0, 4), (4, 4, 8)), np.zeros((4, 4, 4), "f4"))
    chunks = WrittenChunks(tmp_path / "a.ome.zarr")
    assert chunks.any(Box((0, 0, 0), (1, 1, 5)))
    assert not chunks.any(Box((0, 0, 0), (8, 8, 4)))
    assert not chunks.any(Box((4, 0, 0), (8, 8, 8)))


def test_a_coarser_level_of_the_image_is_used(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    source = Volume(rng.integers(0, 100, (8, 32, 32)).astype(np.uint8), SPACING)
    write_ome_zarr(tmp_path / "b.ome.zarr", source, chunks=(8, 8, 8), levels=2)
    image = tmp_path / "b.ome.zarr"
    run = write_run(tmp_path / "run", bars(), image=image, intensity=INTENSITY)
    slow, _ = preview(run, overlay_source(run, OverlayRecipe()), longest=8)
    for chunk in (image / "0").rglob("*"):
        if chunk.is_file() and not chunk.name.startswith("."):
            chunk.unlink()  # the full image is gone; its coarser level is not
    fast, _ = preview(run, overlay_source(run, OverlayRecipe()), longest=8)
    assert fast.read(fast.box).any()
    np.testing.assert_array_equal(slow.read(slow.box), fast.read(fast.box))


def test_a_preview_needs_a_voxel(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`longest` must be at least 1"):
        preview_blocks(Volume(phantom(), SPACING), 0)
