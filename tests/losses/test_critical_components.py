"""Critical components: by hand, and by counting pieces anew for each mistake."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from topodelin.losses.critical_components import critical_voxels

SEEDS = st.integers(0, 2**32 - 1)
SPACES = st.sampled_from([(9, 12), (4, 6, 7), (30,)])


def drawing(rows: str) -> np.ndarray:
    """One character a voxel."""
    return np.array([list(row) for row in rows.split()])


def critical(predicted: str, labels: str) -> tuple[list[str], list[str]]:
    found = critical_voxels(drawing(predicted) == "#", drawing(labels).astype(int))
    return tuple(  # pyright: ignore[reportReturnType]
        ["".join(".x"[int(voxel)] for voxel in row) for row in mask] for mask in found
    )


def pieces(mask: np.ndarray) -> int:
    return ndimage.label(mask, np.ones((3,) * mask.ndim))[1]  # pyright: ignore


def brute_force(predicted: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Add each connected mistake to what is right and count the connected pieces again."""
    touching = np.ones((3,) * labels.ndim)
    missing, added = np.zeros((2, *labels.shape), bool)
    for label in range(labels.max() + 1):
        own = labels == label
        right = predicted & (own if label else labels > 0)
        wrong, count = ndimage.label(own & (predicted != (label > 0)), touching)  # pyright: ignore
        for number in range(1, count + 1):
            if pieces(right | (wrong == number)) != pieces(right):
                (missing if label else added)[wrong == number] = True
    return missing, added


@given(seed=SEEDS, space=SPACES, density=st.sampled_from([0.2, 0.4, 0.6]))
def test_they_are_the_mistakes_that_change_the_number_of_pieces(
    seed: int, space: tuple[int, ...], density: float
) -> None:
    rng = np.random.default_rng(seed)
    labels, _ = ndimage.label(rng.random(space) < density, np.ones((3,) * len(space)))  # pyright: ignore
    predicted = (labels > 0) ^ (rng.random(space) < 0.3)
    found = critical_voxels(predicted, labels)
    missing, added = brute_force(predicted, labels)
    np.testing.assert_array_equal(found.missing, missing)
    np.testing.assert_array_equal(found.added, added)


def test_a_gap_is_critical_and_a_frayed_rim_and_a_short_end_are_not() -> None:
    missing, added = critical(
        predicted="....... ###.#.. #.#.### .......",
        labels="0000000 1111111 1111111 0000000",
    )
    # The voxel missing in the first half is a rim, the two of the fourth column are the gap.
    assert missing == [".......", "...x...", "...x...", "......."]
    missing, added = critical(
        predicted=".......  .####..  .......", labels="0000000 1111111 0000000"
    )
    assert missing == [".......", ".......", "......."] == added


def test_a_neurite_missed_as_a_whole_is_critical() -> None:
    missing, added = critical(predicted="..... ..... ##...", labels="00111 00000 22000")
    assert missing == ["..xxx", ".....", "....."]
    assert added == [".....", ".....", "....."]


def test_a_bridge_and_a_speck_are_critical_and_a_thick_line_is_not() -> None:
    missing, added = critical(
        predicted="####### #.#...# ..#.... ####### .......",
        labels="1111111 0000000 0000000 2222222 0000000",
    )
    assert added == [".......", "..x....", "..x....", ".......", "......."]
    missing, added = critical(predicted="####. ..... ....#", labels="11110 00000 00000")
    assert added == [".....", ".....", "....x"]
    assert missing == [".....", ".....", "....."]


def test_touching_at_a_corner_is_touching() -> None:
    missing, _ = critical(predicted="#.. ... ..#", labels="100 010 001")
    assert missing == ["...", ".x.", "..."]


def test_a_missing_set_does_not_join_the_neurite_beside_it() -> None:
    # Two labels touch. What is missing of the second touches one piece of the first, none of its
    # own: it is missed as a whole.
    missing, _ = critical(predicted="##... ##...", labels="11222 11222")
    assert missing == ["..xxx", "..xxx"]


def test_two_gaps_of_a_loop_are_both_critical() -> None:
    missing, _ = critical(predicted="##.## #...# ##.##", labels="11111 10001 11111")
    assert missing == ["..x..", ".....", "..x.."]


@given(seed=SEEDS, axis=st.integers(0, 2))
def test_mirrors_and_turns_change_nothing(seed: int, axis: int) -> None:
    rng = np.random.default_rng(seed)
    labels, _ = ndimage.label(rng.random((4, 5, 6)) < 0.3, np.ones((3, 3, 3)))  # pyright: ignore
    predicted = (labels > 0) ^ (rng.random(labels.shape) < 0.3)
    found = critical_voxels(predicted, labels)
    mirrored = critical_voxels(np.flip(predicted, axis), np.flip(labels, axis))
    turned = critical_voxels(predicted.swapaxes(axis, 0), labels.swapaxes(axis, 0))
    np.testing.assert_array_equal(found, [np.flip(mask, axis) for mask in mirrored])
    np.testing.assert_array_equal(found, [mask.swapaxes(axis, 0) for mask in turned])
