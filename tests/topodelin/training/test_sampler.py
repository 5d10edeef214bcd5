from collections.abc import Mapping

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.topodelin.training.drawings import SPACING, stack
from topodelin.graphs import NeuriteGraph
from topodelin.training import Batch, Sampler
from topodelin.training.config import Augmentation, Elastic, Intensity

PLAIN = Augmentation(intensity=None)


def sampler(**changes: object) -> Sampler:
    arguments = {
        "stacks": [stack()],
        "seed": 3,
        "crop": (8, 16, 16),
        "batch": 3,
        "min_foreground": 8,
        "d_max": 5.0,
        "augmentation": Augmentation(),
    }
    return Sampler(**(arguments | changes))  # type: ignore[arg-type]


def distances(batch: Batch) -> torch.Tensor:
    assert isinstance(batch.target, Mapping)
    return batch.target["distance_map"]


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    first, second = sampler(), sampler()
    second.draw(4)
    one, same = first.draw(7), second.draw(7)
    torch.testing.assert_close(one.image, same.image, rtol=0, atol=0)
    torch.testing.assert_close(distances(one), distances(same), rtol=0, atol=0)
    assert not torch.equal(first.draw(7).image, first.draw(8).image)
    assert not torch.equal(first.draw(7).image, sampler(seed=4).draw(7).image)


def test_the_shares_of_two_devices_make_up_the_batch() -> None:
    drawn = sampler(batch=4)
    whole, even, odd = drawn.draw(2), drawn.draw(2, every=2), drawn.draw(2, first=1, every=2)
    torch.testing.assert_close(whole.image[0::2], even.image, rtol=0, atol=0)
    torch.testing.assert_close(distances(whole)[1::2], distances(odd), rtol=0, atol=0)


@settings(max_examples=15)
@given(step=st.integers(0, 10_000))
def test_every_crop_holds_enough_centreline(step: int) -> None:
    target = distances(sampler().draw(step))
    assert (target == 0).sum(dim=(1, 2, 3, 4)).min() >= 8


@settings(max_examples=15)
@given(step=st.integers(0, 10_000))
def test_the_brightest_voxels_lie_on_the_centreline(step: int) -> None:
    batch = sampler(augmentation=PLAIN).draw(step)
    image, target = batch.image, distances(batch)
    # The drawing falls from 1 at distance 0 to 0 at distance 4; nearest voxels are half a voxel off
    # and interpolation blurs by one.
    expected = (1 - target / 4).clamp(min=0)
    assert (image - expected).abs().mean() < 0.06
    assert (image[target == 0] > 0.5).float().mean() > 0.9


def test_without_turning_image_and_target_agree_exactly() -> None:
    flips = Augmentation(quarter_turns=False, rotation=False, intensity=None)
    batch = sampler(augmentation=flips).draw(0)
    image, target = batch.image, distances(batch)
    assert (image - (1 - target / 4).clamp(min=0)).abs().mean() < 0.01


BENT = Augmentation(
    zoom=(0.8, 1.25), shear=(-15, 15), elastic=Elastic(points=3, amplitude=4.0), intensity=None
)


@settings(max_examples=15)
@given(step=st.integers(0, 10_000))
def test_a_bent_image_and_its_distance_map_stay_in_step(step: int) -> None:
    batch = sampler(augmentation=BENT).draw(step)
    image, target = batch.image, distances(batch)
    assert (image[target == 0] > 0.5).float().mean() > 0.98
    assert image[target == 5].mean() < 0.05
    assert (target == 0).sum(dim=(1, 2, 3, 4)).min() >= 8


def test_a_displacement_too_strong_for_a_crop_is_weakened() -> None:
    folding = Augmentation(elastic=Elastic(points=8, amplitude=5.0), intensity=None)
    batch = sampler(augmentation=folding, batch=6).draw(0)
    assert (batch.image[distances(batch) == 0] > 0.5).float().mean() > 0.98


def test_changes_of_brightness_leave_the_target_alone() -> None:
    strong = Augmentation(intensity=Intensity(gain=(3.0, 3.0), blur=(1.0, 1.0), missing_slice=1.0))
    plain, changed = sampler(augmentation=PLAIN).draw(3), sampler(augmentation=strong).draw(3)
    torch.testing.assert_close(distances(plain), distances(changed), rtol=0, atol=0)
    assert (changed.image == 0).flatten(3).all(dim=3).any(dim=2).all()  # a slice of every crop
    assert changed.image.max() <= 2  # the end of the range of a normalised image


def test_a_rare_neurite_is_found_by_looking_where_it_is() -> None:
    short = NeuriteGraph(np.array([[1, 35, 40], [1, 35, 47]]) * SPACING, np.array([[0, 1]]))
    drawn = sampler(stacks=[stack(graph=short)], attempts=0, min_foreground=8)
    assert (distances(drawn.draw(0)) == 0).sum(dim=(1, 2, 3, 4)).tolist() == [8, 8, 8]


def test_a_stack_with_too_little_centreline_is_named() -> None:
    short = NeuriteGraph(np.array([[1, 9, 9], [1, 9, 10]]) * SPACING, np.array([[0, 1]]))
    with pytest.raises(ValueError, match="short: `sampling.min_foreground`.*at most 2 "):
        sampler(stacks=[stack(), stack("short", graph=short)])


def test_a_stack_smaller_than_a_crop_is_named() -> None:
    with pytest.raises(ValueError, match="drawn: `sampling.crop` must fit"):
        sampler(crop=(16, 16, 16))


def test_a_stack_too_narrow_to_be_rotated_is_only_flipped_and_turned() -> None:
    image, _ = sampler(crop=(8, 40, 40), augmentation=PLAIN).draw(0)
    values = set(np.unique(stack().read(stack().image.box)).tolist())
    assert set(np.unique(image.numpy()).tolist()) <= values


def test_stacks_are_drawn_by_their_weight() -> None:
    empty = NeuriteGraph(np.array([[0.0, 0, 0], [1, 1, 1]]), np.array([[0, 1]]))
    both = [stack(weight=1.0), stack("other", graph=empty, weight=99.0)]
    drawn = sampler(stacks=both, min_foreground=0, batch=1, augmentation=PLAIN)
    from_other = sum(bool((distances(drawn.draw(step)) == 5).all()) for step in range(20))
    assert from_other >= 15
