r"""Differences between groups of independent observations: how large, and how sure.

With means $m$, variances $s^2$ (of $n - 1$) and sizes $n$ of two groups:

    Welch's t     $(m_1 - m_2) / \sqrt{s_1^2 / n_1 + s_2^2 / n_2}$; equal variances are not assumed
    Hedges' g     $J\,(m_1 - m_2) / s$ with the pooled $s$; $J = 1 - 3 / (4 (n_1 + n_2) - 9)$ takes
                  the bias of small samples from Cohen's d
    superiority   the probability that a member of the first group exceeds one of the second, ties
                  counted half: 0.5 where they are alike, 0 or 1 where they do not overlap

A p-value says how sure, and falls with the number of observations; an effect size says how large.

References:
    B. L. Welch. The generalization of Student's problem when several different population
    variances are involved. Biometrika 34, 1947.
    L. V. Hedges. Distribution theory for Glass's estimator of effect size. Journal of Educational
    Statistics 6, 1981.
    K. O. McGraw, S. P. Wong. A common language effect size statistic. Psychological Bulletin 111,
    1992.
    S. Holm. A simple sequentially rejective multiple test procedure. Scandinavian Journal of
    Statistics 6, 1979.
    R. B. D'Agostino, E. S. Pearson. Tests for departure from normality. Biometrika 60, 1973.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from jaxtyping import Float
from scipy import stats

NAN = float("nan")
FEWEST = 20  # observations from which on the test of normality can be trusted

Group = Float[np.ndarray, " _"]


@dataclass(frozen=True)
class Normality:
    """Whether a group could be normal: D'Agostino's K² and its p; NaN below 20 observations.

    Args:
        skewness: 0 where symmetric, above 0 with a longer tail of large values.
        kurtosis: excess, 0 for a normal group, above 0 with heavier tails.
    """

    statistic: float
    p: float
    skewness: float
    kurtosis: float


@dataclass(frozen=True)
class Variance:
    """One-way analysis of variance: whether all groups could have one mean.

    Args:
        f, p: the statistic and its p.
        eta_squared: share of the variance that lies between the groups, 0 to 1.
    """

    f: float
    p: float
    eta_squared: float


@dataclass(frozen=True)
class Difference:
    """Two groups; all numbers are those of the first against the second.

    NaN where a group has fewer than two observations, or neither has any spread.

    Args:
        difference: of the means.
        t, degrees, p: Welch's test, two-sided.
        p_holm: the same p after Holm's correction for all pairs that were tested.
        hedges_g, superiority: see above.
    """

    first: str
    second: str
    difference: float
    t: float
    degrees: float
    p: float
    p_holm: float
    hedges_g: float
    superiority: float


def normality(group: Group) -> Normality:
    """D'Agostino's test, skewness and kurtosis of a group."""
    if len(group) < FEWEST or not np.ptp(group):
        return Normality(NAN, NAN, NAN, NAN)
    statistic, p = stats.normaltest(group)
    return Normality(
        float(statistic), float(p), float(stats.skew(group)), float(stats.kurtosis(group))
    )


def analysis_of_variance(groups: Sequence[Group]) -> Variance:
    """Over the groups of two observations or more; NaN without two such groups or any spread."""
    usable = [group for group in groups if len(group) > 1]
    if len(usable) < 2 or not any(np.ptp(group) for group in usable):
        return Variance(NAN, NAN, NAN)
    f, p = stats.f_oneway(*usable)
    between, within = len(usable) - 1, sum(map(len, usable)) - len(usable)
    return Variance(float(f), float(p), float(f * between / (f * between + within)))


def differences(groups: Mapping[str, Group]) -> tuple[Difference, ...]:
    """Every pair of groups in their order, with p-values corrected together."""
    found = [difference(*pair) for pair in combinations(groups.items(), 2)]
    corrected = holm([each.p for each in found])
    return tuple(replace(d, p_holm=p) for d, p in zip(found, corrected, strict=True))


def difference(first: tuple[str, Group], second: tuple[str, Group]) -> Difference:
    """Two named groups, not corrected for others."""
    (one_name, one), (two_name, two) = first, second
    n, m = len(one), len(two)
    t = degrees = p = g = superiority = apart = NAN
    if min(n, m) > 1:
        apart = float(one.mean() - two.mean())
        above = stats.rankdata(np.concatenate([one, two]))[:n].sum() - n * (n + 1) / 2
        superiority = float(above) / (n * m)
    if min(n, m) > 1 and (np.ptp(one) or np.ptp(two)):
        one_spread, two_spread = float(one.var(ddof=1)), float(two.var(ddof=1))
        a, b = one_spread / n, two_spread / m  # variances of the means
        t = apart / float(np.sqrt(a + b))
        degrees = (a + b) ** 2 / (a**2 / (n - 1) + b**2 / (m - 1))  # Welch, Satterthwaite
        p = float(2 * stats.t.sf(abs(t), degrees))
        pooled = ((n - 1) * one_spread + (m - 1) * two_spread) / (n + m - 2)
        g = float((1 - 3 / (4 * (n + m) - 9)) * apart / np.sqrt(pooled))
    return Difference(one_name, two_name, apart, t, degrees, p, NAN, g, superiority)


def holm(p: Sequence[float]) -> list[float]:
    """The p-values after Holm's correction for their number; NaN was not tested and stays so."""
    values = np.asarray(p, dtype=float)
    tested = np.flatnonzero(~np.isnan(values))
    order = tested[np.argsort(values[tested], kind="stable")]
    factors = len(order) - np.arange(len(order))
    corrected = np.full(len(values), NAN)
    corrected[order] = np.minimum(1, np.maximum.accumulate(values[order] * factors))
    return corrected.tolist()
