import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.topodelin.volumes.phantom import phantom
from topodelin.volumes import VolumeError
from topodelin.volumes.axes import ChannelStack, InOrder

CHANNELS = np.stack([phantom(), 7 + phantom()])


@given(axes=st.permutations("tczyx"), single=st.booleans())
def test_axes_in_any_order_come_as_czyx(axes: list[str], single: bool) -> None:
    expected = CHANNELS[:1] if single else CHANNELS
    shuffled = expected[None].transpose(["tczyx".index(axis) for axis in axes])
    array = InOrder(shuffled, "".join(axes), "a file")
    wanted = expected[0] if single else expected
    assert array.shape == wanted.shape
    np.testing.assert_array_equal(array[...], wanted)
    np.testing.assert_array_equal(array[..., 1:3, 4, ::2], wanted[..., 1:3, 4, ::2])


def test_several_time_points_are_refused() -> None:
    with pytest.raises(VolumeError, match=r"a file: is a series of 2 time points"):
        InOrder(CHANNELS, "tzyx", "a file")


def test_arrays_become_channels_in_their_order() -> None:
    stack = ChannelStack(list(CHANNELS), "a file")
    np.testing.assert_array_equal(stack[...], CHANNELS)
    np.testing.assert_array_equal(stack[1:, 2, 3:5], CHANNELS[1:, 2, 3:5])


@pytest.mark.parametrize("other", [phantom("uint16"), phantom()[1:]])
def test_channels_must_be_alike(other: np.ndarray) -> None:
    with pytest.raises(VolumeError, match="a file: channel 1 is .* channel 0 is"):
        ChannelStack([phantom(), other], "a file")
