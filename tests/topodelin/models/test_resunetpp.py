"""The attention gate of ResUNet++, worked out by hand."""

from typing import Any

import pytest
import torch

from topodelin.models.resunetpp import AttentionGate, ResUNetPlusPlus


def centre(conv: Any, value: float, bias: float = 0.0) -> None:
    """Every output channel: `value` times the same input channel, plus `bias`."""
    with torch.no_grad():
        conv.weight.zero_()
        conv.bias.fill_(bias)
        for channel in range(min(conv.weight.shape[:2])):
            conv.weight[(channel, channel, *(k // 2 for k in conv.kernel_size))] = value


def test_the_gate_multiplies_what_comes_up_by_the_brightest_of_each_skip_window() -> None:
    gate: Any = AttentionGate(1, 1, dims=2).eval()
    centre(gate.from_skip[0][-1], 1)
    centre(gate.from_coarse[-1], 0)
    centre(gate.weigh[-1], 1)
    skip = torch.tensor([[1.0, 2, 0, 0], [4, 3, 0, -9]]).reshape(1, 1, 2, 4)
    coarse = torch.tensor([10.0, 20]).reshape(1, 1, 1, 2)
    expected = torch.tensor([40.0, 0])
    torch.testing.assert_close(gate(skip, coarse).flatten(), expected, atol=1e-2, rtol=0)


def test_the_gate_adds_the_evidence_of_both_levels() -> None:
    gate: Any = AttentionGate(1, 1, dims=2).eval()
    centre(gate.from_skip[0][-1], 1)
    centre(gate.from_coarse[-1], 2)
    centre(gate.weigh[-1], 1)
    seen = gate(torch.full((1, 1, 2, 2), 5.0), torch.full((1, 1, 1, 1), 3.0))
    assert seen.item() == pytest.approx(3 * (5 + 2 * 3), rel=1e-3)


def test_the_gate_is_the_raw_value_of_each_channel_not_a_probability() -> None:
    gate: Any = AttentionGate(2, 3, dims=3).eval()
    centre(gate.weigh[-1], 0, bias=-2)
    coarse = torch.randn(2, 3, 2, 1, 2)
    seen = gate(torch.randn(2, 2, 4, 2, 4), coarse)
    torch.testing.assert_close(seen, -2 * coarse)


def test_the_rates_of_a_volume_stay_within_the_bottom_of_96_voxels() -> None:
    wide: Any = ResUNetPlusPlus.volume_3d().bottom
    assert [branch[0].dilation[0] for branch in wide.branches] == [1, 2, 3, 4]
    paper: Any = ResUNetPlusPlus.published_2d().bottom
    assert [branch[0].dilation[0] for branch in paper.branches] == [1, 6, 12, 18]
