"""A volume that no mirror, turn or exchange of axes leaves the same."""

import numpy as np

SHAPE = (5, 17, 29)
SPACING = (1.5, 0.25, 0.5)


def phantom(dtype: str = "uint8") -> np.ndarray:
    """Three bars of different length and value that meet in a bright corner at (0, 0, 0).

    z: 4 voxels of 10, y: 9 voxels of 20, x: 20 voxels of 30, corner 100; some noise elsewhere.
    """
    volume = np.random.default_rng(7).integers(0, 5, SHAPE)
    volume[:4, 0, 0] = 10
    volume[0, :9, 0] = 20
    volume[0, 0, :20] = 30
    volume[0, 0, 0] = 100
    if dtype == "bool":
        return volume > 4
    return volume.astype(dtype)
