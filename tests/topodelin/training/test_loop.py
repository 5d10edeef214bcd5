import math

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import SGD

from topodelin.losses import MSELoss, Ramp, WeightedSum
from topodelin.training import Batch, Step, steps
from topodelin.training.config import Optimizer
from topodelin.training.loop import average_weights, learning_mode, learning_rate


class Poisoned(nn.Module):
    """Turns into NaN at a step."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at, self.calls = at, 0

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.calls += 1
        return prediction.mean() * (math.nan if self.calls > self.at else 0.0)


def batch(seed: int) -> Batch:
    image = torch.rand(2, 1, 4, 4, 4, generator=torch.Generator().manual_seed(seed))
    return Batch(image, {"distance_map": 3 * image + 1})


def learn(
    loss: WeightedSum,
    *,
    rate: float = 0.1,
    count: int = 5,
    network: nn.Module | None = None,
    seed: int = 0,
) -> list[Step]:
    fabric = Fabric(accelerator="cpu", devices=1)
    network = network or nn.Conv3d(1, 1, 1)
    model, optimizer = fabric.setup(network, SGD(network.parameters(), lr=1.0))
    data = (batch(number) for number in range(count))
    return list(
        steps(fabric, model, loss, optimizer, data, learning_rate=lambda _: rate, seed=seed)
    )


def test_the_loss_falls_and_every_term_is_reported() -> None:
    torch.manual_seed(0)
    done = learn(WeightedSum({"mse": (MSELoss(), 1.0)}), count=30)
    assert [step.number for step in done] == list(range(1, 31))
    assert done[-1].loss < 0.2 * done[0].loss
    assert done[0].terms == {"mse": done[0].loss}


def test_a_late_term_starts_when_its_ramp_says() -> None:
    loss = WeightedSum({"mse": (MSELoss(), 1.0), "late": (MSELoss(), Ramp(0, 1, start=3))})
    assert [sorted(step.terms) for step in learn(loss)] == [["mse"]] * 3 + [["late", "mse"]] * 2


def test_a_term_that_is_not_finite_is_named_with_its_step() -> None:
    loss = WeightedSum({"mse": (MSELoss(), 1.0), "bad": (Poisoned(at=2), 1.0)})
    with pytest.raises(FloatingPointError, match="the loss is nan at step 2, from bad"):
        learn(loss)


def test_an_exploding_network_is_reported_as_such() -> None:
    with pytest.raises(FloatingPointError, match="at step .*lower `optimizer.lr`"):
        learn(WeightedSum({"mse": (MSELoss(), 1.0)}), rate=1e20, count=10)


def test_dropout_depends_on_seed_and_step_alone() -> None:
    def losses(seed: int) -> list[float]:
        torch.manual_seed(0)
        network = nn.Sequential(nn.Dropout(0.5), nn.Conv3d(1, 1, 1))
        torch.rand(seed + 1)  # what was drawn before does not matter
        done = learn(WeightedSum({"mse": (MSELoss(), 1.0)}), network=network, seed=seed // 10)
        return [step.loss for step in done]

    assert losses(0) == losses(1)
    assert losses(0) != losses(10)


def test_the_learning_rate_rises_and_falls() -> None:
    settings = Optimizer(lr=1.0, warm_up=4)
    rates = [learning_rate(step, settings, steps=12) for step in range(13)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[8] == pytest.approx(0.5)
    assert rates[12] == 0
    constant = Optimizer(lr=1.0, warm_up=4, schedule="constant")
    assert learning_rate(9, constant, steps=12) == 1.0


def test_the_learning_rate_drops_every_so_many_steps_or_when_the_score_stands_still() -> None:
    stairs = Optimizer(lr=1.0, warm_up=0, schedule="exponential", decay=0.5, decay_every=3)
    assert [learning_rate(step, stairs, steps=99) for step in (0, 2, 3, 6)] == [1, 1, 0.5, 0.25]
    plateau = Optimizer(lr=1.0, warm_up=0, schedule="plateau", decay=0.1)
    assert learning_rate(50, plateau, steps=99, drops=2) == pytest.approx(0.01)


def test_frozen_weights_keep_their_statistics_while_the_others_learn() -> None:
    network = nn.Sequential(nn.BatchNorm1d(2), nn.BatchNorm1d(2))
    for weight in network[0].parameters():
        weight.requires_grad_(False)
    network.eval()
    learning_mode(network)
    assert not network[0].training and network[1].training


def test_averaged_weights_follow_at_the_pace_of_their_decay() -> None:
    mean, now = nn.BatchNorm1d(1), nn.BatchNorm1d(1)
    nn.init.constant_(now.weight, 2.0)
    now.num_batches_tracked = torch.tensor(5)
    average_weights(mean, now, decay=0.9, step=10**6)
    assert mean.weight.item() == pytest.approx(1.1)
    assert mean.num_batches_tracked == 5
