"""What the topology loss punishes, and what it leaves alone."""

import inspect
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import label
from torch import Tensor

from tests.losses.drawings import SIDE, curves, distance_map, line, line_with_bridge, noisy
from topodelin.losses import TopologyRule, TopoLoss, topo_loss, topology_weights
from topodelin.losses.topology.windows import window_bounds

SEEDS = st.integers(0, 2**16)


@given(seed=SEEDS)
def test_the_truth_costs_nothing_and_pulls_nowhere(seed: int) -> None:
    target = curves(seed, (60, 70))
    prediction = target.clone().requires_grad_()
    loss = topo_loss(prediction, target)
    loss.backward()
    assert loss.item() == 0
    assert prediction.grad is not None and not prediction.grad.any()


def test_a_longer_gap_costs_more_from_the_first_pixel_to_the_whole_window() -> None:
    costs = [topo_loss(line(gap).double(), line()).item() for gap in range(SIDE + 1)]
    assert costs == sorted(set(costs))


def test_a_long_gap_is_seen_through_noise() -> None:
    # Beyond 2 d_max the prediction in the gap is flat: without a bound on what may be blamed, the
    # weakest edge would be anywhere on the plateau.
    short, long = (topo_loss(noisy(line(gap), 0, 0.1), line()).item() for gap in (14, 40))
    assert long > 2 * short


def test_the_published_program_is_blind_to_long_gaps() -> None:
    paper = TopoLoss.paper(gap_weight=1.0, bridge_weight=0.0)
    assert paper(line(14), line()).item() == pytest.approx(90.7, rel=0.01)
    assert paper(line(16), line()).item() < 1
    assert topo_loss(line(16), line()) > topo_loss(line(14), line())


def test_a_wider_bridge_costs_more() -> None:
    costs = [topo_loss(line_with_bridge(width), line()).item() for width in range(2, 24)]
    assert costs == sorted(set(costs)) and costs[0] > 0


def test_only_the_gap_is_pulled() -> None:
    prediction = line(8).requires_grad_()
    topo_loss(prediction, line(), bridge_weight=0.0).backward()
    assert prediction.grad is not None
    rows, columns = prediction.grad[0, 0].nonzero().T
    assert rows.min() >= SIDE // 2 - 1 and rows.max() <= SIDE // 2 + 1
    assert columns.min() >= 20 and columns.max() < 28
    assert (prediction.grad >= 0).all()  # a step downhill lowers the distance: closes the gap


def test_a_dead_end_separates_nothing_so_its_gaps_are_free() -> None:
    target, prediction = line(), line()
    target[..., 30:] = 15.0
    prediction[..., 26:] = 15.0
    weights = topology_weights(prediction, target, TopologyRule())
    assert not weights.gap.any()


@settings(max_examples=20)
@given(seed=SEEDS, axes=st.sampled_from([(2,), (3,), (2, 3)]), turned=st.booleans())
def test_mirrors_and_quarter_turns_change_nothing(
    seed: int, axes: tuple[int, ...], turned: bool
) -> None:
    target = curves(seed, (48, 96))
    prediction = noisy(target, seed)
    plain = topo_loss(prediction, target)
    images = [image.flip(axes) for image in (prediction, target)]
    moved = topo_loss(*(image.transpose(2, 3) if turned else image for image in images))
    torch.testing.assert_close(moved, plain)


@settings(max_examples=10)
@given(seed=SEEDS)
def test_windows_of_a_batch_are_judged_alone(seed: int) -> None:
    target = curves(seed, (96, 48))
    prediction = noisy(target, seed)
    stacked = [image.reshape(1, 2, 48, 48) for image in (prediction, target)]
    torch.testing.assert_close(topo_loss(*stacked), topo_loss(prediction, target))
    sums = [
        topo_loss(prediction[:, :, rows], target[:, :, rows], reduction="sum")
        for rows in (slice(0, 48), slice(48, 96))
    ]
    torch.testing.assert_close(topo_loss(prediction, target, reduction="sum"), sums[0] + sums[1])
    torch.testing.assert_close(topo_loss(prediction, target), (sums[0] + sums[1]) / 2)


def test_strips_at_the_end_are_judged_unless_dropped() -> None:
    target = curves(3, (60, 48))
    weights = {
        ragged: topology_weights(noisy(target, 3), target, TopologyRule(ragged=ragged))
        for ragged in ("keep", "drop")
    }
    assert weights["keep"].windows == 2 and weights["drop"].windows == 1
    assert weights["keep"].gap[:, :, 48:].any()
    assert not weights["drop"].gap[:, :, 48:].any()
    torch.testing.assert_close(weights["keep"].gap[:, :, :48], weights["drop"].gap[:, :, :48])


def test_an_image_smaller_than_a_window_is_one_window() -> None:
    target = curves(1, (20, 30))
    assert topo_loss(noisy(target, 0), target) > 0
    assert topo_loss(noisy(target, 0), target, ragged="drop") == 0


@given(st.integers(1, 200), st.integers(2, 50), st.integers(1, 50))
def test_windows_cover_an_axis(length: int, window: int, stride: int) -> None:
    bounds = window_bounds(length, window, min(stride, window), ragged=True)
    begin, end = bounds.T
    assert begin[0] == 0 and end[-1] == length
    assert (begin[1:] <= end[:-1]).all() and (end > begin).all()
    assert (end - begin <= window).all()


def test_overlapping_windows_charge_each() -> None:
    target = curves(5, (48, 72))
    rule = TopologyRule(stride=(48, 24), ragged="drop")
    prediction = noisy(target, 5)
    both = topology_weights(prediction, target, rule)
    alone = TopologyRule()
    left = topology_weights(prediction[..., :48].contiguous(), target[..., :48], alone).gap
    right = topology_weights(prediction[..., 24:].contiguous(), target[..., 24:], alone).gap
    expected = torch.zeros_like(both.gap)
    expected[..., :48] += left
    expected[..., 24:] += right
    torch.testing.assert_close(both.gap, expected)


def test_ignored_pixels_neither_cost_nor_carry_a_path() -> None:
    ignored = torch.zeros(1, 1, SIDE, SIDE, dtype=torch.bool)
    ignored[..., 18:30] = True  # the gap and its surroundings
    prediction = line(8).requires_grad_()
    free = topo_loss(prediction, line(), ignored=ignored, bridge_weight=0.0)
    free.backward()
    assert prediction.grad is not None and not prediction.grad[ignored].any()
    assert free < 0.1 * topo_loss(line(8), line(), bridge_weight=0.0)


def test_ignored_pixels_belong_to_no_region() -> None:
    # Were they counted among the pairs, which never meet, the weights would not add up to 2.
    ignored = torch.zeros(1, 1, SIDE, SIDE, dtype=torch.bool)
    ignored[..., :5, :5] = True
    weights = topology_weights(line(8), line(), TopologyRule(), ignored)
    assert weights.gap.sum().item() == pytest.approx(2, abs=1e-5)


def test_a_line_between_the_pixels_separates() -> None:
    target = line() + 0.4
    target = target.clamp(max=15.0)
    assert topology_weights(target, target, TopologyRule()).gap.any()
    assert not topology_weights(target, target, TopoLoss.paper().rule).gap.any()


def test_without_any_line_there_is_one_region_where_only_bridges_cost() -> None:
    nothing = torch.full((1, 1, SIDE, SIDE), 15.0)
    weights = topology_weights(line(), nothing, TopologyRule())
    assert not weights.gap.any() and weights.bridge.any()
    assert topo_loss(nothing, nothing) == 0


def test_where_lines_leave_no_region_nothing_costs() -> None:
    everywhere = torch.zeros(1, 1, SIDE, SIDE)
    assert topo_loss(line(), everywhere) == 0


def test_a_second_channel_needs_an_annotation_of_its_own() -> None:
    both = torch.cat([line(8), line()], 1)
    with pytest.raises(ValueError, match="must have the same shape"):
        topo_loss(both, line())
    alone = topo_loss(line(8), line(), reduction="sum")
    torch.testing.assert_close(topo_loss(both, line().repeat(1, 2, 1, 1), reduction="sum"), alone)


def loops(*sides: int) -> Tensor:
    """Square loops of the given sides, one under the other."""
    mask = np.zeros((SIDE, SIDE), bool)
    top = 1
    for side in sides:
        mask[top, 1 : side + 1] = mask[top + side - 1, 1 : side + 1] = True
        mask[top : top + side, 1] = mask[top : top + side, side] = True
        top += side + 2
    return distance_map(mask, d_max=6.0)


def test_with_equal_regions_a_small_loop_counts_as_much_as_a_large_one() -> None:
    target = loops(30, 10)
    small, large = target.clone(), target.clone()
    small[..., 33:42, 10] = large[..., 10:20, 30] = 6.0  # a side is missing
    costs = {
        pairs: [
            topo_loss(broken, target, d_max=6.0, pairs=pairs, bridge_weight=0.0).item()
            for broken in (small, large)
        ]
        for pairs in ("pixels", "regions")
    }
    assert costs["pixels"][0] < 0.2 * costs["pixels"][1]
    assert costs["regions"][0] > 0.5 * costs["regions"][1]


def descend(start: Tensor, target: Tensor, steps: int, **constants: Any) -> np.ndarray:
    """The map after steps downhill on the loss alone."""
    prediction = start.clone().requires_grad_()
    optimizer = torch.optim.SGD([prediction], lr=0.5)
    for _ in range(steps):
        optimizer.zero_grad()
        topo_loss(prediction, target, bridge_weight=1.0, **constants).backward()
        optimizer.step()
    return prediction.detach()[0, 0].numpy()


def joined(image: np.ndarray, one: tuple[int, int], two: tuple[int, int]) -> bool:
    """Whether a path between two pixels stays above 3 pixels from every predicted line."""
    pieces = np.asarray(label(image > 3)[0])  # type: ignore[index]
    return pieces[one] == pieces[two]


def test_gradient_descent_closes_a_gap() -> None:
    above, below = (5, 24), (43, 24)
    assert joined(line(10)[0, 0].numpy(), above, below)
    assert not joined(descend(line(10), line(), 150), above, below)


def test_gradient_descent_cuts_a_bridge() -> None:
    left, right = (5, 5), (5, 43)
    assert not joined(line_with_bridge(3)[0, 0].numpy(), left, right)
    assert joined(descend(line_with_bridge(3), line(), 150), left, right)


def test_one_sided_pulls_down_in_gaps_and_up_in_bridges_only() -> None:
    deep = (line() - 3.0).requires_grad_()
    assert topo_loss(deep, line(), aim="one-sided", bridge_weight=0.0) == 0
    assert topo_loss(deep, line(), bridge_weight=0.0) > 0
    high = line() + 3.0
    assert topo_loss(high, line(), aim="one-sided", gap_weight=0.0) == 0
    assert topo_loss(high, line(), gap_weight=0.0) > 0


@pytest.mark.parametrize("aim", ["truth", "one-sided", "extremes"])
def test_gradient_matches_finite_differences(aim: str) -> None:
    target = curves(2, (9, 11), 2, d_max=5.0).double()
    prediction = noisy(target, 4, 2.0).double().requires_grad_()
    # Steps of 1e-6 leave the order of the edges, hence the weights, as they are.
    assert torch.autograd.gradcheck(
        lambda p: topo_loss(p, target, d_max=5.0, aim=aim), [prediction], eps=1e-6
    )


def test_the_module_offers_every_constant_with_the_same_default() -> None:
    module = inspect.signature(TopoLoss).parameters
    rule = inspect.signature(TopologyRule).parameters
    assert {name: p.default for name, p in module.items()} == {
        **{name: p.default for name, p in rule.items()},
        "backend": "auto",
    }


def test_separator_and_bounds_follow_d_max() -> None:
    rule = TopologyRule(d_max=30)
    assert (rule.near_bound, rule.far_bound, rule.free_bound, rule.separator) == (15, 30, 15, 10)


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ({"window": 1}, "`window` must be at least 2"),
        ({"window": (48, 48, 48)}, "`window` must be a whole number or a pair"),
        ({"stride": 60}, "`stride` must be between 1 and the window"),
        ({"edge_lo": 20.0}, "0 < edge_lo <= edge_hi"),
        ({"d_max": 0.0}, "`d_max` must be positive"),
        ({"far_cost": math.nan}, "got NaN"),
        ({"separator_radius": 15.0}, "`separator_radius` must be at least 0 and below"),
        ({"separator_dilation": -1}, "`separator_dilation` must be 0 or more"),
        ({"connectivity": 6}, "`connectivity` must be 4 or 8, got 6"),
        ({"ragged": "pad"}, "`ragged` must be 'keep' or 'drop'"),
        ({"ties": "random"}, "`ties` must be"),
        ({"pairs": "edges"}, "`pairs` must be 'pixels' or 'regions', got 'edges'"),
        ({"backend": "cuda"}, "`backend` must be 'auto', 'numba' or 'torch', got 'cuda'"),
        ({"aim": "zero"}, "`aim` must be"),
        ({"reduction": "none"}, "`reduction` must be 'mean' or 'sum'"),
        ({"gap_weight": -1.0}, "`gap_weight` must be 0 or more"),
    ],
)
def test_a_wrong_constant_is_refused_at_once(constants: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TopoLoss(**constants)


def test_an_unknown_variant_is_refused() -> None:
    with pytest.raises(ValueError, match="'proj48' or 'win32', got 'proj64'"):
        TopoLoss.paper("proj64")


@settings(max_examples=5)
@given(seed=SEEDS)
def test_the_same_input_gives_the_same_value(seed: int) -> None:
    target = curves(seed, (96, 96))
    prediction = noisy(target, seed)
    assert topo_loss(prediction, target) == topo_loss(prediction.clone(), target.clone())
