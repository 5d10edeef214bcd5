import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.topodelin.volumes.phantom import SHAPE, phantom
from topodelin.volumes.lazy import LazyArray, Slices


class InMemory(LazyArray):
    """Counts the voxels it hands out."""

    def __init__(self) -> None:
        self.shape, self.dtype = SHAPE, np.dtype("uint8")
        self.voxels = 0

    def read_slices(self, slices: Slices) -> np.ndarray:
        region = phantom()[slices]
        self.voxels += region.size
        return region


def keys(size: int) -> st.SearchStrategy[int | slice]:
    bound = st.none() | st.integers(-size - 2, size + 2)
    ranges = st.builds(slice, bound, bound, st.none() | st.integers(1, 3))
    return ranges | st.integers(-size, size - 1)


@given(
    key=st.tuples(*(keys(size) for size in SHAPE)),
    count=st.integers(0, 3),
    dots=st.none() | st.integers(0, 3),
)
def test_a_lazy_array_is_indexed_like_numpy(
    key: tuple[int | slice, ...], count: int, dots: int | None
) -> None:
    parts: list[object] = list(key[:count])
    if dots is not None:
        parts.insert(min(dots, count), ...)
        parts = parts[:1] if parts[0] is ... and count == 3 else parts
    array = InMemory()
    try:
        expected = phantom()[tuple(parts)]  # type: ignore[index]
    except IndexError:
        with pytest.raises(IndexError):
            array[tuple(parts)]
        return
    np.testing.assert_array_equal(array[tuple(parts)], expected)


def test_only_the_region_is_read() -> None:
    array = InMemory()
    assert array[2, 3:5, 4].shape == (2,)
    assert array.voxels == 2


@pytest.mark.parametrize("key", [None, [1, 2], np.array([1])])
def test_fancy_indexing_is_refused(key: object) -> None:
    with pytest.raises(TypeError, match="integers and slices"):
        InMemory()[key]


@pytest.mark.parametrize("key", [5, -6, (0, 0, 0, 0), (slice(None, None, -1),)])
def test_what_is_out_of_range_is_refused(key: object) -> None:
    with pytest.raises(IndexError):
        InMemory()[key]


def test_numpy_takes_the_whole() -> None:
    np.testing.assert_array_equal(np.asarray(InMemory()), phantom())
