r"""Junctions by their arms (JUNCT): which branches leave a junction, and in which directions.

Junctions that lie close together are one cluster. Its arms are the branches that leave it, each
with the direction from the middle of the cluster to the point `arm_length` along the branch, or to
the next junction if that comes first; a branch that ends before is no arm. Two clusters within
`tolerance` are matched if more arms fit than not: an arm fits if the other cluster has one less
than a right angle away. With the share of arms of the truth that fit, summed over the pairs, and
the share of arms of the tracing that do not, plus one for every cluster without a partner,

$$\text{correct} = \frac{\sum \text{fitting}}{\text{junctions of the truth}} \qquad
  \text{error} = \frac{\sum \text{not fitting}}{\text{junctions of the tracing}}$$

The measure sees missing and false junctions. It does not see gaps, nor most false bridges: a false
arm beside a true one fits.

References:
    F. Bastani et al. RoadTracer: automatic extraction of road networks from aerial images. CVPR
    2018. There clusters depend on the order of nodes; here on distances only, and pairs are chosen
    all at once.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from topodelin.graphs.assignment import assign, pairs_within
from topodelin.graphs.centreline_quality import SLACK
from topodelin.graphs.checks import check_not_negative, check_positive, json_ready, ratio
from topodelin.graphs.contraction import contract
from topodelin.graphs.neurite_graph import NetworkxGraph, NeuriteGraph, as_neurite_graph


@dataclass(frozen=True)
class JunctionArms:
    """Clusters of junctions and how their arms fit, with the parameters.

    Args:
        truth, predicted: clusters of junctions.
        matched: pairs of them.
        fitting: sum over the pairs of the share of arms of the truth that fit.
        not_fitting: sum over the clusters of the tracing of the share of arms that do not.
        tolerance, arm_length, cluster_radius: the parameters, µm.

    To pool several images, add the counts and divide then.
    """

    truth: int
    predicted: int
    matched: int
    fitting: float
    not_fitting: float
    tolerance: float
    arm_length: float
    cluster_radius: float

    @property
    def correct(self) -> float:
        """Share of the junctions of the truth that were captured; NaN without any."""
        return ratio(self.fitting, self.truth)

    @property
    def error(self) -> float:
        """Share of the junctions of the tracing that are wrong, 0 at best; NaN without any."""
        return ratio(self.not_fitting, self.predicted)

    def as_dict(self) -> dict[str, float | None]:
        """Every number by name, ready for JSON: None where a ratio is undefined."""
        return json_ready(
            {
                "junct_correct": self.correct,
                "junct_error": self.error,
                "junct_truth": self.truth,
                "junct_predicted": self.predicted,
                "junct_matched": self.matched,
                "junct_fitting": self.fitting,
                "junct_not_fitting": self.not_fitting,
                "tolerance_um": self.tolerance,
                "arm_length_um": self.arm_length,
                "cluster_radius_um": self.cluster_radius,
            }
        )


def junction_arms(
    truth: NeuriteGraph | NetworkxGraph,
    predicted: NeuriteGraph | NetworkxGraph,
    *,
    tolerance: float,
    arm_length: float | None = None,
    cluster_radius: float | None = None,
) -> JunctionArms:
    """Compare the junctions of two graphs and the directions of their branches.

    Args:
        truth: what a person traced, µm.
        predicted: what is to be judged, µm.
        tolerance: how far apart two matched clusters may lie, µm.
        arm_length: where along a branch its direction is taken, µm; the tolerance by default.
        cluster_radius: junctions less than this apart, and joined by a branch of less than twice
            this, are one cluster, µm; 10/13 of the tolerance by default, as published.

    A truth without junctions gives NaN for `correct`; a tracing without any 0, and NaN for
    `error`.
    """
    check_positive(tolerance=tolerance)
    arm_length = tolerance if arm_length is None else arm_length
    cluster_radius = tolerance * 10 / 13 if cluster_radius is None else cluster_radius
    check_positive(arm_length=arm_length)
    check_not_negative(cluster_radius=cluster_radius)
    one, two = (
        _clusters(as_neurite_graph(graph), arm_length, cluster_radius)
        for graph in (truth, predicted)
    )
    rows, columns, distances = pairs_within(one.positions, two.positions, tolerance + SLACK)
    fits = np.array(
        [_fit(one.arms[i], two.arms[j]) for i, j in zip(rows, columns, strict=True)]
    ).reshape(-1, 2)
    better = np.flatnonzero(fits[:, 0] > fits[:, 1])
    costs = 2 - (fits[:, 0] - fits[:, 1]) + distances / tolerance
    chosen = better[assign(rows[better], columns[better], costs[better])]
    return JunctionArms(
        truth=len(one.positions),
        predicted=len(two.positions),
        matched=len(chosen),
        fitting=float(fits[chosen, 0].sum()),
        not_fitting=float(fits[chosen, 1].sum()) + len(two.positions) - len(chosen),
        tolerance=float(tolerance),
        arm_length=float(arm_length),
        cluster_radius=float(cluster_radius),
    )


@dataclass(frozen=True, eq=False)
class _Clusters:
    """Clusters of junctions.

    Args:
        positions: (C, 3) their middles.
        arms: for each the (A, 3) vectors to points on its branches.
    """

    positions: np.ndarray
    arms: list[np.ndarray]


def _clusters(graph: NeuriteGraph, arm_length: float, radius: float) -> _Clusters:
    contracted = contract(graph)
    ends, lengths = contracted.ends, contracted.lengths
    junction = graph.degrees[contracted.nodes] > 2
    positions = graph.positions[contracted.nodes]
    apart = np.linalg.norm(positions[ends[:, 0]] - positions[ends[:, 1]], axis=1)
    inside = junction[ends].all(axis=1) & (apart < radius) & (lengths < 2 * radius)
    count = len(positions)
    links = coo_array((np.ones(inside.sum()), tuple(ends[inside].T)), shape=(count, count))
    cluster = connected_components(links, directed=False)[1] if count else junction.astype(int)
    numbers, of_junction = np.unique(cluster[junction], return_inverse=True)
    number = np.full(count, -1, dtype=np.int64)
    number[junction] = of_junction
    sizes = np.bincount(of_junction, minlength=len(numbers))
    middles = np.zeros((len(numbers), 3))
    np.add.at(middles, of_junction, positions[junction])
    middles /= sizes[:, None]

    start, chain = ends.T.ravel(), np.tile(np.arange(len(lengths)), 2)
    end, backward = ends[:, ::-1].T.ravel(), np.arange(2 * len(lengths)) >= len(lengths)
    arm = junction[start] & ~np.tile(inside, 2)
    arm &= (lengths[chain] >= arm_length - SLACK) | junction[end]
    chain, backward, owner = chain[arm], backward[arm], number[start[arm]]
    way = np.minimum(arm_length, lengths[chain])
    edges, along = contracted.on_edges(chain, np.where(backward, lengths[chain] - way, way))
    one, two = graph.positions[graph.edges[edges]].transpose(1, 0, 2)
    vectors = one + along[:, None] * (two - one) - middles[owner]
    order, arms = np.argsort(owner, kind="stable"), np.bincount(owner, minlength=len(numbers))
    return _Clusters(middles, np.split(vectors[order], np.cumsum(arms))[: len(numbers)])


def _fit(truth: np.ndarray, predicted: np.ndarray) -> tuple[float, float]:
    """Share of the arms of the truth that fit, and of those of the tracing that do not."""
    if not len(truth) or not len(predicted):
        return 0.0, 1.0
    fits = truth @ predicted.T > 0
    return float(fits.any(axis=1).mean()), 1.0 - float(fits.any(axis=0).mean())
