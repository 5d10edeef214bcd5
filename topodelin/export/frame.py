"""The voxels of one picture, in space: what is drawn on it must be in its coordinates."""

from dataclasses import dataclass, replace

import numpy as np

from topodelin.graphs import Marker, NeuriteGraph
from topodelin.volumes import Box, Index, Spacing, Volume


@dataclass(frozen=True)
class Frame:
    """Where the voxels of a picture lie.

    Args:
        shape: voxels `(z, y, x)`.
        spacing: µm per voxel.
        origin: µm, the centre of the first voxel, where the image has it.
    """

    shape: Index
    spacing: Spacing
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @classmethod
    def of_box(cls, image: Volume, box: Box) -> "Frame":
        """The frame of a box cut out of the image."""
        z, y, x = (b * s for b, s in zip(box.begin, image.spacing, strict=True))
        return cls(box.shape, image.spacing, (z, y, x))

    @classmethod
    def of_blocks(cls, image: Volume, blocks: Index) -> "Frame":
        """The frame of the image with blocks of voxels merged into one.

        The centre of a merged voxel is the centre of its block, not of its first voxel.
        """
        nz, ny, nx = (-(-n // b) for n, b in zip(image.shape, blocks, strict=True))
        z, y, x = (s * (b - 1) / 2 for s, b in zip(image.spacing, blocks, strict=True))
        dz, dy, dx = (s * b for s, b in zip(image.spacing, blocks, strict=True))
        return cls((nz, ny, nx), (dz, dy, dx), (z, y, x))

    def inside(self, places: np.ndarray) -> np.ndarray:
        """Which of `(N, 3)` places in µm lie in a voxel of the picture."""
        voxels = (places - np.array(self.origin)) / np.array(self.spacing)
        return np.all((voxels >= -0.5) & (voxels < np.array(self.shape) - 0.5), axis=1)

    def graph(self, graph: NeuriteGraph) -> NeuriteGraph:
        """What lies in the picture, in µm from the centre of its first voxel.

        An edge stays when one of its ends is inside, so that a neurite reaches the border.
        """
        kept = self.inside(graph.positions)
        edges = graph.edges[kept[graph.edges].any(axis=1)]
        kept[edges.ravel()] = True
        number = np.cumsum(kept) - 1
        positions = graph.positions[kept] - np.array(self.origin)
        return NeuriteGraph(positions, number[edges], graph.radii[kept], graph.kinds[kept])

    def markers(self, markers: list[Marker]) -> list[Marker]:
        """The markers in the picture, in µm from the centre of its first voxel."""
        if not markers:
            return []
        kept = self.inside(np.array([marker.position for marker in markers]))
        return [
            replace(marker, position=tuple(np.subtract(marker.position, self.origin).tolist()))
            for marker, keep in zip(markers, kept, strict=True)
            if keep
        ]
