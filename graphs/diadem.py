r"""DIADEM score: how much of a tree hangs together as in the truth, seen from its root.

Every junction and endpoint below a root weighs as much as it has endpoints at or below it. One of
the truth is matched with one of the tracing if both lie within `tolerance` and the way up is right:
go up the truth to the first junction, or the root, near which the tracing has one too that lies
above the partner; the lengths of the two ways differ by at most `path_error` of that of the truth.
As many pairs as can be are made, and of those choices the nearest. A junction without partner that
such a way passes counts as matched: it is a continuation, whose branch is missed but not what lies
below. A junction or endpoint of the tracing is excess if it has no partner and every endpoint at or
below it has none and is farther than `tolerance` from the lines of its tree of the truth: spurs are
excess, cut ends are not. With the weights $w$

$$\text{score} = \frac{\sum_\text{matched} w}{\sum_\text{truth} w + \sum_\text{excess} w}$$

A break costs the more the nearer it is to the root. Trees of a tracing are judged from where the
truth has a root; pieces and islands without one play no role, and of two trees that the tracing
joins only one can be found. The score does not see islands, nor where the lines run between
junctions.

References:
    T. A. Gillette, K. M. Brown, G. A. Ascoli. The DIADEM metric: comparing multiple reconstructions
    of the same neuron. Neuroinformatics 9, 2011. There partners are chosen one after the other,
    here all at once, so that the order of nodes plays no role; lengths in the plane and along z are
    compared apart, here as one; and the roots are one point.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from topodelin.graphs.assignment import assign
from topodelin.graphs.centreline_quality import SLACK
from topodelin.graphs.checks import check_not_negative, check_positive, json_ready, ratio
from topodelin.graphs.nearest import SegmentTree
from topodelin.graphs.neurite_graph import NetworkxGraph, NeuriteGraph, as_neurite_graph
from topodelin.graphs.place_roots import Near, PlacedRoots, place_roots
from topodelin.graphs.trees_from_roots import TreesFromRoots, trees_from_roots


@dataclass(frozen=True)
class DiademScore:
    """Junctions and endpoints below the roots, their weights, and the parameters.

    Args:
        truth, matched, excess: how many of the truth, with a partner, and of the tracing too many.
        continued: junctions of the truth that the tracing passes; not among `matched`.
        truth_weight, matched_weight, excess_weight: sums of weights; `matched_weight` is of the
            matched and the continued.
        trees: of the truth, with edges.
        found_trees: of these, those whose root the tracing has.
        tolerance: the parameter, µm.
        z_tolerance: µm along z, where `tolerance` is for the plane alone; NaN where it is not.
        path_error: the parameter.

    To pool several images, add the weights and divide then.
    """

    truth: int
    matched: int
    continued: int
    excess: int
    truth_weight: int
    matched_weight: int
    excess_weight: int
    trees: int
    found_trees: int
    tolerance: float
    z_tolerance: float
    path_error: float

    @property
    def score(self) -> float:
        """0 to 1; 0 without a tracing, NaN without truth."""
        if not self.truth_weight:
            return float("nan")
        return ratio(self.matched_weight, self.truth_weight + self.excess_weight)

    def as_dict(self) -> dict[str, float | None]:
        """Every number by name, ready for JSON: None where one is undefined."""
        return json_ready(
            {
                "diadem": self.score,
                "diadem_truth": self.truth,
                "diadem_matched": self.matched,
                "diadem_continued": self.continued,
                "diadem_excess": self.excess,
                "diadem_truth_weight": self.truth_weight,
                "diadem_matched_weight": self.matched_weight,
                "diadem_excess_weight": self.excess_weight,
                "diadem_trees": self.trees,
                "diadem_found_trees": self.found_trees,
                "tolerance_um": self.tolerance,
                "z_tolerance_um": self.z_tolerance,
                "path_error": self.path_error,
            }
        )


def diadem(
    truth: NeuriteGraph | NetworkxGraph,
    predicted: NeuriteGraph | NetworkxGraph,
    *,
    tolerance: float,
    z_tolerance: float | None = None,
    path_error: float = 0.05,
    roots: Sequence[int] | np.ndarray = (),
) -> DiademScore:
    """Compare the trees of two graphs from their roots downwards.

    Args:
        truth: what a person traced, µm; without cycles.
        predicted: what is to be judged, µm; without cycles.
        tolerance: how far apart two partners may lie, µm.
        z_tolerance: how far apart along z, µm; `tolerance` is then for the plane alone.
        path_error: how much two ways up may differ, as a share of the true one.
        roots: nodes of `truth`, at most one in each tree. In the others the node of the lowest
            number is the root, as in a file that `read_swc` read from the root on.

    The root of the tracing is its junction or endpoint next to the true root, or else, and first
    where that root lies amid a line, the nearest point of its lines; a tree that does not come
    within the tolerance is lost. Where several trees could be the one, the one near which most of
    the truth's weight lies is taken.

    Raises:
        ValueError: a graph has a cycle, or `roots` are not nodes of different trees.
    """
    check_positive(tolerance=tolerance)
    check_not_negative(path_error=path_error)
    if z_tolerance is not None:
        check_positive(z_tolerance=z_tolerance)
    truth, predicted = as_neurite_graph(truth), as_neurite_graph(predicted)
    _check_forests(truth=truth, predicted=predicted)
    one = trees_from_roots(truth, _roots(truth, np.asarray(roots, dtype=np.int64)))
    near = Near(tolerance, z_tolerance)
    place = place_roots(truth, one, predicted, near)
    two = trees_from_roots(place.graph, place.nodes)
    pairs = _pairs(truth, one, place, two, near)
    chosen = _chosen(pairs, one, two, path_error)
    matched = np.zeros(len(one), dtype=bool)
    matched[pairs.rows[chosen.pairs]] = True
    passed = _passed(one, pairs.rows[chosen.pairs], chosen.tops) & ~matched
    has_partner = np.zeros(len(two), dtype=bool)
    has_partner[pairs.columns[chosen.pairs]] = True
    excess = _excess(truth, one, place, two, has_partner, tolerance)
    return DiademScore(
        truth=int(one.below_roots.sum()),
        matched=int(matched.sum()),
        continued=int(passed.sum()),
        excess=int(excess.sum()),
        truth_weight=int(one.tips[one.below_roots].sum()),
        matched_weight=int(one.tips[matched | passed].sum()),
        excess_weight=int(two.tips[excess].sum()),
        trees=int((~one.below_roots).sum()),
        found_trees=len(place.nodes),
        tolerance=float(tolerance),
        z_tolerance=float("nan") if z_tolerance is None else float(z_tolerance),
        path_error=float(path_error),
    )


def _check_forests(**graphs: NeuriteGraph) -> None:
    for name, graph in graphs.items():
        trees = int(graph.components.max(initial=-1)) + 1
        cycles = len(graph.edges) - len(graph) + trees
        if cycles:
            raise ValueError(
                f"`{name}` must be a forest, got {cycles} cycles; `spanning_forest` cuts them"
            )


def _roots(graph: NeuriteGraph, wanted: np.ndarray) -> np.ndarray:
    """One node of each tree with edges: those wanted, then the first of the others."""
    if len(wanted) and not 0 <= wanted.min() <= wanted.max() < len(graph):
        raise ValueError(f"`roots` must be nodes of the {len(graph)} of `truth`, got {wanted}")
    trees, first = np.unique(graph.components, return_index=True)
    if len(np.unique(graph.components[wanted])) < len(wanted):
        raise ValueError("`roots` must lie in different trees of `truth`, got two of one")
    others = first[~np.isin(trees, graph.components[wanted])]
    found = np.concatenate([wanted, others])
    return found[graph.degrees[found] > 0]


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Rows of the two forests that lie near each other, in one tree; the roots among them.

    Args:
        rows: (K,) of the truth, ascending.
        columns: (K,) of the tracing.
        distances: (K,) µm.
    """

    rows: np.ndarray
    columns: np.ndarray
    distances: np.ndarray


def _pairs(
    truth: NeuriteGraph, one: TreesFromRoots, place: PlacedRoots, two: TreesFromRoots, near: Near
) -> _Pairs:
    here, there = np.flatnonzero(one.below_roots), np.flatnonzero(two.below_roots)
    rows, columns, distances = near.pairs(
        truth.positions[one.nodes[here]], place.graph.positions[two.nodes[there]]
    )
    rows, columns = here[rows], there[columns]
    same = one.tree[rows] == place.trees[two.tree[columns]]
    tops = np.arange(len(place.nodes))  # the roots are the first rows of both
    rows = np.concatenate([place.trees, rows[same]])
    columns = np.concatenate([tops, columns[same]])
    distances = np.concatenate([np.zeros(len(tops)), distances[same]])
    order = np.argsort(rows, kind="stable")
    return _Pairs(rows[order], columns[order], distances[order])


@dataclass(frozen=True, eq=False)
class _Chosen:
    """The pairs of partners.

    Args:
        pairs: (P,) which of the pairs.
        tops: (P,) the row of the truth up to which the way is right.
    """

    pairs: np.ndarray
    tops: np.ndarray


def _chosen(pairs: _Pairs, one: TreesFromRoots, two: TreesFromRoots, path_error: float) -> _Chosen:
    """As many pairs as can be of those whose way up is right, and the nearest."""
    counts = np.bincount(pairs.rows, minlength=len(one))
    first = np.cumsum(counts) - counts
    known = _next_above(one.parents, counts > 0)  # rows that have a pair
    right = np.zeros(len(pairs.rows), dtype=bool)
    tops = np.full(len(pairs.rows), -1, dtype=np.int64)
    left = np.flatnonzero(one.below_roots[pairs.rows])
    at = known[pairs.rows[left]]
    while len(left):
        which = np.repeat(np.arange(len(left)), counts[at])
        rank = np.arange(len(which)) - np.repeat(np.cumsum(counts[at]) - counts[at], counts[at])
        upper, lower = pairs.columns[first[at][which] + rank], pairs.columns[left][which]
        above = np.flatnonzero(two.is_above(upper, lower))
        which = which[above]
        true = one.depths[pairs.rows[left]] - one.depths[at]
        differs = two.depths[lower[above]] - two.depths[upper[above]] - true[which]
        least = np.full(len(left), np.inf)
        np.minimum.at(least, which, abs(differs))
        met = np.isfinite(least)
        right[left[met]] = least[met] <= path_error * true[met] + SLACK
        tops[left[met]] = at[met]
        left, at = left[~met], known[at[~met]]
    best = assign(pairs.rows[right], pairs.columns[right], pairs.distances[right])
    return _Chosen(np.flatnonzero(right)[best], tops[right][best])


def _next_above(parents: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The next row above each that is wanted; -1 where there is none."""
    found, marked = [-1] * len(parents), wanted.tolist()
    for row, parent in enumerate(parents.tolist()):
        if parent >= 0:
            found[row] = parent if marked[parent] else found[parent]
    return np.array(found, dtype=np.int64)


def _passed(one: TreesFromRoots, rows: np.ndarray, tops: np.ndarray) -> np.ndarray:
    """(M,) whether one of the ways from `rows` up to `tops` passes a row between the two."""
    passed = np.zeros(len(one), dtype=bool)
    at = one.parents[rows]
    while len(at):
        between = at != tops
        at, tops = at[between], tops[between]
        passed[at] = True
        at = one.parents[at]
    return passed


def _excess(
    truth: NeuriteGraph,
    one: TreesFromRoots,
    place: PlacedRoots,
    two: TreesFromRoots,
    has_partner: np.ndarray,
    tolerance: float,
) -> np.ndarray:
    """(M,) whether a row of the tracing is too much."""
    ends = np.flatnonzero((two.sizes == 1) & two.below_roots & ~has_partner)
    points = place.graph.positions[two.nodes[ends]]
    component = truth.components[one.nodes[place.trees]][two.tree[ends]]
    line = SegmentTree(truth).nearest(points, limit=tolerance + SLACK)
    beside = line.edges >= 0
    own = truth.components[truth.edges[line.edges, 0]] == component
    far = ~beside
    for number in np.unique(component[beside & ~own]):  # of two trees the other was nearer
        of_tree = np.flatnonzero(beside & ~own & (component == number))
        tree = SegmentTree(truth.select(truth.components == number))
        far[of_tree] = tree.nearest(points[of_tree], limit=tolerance + SLACK).edges < 0
    places = np.sort(two.enter[ends[far]])
    start, end = (np.searchsorted(places, two.enter + more) for more in (0, two.sizes))
    return two.below_roots & ~has_partner & (end - start == two.tips)
