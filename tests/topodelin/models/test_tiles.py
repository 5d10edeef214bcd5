"""Tiles of an image, and how they are put together."""

import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from topodelin.models import UNet, predict_tiles
from topodelin.models.frame import read_beyond
from topodelin.models.tiles import BLENDS, tile_slabs


class StandIn(nn.Module):
    """A network of one weight, so that every voxel can be checked."""

    divisor: tuple[int, ...] = (1, 1)

    def __init__(self, divisor: tuple[int, ...] = (1, 1)) -> None:
        super().__init__()
        self.divisor = divisor
        self.one = nn.Parameter(torch.ones(()))


class Constant(StandIn):
    """Two channels, 3 and -1 everywhere, whatever it sees."""

    def forward(self, images: Tensor) -> Tensor:
        shape = (1, 2, *(1,) * (images.ndim - 2))
        return torch.tensor([3.0, -1.0]).reshape(shape).expand(-1, -1, *images.shape[2:])


class Side(StandIn):
    """How much image lies on the left of its tile: columns that are smaller than the image's."""

    def forward(self, images: Tensor) -> Tensor:
        return images[..., :1].expand_as(images) * self.one


class BoxSum(StandIn):
    """Sums of 3 x 3 pixels, without padding."""

    shrink = (2, 2)

    def forward(self, images: Tensor) -> Tensor:
        return 9 * nn.functional.avg_pool2d(images, 3, stride=1) * self.one


class NamedOutputs(StandIn):
    """Its answer among others."""

    in_channels = 3

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        assert images.shape[1] == 3
        return {"aux": images * 0, "main": images.sum(1, keepdim=True) * self.one}


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@settings(max_examples=25)
@given(
    shape=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    tile=st.integers(1, 12),
    margin=st.integers(0, 20),
    blend=st.sampled_from(BLENDS),
)
def test_tiles_that_agree_give_what_they_agree_on(shape, tile, margin, blend) -> None:
    told = predict_tiles(Constant(), noise(*shape), tile=tile, margin=margin, blend=blend)
    assert told.shape == (2, *shape)
    np.testing.assert_allclose(told[0], 3, rtol=1e-6)
    np.testing.assert_allclose(told[1], -1, rtol=1e-6)


@settings(max_examples=6)
@given(
    shape=st.tuples(st.integers(1, 5), st.integers(20, 40), st.integers(20, 40)),
    tile=st.sampled_from([(2, 8, 16), (4, 16, 8)]),
    blend=st.sampled_from(BLENDS),
)
def test_with_margins_twice_the_networks_reach_no_seam_can_be_seen(shape, tile, blend) -> None:
    torch.manual_seed(0)
    model = UNet(base=1, poolings=((1, 2, 2),), kernels=((1, 3, 3), 1), out_channels=2).eval()
    image = noise(*shape)
    margin = [(1 if blend == "none" else 2) * int(reach) for reach in model.reach]
    whole = predict_tiles(model, image, tile=64, margin=0)
    told = predict_tiles(model, image, tile=tile, margin=margin, blend=blend)
    np.testing.assert_allclose(told, whole, atol=1e-5)
    assert whole.std() > 0


@settings(max_examples=25)
@given(
    shape=st.tuples(st.integers(1, 20), st.integers(1, 12)),
    tile=st.integers(1, 9),
    margin=st.integers(0, 14),
    blend=st.sampled_from(BLENDS),
)
def test_the_pieces_along_the_first_axis_make_up_the_whole(shape, tile, margin, blend) -> None:
    # The network answers with what lies at the left of its tile: tiles do not agree.
    image = noise(*shape)
    whole = predict_tiles(Side(), image, tile=tile, margin=margin, blend=blend)
    slabs = list(tile_slabs(Side(), image, tile=tile, margin=margin, blend=blend))
    assert all(slab.size for slab in slabs)
    np.testing.assert_allclose(np.concatenate(slabs, axis=1), whole, rtol=1e-5, atol=1e-6)


def columns(blend: str) -> np.ndarray:
    """Two tiles of 6 columns with a margin of 4: what they say is where they begin, 0 and 2."""
    image = np.tile(np.arange(12, dtype=np.float32), (2, 1))
    return predict_tiles(Side(), image, tile=(2, 6), margin=(0, 4), blend=blend)[0, 0]


def test_weights_fall_linearly_from_one_tile_to_the_next() -> None:
    # The seam lies between columns 5 and 6; the second weighs 1/8, 3/8, 5/8, 7/8 around it.
    expected = 2 * np.array([0, 0, 0, 0, 1 / 8, 3 / 8, 5 / 8, 7 / 8, 1, 1, 1, 1])
    np.testing.assert_allclose(columns("linear"), expected, rtol=1e-6)


def test_the_mean_of_overlapping_tiles_and_the_cut_at_the_seam() -> None:
    np.testing.assert_allclose(columns("mean"), [0] * 4 + [1] * 4 + [2] * 4)
    np.testing.assert_array_equal(columns("none"), [0] * 6 + [2] * 6)


@pytest.mark.parametrize("tile", [1, 2, (3, 4), 64])
@pytest.mark.parametrize("blend", BLENDS)
def test_a_network_without_padding_sees_the_image_in_a_mirror(tile, blend) -> None:
    image = np.array([[1, 2, 4], [8, 16, 32]], np.float32)
    mirrored = np.array(
        [
            [1, 1, 2, 4, 4],
            [1, 1, 2, 4, 4],
            [8, 8, 16, 32, 32],
            [8, 8, 16, 32, 32],
        ]
    )
    sums = [[mirrored[y : y + 3, x : x + 3].sum() for x in range(3)] for y in range(2)]
    assert sums[0][0] == 4 * 1 + 2 * 2 + 2 * 8 + 16
    told = predict_tiles(BoxSum(), image, tile=tile, margin=0, blend=blend)
    np.testing.assert_allclose(told[0], sums, rtol=1e-6)


@settings(max_examples=8)
@given(shape=st.tuples(st.integers(1, 60), st.integers(1, 60)), tile=st.sampled_from([4, 8, 20]))
def test_overlapping_tiles_of_a_u_net_without_padding_are_those_of_the_whole(shape, tile) -> None:
    torch.manual_seed(0)
    model = UNet(2, base=2, poolings=2, padding="valid", norm="none").eval()
    image = noise(*shape)
    size = model.next_size([n + s for n, s in zip(shape, model.shrink, strict=True)])
    around = [
        (s // 2, n - size_in - s // 2)
        for s, n, size_in in zip(model.shrink, size, shape, strict=True)
    ]
    seen = np.pad(image, around, "symmetric")
    with torch.no_grad():
        expected = model(torch.from_numpy(seen)[None, None])[0].numpy()
    told = predict_tiles(model, image, tile=tile, margin=0)
    np.testing.assert_allclose(told, expected[:, : shape[0], : shape[1]], atol=1e-5)


@given(
    begin=st.tuples(st.integers(-30, 5), st.integers(-30, 5)),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    mirrored=st.booleans(),
)
def test_beyond_its_borders_an_image_goes_on_as_numpy_pads_it(begin, size, mirrored) -> None:
    image = noise(4, 7)
    padded = np.pad(image, 60, "symmetric" if mirrored else "edge")
    end = [b + s for b, s in zip(begin, size, strict=True)]
    box = tuple(slice(b + 60, e + 60) for b, e in zip(begin, end, strict=True))
    read = read_beyond(image, begin, end, mirrored=mirrored)
    np.testing.assert_array_equal(read, padded[box])
    read += 1  # never a view
    np.testing.assert_array_equal(image, noise(4, 7))


def test_a_grey_image_is_repeated_for_a_network_of_colour_and_the_main_output_counts() -> None:
    image = noise(5, 6)
    told = predict_tiles(NamedOutputs(), image, tile=4, margin=1, blend="linear")
    np.testing.assert_allclose(told[0], 3 * image, rtol=1e-5)


class Recorded:
    """An image that remembers what was read of it."""

    def __init__(self, image: np.ndarray) -> None:
        self.image, self.shape = image, image.shape
        self.sizes: list[int] = []

    def __getitem__(self, box: tuple[slice, ...]) -> np.ndarray:
        self.sizes.append(self.image[box].size)
        return self.image[box]


def test_an_image_is_read_tile_by_tile_only() -> None:
    image = Recorded(noise(40, 40))
    predict_tiles(Side(), image, tile=10, margin=2)
    assert len(image.sizes) == 16 and max(image.sizes) == 14 * 14


def test_memory_holds_the_result_and_one_tile_but_no_copy_of_the_image() -> None:
    image = noise(1024, 1024)
    predict_tiles(Side(), image[:64, :64], tile=64, margin=0)  # warm
    tracemalloc.start()
    predict_tiles(Side(), image, tile=64, margin=8, blend="linear")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert image.nbytes < peak < 1.2 * image.nbytes


def test_two_results_drawn_in_turn_leave_gradients_on() -> None:
    slabs = [tile_slabs(Side(), noise(4, 4), tile=2, margin=0) for _ in range(2)]
    for _ in zip(*slabs, strict=True):
        assert not torch.is_inference_mode_enabled()
    assert not torch.is_inference_mode_enabled()


class NaN(StandIn):
    def forward(self, images: Tensor) -> Tensor:
        return images * torch.nan


class OneSize(StandIn):
    def next_size(self, size: list[int]) -> tuple[int, ...]:
        return (8,) * len(size)


def test_what_cannot_be_tiled_is_refused_in_one_line() -> None:
    image = noise(9, 9)
    with pytest.raises(ValueError, match="`model` gave values that are not finite"):
        predict_tiles(NaN(), image, tile=4, margin=0)
    with pytest.raises(ValueError, match="`blend` must be one of none, linear, mean, got 'cosy'"):
        predict_tiles(Side(), image, tile=4, margin=0, blend="cosy")
    with pytest.raises(ValueError, match=r"takes \(8, 8\) only and the image has \(9, 9\)"):
        predict_tiles(OneSize(), image, tile=4, margin=0)
    with pytest.raises(ValueError, match="`image` must have 2 axes"):
        predict_tiles(Side(), image[0], tile=4, margin=0)
    image[8, 8] = np.inf
    with pytest.raises(ValueError, match="`image` must be finite"):
        predict_tiles(Side(), image, tile=4, margin=0)
