"""The state of neuroglancer that shows a run: its layers, where to look, and how bright."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from topodelin.delineation.tracing.spots import KINDS, Spot
from topodelin.volumes import IntensityRange, Spacing

COLOURS = {
    "gap": "#ffd700",
    "weak_bridge": "#ff8c00",
    "crossing": "#ff3bff",
    "several_seeds": "#00e5ff",
    "bright_end": "#7cff4f",
    "failed_cube": "#ff4040",
}
LISTED = 200
SHOWN_NEURONS = 5000
IMAGE_SHADER = "#uicontrol invlerp normalized\nvoid main() {\n  emitGrayscale(normalized());\n}\n"
DISTANCE_SHADER = (
    "#uicontrol invlerp normalized\n"
    "void main() {\n  emitRGB(vec3(0.0, 0.6, 1.0) * (1.0 - normalized()));\n}\n"
)


@dataclass(frozen=True)
class Scene:
    """What is shown.

    Args:
        voxel: µm `(z, y, x)` of the image; the unit of what neuroglancer displays as position.
        shape: voxels `(z, y, x)`.
        image: URL of its zarr; None where none is shown.
        image_range: grey values shown as black and white.
        d_max: where the distance map is clipped.
        neurons: numbers of the skeletons, longest first.
        spots: the worst first.
        seeds: (S, 3) µm.
    """

    voxel: Spacing
    shape: tuple[int, int, int]
    image: str | None
    image_range: IntensityRange | None
    d_max: float
    neurons: Sequence[int]
    spots: Sequence[Spot]
    seeds: np.ndarray


def neuroglancer_state(scene: Scene, base: str) -> dict[str, Any]:
    """The state as neuroglancer reads it.

    One unit of its position is one voxel of the image, and whole numbers are centres of voxels: the
    frame of the tracing. It opens at the worst spot.

    Args:
        base: URL of the exported folder, without a slash at its end.
    """
    dimensions = {axis: [um * 1e-6, "m"] for axis, um in zip("xyz", scene.voxel[::-1], strict=True)}
    start = scene.spots[0].position if scene.spots else _middle(scene)
    finest = min(scene.voxel)
    extent = max(n * um for n, um in zip(scene.shape, scene.voxel, strict=True)) / finest
    return {
        "dimensions": dimensions,
        "position": _voxels(start, scene.voxel),
        "crossSectionScale": 0.5,
        "projectionScale": 1.2 * extent,
        "layers": [*_images(scene, base), *_tracing(scene, base), _listed(scene, dimensions)],
        "selectedLayer": {"visible": bool(scene.spots), "layer": "to check"},
        "layout": "4panel",
    }


def _images(scene: Scene, base: str) -> list[dict[str, Any]]:
    distances = {
        "type": "image",
        "name": "distance map",
        "source": f"zarr://{base}/distance_map",
        "shader": DISTANCE_SHADER,
        "shaderControls": {"normalized": {"range": [0, scene.d_max]}},
        "blend": "additive",
        "visible": scene.image_range is None,
    }
    if scene.image_range is None:
        return [distances]
    black, white = scene.image_range.low, scene.image_range.high
    image = {
        "type": "image",
        "name": "image",
        "source": f"zarr://{scene.image}",
        "shader": IMAGE_SHADER,
        "shaderControls": {"normalized": {"range": [black, white]}},
    }
    return [image, distances]


def _tracing(scene: Scene, base: str) -> list[dict[str, Any]]:
    shown = [str(number) for number in scene.neurons[:SHOWN_NEURONS]]
    return [
        {
            "type": "segmentation",
            "name": "neurons",
            "source": f"precomputed://{base}/skeletons",
            "segments": shown,
            "skeletonRendering": {"mode2d": "lines_and_points", "mode3d": "lines"},
        },
        {
            "type": "annotation",
            "name": "spots",
            "source": f"precomputed://{base}/spots",
            "shader": _spot_shader(),
            "linkedSegmentationLayer": {"tree": "neurons"},
        },
        {
            "type": "annotation",
            "name": "seeds",
            "source": f"precomputed://{base}/seeds",
            "annotationColor": "#ffffff",
            "visible": False,
        },
    ]


def _spot_shader() -> str:
    """Each kind in its colour, the worse the larger."""
    lines = ["void main() {"]
    for number, kind in enumerate(KINDS):
        red, green, blue = (int(COLOURS[kind][at : at + 2], 16) / 255 for at in (1, 3, 5))
        colour = f"vec3({red:.3f}, {green:.3f}, {blue:.3f})"
        lines.append(f"  if (prop_kind() == {number}u) setColor({colour});  // {kind}")
    lines += ["  setPointMarkerSize(6.0 + 8.0 * prop_severity());", "}", ""]
    return "\n".join(lines)


def _listed(scene: Scene, dimensions: dict[str, Any]) -> dict[str, Any]:
    """The worst spots as a list to click through, with their notes."""
    points = []
    for rank, spot in enumerate(scene.spots[:LISTED], 1):
        text = f"{rank}. {spot.kind.replace('_', ' ')}, {spot.size_um:.1f} µm, {spot.severity:.2f}"
        points.append(
            {
                "type": "point",
                "id": str(rank),
                "point": _voxels(spot.position, scene.voxel),
                "description": f"{text}: {spot.note}" if spot.note else text,
            }
        )
    return {
        "type": "annotation",
        "name": "to check",
        "source": {"url": "local://annotations", "transform": {"outputDimensions": dimensions}},
        "annotationColor": "#ffd700",
        "annotations": points,
        "tab": "annotations",
    }


def _voxels(position: Sequence[float], voxel: Spacing) -> list[float]:
    """µm `(z, y, x)` as `[x, y, z]` in voxels."""
    return [um / edge for um, edge in zip(position[::-1], voxel[::-1], strict=True)]


def _middle(scene: Scene) -> list[float]:
    return [(n - 1) / 2 * um for n, um in zip(scene.shape, scene.voxel, strict=True)]
