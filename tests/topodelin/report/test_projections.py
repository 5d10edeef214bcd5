import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.topodelin.report.drawings import SPACING, phantom
from topodelin.report import maximum_projections
from topodelin.volumes import Box, Volume


class Recorder:
    """An array that remembers every box read from it."""

    def __init__(self, data: np.ndarray, chunks: tuple[int, int, int] | None = None) -> None:
        self.data, self.shape, self.dtype = data, data.shape, data.dtype
        self.reads: list[tuple[slice, ...]] = []
        if chunks:
            self.chunks = chunks

    def __getitem__(self, key: tuple) -> np.ndarray:
        self.reads.append(key[1:])
        return self.data[key]


def random_volume(seed: int, shape: tuple[int, int, int]) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, shape, dtype=np.uint8)


def test_the_bright_corner_stands_where_each_view_says() -> None:
    projections = maximum_projections(phantom())
    from_above, from_front, from_side = projections.images
    assert [image.shape for image in projections.images] == [(7, 11), (5, 11), (5, 7)]
    assert np.argwhere(from_above == 200).tolist() == [[2, 4]]
    assert np.argwhere(from_front == 200).tolist() == [[1, 4]]
    assert np.argwhere(from_side == 200).tolist() == [[1, 2]]


def test_pixels_begin_half_a_voxel_before_the_first_centre() -> None:
    projections = maximum_projections(phantom())
    assert projections.edges_um(0) == (-1.0, 9.0)
    assert projections.edges_um(2) == (-0.125, 2.625)
    assert projections.extent_um == (10.0, 3.5, 2.75)


@given(
    seed=st.integers(0, 99),
    shape=st.tuples(*[st.integers(1, 9)] * 3),
    max_pixels=st.integers(1, 10),
    max_voxels=st.integers(1, 200),
    chunk=st.integers(1, 4),
)
def test_how_a_volume_is_read_does_not_change_the_images(
    seed: int, shape: tuple[int, int, int], max_pixels: int, max_voxels: int, chunk: int
) -> None:
    data = random_volume(seed, shape)
    whole = maximum_projections(Volume(data, SPACING), max_pixels=max_pixels)
    recorder = Recorder(data, (chunk, chunk, chunk))
    pieces = maximum_projections(
        Volume(recorder, SPACING), max_pixels=max_pixels, max_voxels=max_voxels
    )
    for one, other in zip(whole.images, pieces.images, strict=True):
        np.testing.assert_array_equal(one, other)
        assert max(one.shape) <= max_pixels
    sizes = [np.prod([s.stop - s.start for s in read]) for read in recorder.reads]
    assert sum(sizes) == data.size
    assert max(sizes) <= max(max_voxels, chunk**3)


@given(seed=st.integers(0, 99), shape=st.tuples(*[st.integers(1, 9)] * 3))
def test_each_pixel_is_the_maximum_of_its_block(seed: int, shape: tuple[int, int, int]) -> None:
    data = random_volume(seed, shape)
    projections = maximum_projections(Volume(data, SPACING), max_pixels=3)
    z, y, x = projections.block
    image = projections.images[0]
    down, right = image.shape
    expected = [
        [data[:, i * y : (i + 1) * y, j * x : (j + 1) * x].max() for j in range(right)]
        for i in range(down)
    ]
    np.testing.assert_array_equal(image, expected)


def test_pieces_keep_to_the_chunks_of_the_store() -> None:
    recorder = Recorder(random_volume(0, (8, 8, 8)), (4, 4, 4))
    maximum_projections(Volume(recorder, SPACING), max_voxels=128)
    assert len(recorder.reads) == 4
    assert all(s.start % 4 == 0 for read in recorder.reads for s in read)


def test_what_lies_outside_the_boxes_is_neither_read_nor_shown() -> None:
    recorder = Recorder(random_volume(0, (4, 6, 8)))
    box = Box((0, 2, 4), (4, 6, 8))
    image = maximum_projections(Volume(recorder, SPACING), boxes=[box]).images[0]
    assert np.isnan(image[:2]).all() and np.isnan(image[:, :4]).all()
    np.testing.assert_array_equal(image[2:, 4:], recorder.data[:, 2:, 4:].max(axis=0))
    assert [tuple((s.start, s.stop) for s in read) for read in recorder.reads] == [
        ((0, 4), (2, 6), (4, 8))
    ]


def test_a_missing_value_does_not_hide_what_lies_behind_it() -> None:
    data = np.zeros((2, 2, 2), np.float32)
    data[0, 0, 0], data[1, 0, 0] = np.nan, 3
    assert maximum_projections(Volume(data, SPACING)).images[0][0, 0] == 3


def test_the_brightest_channel_is_shown() -> None:
    data = np.zeros((2, 1, 1, 1), np.uint8)
    data[1] = 7
    assert maximum_projections(Volume(data, SPACING)).images[0][0, 0] == 7


def test_an_empty_volume_is_refused() -> None:
    with pytest.raises(ValueError, match="`volume` must hold voxels"):
        maximum_projections(Volume(np.zeros((0, 2, 2)), SPACING))
