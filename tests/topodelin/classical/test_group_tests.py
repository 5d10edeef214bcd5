"""Tests and effect sizes: by hand, against scipy, by law."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from topodelin.classical.group_tests import (
    analysis_of_variance,
    difference,
    differences,
    holm,
    normality,
)


def groups(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        name: np.round(rng.normal(rng.normal(), rng.uniform(0.5, 2), rng.integers(2, 40)), 1)
        for name in "abc"
    }


def test_two_groups_by_hand() -> None:
    # Means 2 and 5, both variances 1, three of each: t = -3 / sqrt(2 / 3) with 4 degrees.
    found = difference(("a", np.array([1.0, 2, 3])), ("b", np.array([4.0, 5, 6])))
    assert found.difference == -3 and found.degrees == pytest.approx(4)
    assert found.t == pytest.approx(-3 / math.sqrt(2 / 3))
    assert found.hedges_g == pytest.approx(-3 * (1 - 3 / 15)) and found.superiority == 0
    assert math.isnan(found.p_holm)
    ties = difference(("a", np.array([1.0, 2])), ("b", np.array([1.0, 0])))
    assert ties.superiority == (0.5 + 1 + 1 + 1) / 4


@settings(max_examples=30)
@given(seed=st.integers(0, 9999))
def test_welch_superiority_and_variance_are_those_of_scipy_and_of_all_pairs(seed: int) -> None:
    drawn = groups(seed)
    found = differences(drawn)
    assert [(d.first, d.second) for d in found] == [("a", "b"), ("a", "c"), ("b", "c")]
    for each in found:
        one, two = drawn[each.first], drawn[each.second]
        assert each.superiority == pytest.approx(
            np.mean((one[:, None] > two) + 0.5 * (one[:, None] == two))
        )
        if np.ptp(one) and np.ptp(two):
            expected: Any = stats.ttest_ind(one, two, equal_var=False)
            numbers = expected.statistic, expected.pvalue, expected.df
            assert (each.t, each.p, each.degrees) == pytest.approx(numbers)
        back = difference((each.second, two), (each.first, one))
        assert back.hedges_g == pytest.approx(-each.hedges_g, nan_ok=True)
        assert back.superiority == pytest.approx(1 - each.superiority)
    together = np.concatenate(list(drawn.values()))
    inside = sum(((each - each.mean()) ** 2).sum() for each in drawn.values())
    whole = ((together - together.mean()) ** 2).sum()
    between = float(1 - inside / whole)
    assert analysis_of_variance(list(drawn.values())).eta_squared == pytest.approx(between)


def test_holm_by_hand() -> None:
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.6, float("nan"), 0.01]) == pytest.approx([0.6, float("nan"), 0.02], nan_ok=True)
    assert holm([0.7, 0.9]) == [1, 1] and holm([]) == []


@settings(max_examples=30)
@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_holm_keeps_the_order_and_lies_between_no_correction_and_bonferroni(p: list[float]) -> None:
    corrected = np.array(holm(p))
    assert (np.diff(corrected[np.argsort(p, kind="stable")]) >= 0).all()
    assert (corrected >= p).all() and (corrected <= np.minimum(1, len(p) * np.array(p))).all()
    assert corrected.min() == min(1, len(p) * min(p))


def test_what_cannot_be_tested_is_undefined_and_warns_nobody() -> None:
    lone, flat, full = np.array([3.0]), np.zeros(30), np.arange(40.0)
    for pair in ((lone, full), (np.zeros(0), full), (np.zeros(0), lone)):
        found = difference(("a", pair[0]), ("b", pair[1]))
        numbers = (found.difference, found.t, found.p, found.hedges_g, found.superiority)
        assert all(math.isnan(number) for number in numbers)
    same = difference(("a", flat), ("b", flat + 1))  # apart, but without spread to compare with
    assert same.difference == -1 and same.superiority == 0 and math.isnan(same.t)
    assert math.isnan(normality(flat).p) and math.isnan(normality(full[:19]).p)
    assert math.isnan(analysis_of_variance([full, lone]).f)
    assert math.isnan(analysis_of_variance([flat, flat]).p)
    assert not math.isnan(normality(full[:20]).p)


def test_a_skewed_group_is_told_from_a_normal_one() -> None:
    rng = np.random.default_rng(0)
    straight, skewed = normality(rng.normal(size=500)), normality(rng.exponential(size=500))
    assert straight.p > 0.05 and abs(straight.skewness) < 0.3
    assert skewed.p < 1e-9 and skewed.skewness > 1 and skewed.kurtosis > 1
    values = rng.exponential(size=50)
    assert normality(values).statistic == pytest.approx(stats.normaltest(values).statistic)
