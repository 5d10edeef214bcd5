"""Arrays survive being packed, and damage is noticed."""

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from topodelin.delineation.tracing.packing import pack, unpack

numbers = st.lists(st.integers(-(2**40), 2**40), max_size=9)


@given(numbers, st.lists(st.floats(-1e6, 1e6, width=32), max_size=9))
def test_arrays_come_back_as_they_were(whole: list[int], real: list[float]) -> None:
    given_ = [np.array(whole, np.int64), np.array(real, np.float32)]
    found = unpack(pack(given_), ("i8", "f4"))
    for one, other in zip(found, given_, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"nonsense",
        pack([np.arange(3)])[:-4],
        zlib.compress(b"short"),
        zlib.compress(np.array([5], "<i8").tobytes() + bytes(8)),
        zlib.compress(np.array([-1], "<i8").tobytes()),
    ],
    ids=["empty", "nonsense", "cut", "short", "one in five", "negative"],
)
def test_damaged_bytes_are_refused(damaged: bytes) -> None:
    with pytest.raises(ValueError, match="packed arrays are damaged"):
        unpack(damaged, ("i8",))


def test_sizes_that_add_up_but_cannot_be_are_refused() -> None:
    damaged = zlib.compress(np.array([-1, 3], "<i8").tobytes() + bytes(16))
    with pytest.raises(ValueError, match="packed arrays are damaged"):
        unpack(damaged, ("i8", "i8"))
