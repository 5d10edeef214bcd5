r"""Path score OPT-P: how far one gets along the paths of one graph before the other breaks off.

A graph is cut into paths: from an endpoint along random branches to another endpoint, again and
again from what is left, until no cable is. A piece of a path is *kept* where both of its ends have
a place on the other graph within `tolerance`, and the other graph joins these places by a path at
most `slack` longer. With the lengths $l_k$ of the runs of kept pieces on a path of length $L$ the
path scores $\sum_k l_k^2 / L^2$: the chance that two random points of it are still joined. Recall
is the mean over the paths of the truth, precision over those of the tracing.

Paths, and pieces of equal length along them, are those of the shape of the graph (`fixed_order`):
how nodes are numbered and placed along a branch plays no role.

The score sees interruptions, spurs and false bridges. It is partly blind to closed loops, and to
branches drawn twice.

References:
    L. Citraro, M. Koziński, P. Fua. Towards reliable evaluation of algorithms for road network
    reconstruction from aerial images. ECCV 2020. There a part of the other graph that was matched
    is taken away before the next path; here it stays, so that the order of paths plays no role.
"""

import random
from dataclasses import dataclass

import numpy as np

from topodelin.graphs.centreline_quality import SLACK
from topodelin.graphs.checks import check_not_negative, check_positive, json_ready, ratio
from topodelin.graphs.contraction import ContractedGraph
from topodelin.graphs.fixed_order import EvenPoints, even_points, in_fixed_order, points_on
from topodelin.graphs.local_paths import LocalPaths
from topodelin.graphs.nearest import SegmentTree
from topodelin.graphs.neurite_graph import NetworkxGraph, NeuriteGraph, as_neurite_graph
from topodelin.graphs.random_paths import random_paths


@dataclass(frozen=True)
class PathScore:
    """Scores of the paths of both graphs, with the parameters.

    Args:
        truth_paths, truth_kept: number of paths of the truth, all repeats together, and the sum
            of their scores.
        predicted_paths, predicted_kept: the same of the tracing.
        tolerance, slack, step: the parameters, µm.
        repeats: how often each graph was cut into paths.

    To pool several images, add the counts and divide then.
    """

    truth_paths: int
    truth_kept: float
    predicted_paths: int
    predicted_kept: float
    tolerance: float
    slack: float
    step: float
    repeats: int

    @property
    def recall(self) -> float:
        """Mean score of the paths of the truth, 0 to 1; NaN without truth."""
        return ratio(self.truth_kept, self.truth_paths)

    @property
    def precision(self) -> float:
        """Mean score of the paths of the tracing; 0 without a tracing, NaN without truth."""
        if not self.truth_paths:
            return float("nan")
        return self.predicted_kept / self.predicted_paths if self.predicted_paths else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of the two, 0 to 1; NaN without truth."""
        both = self.recall + self.precision
        return 2 * self.recall * self.precision / both if both else 0.0

    def as_dict(self) -> dict[str, float | None]:
        """Every number by name, ready for JSON: None where a ratio is undefined."""
        return json_ready(
            {
                "opt_p_f1": self.f1,
                "opt_p_precision": self.precision,
                "opt_p_recall": self.recall,
                "opt_p_truth_paths": self.truth_paths,
                "opt_p_predicted_paths": self.predicted_paths,
                "tolerance_um": self.tolerance,
                "slack_um": self.slack,
                "step_um": self.step,
                "repeats": self.repeats,
            }
        )


def path_score(
    truth: NeuriteGraph | NetworkxGraph,
    predicted: NeuriteGraph | NetworkxGraph,
    *,
    tolerance: float,
    slack: float | None = None,
    step: float | None = None,
    repeats: int = 10,
    seed: int = 0,
) -> PathScore:
    """Compare two graphs along their paths.

    Args:
        truth: what a person traced, µm.
        predicted: what is to be judged, µm.
        tolerance: how far a path may lie from the other graph, µm.
        slack: how much longer the path along the other graph may be, µm; twice the tolerance by
            default.
        step: longest piece of a path that is judged as a whole, µm; half the tolerance by default.
        repeats: how often each graph is cut into paths at random; the mean is taken. Chance plays
            little role in graphs with thousands of branches: there a few are enough.
        seed: of the random cuts.
    """
    check_positive(tolerance=tolerance)
    slack = 2 * tolerance if slack is None else slack
    step = tolerance / 2 if step is None else step
    check_positive(step=step)
    check_not_negative(slack=slack)
    if repeats < 1:
        raise ValueError(f"`repeats` must be a number from 1 up, got {repeats}")
    here, there = (in_fixed_order(as_neurite_graph(graph)) for graph in (truth, predicted))
    one = _scores(here, there.graph, tolerance, slack, step, repeats, seed)
    two = _scores(there, here.graph, tolerance, slack, step, repeats, seed)
    return PathScore(
        len(one),
        float(one.sum()),
        len(two),
        float(two.sum()),
        float(tolerance),
        float(slack),
        float(step),
        repeats,
    )


def _scores(
    chains: ContractedGraph,
    other: NeuriteGraph,
    tolerance: float,
    slack: float,
    step: float,
    repeats: int,
    seed: int,
) -> np.ndarray:
    """The score of each path of each repeat."""
    points = even_points(chains, step)
    kept = _kept(chains, points, other, tolerance, slack)
    runs = _runs(points, kept)
    rng = random.Random(seed)  # faster than numpy for many small draws
    return np.array(
        [_score(runs, path) for _ in range(repeats) for path in random_paths(chains, rng)]
    )


def _kept(
    chains: ContractedGraph,
    points: EvenPoints,
    other: NeuriteGraph,
    tolerance: float,
    slack: float,
) -> np.ndarray:
    """(K,) whether the other graph joins the places nearest to a point and the one after it.

    The last point of each chain has none after it and counts as kept.
    """
    places = points_on(chains, points.chain, points.way)
    nearest = SegmentTree(other).nearest(places, limit=tolerance + SLACK)
    one = np.flatnonzero(points.chain[:-1] == points.chain[1:])
    kept = np.ones(len(places), dtype=bool)
    kept[one] = False
    one = one[(nearest.edges[one] >= 0) & (nearest.edges[one + 1] >= 0)]
    lengths = LocalPaths(other).lengths(
        nearest.edges[one],
        nearest.fractions[one],
        nearest.edges[one + 1],
        nearest.fractions[one + 1],
        points.steps[points.chain[one]] + slack,
    )
    kept[one] = np.isfinite(lengths)
    return kept


@dataclass(frozen=True, eq=False, slots=True)
class _Runs:
    """The runs of kept pieces of each chain, as lists.

    Args:
        lengths: µm of the chains.
        heads, tails: of the runs that begin and end with the chain; all of it where all is kept.
        inner: sum of the squared lengths of the other runs.
    """

    lengths: list[float]
    heads: list[float]
    tails: list[float]
    inner: list[float]


def _runs(points: EvenPoints, kept: np.ndarray) -> _Runs:
    count, steps = len(points.steps), points.steps
    pieces = np.diff(points.first) - 1
    lost = np.flatnonzero(~kept)
    chain = points.chain[lost]
    rank = lost - points.first[chain]
    new = np.ones(len(lost), dtype=bool)
    new[1:] = chain[1:] != chain[:-1]
    old = np.roll(new, -1)  # the last lost piece of its chain
    heads, tails, inner = steps * pieces, steps * pieces, np.zeros(count)
    heads[chain[new]] = (rank * steps[chain])[new]
    tails[chain[old]] = ((pieces[chain] - 1 - rank) * steps[chain])[old]
    between = np.flatnonzero(~new)
    runs = (rank[between] - rank[between - 1] - 1) * steps[chain[between]]
    np.add.at(inner, chain[between], runs**2)
    return _Runs((steps * pieces).tolist(), heads.tolist(), tails.tolist(), inner.tolist())


def _score(runs: _Runs, path: list[tuple[int, bool]]) -> float:
    """Sum of the squared lengths of the runs of kept pieces over the squared length of all."""
    squares = run = whole = 0.0
    for chain, turned in path:
        length, head, tail = runs.lengths[chain], runs.heads[chain], runs.tails[chain]
        whole += length
        if head == length:
            run += length
            continue
        head, tail = (tail, head) if turned else (head, tail)
        squares += (run + head) ** 2 + runs.inner[chain]
        run = tail
    return min(1.0, (squares + run**2) / whole**2) if whole else 1.0
