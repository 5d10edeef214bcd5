"""Several metrics at once: each as it is alone, and how sure it is."""

import pytest
from hypothesis import given, settings

from tests.graphs.drawings import random_network, seeds
from tests.graphs.test_centreline_quality import moved_a_little
from topodelin.graphs import (
    apls,
    cable_connectivity,
    centreline_quality,
    expected_run_length,
    find_errors,
    score_tracing,
)


@settings(max_examples=10)
@given(seed=seeds)
def test_each_metric_is_as_it_is_alone(seed: int) -> None:
    truth, predicted = random_network(seed), moved_a_little(random_network(seed), seed, by=1.0)
    score = score_tracing(truth, predicted, tolerance=2.0).as_dict()
    alone = [
        metric(truth, predicted, tolerance=2.0).as_dict()
        for metric in (expected_run_length, cable_connectivity, apls, find_errors)
    ]
    assert [score[k] for k in ("run_length", "connectivity", "apls", "errors")] == alone
    quality = centreline_quality(truth, predicted, tolerance=2.0).as_dict()
    assert {key: score[key] for key in quality} == quality


def test_the_table_says_how_sure_a_part_of_the_starts_makes_it() -> None:
    truth = random_network(3, count=200, extra=15)
    predicted = moved_a_little(truth, 4, by=1.0)
    every, some = (
        score_tracing(truth, predicted, tolerance=3.0, starts=starts) for starts in (None, 10)
    )
    assert "±" not in every.table()
    parts = some.paths.truth_paths, some.paths.predicted_paths
    for part in parts:
        assert part.starts == 10 and f" ± {part.standard_error:.3f}" in some.table()
    assert parts[0].standard_error != pytest.approx(parts[1].standard_error, abs=1e-3)
