"""A run for neuroglancer: everything where it was in the image, read back by other eyes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorstore

from tests.topodelin.export.precomputed_reader import (
    read_annotation,
    read_annotations,
    read_skeleton,
)
from tests.topodelin.export.small_run import (
    D_MAX,
    bars,
    phantom_npy,
    phantom_zarr,
    write_run,
)
from tests.topodelin.volumes.phantom import SPACING, phantom
from topodelin.delineation.tracing.spots import KINDS
from topodelin.export import export_neuroglancer
from topodelin.export.neuroglancer import NeuroglancerExport
from topodelin.graphs import NeuriteGraph

NM = 1000


def exported(folder: Path, image: Path | None, **options: Any) -> NeuroglancerExport:
    spacing = list(SPACING) if image is not None and image.suffix == ".npy" else None
    run = write_run(folder / "run", bars(), image=image, spacing=spacing)
    return export_neuroglancer(run, folder / "out", **options)


def level(export: NeuroglancerExport, name: str, number: int) -> tuple[np.ndarray, Any, Any]:
    """Voxels of one level read by tensorstore, its scale and the centre of its first voxel, µm."""
    described = export.folder / name
    roots = [described, *(store for key, store in export.stores if key == name)]
    if (described / ".zattrs").exists():
        image = json.loads((described / ".zattrs").read_text())["multiscales"][0]
        driver = "zarr"
    else:
        attributes = json.loads((described / "zarr.json").read_text())["attributes"]
        image, driver = attributes["ome"]["multiscales"][0], "zarr3"
    assert {axis["unit"] for axis in image["axes"]} == {"micrometer"}
    dataset = image["datasets"][number]
    scale, shift = dataset["coordinateTransformations"]
    path = next(root / dataset["path"] for root in roots if (root / dataset["path"]).exists())
    store = {"driver": driver, "kvstore": {"driver": "file", "path": str(path)}}
    return tensorstore.open(store).result().read().result(), scale["scale"], shift["translation"]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_zarr_image_stays_where_it_is_and_starts_at_zero(tmp_path: Path, version: str) -> None:
    out = exported(tmp_path, phantom_zarr(tmp_path, version))
    voxels, scale, shift = level(out, "image", 0)
    assert np.array_equal(voxels, phantom())
    assert scale == pytest.approx(SPACING) and shift == pytest.approx([0, 0, 0])
    assert dict(out.stores)["image"] == tmp_path / "phantom.ome.zarr"
    assert not (out.folder / "image" / "0").exists()
    _, coarse, first = level(out, "image", 1)
    assert first == pytest.approx([(c - f) / 2 for c, f in zip(coarse, SPACING, strict=True)])


def test_the_corner_of_the_phantom_is_the_first_node_of_the_skeleton(tmp_path: Path) -> None:
    out = exported(tmp_path, phantom_npy(tmp_path))
    voxels, scale, shift = level(out, "image", 0)
    corner = np.array(np.unravel_index(voxels.argmax(), voxels.shape))
    skeleton = read_skeleton(out.folder / "skeletons", 1)
    assert skeleton["positions"][0] / NM == pytest.approx((corner * scale + shift)[::-1])
    ends = skeleton["positions"][[2, 3]] / NM / SPACING[::-1]  # in voxels x, y, z
    assert ends == pytest.approx(np.array([[0, 0, 3], [0, 8, 0]]))
    assert [voxels[3, 0, 0], voxels[0, 8, 0]] == [10, 20]


def test_skeletons_carry_radii_and_the_confidence_of_the_distance_map(tmp_path: Path) -> None:
    skeletons = exported(tmp_path, None).folder / "skeletons"
    fork, line = read_skeleton(skeletons, 1), read_skeleton(skeletons, 2)
    assert fork["edges"].tolist() == [[0, 1], [1, 2], [0, 3]]
    assert fork["radius"] == pytest.approx([0.5, 0.25, 0.5, 1])  # SWC has no unknown radius
    assert fork["confidence"].tolist() == [1, 1, 0, 1]  # the map ends above the third node
    assert line["confidence"] == pytest.approx([1, 1 - 1.5 / D_MAX])


def test_neurons_have_names_and_lengths_to_search_for(tmp_path: Path) -> None:
    skeletons = exported(tmp_path, None).folder / "skeletons"
    info = json.loads((skeletons / "info").read_text())
    listed = json.loads((skeletons / info["segment_properties"] / "info").read_text())["inline"]
    values = {each["id"]: each["values"] for each in listed["properties"]}
    assert listed["ids"] == ["1", "2"]
    assert values["name"] == ["tree_0001", "tree_0002"]
    assert values["length_um"] == pytest.approx([4.5 + 2, 9.5])
    assert values["tips"] == [2, 2]


def test_spots_keep_rank_kind_and_place(tmp_path: Path) -> None:
    spots = exported(tmp_path, None).folder / "spots"
    every = read_annotations(spots)
    assert sorted(every) == [1, 2, 3]
    kinds = [KINDS[every[rank]["kind"]] for rank in (1, 2, 3)]
    assert kinds == ["failed_cube", "bright_end", "gap"]
    assert every[3]["place"] == (0.5, 2.0, 1.5)  # x, y, z
    assert every[3]["size_um"] == 3.25 and every[3]["severity"] == pytest.approx(0.4)
    assert read_annotation(spots, 3) == every[3] | {"tree": (1, 2)}
    assert sorted(read_annotations(spots, "by_tree/1")) == [2, 3]
    assert sorted(read_annotations(spots, "by_tree/2")) == [3]


def test_bounds_hold_the_image_and_every_spot(tmp_path: Path) -> None:
    info = json.loads((exported(tmp_path, None).folder / "spots" / "info").read_text())
    low, high = np.array(info["lower_bound"]), np.array(info["upper_bound"])
    places = [each["place"] for each in read_annotations(tmp_path / "out" / "spots").values()]
    assert (np.array(places) >= low).all() and (np.array(places) <= high).all()
    assert info["spatial"][0]["chunk_size"] == pytest.approx((high - low).tolist())


def test_the_state_opens_at_the_worst_spot_in_voxels_of_the_image(tmp_path: Path) -> None:
    out = exported(tmp_path, phantom_npy(tmp_path))
    state = json.loads((out.folder / "state.json").read_text(encoding="utf-8"))
    assert state["dimensions"]["x"] == pytest.approx([0.5e-6, "m"])
    assert state["position"] == pytest.approx([19, 1, 3])
    layers = {layer["name"]: layer for layer in state["layers"]}
    listed = layers["to check"]["annotations"]
    assert [each["id"] for each in listed] == ["1", "2", "3"]
    assert listed[2]["description"] == "3. gap, 3.2 µm, 0.40: zwei Enden, 3 µm"
    assert listed[2]["point"] == pytest.approx([1, 8, 1])
    assert layers["neurons"]["segments"] == ["2", "1"]  # the longest first
    assert layers["distance map"]["shaderControls"]["normalized"]["range"] == [0, D_MAX]


def test_a_run_without_trees_spots_and_image_is_still_shown(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [], spots=())
    out = export_neuroglancer(run, tmp_path / "out")
    assert "--image" in out.notes[0]
    assert read_annotations(out.folder / "spots") == {}
    state = json.loads((out.folder / "state.json").read_text())
    assert "image" not in [layer["name"] for layer in state["layers"]]
    assert state["position"] == pytest.approx([14, 4, 2])


def test_an_image_that_is_not_zarr_is_copied_coarser_when_it_is_large(tmp_path: Path) -> None:
    out = exported(tmp_path, phantom_npy(tmp_path), max_voxels=1000)
    voxels, scale, shift = level(out, "image", 0)
    assert voxels.size <= 1000
    assert shift == pytest.approx([(c - f) / 2 for c, f in zip(scale, SPACING, strict=True)])
    assert "voxels (z, y, x) as one" in out.notes[0]
    extent = np.array(voxels.shape) * scale
    assert (extent >= np.array(phantom().shape) * SPACING - 1e-9).all()


def test_zarr_at_a_url_is_left_to_the_viewer(tmp_path: Path) -> None:
    image = phantom_zarr(tmp_path).as_uri()
    out = export_neuroglancer(write_run(tmp_path / "run", [], image=image), tmp_path / "out")
    state = json.loads((out.folder / "state.json").read_text())
    assert state["layers"][0]["source"] == f"zarr://{image}"
    assert not (out.folder / "image").exists() and image in out.notes[0]


def test_a_large_image_at_a_url_is_not_fetched(tmp_path: Path) -> None:
    phantom_zarr(tmp_path).rename(tmp_path / "phantom")
    image = (tmp_path / "phantom").as_uri()
    run = write_run(tmp_path / "run", [], image=image)
    out = export_neuroglancer(run, tmp_path / "out", max_voxels=1000)
    assert "too many to fetch" in out.notes[0]
    assert export_neuroglancer(run, tmp_path / "out").notes == ()
    assert np.array_equal(
        level(export_neuroglancer(run, tmp_path / "out"), "image", 0)[0], phantom()
    )


def test_numbers_follow_the_names_of_the_trees(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", bars())
    (run.folder.trees / "tree_0001.swc").unlink()  # a person threw it away
    export_neuroglancer(run, tmp_path / "out")
    assert len(read_skeleton(tmp_path / "out" / "skeletons", 2)["positions"]) == 2
    assert not (tmp_path / "out" / "skeletons" / "1").exists()


def test_an_export_that_fails_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", bars())
    (run.folder.trees / "tree_0002.swc").write_text("1 0 no numbers here")
    with pytest.raises(ValueError, match="tree_0002"):
        export_neuroglancer(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_lone_node_is_a_skeleton_without_edges(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [NeuriteGraph(np.zeros((1, 3)), np.zeros((0, 2), int))])
    export_neuroglancer(run, tmp_path / "out")
    assert read_skeleton(tmp_path / "out" / "skeletons", 1)["edges"].shape == (0, 2)
