import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.topodelin.training.drawings import SPACING, config, line, stack
from topodelin.graphs import NeuriteGraph
from topodelin.training import Score, validate
from topodelin.training.validation import best_score, trace

JUDGED = config(
    target={"d_max": 5.0, "spacing": SPACING},
    sampling={"crop": (12, 20, 24)},
    validation={"thresholds": [1.0, 2.0, 9.0], "tolerance_um": 1.0, "min_branch_um": 2.0},
)


class ReadsTheDrawing(nn.Module):
    """Turns the drawn brightness, 1 at distance 0 and 0 from distance 4 on, into distance."""

    divisor = (1, 1, 1)

    def __init__(self, shift: float = 0.0) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.tensor(shift))

    def forward(self, image: Tensor) -> Tensor:
        return 4 * (1 - image) + self.shift


def test_a_network_that_sees_the_distance_traces_all_of_it() -> None:
    best = best_score(validate([ReadsTheDrawing()], [stack()], JUDGED))
    assert best.quality > 0.95
    assert best.truth_length == pytest.approx(line().length)


def test_a_network_that_sees_nothing_scores_nothing() -> None:
    scores = validate([ReadsTheDrawing(shift=5.0)], [stack()], JUDGED)
    assert [(score.completeness, score.correctness, score.quality) for score in scores[:2]] == [
        (0, 0, 0)
    ] * 2


def test_lengths_are_pooled_over_stacks() -> None:
    one, two = (validate([ReadsTheDrawing()], [stack()] * n, JUDGED)[1] for n in (1, 2))
    assert two.matched_truth == pytest.approx(2 * one.matched_truth)
    assert two.quality == pytest.approx(one.quality)


def test_a_mask_that_fills_the_stack_holds_no_centreline() -> None:
    assert len(trace(np.ones((4, 5, 6), bool), SPACING, min_branch_um=0)) == 0


def test_without_truth_the_score_is_undefined_and_without_tracing_it_is_worst() -> None:
    assert np.isnan(Score(1.0, predicted_length=3.0).quality)
    assert Score(1.0, truth_length=3.0).quality == 0


def test_of_equal_scores_the_smallest_threshold_is_best() -> None:
    equal = [Score(t, 1.0, 1.0, 1.0, 1.0) for t in (3.0, 2.0, 4.0)]
    assert best_score(equal).threshold == 2.0


def test_of_nearly_equal_scores_the_smallest_threshold_is_taken() -> None:
    found = {1.0: 90.0, 2.0: 97.0, 3.0: 98.0, 4.0: 97.5}
    scores = [Score(t, matched, 100.0, 100.0, 100.0) for t, matched in found.items()]
    assert best_score(scores).threshold == 3.0
    assert best_score(scores, slack=0.01).threshold == 2.0


def test_a_stack_without_truth_does_not_hide_the_others() -> None:
    empty = NeuriteGraph(np.zeros((0, 3)), np.zeros((0, 2), np.int64))
    bare = stack()
    unlabelled = type(bare)("bare", bare.image, bare.brightness, empty)
    score = validate([ReadsTheDrawing()], [bare, unlabelled], JUDGED)[1]
    assert 0.45 < score.correctness < 0.55  # everything traced in the second stack is false
