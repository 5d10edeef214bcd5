"""Minimum projections, and image losses lifted to volumes by them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import mse_loss

from tests.losses.drawings import curves, distance_map
from topodelin.losses import MinProjectionLoss, min_projections, over_min_projections
from topodelin.losses.min_projection import project_by_torch

SEEDS = st.integers(0, 2**16)
AXES = [2, 3, 4]


def volume(seed: int, shape: tuple[int, ...] = (2, 1, 3, 4, 5)) -> Tensor:
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_one_voxel_by_hand() -> None:
    # A lone 0 in a volume of ones. Moved by one voxel along depth, it stays put in the depth
    # projection and moves in the other two, where 2 of 6 and 2 of 4 pixels are then off by 1.
    target = torch.ones(1, 1, 2, 2, 3)
    prediction = target.clone()
    target[0, 0, 0, 0, 0] = 0
    prediction[0, 0, 1, 0, 0] = 0
    loss = over_min_projections(mse_loss, prediction, target)
    assert loss.item() == pytest.approx(0 + 2 / 6 + 2 / 4)


@given(seed=SEEDS, slab=st.none() | st.integers(1, 6))
def test_one_pass_over_the_volume_finds_what_torch_finds(seed: int, slab: int | None) -> None:
    # Whole numbers: many rays attain their minimum several times.
    volumes = (volume(seed, (2, 3, 5, 4, 6)) * 4).round().requires_grad_()
    for axis, image in zip(AXES, min_projections(volumes, AXES, slab), strict=True):
        expected = project_by_torch(volumes, axis, slab)
        assert torch.equal(image, expected)
        cotangent = torch.rand_like(image)
        found, wanted = (
            torch.autograd.grad(i, volumes, cotangent, retain_graph=True)[0]
            for i in (image, expected)
        )
        assert torch.equal(found, wanted)


def test_the_first_voxel_of_a_flat_ray_takes_the_whole_gradient() -> None:
    volumes = torch.zeros(1, 1, 3, 1, 1, requires_grad=True)
    min_projections(volumes, [2])[0].sum().backward()
    assert volumes.grad is not None
    assert volumes.grad.flatten().tolist() == [1, 0, 0]


@given(seed=SEEDS, shape=st.tuples(*[st.integers(12, 24)] * 3))
def test_projected_distance_is_the_distance_of_the_projection(
    seed: int, shape: tuple[int, int, int]
) -> None:
    target = curves(seed, shape, d_max=6.0)
    centreline = (target == 0)[0, 0]
    for axis, image in zip(range(3), min_projections(target), strict=True):
        assert torch.equal(image, distance_map(centreline.any(axis).numpy(), d_max=6.0))


def test_slabs_follow_each_other_and_the_last_may_be_thin() -> None:
    depth = torch.arange(5.0).reshape(1, 1, 5, 1, 1)
    assert min_projections(depth, [2], slab=2)[0].flatten().tolist() == [0, 2, 4]
    assert min_projections(depth, [4], slab=2)[0].shape == (1, 1, 5, 1)


def test_a_neurite_hidden_in_the_projection_shows_in_its_slab() -> None:
    target = torch.full((1, 1, 8, 3, 3), 5.0)
    target[:, :, (1, 6), 1] = 0  # two lines, one above the other
    prediction = target.clone()
    prediction[:, :, 6, 1, 1] = 5  # a gap in the lower one
    assert over_min_projections(mse_loss, prediction, target, [2]) == 0
    assert over_min_projections(mse_loss, prediction, target, [2], slab=4) > 0


@given(seed=SEEDS, axis=st.sampled_from(AXES))
def test_a_mirror_changes_nothing(seed: int, axis: int) -> None:
    p, t = volume(seed), volume(seed + 1)
    mirrored = over_min_projections(mse_loss, p.flip(axis), t.flip(axis))
    torch.testing.assert_close(mirrored, over_min_projections(mse_loss, p, t))


@pytest.mark.parametrize("slab", [None, 2])
def test_gradient_matches_finite_differences(slab: int | None) -> None:
    p = volume(0).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda p: over_min_projections(mse_loss, p, volume(1), AXES, slab), [p]
    )


def test_the_gradient_touches_only_the_minima() -> None:
    p = volume(0).requires_grad_()
    over_min_projections(mse_loss, p, volume(1), [2]).backward()
    assert p.grad is not None
    assert torch.equal(p.grad != 0, p == p.amin(2, keepdim=True))


@pytest.mark.parametrize("axes", [[], [1], [2, 2], [5]])
def test_axes_that_are_not_of_space_are_refused(axes: list[int]) -> None:
    with pytest.raises(ValueError, match=r"`axes` must be drawn from \(2, 3, 4\)"):
        MinProjectionLoss(mse_loss, axes=axes)


def test_an_empty_slab_is_refused() -> None:
    with pytest.raises(ValueError, match="`slab` must be at least 1 voxel"):
        MinProjectionLoss(mse_loss, slab=0)
