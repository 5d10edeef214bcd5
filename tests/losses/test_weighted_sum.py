"""Sums of losses with weights that change along the training."""

import pickle

import pytest
import torch
from torch import nn

from topodelin.losses import (
    ConnLoss,
    GradientBalance,
    MSELoss,
    PreparedTargets,
    Ramp,
    Switch,
    WeightedSum,
)


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


class Linear(nn.Module):
    """Its gradient is `slope` at every voxel, whatever the prediction."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return (self.slope * prediction).sum() + 0 * target.sum()


def gradient_of(loss: nn.Module, prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    prediction = prediction.clone().requires_grad_()
    loss(prediction, target).backward()
    assert prediction.grad is not None
    return prediction.grad


@pytest.mark.parametrize(("step", "weight"), [(0, 0.0), (9, 0.0), (10, 3.0), (19, 3.0), (20, 1.0)])
def test_a_switch_changes_at_its_steps(step: int, weight: float) -> None:
    assert Switch((0, 3, 1), at=(10, 20))(step) == weight


def test_a_switch_needs_one_weight_more_than_steps() -> None:
    with pytest.raises(ValueError, match="`values` must hold one weight more than `at`"):
        Switch((1, 2), at=(1, 2))


@pytest.mark.parametrize("at", [(5, 5), (7, 3), (-1, 3)])
def test_a_switch_needs_increasing_steps(at: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="`at` must hold increasing steps"):
        Switch((1, 2, 3), at=at)


@pytest.mark.parametrize("rho", [0.5, 3.0])
def test_a_balanced_term_pulls_rho_times_as_hard_as_the_first(rho: float) -> None:
    prediction, target = torch.rand(2, 1, 5, 5), torch.rand(2, 1, 5, 5)
    mean, strong = MSELoss(), Linear(1e4)
    loss = WeightedSum({"mse": (mean, 2.0), "strong": (strong, GradientBalance(rho))})
    first = 2 * gradient_of(mean, prediction, target)
    second = gradient_of(loss, prediction, target) - first
    assert second.norm() == pytest.approx(rho * first.norm().item(), rel=1e-5)
    assert (second > 0).all()  # in the direction of the term's own gradient
    weight = loss.last_weights["strong"]
    assert weight == pytest.approx(rho * first.norm().item() / (1e4 * 50**0.5), rel=1e-5)


def test_balancing_changes_neither_the_value_of_a_term_nor_a_fixed_sum() -> None:
    prediction, target = torch.rand(1, 1, 4, 4), torch.rand(1, 1, 4, 4)
    loss = WeightedSum({"mse": (MSELoss(), 1.0), "slope": (Linear(2.0), GradientBalance(1.0))})
    value = loss(prediction, target)  # also where no gradient is asked for
    weight = loss.last_weights["slope"]
    fixed = WeightedSum({"mse": (MSELoss(), 1.0), "slope": (Linear(2.0), float(weight))})
    assert value == pytest.approx(fixed(prediction, target).item(), rel=1e-6)
    torch.testing.assert_close(
        gradient_of(loss, prediction, target), gradient_of(fixed, prediction, target)
    )


def test_a_satisfied_term_gets_no_weight() -> None:
    loss = WeightedSum({"mse": (MSELoss(), 1.0), "flat": (Linear(0.0), GradientBalance(1.0))})
    gradient = gradient_of(loss, *PAIR)
    assert loss.last_weights["flat"] == 0
    torch.testing.assert_close(gradient, gradient_of(MSELoss(), *PAIR))


def test_the_weight_of_a_balanced_term_is_bounded() -> None:
    weak = (Linear(1e-6), GradientBalance(1.0, most=10.0))
    loss = WeightedSum({"mse": (MSELoss(), 1.0), "weak": weak})
    loss(*PAIR)
    assert loss.last_weights["weak"] == 10


def test_a_balance_follows_its_schedule() -> None:
    late = GradientBalance(Ramp(0, 2, start=5))
    loss = WeightedSum({"mse": (MSELoss(), 1.0), "late": (Unwanted(), late)})
    assert loss(*PAIR).item() == 1
    loss.step = 5
    with pytest.raises(AssertionError, match="was computed"):
        loss(*PAIR)


def test_the_network_behind_a_balanced_sum_learns() -> None:
    network = nn.Conv2d(1, 1, 1)
    loss = WeightedSum({"mse": (MSELoss(), 1.0), "slope": (Linear(1.0), GradientBalance(1.0))})
    (3 * loss(network(torch.rand(1, 1, 4, 4)), torch.rand(1, 1, 4, 4))).backward()
    assert all(p.grad is not None and p.grad.any() for p in network.parameters())


def test_the_first_term_cannot_be_balanced_with_itself() -> None:
    with pytest.raises(ValueError, match="the first, must have a weight of its own"):
        WeightedSum({"mse": (MSELoss(), GradientBalance(1.0))})


@pytest.mark.parametrize(("rho", "most"), [(-1.0, 1.0), (float("nan"), 1.0), (1.0, 0.0)])
def test_impossible_balances_are_refused(rho: float, most: float) -> None:
    with pytest.raises(ValueError, match="must be"):
        GradientBalance(rho, most=most)


class Doubled(nn.Module):
    """Takes a number instead of a map, and prepares it."""

    takes = "number"

    def prepare(self, target: float) -> tuple[float]:
        return (2 * target,)

    def forward(self, prediction: torch.Tensor, target: float | tuple[float]) -> torch.Tensor:
        (wanted,) = target if isinstance(target, tuple) else self.prepare(target)
        return (prediction - wanted).square().sum()


def test_each_term_gets_the_annotation_that_it_takes() -> None:
    loss = WeightedSum({"mse": (MSELoss(), 1.0), "number": (Doubled(), 1.0)})
    assert loss.takes == {"distance_map", "number"}
    assert loss(PAIR[0], {"distance_map": PAIR[1], "number": 3.0}).item() == 1 + 2 * 25


def test_a_missing_annotation_is_named() -> None:
    loss = WeightedSum({"number": (Doubled(), 1.0)})
    with pytest.raises(ValueError, match="must hold 'number' for the term 'number', got"):
        loss(PAIR[0], {"distance_map": PAIR[1]})


def test_a_prepared_annotation_gives_the_same_value_anywhere() -> None:
    loss = WeightedSum({"mse": (MSELoss(), 1.0), "number": (Doubled(), 1.0)})
    target = {"distance_map": PAIR[1], "number": 3.0}
    prepared = pickle.loads(pickle.dumps(loss.prepare(target)))
    assert isinstance(prepared, PreparedTargets)
    assert loss(PAIR[0], prepared.to("cpu")) == loss(PAIR[0], target)
