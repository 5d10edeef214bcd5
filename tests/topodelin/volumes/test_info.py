import json
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from tests.topodelin.volumes.phantom import SHAPE, SPACING, phantom
from tests.topodelin.volumes.served import served
from tests.topodelin.volumes.test_imaris import write_imaris
from tests.topodelin.volumes.test_stores import write_n5, write_precomputed
from topodelin.cli import app as command_line
from topodelin.cli import verbs  # noqa: F401  (registers the verbs)
from topodelin.cli.app import main
from topodelin.volumes import Volume, VolumeError, create_ome_zarr, open_volume, write_ome_zarr
from topodelin.volumes import storage as storing
from topodelin.volumes.info import VolumeInfo, volume_info
from topodelin.volumes.storage import probe
from topodelin.volumes.terafly_writer import write_terafly
from topodelin.volumes.vaa3d import write_v3draw

IMAGE = Volume(phantom(), SPACING)
CHUNKS = (2, 8, 8)


def tiff(path: Path) -> None:
    tifffile.imwrite(
        path, phantom(), imagej=True, resolution=(2, 4), compression="zlib",
        metadata={"axes": "ZYX", "spacing": 1.5, "unit": "um"},
    )  # fmt: skip


def hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        made = file.create_dataset("raw", data=phantom(), chunks=CHUNKS, compression="gzip")
        made.attrs["element_size_um"] = SPACING


def slices(path: Path) -> None:
    path.mkdir()
    for z, plane in enumerate(phantom()):
        tifffile.imwrite(path / f"{z}.tif", plane)


WRITERS = {
    "TIFF": (tiff, (1, 17, 29), "deflate", None),
    "npy": (lambda path: np.save(path.open("wb"), phantom()), None, "none", None),
    "HDF5": (hdf5, CHUNKS, "deflate", 1.0),
    "Imaris": (write_imaris, CHUNKS, "deflate", 1.0),
    "Vaa3D": (lambda path: write_v3draw(path, IMAGE), None, "none", None),
    "OME-Zarr": (lambda path: write_ome_zarr(path, IMAGE, chunks=CHUNKS), CHUNKS, "blosc", 1.0),
    "N5": (write_n5, CHUNKS, "gzip", 1.0),
    "precomputed": (write_precomputed, CHUNKS, "raw", 1.0),
    "TeraFly": (lambda path: write_terafly(path, IMAGE), SHAPE, None, 1.0),
    "slices": (slices, None, None, None),
}


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_every_format_is_described(tmp_path: Path, kind: str) -> None:
    write, chunks, compression, present = WRITERS[kind]
    path = tmp_path / "ein Bild µ"
    write(path)
    found = volume_info(path)
    assert (found.format, found.shape, found.channels) == (kind, SHAPE, 1)
    assert found.values == (0, 2, 100) and found.problems == ()
    assert (found.storage.chunks, found.storage.compression) == (chunks, compression)
    assert found.storage.present == present and (found.storage.size or 0) > 1000
    told = kind not in ("npy", "Vaa3D", "N5", "slices")
    assert found.spacing == (pytest.approx(SPACING) if told else None)
    assert bool(found.missing) is not told and ("--spacing" in found.next[-1]) is not told
    assert found.extent == (pytest.approx((7.5, 4.25, 14.5)) if told else None)
    assert json.loads(json.dumps(found.as_dict()))["shape"] == list(SHAPE)


def test_a_url_is_described_without_counting_chunks(tmp_path: Path) -> None:
    write_precomputed(tmp_path / "p")
    with served(tmp_path) as server:
        found = volume_info(f"{server.url}/p")
    assert (found.format, found.storage.present, found.shape) == ("URL", None, SHAPE)


def test_the_share_of_chunks_that_are_there(tmp_path: Path) -> None:
    writer = create_ome_zarr(
        tmp_path / "a.zarr", shape=(4, 8, 8), spacing=SPACING, dtype="u1", chunks=(2, 4, 4)
    )
    box = IMAGE.box.clip((2, 4, 4))
    writer.write(box, phantom()[box.slices])
    assert volume_info(tmp_path / "a.zarr").storage.present == 1 / 8


def test_many_chunks_are_counted_in_a_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "PROBES", 2000)
    (tmp_path / "chunk").write_bytes(bytes(10))

    def every_fourth(place: tuple[int, ...]) -> Path:
        return tmp_path / ("chunk" if sum(place) % 4 == 0 else "gone")

    share, size = probe((10**4, 10**4), every_fourth)
    assert share == pytest.approx(1 / 4, rel=0.1) and size == pytest.approx(2.5e8, rel=0.1)


def test_a_damaged_chunk_is_a_problem_and_exit_code_2(tmp_path: Path) -> None:
    path = write_precomputed(tmp_path / "a")
    next((path / "fine").iterdir()).write_bytes(b"damaged")
    result = CliRunner().invoke(command_line, ["info", str(path)])
    assert result.exit_code == 2
    assert "problem" in result.output and "5 x 17 x 29" in result.output
    assert "next" not in result.output


def test_a_large_stack_of_planes_is_better_converted(tmp_path: Path) -> None:
    with (tmp_path / "my brain.v3draw").open("wb") as file:
        sizes = np.array([5000, 5000, 100, 1], "<i4").tobytes()
        file.write(b"raw_image_stack_by_hpengL\x01\0" + sizes)
        file.truncate(43 + 5000 * 5000 * 100)
    commands = volume_info(tmp_path / "my brain.v3draw").next
    assert [command.split()[1] for command in commands] == ["delineate"]
    with (tmp_path / "my brain.v3draw").open("r+b") as file:
        file.write(b"raw_image_stack_by_hpengL\x02\0")
        file.truncate(43 + 2 * 5000 * 5000 * 100)
    first = volume_info(tmp_path / "my brain.v3draw").next[0]
    assert first.startswith("topodelin convert '") and "'my brain.ome.zarr' --spacing" in first


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("a.swc", "topodelin swc check"),
        ("run", "topodelin export"),
        ("trees", "topodelin swc check"),
    ],
)
def test_what_is_no_image_gets_a_line_that_helps(tmp_path: Path, name: str, line: str) -> None:
    (tmp_path / "a.swc").write_text("1 2 0 0 0 1 -1\n")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/run.json").write_text("{}")
    (tmp_path / "trees").mkdir()
    (tmp_path / "trees/a.swc").write_text("1 2 0 0 0 1 -1\n")
    result = CliRunner().invoke(command_line, ["info", str(tmp_path / name)])
    assert result.exit_code == 0 and line in result.output


def test_the_command_prints_text_or_json(tmp_path: Path) -> None:
    tiff(tmp_path / "a.tif")
    text = CliRunner().invoke(command_line, ["info", str(tmp_path / "a.tif")]).output
    assert "1.5, 0.25, 0.5 µm" in text and "next" in text
    told = CliRunner().invoke(command_line, ["info", str(tmp_path / "a.tif"), "--json"]).output
    assert json.loads(told)["spacing"] == list(SPACING)


@pytest.mark.parametrize("name", ["gone.tif", "empty.h5"])
def test_what_cannot_be_opened_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / "empty.h5").touch()
    monkeypatch.setattr(sys, "argv", ["topodelin", "info", str(tmp_path / name)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(VolumeError):
        open_volume(tmp_path / name)


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hdf5(tmp_path / "a.h5")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(VolumeError, match=r'pip install "topodelin\[io\]"'):
        volume_info(tmp_path / "a.h5")


def test_one_dataset_of_several_is_described(tmp_path: Path) -> None:
    hdf5(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["other"] = phantom()[:3]
    found: VolumeInfo = volume_info(f"{tmp_path / 'a.h5'}:/raw")
    assert found.shape == SHAPE and found.storage.chunks == CHUNKS
