"""Interpolation puts every value of a coarse map where the image had it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from topodelin.models.upsampling import upsample


def test_two_values_are_joined_by_a_line_and_the_last_one_stays() -> None:
    line = torch.tensor([0.0, 4.0]).reshape(1, 1, 1, 2)
    drawn = upsample(line, 4, (1, 8))
    assert drawn.flatten().tolist() == [0, 1, 2, 3, 4, 4, 4, 4]


@settings(max_examples=20)
@given(
    dims=st.sampled_from([2, 3]), stride=st.integers(1, 5), size=st.tuples(*[st.integers(1, 9)] * 3)
)
def test_a_value_lies_at_its_index_times_the_stride(dims, stride, size) -> None:
    size = size[:dims]
    features = torch.randn(2, 1, *(-(-length // stride) for length in size)).double()
    drawn = upsample(features, stride, size)
    assert drawn.shape == (2, 1, *size)
    torch.testing.assert_close(drawn[(..., *(slice(None, None, stride),) * dims)], features)


def test_the_odd_sizes_of_deeplab_are_interpolation_with_aligned_corners() -> None:
    features = torch.randn(1, 2, 4, 3)
    wanted = functional.interpolate(features, (49, 33), mode="bilinear", align_corners=True)
    torch.testing.assert_close(upsample(features, 16, (49, 33)), wanted)


@pytest.mark.parametrize("number", [torch.bfloat16, torch.float16])
def test_half_precision_stays_half(number) -> None:
    assert upsample(torch.ones(1, 1, 2, 2, 2, dtype=number), 2, (3, 4, 4)).dtype == number
