r"""Path score OPT-P: how far one gets along the paths of one graph before the other breaks off.

A graph is cut into paths: from an endpoint along random branches to another endpoint, again and
again from what is left, until no cable is. A piece of a path is *kept* where both of its ends have
a place on the other graph within `tolerance`, and the other graph joins these places by a path at
most `slack` longer. With the lengths $l_k$ of the runs of kept pieces on a path of length $L$ the
path scores $\sum_k l_k^2 / L^2$: the chance that two random points of it are still joined. Recall
is the mean over the paths of the truth, precision over those of the tracing.

The score sees interruptions, spurs and false bridges. It is partly blind to closed loops, and to
branches drawn twice.

References:
    L. Citraro, M. Koziński, P. Fua. Towards reliable evaluation of algorithms for road network
    reconstruction from aerial images. ECCV 2020. There a part of the other graph that was matched
    is taken away before the next path; here it stays, so that the order of paths plays no role.
"""

from dataclasses import dataclass

import numpy as np

from topodelin.graphs.centreline_quality import SLACK
from topodelin.graphs.checks import check_not_negative, check_positive, json_ready, ratio
from topodelin.graphs.contraction import ContractedGraph, contract
from topodelin.graphs.edge_splitting import split_long_edges
from topodelin.graphs.local_paths import LocalPaths
from topodelin.graphs.nearest import SegmentTree
from topodelin.graphs.neurite_graph import NetworkxGraph, NeuriteGraph, as_neurite_graph


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
    repeats: int = 20,
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
        repeats: how often each graph is cut into paths at random; the mean is taken.
        seed: of the random cuts.
    """
    check_positive(tolerance=tolerance)
    slack = 2 * tolerance if slack is None else slack
    step = tolerance / 2 if step is None else step
    check_positive(step=step)
    check_not_negative(slack=slack)
    if repeats < 1:
        raise ValueError(f"`repeats` must be a number from 1 up, got {repeats}")
    truth, predicted = as_neurite_graph(truth), as_neurite_graph(predicted)
    one = _scores(truth, predicted, tolerance, slack, step, repeats, seed)
    two = _scores(predicted, truth, tolerance, slack, step, repeats, seed)
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
    graph: NeuriteGraph,
    other: NeuriteGraph,
    tolerance: float,
    slack: float,
    step: float,
    repeats: int,
    seed: int,
) -> np.ndarray:
    """The score of each path of each repeat."""
    pieces = split_long_edges(graph, step).graph
    kept = _kept(pieces, other, tolerance, slack)
    contracted = contract(pieces)
    bounds = np.searchsorted(
        contracted.chain[contracted.by_place], np.arange(len(contracted.lengths) + 1)
    )
    rng = np.random.default_rng(seed)
    scores = []
    for _ in range(repeats):
        for path in _random_paths(contracted, rng):
            edges = [
                contracted.by_place[bounds[chain] : bounds[chain + 1]][:: -1 if turned else 1]
                for chain, turned in path
            ]
            scores.append(_score(pieces.lengths, kept, np.concatenate(edges)))
    return np.array(scores)


def _kept(pieces: NeuriteGraph, other: NeuriteGraph, tolerance: float, slack: float) -> np.ndarray:
    """(E,) whether the other graph joins the places nearest to the two ends of each edge."""
    nearest = SegmentTree(other).nearest(pieces.positions, limit=tolerance + SLACK)
    start, end = pieces.edges.T
    there = np.flatnonzero((nearest.edges[start] >= 0) & (nearest.edges[end] >= 0))
    one, two = start[there], end[there]
    lengths = LocalPaths(other).lengths(
        nearest.edges[one],
        nearest.fractions[one],
        nearest.edges[two],
        nearest.fractions[two],
        pieces.lengths[there] + slack,
    )
    kept = np.zeros(len(pieces.edges), dtype=bool)
    kept[there] = np.isfinite(lengths)
    return kept


def _score(lengths: np.ndarray, kept: np.ndarray, edges: np.ndarray) -> float:
    """Sum of the squared lengths of the runs of kept edges over the squared length of all."""
    run = np.cumsum(~kept[edges])
    runs = np.bincount(run[kept[edges]], weights=lengths[edges[kept[edges]]])
    whole = lengths[edges].sum()
    return min(1.0, float((runs**2).sum() / whole**2)) if whole else 1.0


def _random_paths(
    contracted: ContractedGraph, rng: np.random.Generator
) -> list[list[tuple[int, bool]]]:
    """Cut a graph into paths, lists of chains and whether each is walked against its direction."""
    ends = contracted.ends.tolist()
    left: list[set[int]] = [set() for _ in contracted.nodes]
    for chain, pair in enumerate(ends):
        for node in pair:
            left[node].add(chain)
    paths = []
    starts = rng.permutation(len(left)).tolist()
    tips = [node for node in starts if _is_tip(node, left, ends)]
    while starts:
        if not tips:  # only closed loops are left
            node = starts[-1]
            if not left[node]:
                starts.pop()
                continue
        else:
            at = int(rng.integers(len(tips)))
            node, tips[at] = tips[at], tips[-1]
            tips.pop()
            if not _is_tip(node, left, ends):
                continue
        path = _walk(node, left, ends, rng)
        paths.append(path)
        for chain, _ in path:
            for end in ends[chain]:
                left[end].discard(chain)
        touched = {end for chain, _ in path for end in ends[chain]}
        tips += sorted(end for end in touched if _is_tip(end, left, ends))
    return paths


def _is_tip(node: int, left: list[set[int]], ends: list[list[int]]) -> bool:
    if len(left[node]) != 1:
        return False
    (chain,) = left[node]
    return ends[chain][0] != ends[chain][1]


def _walk(
    start: int, left: list[set[int]], ends: list[list[int]], rng: np.random.Generator
) -> list[tuple[int, bool]]:
    """From a node along random branches to an endpoint; where there is none, as far as it goes."""
    seen = {start}
    path: list[tuple[int, bool]] = []
    longest: list[tuple[int, bool]] = []
    stack = [(start, rng.permutation(sorted(left[start])).tolist())]
    while stack:
        node, choices = stack[-1]
        if not choices:
            if len(path) > len(longest):
                longest = list(path)
            stack.pop()
            if path:
                path.pop()
            continue
        chain = choices.pop()
        turned = ends[chain][1] == node
        onward = ends[chain][0] if turned else ends[chain][1]
        if onward in seen:
            if not longest:
                longest = [*path, (chain, turned)]
            continue
        seen.add(onward)
        path.append((chain, turned))
        if len(left[onward]) == 1:
            return path
        stack.append((onward, rng.permutation(sorted(left[onward] - {chain})).tolist()))
    return longest
