"""Open an exported run in napari, in a real window, and take a picture of slices and of space.

    python benchmarks/see_napari.py RUN/export/napari -o picture.png

Runs in an environment with napari, without topodelin; needs a display (`xvfb-run` makes one).
Printed are the extents of the layers in µm, which must agree, and the seconds that each view took.
"""

import argparse
import importlib
import importlib.util
import time
from pathlib import Path
from typing import Any

import numpy as np


def script(folder: Path) -> Any:
    """The exported script as a module."""
    found = importlib.util.spec_from_file_location("exported", folder / "open_in_napari.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def settle(application: Any, seconds: float = 1.0) -> None:
    """Let slices that are read in the background arrive."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        application.processEvents()
        time.sleep(0.02)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("napari.png"))
    parser.add_argument("--size", type=int, nargs=2, default=(1280, 800))
    parser.add_argument("--zoom", type=float, help="pixels per µm in the slice")
    given = parser.parse_args()
    napari = importlib.import_module("napari")
    viewer = napari.Viewer(show=True)
    application = importlib.import_module("qtpy.QtWidgets").QApplication.instance()
    viewer.window.resize(*given.size)
    start = time.perf_counter()
    script(given.folder).add_layers(viewer, given.folder.resolve())
    settle(application)
    print(f"opened in {time.perf_counter() - start:.1f} s")
    for layer in viewer.layers:
        low, high = np.round(np.asarray(layer.extent.world), 3)
        print(f"{layer.name:18} {type(layer).__name__:8} from {low} to {high} µm")
    if given.zoom:
        viewer.camera.zoom = given.zoom
    pictures = []
    for dims in (2, 3):
        start = time.perf_counter()
        viewer.dims.ndisplay = dims
        if dims == 3:
            viewer.reset_view()
        settle(application)
        pictures.append(viewer.screenshot(canvas_only=False, flash=False)[..., :3])
        print(f"{dims}-D view in {time.perf_counter() - start:.1f} s")
    importlib.import_module("imageio").imwrite(given.output, np.concatenate(pictures, axis=0))
    viewer.close()


if __name__ == "__main__":
    main()
