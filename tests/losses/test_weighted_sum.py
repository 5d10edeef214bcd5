"""Sums of losses with weights that change along the training."""

import pickle

import pytest
import torch
from torch import nn

from topodelin.losses import ConnLoss, MSELoss, Ramp, WeightedSum


class Unwanted(nn.Module):
    """A loss that must not be called."""

    def forward(self, prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        raise AssertionError("a term of weight 0 was computed")


PAIR = (torch.ones(1, 1, 2), torch.zeros(1, 1, 2))


@pytest.mark.parametrize(
    ("step", "weight"), [(0, 1.0), (9, 1.0), (10, 1.0), (12, 1.5), (14, 2.0), (99, 2.0)]
)
def test_a_ramp_rises_in_a_straight_line(step: int, weight: float) -> None:
    assert Ramp(1, 2, start=10, length=4)(step) == weight


def test_a_ramp_without_length_jumps_at_its_start() -> None:
    assert [Ramp(0, 1e-4, start=2000)(step) for step in (1999, 2000)] == [0, 1e-4]


def test_a_ramp_before_the_first_step_is_refused() -> None:
    with pytest.raises(ValueError, match="`start` and `length` must be 0 or more steps"):
        Ramp(0, 1, start=-1)


def test_the_sum_is_weighed_and_every_term_is_kept() -> None:
    loss = WeightedSum({"mean": (MSELoss(), 0.5), "sum": (MSELoss(reduction="sum"), 2.0)})
    assert loss(*PAIR).item() == 0.5 * 1 + 2.0 * 2
    assert {name: value.item() for name, value in loss.last_terms.items()} == {"mean": 1, "sum": 2}
    assert loss.last_weights == {"mean": 0.5, "sum": 2.0}


def test_a_term_is_neither_computed_nor_kept_before_its_time() -> None:
    loss = WeightedSum({"mse": (MSELoss(), 1.0), "late": (Unwanted(), Ramp(0, 1, start=5))})
    assert loss(*PAIR).item() == 1
    assert set(loss.last_terms) == {"mse"} and loss.last_weights["late"] == 0
    loss.step = 5
    with pytest.raises(AssertionError, match="was computed"):
        loss(*PAIR)


def test_kept_terms_hold_no_graph() -> None:
    prediction = torch.ones(1, 1, 2, requires_grad=True)
    loss = WeightedSum({"mse": (MSELoss(), 1.0)})
    loss(prediction, PAIR[1]).backward()
    assert not loss.last_terms["mse"].requires_grad
    assert prediction.grad is not None and prediction.grad.any()


def test_a_sum_without_any_weight_can_still_be_stepped() -> None:
    prediction = torch.ones(1, 1, 2, requires_grad=True)
    value = WeightedSum({"late": (Unwanted(), Ramp(0, 1, start=5))})(prediction, PAIR[1])
    value.backward()
    assert value.item() == 0
    assert prediction.grad is not None and not prediction.grad.any()


def test_it_is_saved_with_its_step_and_holds_no_state() -> None:
    loss = WeightedSum({"mse": (MSELoss(), 1.0), "conn": (ConnLoss(), Ramp(0, 1e-3, start=5))})
    loss.step = 7
    copy = pickle.loads(pickle.dumps(loss))
    assert copy.step == 7 and copy.weights == loss.weights
    assert loss.state_dict() == {}


def test_no_terms_are_refused() -> None:
    with pytest.raises(ValueError, match="`terms` must name at least one loss"):
        WeightedSum({})


def test_a_class_instead_of_a_loss_is_refused() -> None:
    with pytest.raises(TypeError, match=r"`terms\['mse'\]` must be a pair|Type-check"):
        WeightedSum({"mse": (MSELoss, 1.0)})  # type: ignore[dict-item]
