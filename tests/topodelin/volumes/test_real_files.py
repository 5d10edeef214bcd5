import numpy as np
import pytest
import tifffile

from tests.shared_files import needs_shared, shared
from topodelin.volumes import Box, VolumeError, intensity_range, open_volume

STACKS = {
    **{f"diadem_op/OP_{n}.tif": (1.0, 0.33, 0.33) for n in (1, 3, 4, 5, 6, 7)},
    **{f"twophoton_dendrite/rr30a_tp{n}_regionA.tif": (1.0, 0.12, 0.12) for n in (0, 1, 3)},
}


@needs_shared
@pytest.mark.parametrize("name", STACKS)
def test_real_stacks_open_once_the_spacing_is_given(name: str) -> None:
    path = shared("data", *name.split("/"))
    with pytest.raises(VolumeError, match=r"\.tif: .*--spacing z,y,x"):
        open_volume(path)
    volume = open_volume(path, spacing=STACKS[name])
    expected = tifffile.imread(path)
    assert volume.shape == expected.shape and volume.dtype == np.uint8
    box = Box((10, 100, 200), (20, 190, 300))
    np.testing.assert_array_equal(volume.read(box), expected[box.slices])
    found = intensity_range(volume, max_voxels=30_000_000)
    assert (found.low, found.high) == tuple(np.percentile(expected, (50.0, 99.9)))
