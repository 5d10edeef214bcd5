"""Open a run of topodelin in napari: image, distance map, neurons, suspicious spots, seeds.

    python open_in_napari.py

Needs napari 0.5 or newer with zarr and tifffile, not topodelin. What is shown lies beside this
file; where the image is, is said in scene.json. Everything is placed in µm, and the centre of the
first voxel is at 0.

Keys: N goes to the next suspicious spot, B back to the one before; Ctrl+Y turns between slices and
space.
"""

import csv
import json
from pathlib import Path
from typing import Any

import dask.array as da  # pyright: ignore[reportMissingImports]
import numpy as np

HERE = Path(__file__).resolve().parent
COLOURS = {
    "gap": "gold",
    "weak_bridge": "darkorange",
    "crossing": "magenta",
    "several_seeds": "cyan",
    "bright_end": "chartreuse",
    "failed_cube": "red",
}
NAMED = 200  # spots whose rank is written beside them
AROUND_UM = 2.0  # neurons and spots are shown as far as this above and below the slice
SPACE_BYTES = 1 << 29  # a larger image without coarser copies is hidden where space is shown
NEAR = {"name": "near", "colors": [[0, 0.6, 1, 1], [0, 0, 0, 1]]}  # bright where the distance is 0


def main() -> None:
    import napari  # pyright: ignore[reportMissingImports]

    viewer = napari.Viewer(title=f"topodelin: {HERE}")  # pyright: ignore
    add_layers(viewer, HERE)
    napari.run()  # pyright: ignore


def add_layers(viewer: Any, folder: Path) -> None:
    """All layers of the folder, each in its place in µm."""
    scene = json.loads((folder / "scene.json").read_text(encoding="utf-8"))
    large = []
    for name in ("image", "distance map"):
        if name in scene["images"]:
            large += add_image(viewer, name, scene["images"][name], folder)
    hide_in_space(viewer, large)
    add_neurons(viewer, folder / "neurons.npz")
    seeds = np.array([place(row) for row in table(folder / "seeds.csv")]).reshape(-1, 3)
    if len(seeds):
        viewer.add_points(
            seeds, name="seeds", symbol="cross", face_color="white", size=2, visible=False,
            units=("um",) * 3,
        )  # fmt: skip
    add_spots(viewer, table(folder / "spots.csv"))
    viewer.dims.margin_left = viewer.dims.margin_right = (AROUND_UM,) * 3
    viewer.scale_bar.visible = True


def add_image(viewer: Any, name: str, scene: dict[str, Any], folder: Path) -> list[Any]:
    """An image or a distance map, read only where it is looked at; its layers if it is large."""
    levels = open_image(scene, folder)
    channels = 0 if levels[0].ndim == 4 else None
    layers = viewer.add_image(
        levels if len(levels) > 1 else levels[0],
        multiscale=len(levels) > 1,
        channel_axis=channels,
        name=name,
        scale=scene["spacing"],
        translate=scene["translate"],
        contrast_limits=scene["range"],
        colormap="gray" if name == "image" else NEAR,
        blending="translucent_no_depth" if name == "image" else "additive",
        units=("um",) * 3,
        visible=scene["visible"],
    )
    layers = layers if isinstance(layers, list) else [layers]
    return layers if levels[-1].nbytes > SPACE_BYTES else []


def hide_in_space(viewer: Any, layers: list[Any]) -> None:
    """In space napari loads an image whole, which a large one does not survive."""
    shown = []

    def turn(_: Any) -> None:
        if viewer.dims.ndisplay == 3:
            shown[:] = [layer for layer in layers if layer.visible]
            for layer in shown:
                layer.visible = False
                viewer.status = f"{layer.name} has no copy that is small enough for 3-D"
        else:
            for layer in shown:
                layer.visible = True

    viewer.dims.events.ndisplay.connect(turn)


def open_image(scene: dict[str, Any], folder: Path) -> list[Any]:
    """The levels of an image, finest first, axes (z, y, x) or (c, z, y, x)."""
    path = folder / scene["path"]  # an absolute path stays what it is
    if not path.exists():
        raise SystemExit(f"{path} is not there any more; correct its path in scene.json")
    if scene["format"] == "zarr":
        arrays = [da.from_zarr(str(path / level)) for level in scene["levels"]]
        return [flat(array, scene["axes"]) for array in arrays]
    if scene["format"] == "npy":
        return [da.from_array(np.load(path, mmap_mode="r"), chunks="auto")]
    import tifffile  # pyright: ignore[reportMissingImports]
    import zarr  # pyright: ignore[reportMissingImports]

    with tifffile.TiffFile(path) as tif:
        number, series = max(enumerate(tif.series), key=lambda each: len(each[1].shape))
        axes = series.axes
    stored = zarr.open(tifffile.imread(path, series=number, level=0, aszarr=True), mode="r")
    return [flat(da.from_zarr(stored), axes.lower())]


def flat(array: Any, axes: str) -> Any:
    """Without axes of one time or channel, channels first."""
    for letter in "tc":
        at = axes.find(letter)
        if at >= 0 and array.shape[at] == 1:
            array, axes = array[(slice(None),) * at + (0,)], axes.replace(letter, "")
    return da.moveaxis(array, axes.index("c"), 0) if "c" in axes else array


def add_neurons(viewer: Any, path: Path) -> None:
    """Every edge of every neuron as a line from node to node, one colour for each neuron."""
    with np.load(path, allow_pickle=False) as stored:
        start, step = stored["start"], stored["step"]
        tree, confidence = stored["tree"], stored["confidence"]
    if not len(start):
        print("no neurons were traced")
        return
    viewer.add_vectors(
        np.stack([start, step], axis=1),
        name="neurons",
        edge_color=colours(tree),
        edge_width=0.4,
        vector_style="line",
        blending="translucent_no_depth",
        units=("um",) * 3,
        features={"tree": tree, "confidence": confidence},
    )


def colours(tree: np.ndarray) -> np.ndarray:
    """(E, 4) red, green, blue, opaque: neighbouring numbers get hues far apart."""
    hue = (tree * 0.618034) % 1.0
    rgb = [np.clip(np.abs((hue * 6 + turn) % 6 - 3) - 1, 0.15, 1) for turn in (0, 4, 2)]
    return np.stack([*rgb, np.ones(len(tree))], axis=1).astype(np.float32)


def add_spots(viewer: Any, spots: list[dict[str, str]]) -> None:
    """Suspicious spots, coloured by kind, the worst first; keys N and B walk through them."""
    if not spots:
        return
    places = np.array([place(row) for row in spots])
    text = [row["rank"] if at < NAMED else "" for at, row in enumerate(spots)]
    viewer.add_points(
        places,
        name="suspicious spots",
        features={
            "label": text,
            "kind": [row["kind"] for row in spots],
            "severity": [float(row["severity"]) for row in spots],
            "note": [row["note"] for row in spots],
        },
        face_color=[COLOURS[row["kind"]] for row in spots],
        border_color="black",
        size=2,
        opacity=0.7,
        blending="translucent_no_depth",
        text={"string": "{label}", "color": "white", "translation": [0, -2, 0]},
        units=("um",) * 3,
    )
    seen = {"at": -1}

    def show(step: int) -> None:
        seen["at"] = at = (seen["at"] + step) % len(spots)
        row = spots[at]
        viewer.dims.set_point(range(3), place(row))
        viewer.camera.center = place(row)
        viewer.status = (
            f"{row['rank']} of {len(spots)}: {row['kind'].replace('_', ' ')}, "
            f"{row['size_um']} µm, tree {row['trees']} {row['note']}"
        )

    viewer.bind_key("n", lambda _: show(1), overwrite=True)
    viewer.bind_key("b", lambda _: show(-1), overwrite=True)
    viewer.dims.set_point(range(3), place(spots[0]))


def table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file by the names in its first line."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def place(row: dict[str, str]) -> list[float]:
    """µm (z, y, x) of a row that names them with or without unit."""
    return [float(row[axis] if axis in row else row[f"{axis}_um"]) for axis in "zyx"]


if __name__ == "__main__":
    main()
