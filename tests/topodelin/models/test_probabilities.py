"""Probabilities of classes for every voxel of a volume, and their mean over networks."""

import sys

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from topodelin.models import (
    ModelCard,
    SegmentationCard,
    UNet,
    predict_probabilities,
    predict_tiles,
    probabilities,
)
from topodelin.models.centre_voxel import CentreVoxelNet
from topodelin.models.dense import dense_version
from topodelin.models.ensemble import check_members, mean_planes
from topodelin.models.prediction import distance_slabs
from topodelin.models.probabilities import probability_slabs


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def small(**changes) -> UNet:
    torch.manual_seed(0)
    given = {"dims": 2, "base": 2, "poolings": 1, "out_channels": 3}
    return UNet(**{**given, **changes}).eval()


def test_softmax_by_hand_and_the_sigmoid_of_one_channel() -> None:
    told = probabilities(np.log(np.array([[[1.0]], [[3.0]]], np.float32)))
    np.testing.assert_allclose(told.ravel(), [0.25, 0.75], rtol=1e-6)
    told = probabilities(np.full((1, 2), np.log(3), np.float32))
    np.testing.assert_allclose(told, [[0.25, 0.25], [0.75, 0.75]], rtol=1e-6)


def test_a_network_of_images_sees_a_volume_slice_by_slice() -> None:
    model, image = small(), noise(3, 10, 14)
    told = predict_probabilities(model, image, tile=(1, 8, 8), margin=(5, 8, 8), blend="linear")
    assert told.shape == (3, 3, 10, 14)
    for z, plane in enumerate(image):
        raw = predict_tiles(model, plane, tile=8, margin=8, blend="linear")
        np.testing.assert_array_equal(told[:, z], probabilities(raw))
    np.testing.assert_allclose(told.sum(0), 1, rtol=1e-5)


def test_logits_are_blended_before_the_softmax() -> None:
    model, image = small(dims=3), noise(2, 12, 12)
    told = predict_probabilities(model, image, tile=4, margin=2, blend="linear")
    raw = predict_tiles(model, image, tile=4, margin=2, blend="linear")
    np.testing.assert_allclose(told, probabilities(raw), atol=1e-6)


@pytest.mark.parametrize("dims", [2, 3])
def test_the_pieces_along_z_make_up_the_volume(dims) -> None:
    model, image = small(dims=dims, out_channels=1), noise(7, 9, 10)
    whole = predict_probabilities(model, image, tile=4, margin=2, blend="linear")
    slabs = list(probability_slabs(model, image, tile=4, margin=2, blend="linear"))
    assert len(slabs) > 1 and len(whole) == 2
    np.testing.assert_allclose(np.concatenate(slabs, axis=1), whole, atol=1e-6)


class Cubes(nn.Module):
    """Two classes from the corners of its cube, without an equal dense network."""

    divisor, in_channels, out_channels, window = (1, 1, 1), 2, 2, 4

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Parameter(torch.ones(()))

    def forward(self, images: Tensor) -> Tensor:
        assert images.shape[1:] == (2, 4, 4, 4)
        corners = torch.stack((images[:, 0, 0, 0, 0], images[:, 1, -1, -1, -1]), dim=1)
        return corners[..., None, None, None] * self.one


def test_cubes_at_the_border_reach_into_a_mirror() -> None:
    # The cube of voxel i has voxels i - 2 to i + 1 along each axis.
    image = noise(3, 1, 5)
    grown = np.pad(image, [(2, 1)] * 3, "symmetric")
    logits = np.stack((grown[:3, :1, :5], grown[3:, 3:, 3:]))
    told = predict_probabilities(Cubes(), image, tile=1, margin=0)
    np.testing.assert_allclose(told, probabilities(logits), rtol=1e-5)


def test_only_the_voxels_wanted_are_looked_at_one_by_one() -> None:
    image, where = noise(3, 4, 5), np.zeros((3, 4, 5), bool)
    where[0, 1, 2] = where[2, 3, 0] = True
    whole = predict_probabilities(Cubes(), image, tile=1, margin=0)
    told = predict_probabilities(Cubes(), image, tile=1, margin=0, where=where)
    np.testing.assert_allclose(told[:, where], whole[:, where])
    assert not told[:, ~where].any()


def test_cube_by_cube_and_all_at_once_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model, image = CentreVoxelNet("3layer", out_channels=3).eval(), noise(3, 5, 4)
    assert dense_version(model) is not None
    dense = predict_probabilities(model, image, tile=8, margin=0)
    module = sys.modules["topodelin.models.probabilities"]  # a function has the same name
    monkeypatch.setattr(module, "dense_version", lambda _: None)
    np.testing.assert_allclose(
        predict_probabilities(model, image, tile=8, margin=0), dense, atol=1e-5
    )


def test_cubes_with_nan_and_networks_gone_wrong_are_refused() -> None:
    image, model = noise(3, 4, 5), Cubes()
    with torch.no_grad():
        model.one.fill_(torch.nan)
    with pytest.raises(ValueError, match="gave values that are not finite"):
        predict_probabilities(model, image, tile=1, margin=0)
    image[1, 1, 1] = np.nan
    with pytest.raises(ValueError, match="`image` must be finite"):
        predict_probabilities(Cubes(), image, tile=1, margin=0)


def test_a_distance_map_of_a_volume_comes_in_pieces_also_from_images() -> None:
    model, image = small(out_channels=1), noise(3, 10, 14)
    slabs = list(distance_slabs(model, image, d_max=0.1, tile=8, margin=8, blend="linear"))
    assert [slab.shape for slab in slabs] == [(1, 1, 10, 14)] * 3
    raw = predict_tiles(model, image[1], tile=8, margin=8, blend="linear")
    np.testing.assert_array_equal(slabs[1][:, 0], raw.clip(0, 0.1))


def test_the_mean_of_two_networks_whatever_the_pieces_they_come_in() -> None:
    a, b = noise(2, 6, 3, 3), noise(2, 6, 3, 3, seed=1)
    members = [[a[:, :4], a[:, 4:]], [b[:, z : z + 1] for z in range(6)]]
    told = np.stack(list(mean_planes(members)), axis=1)
    np.testing.assert_allclose(told, (a + b) / 2, rtol=1e-6)
    with pytest.raises(ValueError):
        list(mean_planes([[a], [b[:, :5]]]))


def test_networks_that_tell_different_things_are_no_ensemble() -> None:
    def card(classes=("a", "b"), spacing=(1, 1, 1)) -> SegmentationCard:
        return SegmentationCard("unet", {}, spacing, (4, 4, 4), (0, 0, 0), classes)

    distance = ModelCard("unet", {}, (1, 1, 1), 6, 2, (4, 4, 4), (0, 0, 0))
    check_members(["x", "y"], [card(), card(spacing=(1, 1, 1.0005))])
    for other, told in (
        (card(("b", "a")), "tell the same: x has the classes a, b, y has the classes b, a"),
        (card(spacing=(1, 1, 1.1)), r"at the same spacing: x has \(1.0, 1.0, 1.0\)"),
        (distance, "y has distances up to 6"),
    ):
        with pytest.raises(ValueError, match=told):
            check_members(["x", "y"], [card(), other])
