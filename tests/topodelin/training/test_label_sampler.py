"""Where crops of labelled images are taken, and what of them is learnt."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from topodelin.losses import LabelTarget
from topodelin.training.config import Augmentation, Intensity
from topodelin.training.label_sampler import LabelSampler, read_mirrored
from topodelin.training.labelled import LabelledStack
from topodelin.training.sampler import Batch

PLAIN = Augmentation(flips=False, quarter_turns=False, rotation=False, intensity=None)
FLIPS = Augmentation(flips=True, quarter_turns=True, rotation=False, intensity=None)


def stack(shape=(6, 20, 24), name: str = "drawn") -> LabelledStack:
    """Every voxel of its own brightness; classes 0, 1, 2 in thirds along x, a corner ignored."""
    image = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    classes = np.broadcast_to(np.arange(shape[2]) * 3 // shape[2], shape).astype(np.int64).copy()
    classes[:2, :4, :4] = -1
    return LabelledStack(name, image, (1.0, 1.0, 1.0), classes, image / 100)


def known(array: np.ndarray | None) -> np.ndarray:
    assert array is not None
    return array


def labels(batch: Batch) -> LabelTarget:
    assert isinstance(batch.target, Mapping)
    return batch.target["labels"]


def sampler(**changes) -> LabelSampler:
    given = {"seed": 1, "crop": (2, 8, 8), "batch": 3, "augmentation": PLAIN, **changes}
    return LabelSampler(given.pop("stacks", [stack()]), **given)


@given(step=st.integers(0, 10**6), turned=st.booleans())
def test_image_classes_and_weights_stay_in_step(step: int, turned: bool) -> None:
    source = stack()
    crop = sampler(augmentation=FLIPS if turned else PLAIN).draw_crop(step, 0)
    index = crop.image.astype(np.int64)
    np.testing.assert_array_equal(known(crop.classes), known(source.classes).ravel()[index])
    np.testing.assert_allclose(known(crop.weights), known(source.weights).ravel()[index])
    assert crop.image.shape == (2, 8, 8)


def test_a_crop_depends_on_seed_step_and_number_alone() -> None:
    whole = sampler(augmentation=Augmentation(intensity=None)).draw(7)
    share = sampler(augmentation=Augmentation(intensity=None)).draw(7, first=1, every=2)
    np.testing.assert_array_equal(share.image, whole.image[1::2])
    np.testing.assert_array_equal(labels(share).classes, labels(whole).classes[1::2])
    other = sampler(seed=2, augmentation=Augmentation(intensity=None)).draw(7)
    assert not np.array_equal(other.image, whole.image)


def test_a_lattice_visits_every_bin_once_an_epoch() -> None:
    lattice = sampler(kind="lattice", bins=(2, 6, 8), batch=1)
    per_epoch = len(lattice._bins)
    assert per_epoch == 3 * 3 * 3  # corners 0..4 by 2, 0..12 by 6 and 0..16 by 8
    for epoch in (0, 1):
        corners = []
        for step in range(epoch * per_epoch, (epoch + 1) * per_epoch):
            first = int(lattice.draw_crop(step, 0).image[0, 0, 0])
            corners.append(tuple(int(c) for c in np.unravel_index(first, (6, 20, 24))))
        bins = {(z // 2, y // 6, x // 8) for z, y, x in corners}
        assert len(bins) == per_epoch
    assert len(set(corners)) == per_epoch and corners != sorted(corners)


@given(step=st.integers(0, 10**6))
def test_a_cube_has_its_labelled_voxel_in_the_middle(step: int) -> None:
    source = stack()
    cubes = sampler(kind="centred", crop=(4, 4, 4), foreground=(2,), augmentation=FLIPS)
    batch = cubes.draw(step)
    middle = batch.image[:, 0, 2, 2, 2].numpy().astype(int)
    target = labels(batch)
    assert tuple(target.classes.shape) == (3, 1, 1, 1)
    np.testing.assert_array_equal(known(source.classes).ravel()[middle], target.classes.ravel())
    assert (target.classes == 2).all()


def test_cubes_at_the_border_are_continued_as_in_a_mirror() -> None:
    line = np.arange(5)
    seen = read_mirrored(line.reshape(1, 1, 5), np.array([0, 0, -3]), (1, 1, 11))[0, 0]
    np.testing.assert_array_equal(seen, [2, 1, 0, 0, 1, 2, 3, 4, 4, 3, 2])
    thick = read_mirrored(line.reshape(1, 1, 5), np.array([-2, 0, 0]), (4, 1, 5))
    assert (thick == line).all()


def test_foreground_crops_hold_enough_of_what_is_looked_for() -> None:
    rare = stack()
    known(rare.classes)[:] = 0
    known(rare.classes)[5, 15:18, 20:22] = 1
    wanted = sampler(stacks=[rare], kind="foreground", foreground=(1,), min_foreground=4)
    for step in range(20):
        assert int((labels(wanted.draw(step)).classes == 1).sum(dim=(1, 2, 3)).min()) >= 4


def test_networks_of_images_get_images_and_as_many_channels_as_they_take() -> None:
    batch = sampler(crop=(1, 8, 8), dims=2, channels=3).draw(0)
    assert tuple(batch.image.shape) == (3, 3, 8, 8)
    assert (batch.image[:, 0] == batch.image[:, 2]).all()
    assert tuple(labels(batch).classes.shape) == (3, 8, 8)


def test_a_network_without_padding_learns_the_inner_voxels() -> None:
    batch = sampler(lost=(0, 4, 2)).draw(0)
    inner = batch.image[:, 0, :, 2:-2, 1:-1].numpy().astype(int)
    np.testing.assert_array_equal(
        known(stack().classes).ravel()[inner], labels(batch).classes.numpy()
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"stacks": []}, "must hold at least one stack"),
        ({"crop": (7, 8, 8)}, r"drawn: `sampling.crop` must fit in every stack, got \(7, 8, 8\)"),
        ({"kind": "foreground", "foreground": (9,)}, "drawn: holds no voxel of the classes"),
    ],
)
def test_what_no_crop_can_be_taken_from_is_named(changes, said) -> None:
    with pytest.raises(ValueError, match=said):
        sampler(**changes)


def test_without_labels_there_is_no_target_and_cubes_lie_anywhere() -> None:
    bare = LabelledStack("bare", stack().image, (1.0, 1.0, 1.0))
    batch = sampler(stacks=[bare], kind="centred", crop=(4, 4, 4)).draw(0)
    assert batch.target == {} and tuple(batch.image.shape) == (3, 1, 4, 4, 4)


def test_brightness_changes_the_image_alone() -> None:
    bright = Augmentation(
        flips=False, quarter_turns=False, rotation=False, intensity=Intensity(gain=(2.0, 2.0))
    )
    plain, changed = sampler().draw_crop(3, 0), sampler(augmentation=bright).draw_crop(3, 0)
    np.testing.assert_array_equal(plain.classes, changed.classes)
    assert not np.array_equal(plain.image, changed.image)
