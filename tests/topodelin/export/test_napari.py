"""A run for napari: the exported script, with a viewer that only remembers."""

import importlib.util
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.topodelin.export.small_run import bars, phantom_npy, phantom_zarr, write_run
from tests.topodelin.volumes.phantom import SPACING, phantom
from topodelin.delineation.tracing.spots import KINDS
from topodelin.export import export_napari
from topodelin.volumes.tiff_writer import write_tiff_stack
from topodelin.volumes.volume import Volume


class Viewer:
    """Remembers the layers it is given, and the keys."""

    def __init__(self) -> None:
        self.layers: dict[str, tuple[Any, dict[str, Any]]] = {}
        self.keys: dict[str, Any] = {}
        self.camera, self.scale_bar, self.status = SimpleNamespace(), SimpleNamespace(), ""
        self.turned: list[Any] = []
        events = SimpleNamespace(ndisplay=SimpleNamespace(connect=self.turned.append))
        self.dims = SimpleNamespace(set_point=self._set_point, events=events, ndisplay=2)
        self.point: list[float] = []

    def _set_point(self, axes: range, values: list[float]) -> None:
        assert list(axes) == [0, 1, 2]
        self.point = values

    def add_image(self, data: Any, **options: Any) -> Any:
        self.layers[options["name"]] = data, options
        return SimpleNamespace(name=options["name"], visible=options.get("visible", True))

    add_vectors = add_points = add_image

    def bind_key(self, key: str, action: Any, overwrite: bool) -> None:
        self.keys[key] = action


def script(folder: Path) -> Any:
    found = importlib.util.spec_from_file_location("exported", folder / "open_in_napari.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def opened(folder: Path) -> Viewer:
    viewer = Viewer()
    script(folder).add_layers(viewer, folder)
    return viewer


def phantom_tiff(folder: Path) -> Path:
    write_tiff_stack(folder / "phantom.tif", Volume(phantom(), SPACING))
    return folder / "phantom.tif"


@pytest.fixture
def closed_afterwards(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The script leaves a TIFF open as long as napari may look at it."""
    import tifffile

    opened, read = [], tifffile.imread

    def remember(*words: Any, **options: Any) -> Any:
        opened.append(read(*words, **options))
        return opened[-1]

    monkeypatch.setattr(tifffile, "imread", remember)
    yield
    for store in opened:
        store.close()


@pytest.mark.usefixtures("closed_afterwards")
@pytest.mark.parametrize("make", [phantom_npy, phantom_zarr, phantom_tiff])
def test_the_image_is_opened_where_it_is(tmp_path: Path, make: Any) -> None:
    run = write_run(tmp_path / "run", bars(), image=make(tmp_path), spacing=SPACING)
    export_napari(run, tmp_path / "out")
    data, options = opened(tmp_path / "out").layers["image"]
    finest = data[0] if options["multiscale"] else data
    assert np.array_equal(np.asarray(finest), phantom())
    assert options["scale"] == list(SPACING) and options["translate"] == [0, 0, 0]
    assert options["multiscale"] == (make is phantom_zarr)
    assert not (tmp_path / "out" / "image").exists()


def test_edges_run_from_node_to_node_in_micrometres(tmp_path: Path) -> None:
    export_napari(write_run(tmp_path / "run", bars()), tmp_path / "out")
    vectors, options = opened(tmp_path / "out").layers["neurons"]
    z, y, x = SPACING
    assert vectors.shape == (4, 2, 3)
    assert vectors[1] == pytest.approx(np.array([[z, 0, 0], [2 * z, 0, 0]]))
    assert vectors[3] == pytest.approx(np.array([[0, 0, 0], [0, 0, 19 * x]]))
    assert options["features"]["tree"].tolist() == [1, 1, 1, 2]
    assert options["features"]["confidence"][1] == 0  # into the part without a distance map
    assert not np.array_equal(options["edge_color"][0], options["edge_color"][3])


def test_keys_walk_through_the_spots_by_rank_and_round(tmp_path: Path) -> None:
    export_napari(write_run(tmp_path / "run", bars()), tmp_path / "out")
    viewer = opened(tmp_path / "out")
    places, options = viewer.layers["suspicious spots"]
    assert places[0].tolist() == [4.5, 0.25, 9.5] == viewer.point  # opens at the worst
    assert options["features"]["kind"] == ["failed_cube", "bright_end", "gap"]
    seen = []
    for key in "nnnnb":
        viewer.keys[key](viewer)
        seen.append(viewer.status[0])
    assert seen == ["1", "2", "3", "1", "3"]
    assert viewer.point == [1.5, 2.0, 0.5] == viewer.camera.center
    assert "gap" in viewer.status and "zwei Enden" in viewer.status


def test_every_kind_of_spot_has_a_colour(tmp_path: Path) -> None:
    export_napari(write_run(tmp_path / "run", []), tmp_path / "out")
    assert set(script(tmp_path / "out").COLOURS) == set(KINDS)


def test_a_run_without_anything_opens_with_its_distance_map(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "run", [], spots=())
    run.folder.seeds.unlink()
    export_napari(run, tmp_path / "out")
    viewer = opened(tmp_path / "out")
    assert set(viewer.layers) == {"distance map"}
    assert viewer.layers["distance map"][1]["visible"]
    assert "no neurons" in capsys.readouterr().out


def test_a_run_that_is_moved_still_opens(tmp_path: Path) -> None:
    run = write_run(tmp_path / "läuft", bars())
    export_napari(run, run.folder.path / "export" / "napari")
    shutil.move(tmp_path / "läuft", tmp_path / "moved")
    data, _ = opened(tmp_path / "moved" / "export" / "napari").layers["distance map"]
    assert float(data[0, 0, 0]) == 0


def test_an_image_that_is_gone_is_named(tmp_path: Path) -> None:
    image = phantom_npy(tmp_path)
    export_napari(write_run(tmp_path / "run", [], image=image, spacing=SPACING), tmp_path / "out")
    image.unlink()
    with pytest.raises(SystemExit, match=r"phantom\.npy is not there any more"):
        opened(tmp_path / "out")


def test_slices_are_copied_and_placed_by_the_centres_of_their_voxels(tmp_path: Path) -> None:
    import tifffile

    folder = tmp_path / "slices"
    folder.mkdir()
    for number, plane in enumerate(phantom()):
        tifffile.imwrite(folder / f"s_{number}.tif", plane)
    run = write_run(tmp_path / "run", [], image=folder, spacing=SPACING)
    out = export_napari(run, tmp_path / "out", max_voxels=1310)
    data, options = opened(tmp_path / "out").layers["image"]
    finest = np.asarray(data[0] if options["multiscale"] else data)
    assert finest.shape == (5, 9, 29) and finest[0, 0, 0] == 60  # mean of 100 and 20
    assert options["scale"] == [1.5, 0.5, 0.5]
    assert options["translate"] == [0, 0.125, 0]
    assert "coarser" in out.notes[0]


def test_only_an_image_without_a_small_copy_is_hidden_in_space(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [], image=phantom_npy(tmp_path), spacing=SPACING)
    export_napari(run, tmp_path / "out")
    module, viewer = script(tmp_path / "out"), Viewer()
    scene = json.loads((tmp_path / "out" / "scene.json").read_text())["images"]["image"]
    assert module.add_image(viewer, "image", scene, tmp_path / "out") == []
    module.SPACE_BYTES = 1000
    (layer,) = module.add_image(viewer, "image", scene, tmp_path / "out")
    module.hide_in_space(viewer, [layer])
    viewer.dims.ndisplay = 3
    viewer.turned[0](None)
    assert not layer.visible and "image has no copy" in viewer.status
    viewer.dims.ndisplay = 2
    viewer.turned[0](None)
    assert layer.visible


def test_axes_of_one_time_and_late_channels_come_out_as_channels_first() -> None:
    import dask.array

    from topodelin.export.open_in_napari import flat

    array = dask.array.zeros((1, 4, 2, 5, 6))
    assert flat(array, "tzcyx").shape == (2, 4, 5, 6)
    assert flat(array[:, :, :1], "tzcyx").shape == (4, 5, 6)


@pytest.mark.skipif("DISPLAY" not in os.environ, reason="needs a display")
def test_it_opens_in_napari_itself(tmp_path: Path) -> None:
    napari = pytest.importorskip("napari")
    export_napari(write_run(tmp_path / "run", bars()), tmp_path / "out")
    viewer = napari.Viewer(show=False)
    script(tmp_path / "out").add_layers(viewer, tmp_path / "out")
    assert {layer.name for layer in viewer.layers} >= {"neurons", "suspicious spots", "seeds"}
    viewer.close()


def test_what_the_script_needs_is_plain_data(tmp_path: Path) -> None:
    out = export_napari(write_run(tmp_path / "run", bars()), tmp_path / "out")
    with np.load(out.folder / "neurons.npz", allow_pickle=False) as stored:
        assert {name: stored[name].dtype.kind for name in stored.files} == {
            "start": "f", "step": "f", "tree": "i", "confidence": "f",
        }  # fmt: skip
    assert "topodelin" not in json.dumps([path.name for path in out.paths])
