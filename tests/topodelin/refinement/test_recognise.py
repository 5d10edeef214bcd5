"""Which arrays obey a grammar."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.topodelin.refinement.grammars import FRAME, PARENTHESES, UNIFORM
from topodelin.refinement import Grammar, is_valid, recognise


def word(text: str) -> np.ndarray:
    return np.array(["()".index(letter) for letter in text])


def ring(height: int, width: int) -> np.ndarray:
    labels = np.ones((height, width), dtype=np.int64)
    labels[1:-1, 1:-1] = 0
    return labels


def test_the_table_of_balanced_parentheses() -> None:
    table = recognise(word("(())()"), PARENTHESES, max_voxels=6)
    rows = [
        " ".join("".join(sorted(table.symbols((at,), (size,)))) or "-" for at in range(7 - size))
        for size in range(6, 0, -1)
    ]
    assert rows == [
        "S",
        "- -",
        "S - -",
        "L R - -",
        "- S - - S",
        "La La Rb Rb La Rb",
    ]
    assert table.whole is True


@pytest.mark.parametrize("length", range(1, 9))
def test_every_word_is_judged_as_counting_does(length: int) -> None:
    for letters in itertools.product([0, 1], repeat=length):
        depth = np.cumsum(1 - 2 * np.array(letters))
        balanced = bool(depth.min() >= 0 and depth[-1] == 0)
        assert is_valid(np.array(letters), PARENTHESES, max_voxels=8) is balanced


@pytest.mark.parametrize(("height", "width"), [(3, 3), (3, 7), (6, 4), (24, 24)])
def test_a_ring_is_a_frame(height: int, width: int) -> None:
    assert is_valid(ring(height, width), FRAME, max_voxels=576)


def test_a_ring_broken_anywhere_or_filled_anywhere_is_not() -> None:
    for place in itertools.product(range(4), range(5)):
        labels = ring(4, 5)
        labels[place] = 1 - labels[place]
        assert not is_valid(labels, FRAME, max_voxels=20)


def test_a_large_broken_ring_is_not() -> None:
    labels = ring(24, 24)
    labels[0, 7] = 0
    assert not is_valid(labels, FRAME, max_voxels=576)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 4), (5, 1, 6), (8, 8, 8)])
def test_a_volume_of_one_label_is_uniform_and_one_other_voxel_spoils_it(
    shape: tuple[int, ...],
) -> None:
    labels = np.ones(shape, dtype=np.int64)
    assert is_valid(labels, UNIFORM, max_voxels=512)
    labels[-1, 0, -1] = 0
    assert is_valid(labels, UNIFORM, max_voxels=512) is (labels.size == 1)


@given(st.lists(st.integers(0, 1), min_size=1, max_size=7))
def test_a_word_along_another_axis_is_the_same_word(letters: list[int]) -> None:
    turned = Grammar(
        PARENTHESES.start,
        PARENTHESES.terminals,
        PARENTHESES.renamings,
        [(a, b, c, 2) for a, b, c, _ in PARENTHESES.splits],
    )
    labels = np.array(letters)
    answer = is_valid(labels, PARENTHESES, max_voxels=7)
    assert is_valid(labels[None, None], turned, max_voxels=7) is answer


def test_near_comes_before_far() -> None:
    grammar = Grammar("S", {0: ["A"], 1: ["B"]}, splits=[("S", "A", "B", 1)])
    assert is_valid(np.array([[0, 1]]), grammar, max_voxels=2)
    assert not is_valid(np.array([[1, 0]]), grammar, max_voxels=2)
    assert not is_valid(np.array([[0], [1]]), grammar, max_voxels=2)


def test_an_unknown_label_derives_from_nothing() -> None:
    assert not is_valid(np.array([0, 7]), PARENTHESES, max_voxels=2)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((8, 9), "`labels` must have at most `max_voxels` = 64 voxels, got 72 (8, 9), about"),
        ((9,), "`labels` must have 2 axes, as the grammar splits across axis 1, got shape (9,)"),
        ((0, 4), "`labels` must hold at least one voxel"),
    ],
)
def test_a_wrong_size_is_refused_in_one_line(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError) as raised:
        recognise(np.zeros(shape, dtype=np.int64), FRAME, max_voxels=64)
    assert str(raised.value).startswith(message) and "\n" not in str(raised.value)
