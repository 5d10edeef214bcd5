"""Distance maps as probabilities, and back."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from topodelin.losses.probability import (
    distance_from_logit,
    distance_from_probability,
    foreground_probability,
)


def test_half_at_the_radius_and_nearly_one_on_the_centreline() -> None:
    distance = torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0])
    expected = torch.tensor([0.982, 0.881, 0.5, 0.119, 0.018])
    torch.testing.assert_close(foreground_probability(distance), expected, atol=5e-4, rtol=0)


@given(
    distance=st.floats(-4, 8),
    radius=st.floats(0.5, 4),
    softness=st.floats(1, 3),
)
def test_both_ways_lead_back(distance: float, radius: float, softness: float) -> None:
    d = torch.tensor([distance], dtype=torch.float64)
    p = foreground_probability(d, radius=radius, softness=softness)
    back = distance_from_probability(p, radius=radius, softness=softness)
    straight = distance_from_logit(torch.logit(p), radius=radius, softness=softness)
    torch.testing.assert_close(back, d)
    torch.testing.assert_close(straight, d)


def test_it_falls_with_distance() -> None:
    p = foreground_probability(torch.linspace(-5, 9, 100))
    assert bool((p.diff() < 0).all())


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_certainty_is_a_finite_distance_without_gradient(value: float) -> None:
    p = torch.tensor([value], requires_grad=True)
    distance = distance_from_probability(p)
    distance.sum().backward()
    assert distance.item() == pytest.approx(2 + (0.5 - value) * 2 * 0.5 * 13.8155, rel=1e-2)
    assert p.grad is not None and p.grad.item() == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_single(dtype: torch.dtype) -> None:
    values = torch.tensor([0.25, 0.75], dtype=dtype)
    for turn in (foreground_probability, distance_from_logit, distance_from_probability):
        torch.testing.assert_close(turn(values), turn(values.float()))


@pytest.mark.parametrize("turn", [foreground_probability, distance_from_logit])
def test_gradients_match_finite_differences(turn: Callable[[Tensor], Tensor]) -> None:
    values = torch.linspace(-1, 4, 7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(turn, [values])


@pytest.mark.parametrize("name", ["radius", "softness"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), float("nan")])
def test_a_map_that_does_not_fall_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"`{name}` must be positive and finite"):
        foreground_probability(torch.zeros(1), **{name: value})


def test_the_map_given_is_left_alone() -> None:
    d: Tensor = torch.rand(3)
    before = d.clone()
    foreground_probability(d)
    distance_from_probability(d)
    assert torch.equal(d, before)
