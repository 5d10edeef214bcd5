"""The mean squared error and its weights."""

import pytest
import torch
from torch.nn import functional

from topodelin.losses import MSELoss, mse_loss


def test_it_is_the_mean_of_the_squares() -> None:
    p, t = torch.rand(2, 2, 1, 3, 4)
    torch.testing.assert_close(MSELoss()(p, t), functional.mse_loss(p, t))
    torch.testing.assert_close(MSELoss(reduction="sum")(p, t), ((p - t) ** 2).sum())


def test_weights_by_hand() -> None:
    # Squares 1 and 4 with weights 3 and 1.
    p, t = torch.tensor([[[1.0, 2.0]]]), torch.zeros(1, 1, 2)
    weights = torch.tensor([[[3.0, 1.0]]])
    assert mse_loss(p, t, weights=weights).item() == pytest.approx(7 / 4)
    assert mse_loss(p, t, weights=weights, reduction="sum").item() == 7


def test_ignored_voxels_do_not_count() -> None:
    p, t = torch.tensor([[[1.0, 2.0]]]).requires_grad_(), torch.zeros(1, 1, 2)
    loss = mse_loss(p, t, ignored=torch.tensor([[[False, True]]]))
    loss.backward()
    assert loss.item() == 1
    assert p.grad is not None and p.grad.flatten().tolist() == [2, 0]


def test_nothing_left_to_judge_costs_nothing() -> None:
    p = torch.ones(1, 1, 2, requires_grad=True)
    loss = mse_loss(p, torch.zeros(1, 1, 2), ignored=torch.ones(1, 1, 2, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0
    assert p.grad is not None and not p.grad.any()


def test_gradient_matches_finite_differences() -> None:
    p, t, weights = torch.rand(3, 2, 1, 3, 4, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda p: mse_loss(p, t, weights=weights), [p.requires_grad_()])


@pytest.mark.parametrize("weights", [torch.ones(1, 1, 3), -torch.ones(1, 1, 2)])
def test_wrong_weights_are_refused(weights: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="`weights` must be 0 or more and have the shape"):
        mse_loss(torch.ones(1, 1, 2), torch.zeros(1, 1, 2), weights=weights)


def test_an_unknown_reduction_is_refused() -> None:
    with pytest.raises(ValueError, match="'mean' or 'sum', got 'none'"):
        MSELoss(reduction="none")
