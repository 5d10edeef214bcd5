"""Several threads give the bits of one, and hand on what goes wrong."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.losses.drawings import curves, noisy
from topodelin.losses import L3DLoss, TopologyRule, topology_weights
from topodelin.losses.kernels.host_threads import over_ranges


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three_threads")
@given(count=st.integers(0, 50), least=st.integers(1, 20))
def test_every_item_is_worked_on_once(count: int, least: int) -> None:
    done = np.zeros(count, int)

    def work(begin: int, end: int) -> None:
        done[begin:end] += 1

    over_ranges(work, count, least)
    assert (done == 1).all()


@pytest.mark.usefixtures("three_threads")
def test_an_error_of_a_thread_is_raised() -> None:
    def work(begin: int, end: int) -> None:
        if begin > 0:
            raise RuntimeError("the second range")

    with pytest.raises(RuntimeError, match="the second range"):
        over_ranges(work, 6)


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize("stride", [None, 16])
def test_weights_are_the_same_bits_with_any_number_of_threads(stride: int | None) -> None:
    target = curves(0, (200, 200), 12)
    prediction = noisy(target, 0)
    rule = TopologyRule(window=32, stride=stride)
    several = topology_weights(prediction, target, rule)
    torch.set_num_threads(1)
    one = topology_weights(prediction, target, rule)
    assert torch.equal(one.gap, several.gap) and torch.equal(one.bridge, several.bridge)


@pytest.mark.usefixtures("three_threads")
def test_a_loss_of_volumes_is_the_same_bits_with_any_number_of_threads() -> None:
    target = torch.cat([curves(seed, (20, 40, 40)) for seed in range(4)])
    values, gradients = [], []
    for threads in (3, 1):
        torch.set_num_threads(threads)
        prediction = noisy(target, 0).requires_grad_()
        loss = L3DLoss(topo={"window": 16})
        connectivity = loss.conn(prediction, target)
        connectivity.backward()
        values.append(connectivity.detach())
        gradients.append(prediction.grad)
    torch.testing.assert_close(values[0], values[1], rtol=1e-6, atol=0)
    assert torch.equal(gradients[0], gradients[1])
