r"""Expected run length: how far one follows a neurite, on average, before an error.

Each node of the truth carries a label: the number of the segment, or of the connected component
of a tracing, that it lies in; 0 where it lies in none. Each edge of the truth then is

* *omitted*, where an end has label 0;
* *split*, where its ends have different labels;
* *merged*, where both have a label that lies on two or more trees of the truth;
* *correct* otherwise.

With $\ell_{tk}$ the correct length of label $k$ on tree $t$ of the truth,

$$\mathrm{ERL} = \frac{\sum_{t,k} \ell_{tk}^2}{\sum_t L_t} \qquad
  \mathrm{NERL} = \mathrm{ERL} \Big/ \frac{\sum_t L_t^2}{\sum_t L_t}$$

which is the length of the run that holds a point chosen at random on the truth, 0 where the point
is lost or merged, and that number as a share of what a tracing without an error would get.

The measure sees breaks, false joins and missing cable. It does not see superfluous cable that
joins nothing: read it beside `centreline_quality`.

References:
    M. Januszewski et al. High-precision automated reconstruction of neurons with flood-filling
    networks. Nature Methods 15, 2018. A single stray node voids two whole neurites in their
    definition; `merge_nodes` and `merge_length` say how much it takes here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from topodelin.graphs.centreline_quality import SLACK
from topodelin.graphs.checks import check_not_negative, check_positive, json_ready, ratio
from topodelin.graphs.matching import Matching, match
from topodelin.graphs.nearest import SegmentTree
from topodelin.graphs.neurite_graph import NetworkxGraph, NeuriteGraph, as_neurite_graph


@dataclass(frozen=True, eq=False)
class ExpectedRunLength:
    """Edges and lengths by class, and the sums that the run lengths are made of.

    Args:
        correct_edges, split_edges, merged_edges, omitted_edges: of the truth; between them all.
        correct_um, split_um, merged_um, omitted_um: their lengths, µm.
        splits: labels beyond the first on each tree of the truth, summed.
        mergers: labels that lie on two or more trees of the truth.
        squared_runs: sum of the squared correct lengths, µm².
        squared_truth: sum of the squared lengths of the trees of the truth, µm².
        merge_length, merge_nodes, contiguous: the parameters.
        tolerance, step: of the matching, µm; NaN where labels were given.

    To pool several images, add counts, lengths and squares and divide then.
    """

    correct_edges: int
    split_edges: int
    merged_edges: int
    omitted_edges: int
    correct_um: float
    split_um: float
    merged_um: float
    omitted_um: float
    splits: int
    mergers: int
    squared_runs: float
    squared_truth: float
    merge_length: float
    merge_nodes: int
    contiguous: bool
    tolerance: float = float("nan")
    step: float = float("nan")

    @property
    def truth_length(self) -> float:
        """Length of the truth, µm."""
        return self.correct_um + self.split_um + self.merged_um + self.omitted_um

    @property
    def expected_run_length(self) -> float:
        """ERL, µm; NaN without truth."""
        return ratio(self.squared_runs, self.truth_length)

    @property
    def best_run_length(self) -> float:
        """ERL of a tracing without an error, µm; NaN without truth."""
        return ratio(self.squared_truth, self.truth_length)

    @property
    def normalised(self) -> float:
        """NERL, the share of the best run length that was reached, 0 to 1; NaN without truth."""
        return ratio(self.squared_runs, self.squared_truth)

    @property
    def edge_accuracy(self) -> float:
        """Correct edges as a share of all; NaN without truth."""
        edges = self.correct_edges + self.split_edges + self.merged_edges + self.omitted_edges
        return ratio(self.correct_edges, edges)

    def as_dict(self) -> dict[str, float | None]:
        """Every number by name, ready for JSON: None where a ratio is undefined."""
        return json_ready(
            {
                "expected_run_length_um": self.expected_run_length,
                "best_run_length_um": self.best_run_length,
                "normalised_run_length": self.normalised,
                "edge_accuracy": self.edge_accuracy,
                "correct_edges": self.correct_edges,
                "split_edges": self.split_edges,
                "merged_edges": self.merged_edges,
                "omitted_edges": self.omitted_edges,
                "correct_um": self.correct_um,
                "split_um": self.split_um,
                "merged_um": self.merged_um,
                "omitted_um": self.omitted_um,
                "splits": self.splits,
                "mergers": self.mergers,
                "squared_runs_um2": self.squared_runs,
                "squared_truth_um2": self.squared_truth,
                "merge_length_um": self.merge_length,
                "merge_nodes": self.merge_nodes,
                "contiguous": float(self.contiguous),
                "tolerance_um": self.tolerance,
                "step_um": self.step,
            }
        )


def expected_run_length(
    truth: NeuriteGraph | NetworkxGraph,
    predicted: NeuriteGraph | NetworkxGraph,
    *,
    tolerance: float,
    step: float | None = None,
    merge_length: float | None = None,
    merge_nodes: int = 0,
    contiguous: bool = False,
) -> ExpectedRunLength:
    """Expected run length of a tracing.

    The edges of the truth are cut into pieces; each of their ends gets as label the connected
    component of the tracing that holds the nearest point within the tolerance.

    Args:
        truth: what a person traced, µm.
        predicted: what is to be judged, µm.
        tolerance: how far apart the same neurite may lie in the two, µm.
        step: longest piece, µm; a quarter of the tolerance by default. It is how exactly the ends
            of a run are known.
        merge_length: a label lies on a tree from this length on, µm; four tolerances by default,
            as neurites that cross and part at 30 degrees are within the tolerance of each other
            for that long.
        merge_nodes: and from more than this number of nodes on.
        contiguous: whether what is cut off along the truth is a run of its own even where it has
            the same label; the published definition adds it up.

    Truth without edges gives NaN, a tracing without edges 0.
    """
    truth, predicted = as_neurite_graph(truth), as_neurite_graph(predicted)
    step = tolerance / 4 if step is None else step
    merge_length = 4 * tolerance if merge_length is None else merge_length
    check_positive(tolerance=tolerance, step=step)
    matching = match(truth, predicted, tolerance=tolerance, step=step)
    return run_length_of_matching(matching, merge_length, merge_nodes, contiguous)


def run_length_of_matching(
    matching: Matching, merge_length: float, merge_nodes: int = 0, contiguous: bool = False
) -> ExpectedRunLength:
    """Expected run length of a truth that was matched to a tracing."""
    return _run_lengths(
        matching.pieces,
        matching.trees,
        matching.components + 1,
        float(merge_length),
        merge_nodes,
        contiguous,
        matching.tolerance,
        matching.step,
    )


def run_length_of_labels(
    truth: NeuriteGraph | NetworkxGraph,
    labels: Sequence[int] | np.ndarray,
    *,
    merge_length: float = 0.0,
    merge_nodes: int = 0,
    contiguous: bool = False,
) -> ExpectedRunLength:
    """Expected run length of a segmentation, given the segment at each node of the truth.

    Args:
        truth: what a person traced, µm.
        labels: (N,) integers, the segment at each node, 0 for none (`labels_at_nodes`).
        merge_length, merge_nodes, contiguous: as in `expected_run_length`, but by default as
            published: one node on a second tree makes a label a merger.
    """
    truth, labels = as_neurite_graph(truth), np.asarray(labels)
    if labels.shape != (len(truth),) or labels.dtype.kind not in "iub":
        raise ValueError(
            f"`labels` must hold one integer for each of {len(truth)} nodes, "
            f"got {labels.dtype} of shape {labels.shape}"
        )
    trees = truth.components.astype(np.int64)
    return _run_lengths(truth, trees, labels, float(merge_length), merge_nodes, contiguous)


def labels_at_nodes(
    graph: NeuriteGraph | NetworkxGraph,
    volume: np.ndarray,
    *,
    spacing: Sequence[float],
    origin: Sequence[float] = (0.0, 0.0, 0.0),
) -> np.ndarray:
    """(N,) label of the voxel that each node lies in, 0 outside the volume.

    Args:
        graph: positions in µm.
        volume: (z, y, x) integers.
        spacing: µm per voxel, `(z, y, x)`.
        origin: position of the centre of the first voxel, µm.
    """
    graph = as_neurite_graph(graph)
    if volume.ndim != 3 or volume.dtype.kind not in "iub":
        raise ValueError(
            f"`volume` must hold integers (z, y, x), got {volume.dtype} of shape {volume.shape}"
        )
    check_positive(spacing=min(spacing))
    voxel = np.rint((graph.positions - np.asarray(origin)) / np.asarray(spacing)).astype(np.int64)
    inside = ((voxel >= 0) & (voxel < volume.shape)).all(axis=1)
    labels = np.zeros(len(graph), dtype=volume.dtype)
    labels[inside] = volume[tuple(voxel[inside].T)]
    return labels


def nearest_components(
    points: np.ndarray, graph: NeuriteGraph | NetworkxGraph, tolerance: float
) -> np.ndarray:
    """(N,) component of `graph` with the nearest point on an edge, -1 beyond the tolerance."""
    graph = as_neurite_graph(graph)
    nearest = SegmentTree(graph).nearest(points, limit=tolerance + SLACK)
    found = nearest.edges >= 0
    components = np.full(len(points), -1, dtype=np.int64)
    components[found] = graph.components[graph.edges[nearest.edges[found], 0]]
    return components


def _run_lengths(
    graph: NeuriteGraph,
    tree: np.ndarray,
    labels: np.ndarray,
    merge_length: float,
    merge_nodes: int,
    contiguous: bool,
    tolerance: float = float("nan"),
    step: float = float("nan"),
) -> ExpectedRunLength:
    """The classes of the edges and the sums, from the tree and the label of each node."""
    check_not_negative(merge_length=merge_length, merge_nodes=merge_nodes)
    names, label = np.unique(labels, return_inverse=True)
    count, length = len(names), graph.lengths
    one, two = label[graph.edges].T
    omitted = (names[one] == 0) | (names[two] == 0)
    split = ~omitted & (one != two)
    same = ~omitted & ~split

    # Each tree of the truth holds some labels: one row for each such pair.
    nodes = np.flatnonzero((names[label] != 0) & (graph.degrees > 0))
    pairs, pair_of = np.unique(tree[nodes] * count + label[nodes], return_inverse=True)
    pair_of_node = np.zeros(len(graph), dtype=np.int64)
    pair_of_node[nodes] = pair_of
    pair_nodes = np.bincount(pair_of, minlength=len(pairs))
    pair_of_edge = pair_of_node[graph.edges[same, 0]]
    pair_length = np.bincount(pair_of_edge, weights=length[same], minlength=len(pairs))
    counts = (pair_nodes > merge_nodes) & (pair_length >= merge_length)
    trees_of_label = np.bincount(pairs[counts] % max(count, 1), minlength=count)
    merged_label = trees_of_label >= 2

    merged = same & merged_label[one]
    correct = same & ~merged
    run = pair_of_node[graph.edges[correct, 0]]
    if contiguous:
        heads, tails = graph.edges[correct].T
        joins = coo_array((np.ones(len(heads)), (heads, tails)), shape=(len(graph), len(graph)))
        run = connected_components(joins, directed=False)[1][heads]
    runs = np.bincount(run, weights=length[correct])
    trees = np.bincount(tree[graph.edges[:, 0]], weights=length)
    labels_on_tree = np.bincount(pairs[counts] // max(count, 1))
    return ExpectedRunLength(
        *(int(part.sum()) for part in (correct, split, merged, omitted)),
        *(float(length[part].sum()) for part in (correct, split, merged, omitted)),
        splits=int(np.maximum(labels_on_tree - 1, 0).sum()),
        mergers=int(merged_label.sum()),
        squared_runs=float((runs**2).sum()),
        squared_truth=float((trees**2).sum()),
        merge_length=merge_length,
        merge_nodes=merge_nodes,
        contiguous=contiguous,
        tolerance=tolerance,
        step=step,
    )
