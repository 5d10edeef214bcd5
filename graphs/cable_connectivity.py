r"""Cable-weighted connectivity: of all pairs of points of the truth, how many stay connected.

Each point of the truth is labelled with the connected component of the tracing that it lies on, or
as missed. With $n_{tk}$ the length of tree $t$ of the truth that lies on component $k$, $L_t$ the
length of the tree, and sums over the components but not over what is missed,

$$\text{kept} = \frac{\sum_{tk} n_{tk}^2}{\sum_t L_t^2} \qquad
  \text{true} = \frac{\sum_{tk} n_{tk}^2}{\sum_k \left(\sum_t n_{tk}\right)^2}$$

are the share of the connected pairs of points of the truth that the tracing connects, and the
share of the pairs that the tracing connects that the truth does: recall and precision of
connections, exact over all pairs and without sampling. The rest of the pairs of the truth are
*lost* (one of the points is missed) or *parted* (they lie on two components). The variation of
information of the same table, over the matched cable, says how much cable is split and merged in
bits: it grows with the logarithm of the size of an error where pairs grow with its square.

The measure sees gaps, false joins and missing cable, weighted by what they cut off or join. It
does not see superfluous cable that joins nothing.

References:
    W. M. Rand. Objective criteria for the evaluation of clustering methods. JASA 66, 1971.
    M. Meilă. Comparing clusterings by the variation of information. COLT 2003. Both over pairs of
    cable instead of voxels here.
"""

from dataclasses import dataclass, field

import numpy as np

from topodelin.graphs.checks import check_positive, json_ready, ratio
from topodelin.graphs.matching import Matching, match
from topodelin.graphs.neurite_graph import NetworkxGraph, NeuriteGraph, as_neurite_graph
from topodelin.graphs.pooling import mean_over, pooled_by


@dataclass(frozen=True)
class CableConnectivity:
    """Pairs of cable, in µm² (each pair counted twice), and entropies.

    Args:
        truth_pairs: pairs on one tree of the truth.
        kept_pairs: of those, on one component of the tracing.
        parted_pairs: of those, matched, but on two components.
        joined_pairs: pairs of matched cable on one component, on whichever trees.
        matched_length, truth_length: µm of the truth.
        split_bits: information about the component that the tree does not give, in bits.
        merge_bits: information about the tree that the component does not give, in bits.
        tolerance, step: the parameters, µm.

    To pool several images, add the pairs and lengths and divide then.
    """

    truth_pairs: float
    kept_pairs: float
    parted_pairs: float
    joined_pairs: float
    matched_length: float
    truth_length: float
    split_bits: float = field(metadata=pooled_by(mean_over("matched_length")))
    merge_bits: float = field(metadata=pooled_by(mean_over("matched_length")))
    tolerance: float
    step: float

    @property
    def kept(self) -> float:
        """Share of the connections of the truth that the tracing keeps, 0 to 1; NaN without."""
        return ratio(self.kept_pairs, self.truth_pairs)

    @property
    def parted(self) -> float:
        """Share of them between two components of the tracing, 0 to 1; NaN without truth."""
        return ratio(self.parted_pairs, self.truth_pairs)

    @property
    def lost(self) -> float:
        """Share of them with an end that is missed, 0 to 1; NaN without truth."""
        return ratio(self.truth_pairs - self.kept_pairs - self.parted_pairs, self.truth_pairs)

    @property
    def infeasible(self) -> float:
        """Share of them that the tracing lacks, for whichever reason; NaN without truth."""
        return 1 - self.kept

    @property
    def true(self) -> float:
        """Share of the connections of the tracing that are true; NaN without truth, 0 if none."""
        if self.truth_pairs == 0:
            return float("nan")
        return self.kept_pairs / self.joined_pairs if self.joined_pairs else 0.0

    @property
    def score(self) -> float:
        """Harmonic mean of `kept` and `true`, 0 to 1; NaN without truth."""
        return (
            ratio(2 * self.kept_pairs, self.truth_pairs + self.joined_pairs)
            if (self.truth_pairs)
            else float("nan")
        )

    def as_dict(self) -> dict[str, float | None]:
        """Every number by name, ready for JSON: None where a ratio is undefined."""
        return json_ready(
            {
                "connectivity": self.score,
                "connections_kept": self.kept,
                "connections_true": self.true,
                "connections_parted": self.parted,
                "connections_lost": self.lost,
                "split_bits": self.split_bits,
                "merge_bits": self.merge_bits,
                "truth_pairs_um2": self.truth_pairs,
                "kept_pairs_um2": self.kept_pairs,
                "parted_pairs_um2": self.parted_pairs,
                "joined_pairs_um2": self.joined_pairs,
                "matched_um": self.matched_length,
                "truth_length_um": self.truth_length,
                "tolerance_um": self.tolerance,
                "step_um": self.step,
            }
        )


def cable_connectivity(
    truth: NeuriteGraph | NetworkxGraph,
    predicted: NeuriteGraph | NetworkxGraph,
    *,
    tolerance: float,
    step: float | None = None,
) -> CableConnectivity:
    """Which points of the truth the tracing connects, over all pairs of points.

    Args:
        truth: what a person traced, µm.
        predicted: what is to be judged, µm.
        tolerance: how far apart the same neurite may lie in the two, µm.
        step: longest piece of the truth that is labelled as a whole, µm; a quarter of the
            tolerance by default.

    Without truth the shares are NaN; without a tracing nothing is kept. The entropies are 0
    where nothing is matched.
    """
    truth, predicted = as_neurite_graph(truth), as_neurite_graph(predicted)
    step = tolerance / 4 if step is None else step
    check_positive(tolerance=tolerance, step=step)
    return connectivity_of_matching(match(truth, predicted, tolerance=tolerance, step=step))


def connectivity_of_matching(matching: Matching) -> CableConnectivity:
    """Cable connectivity of a truth that was matched to a tracing."""
    pieces, label = matching.pieces, matching.components
    cable = np.bincount(pieces.edges.ravel(), np.repeat(pieces.lengths, 2) / 2, len(pieces))
    tree, here = matching.trees, matching.matched
    pairs = tree[here] * (int(label.max(initial=0)) + 1) + label[here]
    table = np.bincount(np.unique(pairs, return_inverse=True)[1], weights=cable[here])
    trees = np.bincount(tree, weights=cable)
    trees_matched = np.bincount(tree[here], weights=cable[here])
    labels = np.bincount(label[here], weights=cable[here])
    kept = float((table**2).sum())
    return CableConnectivity(
        truth_pairs=float((trees**2).sum()),
        kept_pairs=kept,
        parted_pairs=max(float((trees_matched**2).sum()) - kept, 0.0),
        joined_pairs=float((labels**2).sum()),
        matched_length=float(cable[here].sum()),
        truth_length=pieces.length,
        split_bits=max(_entropy(table) - _entropy(trees_matched), 0.0),
        merge_bits=max(_entropy(table) - _entropy(labels), 0.0),
        tolerance=matching.tolerance,
        step=matching.step,
    )


def _entropy(weights: np.ndarray) -> float:
    """Of the shares of the whole, in bits."""
    shares = weights[weights > 0] / max(weights.sum(), np.finfo(float).tiny)
    return float(-(shares * np.log2(shares)).sum())
