"""Prediction in one piece and in tiles."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from topodelin.models import UNet, predict_distance_map, predict_tiled


def image(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def network(**changes) -> UNet:
    torch.manual_seed(0)
    made = UNet(**{"dims": 3, "base": 4, "poolings": ((1, 2, 2), 2), **changes})
    with torch.no_grad():
        made.get_parameter("head.bias").add_(
            2
        )  # so that the map lies between the clips and not at them
    return made


class Darkness(nn.Module):
    """A stand-in that answers with its image, so that every voxel can be checked."""

    divisor = (2, 4, 8)

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        fits = [n % d == 0 for n, d in zip(images.shape[2:], self.divisor, strict=True)]
        assert all(fits)
        return images * self.scale


@given(shape=st.tuples(*[st.integers(1, 17)] * 3), seed=st.integers(0, 99))
def test_any_size_comes_back_voxel_for_voxel_and_clipped(shape, seed) -> None:
    values = 5 * image(*shape, seed=seed)
    seen = predict_distance_map(Darkness(), values, d_max=3)
    np.testing.assert_array_equal(seen, values.clip(0, 3))
    assert seen.dtype == np.float32


def test_a_size_that_fits_is_the_networks_own_map() -> None:
    model, values = network().eval(), image(4, 8, 8)
    raw = model(torch.from_numpy(values)[None, None]).detach().numpy()[0, 0]
    np.testing.assert_array_equal(predict_distance_map(model, values, d_max=9), raw.clip(0, 9))
    assert 0 < raw.clip(0, 9).std()


def test_an_image_is_continued_by_its_border_values() -> None:
    model, values = network().eval(), image(4, 8, 8)[:3, :7]
    grown = np.pad(values, ((0, 1), (0, 1), (0, 0)), mode="edge")
    whole = predict_distance_map(model, grown, d_max=9)
    np.testing.assert_array_equal(predict_distance_map(model, values, d_max=9), whole[:3, :7])


@settings(max_examples=15)
@given(
    shape=st.tuples(st.integers(1, 9), st.integers(20, 40), st.integers(20, 40)),
    tile=st.sampled_from([(2, 8, 16), (4, 16, 8), (8, 32, 32)]),
    seed=st.integers(0, 99),
)
def test_tiles_with_the_networks_reach_as_margin_give_the_map_of_the_whole(
    shape, tile, seed
) -> None:
    model, values = network(base=2), image(*shape, seed=seed)
    whole = predict_distance_map(model, values, d_max=9)
    tiled = predict_tiled(model, values, d_max=9, tile=tile, margin=[int(r) for r in model.reach])
    np.testing.assert_allclose(tiled, whole, atol=1e-5)
    assert whole.std() > 0


def test_without_a_margin_seams_show() -> None:
    model, values = network(poolings=1), image(4, 32, 32)
    whole = predict_distance_map(model, values, d_max=9)
    tiled = predict_tiled(model, values, d_max=9, tile=(4, 32, 16), margin=0)
    differs = np.abs(tiled - whole).max(axis=(0, 1)) > 1e-4
    # One seam, between columns 15 and 16; columns beyond the reach of it see no difference.
    assert differs[15] and differs[16]
    assert not differs[: 16 - model.reach[2]].any() and not differs[16 + model.reach[2] :].any()


def test_a_caller_may_ask_for_faster_arithmetic() -> None:
    model, values = network(), image(4, 8, 8)
    exact = predict_distance_map(model, values, d_max=9)
    with torch.autocast("cpu", torch.bfloat16):
        rough = predict_distance_map(model, values, d_max=9)
    assert rough.dtype == np.float32
    assert 0 < np.abs(rough - exact).max() < 0.1


@settings(max_examples=15)
@given(shape=st.tuples(*[st.integers(1, 50)] * 2), tile=st.sampled_from([8, 16, 40]))
def test_a_network_without_padding_brings_its_own_margin(shape, tile) -> None:
    # Its sizes are 4 + 8 k on the way in and on the way out: tiles must be read beyond their end.
    model = network(dims=2, base=2, poolings=3, padding="valid")
    values = image(*shape)
    whole = predict_distance_map(model, values, d_max=9)
    assert whole.shape == shape
    tiled = predict_tiled(model, values, d_max=9, tile=tile, margin=0)
    np.testing.assert_allclose(tiled, whole, atol=1e-5)


def test_a_network_without_padding_keeps_the_image_in_place() -> None:
    model, values = network(dims=2, poolings=2, padding="valid").eval(), image(64, 64)
    assert model.shrink == (40, 40)
    inner = model(torch.from_numpy(values)[None, None]).detach().numpy()[0, 0].clip(0, 9)
    seen = predict_distance_map(model, values, d_max=9)
    np.testing.assert_allclose(seen[20:-20, 20:-20], inner, atol=1e-5)
    assert inner.std() > 0


def test_every_module_returns_to_the_mode_it_was_in() -> None:
    model = network(dropout=0.5).train()
    model.head.eval()
    modes = [part.training for part in model.modules()]
    first = predict_distance_map(model, image(4, 8, 8), d_max=9)
    np.testing.assert_array_equal(predict_distance_map(model, image(4, 8, 8), d_max=9), first)
    assert [part.training for part in model.modules()] == modes
    with pytest.raises(ValueError):
        predict_distance_map(model, image(1, 1, 1), d_max=np.nan)
    with pytest.raises(ValueError, match="channel"):
        predict_distance_map(network(out_channels=2), image(4, 8, 8), d_max=9)
    assert [part.training for part in model.modules()] == modes


def test_the_map_can_be_written_to_and_the_image_is_left_alone() -> None:
    values = image(3, 7, 7)
    kept = values.copy()
    seen = predict_distance_map(network(), values, d_max=9)
    seen += 1
    np.testing.assert_array_equal(values, kept)


def test_a_single_voxel_is_enough_also_for_an_instance_norm() -> None:
    seen = predict_distance_map(network(norm="instance"), image(1, 1, 1), d_max=9)
    assert seen.shape == (1, 1, 1)


def test_what_cannot_be_predicted_is_refused_by_argument() -> None:
    model, values = network(), image(4, 8, 8)
    with pytest.raises(ValueError, match=r"`image` must have 3 axes, none empty, got shape \(8, 8"):
        predict_distance_map(model, values[0], d_max=9)
    with pytest.raises(ValueError, match="none empty"):
        predict_distance_map(model, values[:0], d_max=9)
    with pytest.raises(ValueError, match="`d_max` must be a positive distance"):
        predict_distance_map(model, values, d_max=0)
    with pytest.raises(ValueError, match="`model` must give one channel"):
        predict_distance_map(network(out_channels=2), values, d_max=9)
    with pytest.raises(TypeError, match="`model` must tell its `divisor`, got a Linear"):
        predict_distance_map(nn.Linear(1, 1), values, d_max=9)
    with pytest.raises(ValueError, match="`tile` must be from 1, one number or 3, got 0"):
        predict_tiled(model, values, d_max=9, tile=0, margin=0)
    with pytest.raises(ValueError, match="`margin` must be from 0"):
        predict_tiled(model, values, d_max=9, tile=4, margin=-1)
    values[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="`image` must be finite"):
        predict_distance_map(model, values, d_max=9)


def test_a_network_gone_wrong_is_an_error_and_not_a_map_of_nan() -> None:
    model = Darkness()
    model.scale.data.fill_(torch.inf)
    with pytest.raises(ValueError, match="not finite"):
        predict_distance_map(model, image(2, 4, 8), d_max=9)
