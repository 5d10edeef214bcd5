import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from v3dpy.terafly import TeraflyInterface

from tests.topodelin.volumes.phantom import SPACING, phantom
from topodelin.volumes import Box, Volume, VolumeError
from topodelin.volumes.pyramid import level_factors, reduce_voxels
from topodelin.volumes.terafly import is_terafly, open_terafly, terafly_levels
from topodelin.volumes.terafly_index import NAME, index_spacing
from topodelin.volumes.terafly_writer import write_terafly
from topodelin.volumes.vaa3d import write_v3draw

TILE = (4, 8, 16)
SHAPE = (5, 17, 29)


@pytest.fixture
def brain(tmp_path: Path) -> Path:
    """The phantom in tiles of 4 x 8 x 16 voxels, three levels."""
    write_terafly(tmp_path / "brain", Volume(phantom(), SPACING), tile=TILE, levels=3)
    return tmp_path / "brain"


def bare(level: Path) -> None:
    """Take away what a level says about its voxels: index and metadata of the tiles."""
    (level / NAME).unlink()
    for path in level.rglob("*.tif"):
        image = tifffile.imread(path)
        planes = image.reshape(-1, *image.shape[-2:])
        tifffile.imwrite(path, planes, metadata=None, photometric="minisblack")


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("reduce", ["mean", "max"])
def test_another_reader_finds_the_source_and_every_level(
    tmp_path: Path, dtype: str, reduce: str
) -> None:
    expected = phantom(dtype) * (200 if dtype == "uint16" else 1)
    volume = Volume(expected, SPACING)
    write_terafly(tmp_path / "brain", volume, tile=TILE, levels=3, reduce=reduce)
    factors = np.array(level_factors(SHAPE, SPACING, 3))
    steps = [(1, 1, 1), *(factors[1:] // factors[:-1]).tolist()]
    for level, step in zip(terafly_levels(tmp_path / "brain"), steps, strict=True):
        expected = reduce_voxels(expected, step, reduce)
        z, y, x = expected.shape
        reader = TeraflyInterface(str(level))
        assert tuple(reader.get_dim()) == (x, y, z, 1)
        np.testing.assert_array_equal(reader.get_sub_volume(0, x, 0, y, 0, z)[0], expected)
        ours = open_terafly(level)
        np.testing.assert_array_equal(ours.read(ours.box), expected)


def test_the_finest_level_is_taken_and_read_by_box(brain: Path) -> None:
    volume = open_terafly(brain)
    assert volume.spacing == SPACING and volume.dtype == "uint8"
    for box in (volume.box, Box((1, 7, 15), (4, 9, 29)), Box((2, 8, 16), (3, 9, 17))):
        np.testing.assert_array_equal(volume.read(box), phantom()[box.slices])


def test_names_are_places_in_tenths_of_a_micrometre(brain: Path) -> None:
    # spacing 1.5, 0.25, 0.5 µm: tiles of 4, 8, 16 voxels are 60, 20, 80 tenths apart; none has
    # one voxel, so along z there are 3 + 2 and along y 8 + 7 + 2
    tile = brain / "RES(17x29x5)/000020/000020_000080/000020_000080_000045.tif"
    np.testing.assert_array_equal(tifffile.imread(tile), phantom()[3:, 8:15, 16:29])
    with tifffile.TiffFile(tile) as tif:
        pages: Any = tif.pages
        assert [page.tags["PageNumber"].value for page in pages] == [(0, 2), (1, 2)]
        assert [page.subfiletype for page in pages] == [2, 2]


def test_levels_halve_towards_cubes_and_are_two_at_least(tmp_path: Path) -> None:
    write_terafly(tmp_path / "brain", Volume(phantom(), SPACING))
    assert [p.name for p in terafly_levels(tmp_path / "brain")] == ["RES(17x29x5)", "RES(9x29x5)"]
    assert [index_spacing(p) for p in terafly_levels(tmp_path / "brain")] == [
        SPACING,
        (1.5, 0.5, 0.5),
    ]


def test_a_folder_tells_that_it_is_terafly(brain: Path) -> None:
    assert is_terafly(brain) and is_terafly(brain / "RES(17x29x5)")
    assert not is_terafly(brain / "RES(17x29x5)" / "000000")


def test_a_killed_write_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = Volume(phantom(), SPACING)

    def die(done: int, total: int) -> None:
        if done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_terafly(tmp_path / "brain", volume, tile=TILE, progress=die)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "brain").rglob("*.tif")}
    write_terafly(tmp_path / "brain", volume, tile=TILE)
    after = {path: path.stat().st_mtime_ns for path in before}
    assert len(before) == 7 and before == after
    read = open_terafly(tmp_path / "brain")
    np.testing.assert_array_equal(read.read(read.box), phantom())


def _other_type(folder: Path) -> None:
    write_terafly(folder, Volume(phantom("uint16"), SPACING), tile=TILE, levels=3)


def _other_source(folder: Path) -> None:
    write_terafly(folder, Volume(phantom(), SPACING), tile=TILE, levels=3, source={"clip": 3})


@pytest.mark.parametrize(("write", "named"), [(_other_type, "dtype"), (_other_source, "clip")])
def test_another_pyramid_is_not_mixed_in(
    brain: Path, write: Callable[[Path], None], named: str
) -> None:
    with pytest.raises(VolumeError, match=f"holds a pyramid with {named} = "):
        write(brain)


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(VolumeError, match="is not empty"):
        write_terafly(tmp_path, Volume(phantom(), SPACING))
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_missing_tile_reads_as_zeros(brain: Path) -> None:
    (brain / "RES(17x29x5)/000020/000020_000080/000020_000080_000045.tif").unlink()
    expected = phantom()
    expected[3:, 8:15, 16:29] = 0
    volume = open_terafly(brain)
    np.testing.assert_array_equal(volume.read(volume.box), expected)


def test_a_whole_column_may_be_missing(brain: Path) -> None:
    for row in (brain / "RES(17x29x5)").iterdir():
        if row.is_dir():
            shutil.rmtree(row / f"{row.name}_000000")
    expected = phantom()
    expected[:, :, :16] = 0
    volume = open_terafly(brain)
    np.testing.assert_array_equal(volume.read(volume.box), expected)


def test_places_alone_tell_the_spacing(brain: Path) -> None:
    bare(brain / "RES(17x29x5)")
    volume = open_terafly(brain)
    assert volume.spacing == pytest.approx(SPACING, rel=0.02)  # tenths of µm over 15 voxels
    np.testing.assert_array_equal(volume.read(volume.box), phantom())


def test_rounded_places_do_not_shift_tiles(tmp_path: Path) -> None:
    fine = (0.0337, 0.0123, 0.0217)  # tiles are 5.7, 1.6 and 2.4 tenths apart
    image = np.arange(30**3, dtype=np.uint16).reshape(30, 30, 30)
    write_terafly(tmp_path / "brain", Volume(image, fine), tile=(17, 13, 11), levels=1)
    level = tmp_path / "brain" / "RES(30x30x30)"
    np.testing.assert_array_equal(open_terafly(level).read(Box((0, 0, 0), (30, 30, 30))), image)
    bare(level)
    volume = open_terafly(level)
    assert volume.spacing == pytest.approx(fine, rel=0.1)
    np.testing.assert_array_equal(volume.read(volume.box), image)


def test_one_tile_without_metadata_needs_the_spacing(tmp_path: Path) -> None:
    write_terafly(tmp_path / "brain", Volume(phantom(), SPACING), levels=1)
    bare(tmp_path / "brain" / "RES(17x29x5)")
    with pytest.raises(VolumeError, match="--spacing z,y,x"):
        open_terafly(tmp_path / "brain")
    volume = open_terafly(tmp_path / "brain", SPACING)
    np.testing.assert_array_equal(volume.read(volume.box), phantom())


def test_tiles_may_be_v3draw(brain: Path) -> None:
    for path in (brain / "RES(17x29x5)").rglob("*.tif"):
        image = tifffile.imread(path)
        volume = Volume(image.reshape(-1, *image.shape[-2:]), SPACING)
        write_v3draw(path.with_suffix(".v3draw"), volume)
        path.unlink()
    volume = open_terafly(brain)
    np.testing.assert_array_equal(volume.read(volume.box), phantom())


def test_a_tile_of_another_size_is_named(brain: Path) -> None:
    tile = brain / "RES(17x29x5)/000020/000020_000080/000020_000080_000045.tif"
    tifffile.imwrite(tile, phantom()[:2, :7, :12], metadata=None)
    volume = open_terafly(brain)
    with pytest.raises(VolumeError, match="000020_000080_000045.tif: is .*neighbours say"):
        volume.read(volume.box)


def test_a_renamed_level_is_refused(brain: Path) -> None:
    os.rename(brain / "RES(17x29x5)", brain / "RES(8x29x5)")
    with pytest.raises(VolumeError, match="beyond the 8 voxels of its name"):
        open_terafly(brain / "RES(8x29x5)")


def test_a_level_without_tiles_is_refused(tmp_path: Path) -> None:
    (tmp_path / "RES(9x29x5)").mkdir()
    with pytest.raises(VolumeError, match="holds no tiles"):
        open_terafly(tmp_path)


def test_an_open_volume_is_small_when_sent_to_another_process(brain: Path) -> None:
    volume = open_terafly(brain)
    volume.read(volume.box)
    copy = pickle.loads(pickle.dumps(volume))
    assert len(pickle.dumps(volume)) < 20_000
    np.testing.assert_array_equal(copy.read(copy.box), phantom())


@pytest.mark.parametrize(
    ("image", "spacing", "tile", "reason"),
    [
        (phantom("float32"), SPACING, TILE, "uint8 or uint16, got float32"),
        (np.stack([phantom()] * 2), SPACING, TILE, "one channel"),
        (phantom(), (1e-4, 1.0, 1.0), TILE, "shorter than 0.1 µm"),
    ],
)
def test_what_terafly_cannot_hold_is_refused(
    tmp_path: Path,
    image: np.ndarray,
    spacing: tuple[float, float, float],
    tile: tuple[int, int, int],
    reason: str,
) -> None:
    with pytest.raises(VolumeError, match=reason):
        write_terafly(tmp_path / "brain", Volume(image, spacing), tile=tile)
    assert not (tmp_path / "brain").exists()
