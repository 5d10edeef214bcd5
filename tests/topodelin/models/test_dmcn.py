"""The layers of the multilevel network, and the heads that it has while it is trained."""

from typing import Any

import pytest
import torch
from torch import nn

from topodelin.models.dmcn import DMCN


def small(dims: int, **changes) -> DMCN:
    torch.manual_seed(0)
    return DMCN(dims, **{"base": 4, "branch": 4, **changes})


def test_the_published_network_has_16_convolutions_3_poolings_and_3_transposed() -> None:
    network = small(2)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    up = [m for m in network.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert (len(convolutions), len(up)) == (16 + 1, 3)  # and the classifier


@pytest.mark.parametrize("dims", [2, 3])
def test_auxiliary_classifiers_are_named_heads_beside_the_same_main_map(dims) -> None:
    alone, together = small(dims), small(dims, auxiliary=True)
    missing = together.load_state_dict(alone.state_dict(), strict=False).missing_keys
    assert all(name.startswith("auxiliary.") for name in missing)
    batch = torch.randn(1, 1, *[16] * dims)
    heads = together(batch)
    assert list(heads) == ["main", "auxiliary_2", "auxiliary_4", "auxiliary_8"]
    assert torch.equal(heads["main"], alone(batch))
    assert {head.shape for head in heads.values()} == {batch.shape}


def test_an_auxiliary_loss_reaches_its_own_depth_of_the_trunk_and_no_deeper() -> None:
    network: Any = small(2, auxiliary=True)
    network(torch.randn(1, 1, 16, 16))["auxiliary_4"].square().sum().backward()
    felt = [stage[0].weight.grad is not None for stage in network.trunk]
    assert felt == [True, True, True, False]
