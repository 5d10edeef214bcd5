"""The most probable valid labelling, against trying them all."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.topodelin.refinement.grammars import FRAME, PARENTHESES, UNIFORM
from topodelin.refinement import Grammar, best_labelling, is_valid

GRAMMARS = {(4,): PARENTHESES, (3, 3): FRAME, (3, 4): FRAME, (2, 1, 3): UNIFORM}
VALID = {
    shape: [
        labels
        for letters in itertools.product([0, 1], repeat=int(np.prod(shape)))
        if is_valid(labels := np.array(letters).reshape(shape), grammar, max_voxels=12)
    ]
    for shape, grammar in GRAMMARS.items()
    if shape != (3, 4)
}


def scores(shape: tuple[int, ...], seed: int, classes: int = 2) -> np.ndarray:
    p = np.random.default_rng(seed).random((classes, *shape))
    return np.log(p / p.sum(0))


def total(log_p: np.ndarray, labels: np.ndarray) -> float:
    return float(np.take_along_axis(log_p, labels[None], 0).sum())


@settings(max_examples=20)
@given(shape=st.sampled_from(sorted(VALID)), seed=st.integers(0, 2**16))
def test_nothing_valid_is_better(shape: tuple[int, ...], seed: int) -> None:
    log_p = scores(shape, seed)
    labels, score = best_labelling(log_p, GRAMMARS[shape], max_voxels=12)
    best = max(VALID[shape], key=lambda some: total(log_p, some))
    assert score == pytest.approx(total(log_p, best))
    np.testing.assert_array_equal(labels, best)


def test_there_are_as_many_valid_labellings_as_counted_by_hand() -> None:
    assert {shape: len(some) for shape, some in VALID.items()} == {(4,): 2, (3, 3): 1, (2, 1, 3): 2}


# Two labels that mean the same, rules that say the same: many derivations tie.
TWICE = Grammar(
    "S",
    {0: ["A", "C"], 1: ["A"], 2: ["B"]},
    renamings=[("S", "A"), ("A", "C"), ("C", "A"), ("T", "S"), ("S", "T")],
    splits=[("S", "S", "B", 0), ("S", "T", "B", 0), ("T", "S", "S", 1), ("S", "B", "S", 1)],
)


@settings(max_examples=15)
@given(
    rows=st.integers(1, 4),
    columns=st.integers(1, 4),
    seed=st.integers(0, 2**16),
    grammar=st.sampled_from([TWICE, UNIFORM]),
)
def test_the_answer_is_valid_and_its_labels_add_up_to_the_score(
    rows: int, columns: int, seed: int, grammar: Grammar
) -> None:
    shape = (rows, columns, 1)
    log_p = np.round(scores(shape, seed, classes=3), 1)
    labels, score = best_labelling(log_p, grammar, max_voxels=16)
    assert is_valid(labels, grammar, max_voxels=16)
    assert score == pytest.approx(total(log_p, labels))


def test_a_gap_in_a_ring_is_closed_and_a_speck_inside_removed() -> None:
    ring = np.ones((12, 14), dtype=np.int64)
    ring[1:-1, 1:-1] = 0
    seen = ring.copy()
    seen[0, 4:6], seen[5, 0], seen[6, 7] = 0, 0, 1
    log_p = np.log(np.where(np.stack([seen == 0, seen == 1]), 0.8, 0.2))
    labels, score = best_labelling(log_p, FRAME, max_voxels=168)
    np.testing.assert_array_equal(labels, ring)
    assert score == pytest.approx((168 - 4) * np.log(0.8) + 4 * np.log(0.2))


def test_a_forbidden_label_is_not_taken() -> None:
    log_p = np.array([[-1.0, -np.inf, -1.0, -3.0], [-1.0, 0.0, -1.0, -1.0]])
    labels, score = best_labelling(log_p, PARENTHESES, max_voxels=4)
    assert labels.tolist() == [0, 1, 0, 1] and score == pytest.approx(-3)


@pytest.mark.parametrize(
    ("log_p", "message"),
    [
        (np.zeros((2, 3)), "no labelling of shape (3,) obeys the grammar"),
        (np.full((2, 2), -np.inf), "no labelling of shape (2,) obeys the grammar"),
        (np.full((2, 2), np.nan), "`log_probabilities` must be below infinity and hold no NaN"),
        (np.full((2, 2), np.inf), "`log_probabilities` must be below infinity and hold no NaN"),
        (np.zeros((1, 2)), "must have a channel for every label of the grammar, got 1 channels"),
        (np.zeros((2, 99)), "`log_probabilities` must have at most `max_voxels` = 9 voxels"),
    ],
)
def test_what_has_no_answer_is_refused_in_one_line(log_p: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError) as raised:
        best_labelling(log_p, PARENTHESES, max_voxels=9)
    assert message in str(raised.value) and "\n" not in str(raised.value)
