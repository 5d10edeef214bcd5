r"""Agreement of two segmentations: Rand scores and variation of information, split from merged.

From the table $n_{ij}$ of the voxels of segment $i$ of the truth that have label $j$, background
of the truth left out,

$$\text{rand split} = \frac{\sum n_{ij}^2}{\sum_i (\sum_j n_{ij})^2} \qquad
  \text{rand merge} = \frac{\sum n_{ij}^2}{\sum_j (\sum_i n_{ij})^2}$$

are the shares of the pairs of voxels that the truth joins and the prediction keeps together, and
of those that the prediction joins rightly; the first falls with splits, the second with mergers.
`voi_split` $= H(\text{predicted} \mid \text{truth})$ and `voi_merge` $= H(\text{truth} \mid
\text{predicted})$ are in bits, 0 at best. Packages disagree about which of these is precision,
which recall; here each is named by what makes it worse.

References:
    M. Meilă. Comparing clusterings by the variation of information. COLT 2003.
    I. Arganda-Carreras et al. Crowdsourcing the creation of image segmentation algorithms for
    connectomics. Frontiers in Neuroanatomy 9, 2015.
"""

from dataclasses import dataclass

import numpy as np

from topodelin.graphs.checks import json_ready, ratio


@dataclass(frozen=True)
class SegmentAgreement:
    """Sums over the table of truth and prediction, to be added up over several volumes.

    Args:
        voxels: of the truth that are not background.
        both_pairs: sum of n², pairs together in both.
        truth_pairs: pairs together in the truth.
        predicted_pairs: pairs together in the prediction.
        split_bits, merge_bits: the conditional entropies times the voxels, bits.
    """

    voxels: int
    both_pairs: float
    truth_pairs: float
    predicted_pairs: float
    split_bits: float
    merge_bits: float

    @property
    def rand_split(self) -> float:
        """1 where nothing is split; NaN without truth."""
        return ratio(self.both_pairs, self.truth_pairs)

    @property
    def rand_merge(self) -> float:
        """1 where nothing is merged; NaN without truth."""
        return ratio(self.both_pairs, self.predicted_pairs)

    @property
    def voi_split(self) -> float:
        """Bits, 0 where nothing is split; NaN without truth."""
        return ratio(self.split_bits, self.voxels)

    @property
    def voi_merge(self) -> float:
        """Bits, 0 where nothing is merged; NaN without truth."""
        return ratio(self.merge_bits, self.voxels)

    @property
    def voi(self) -> float:
        """Variation of information: the sum of both, bits; NaN without truth."""
        return self.voi_split + self.voi_merge

    @property
    def adapted_rand_error(self) -> float:
        """One minus the F-score over pairs of two different voxels; NaN where there is none."""
        pairs = self.truth_pairs + self.predicted_pairs - 2 * self.voxels
        return 1 - ratio(2 * (self.both_pairs - self.voxels), pairs)

    def as_dict(self) -> dict[str, float | None]:
        """Every number by name, ready for JSON: None where a ratio is undefined."""
        return json_ready(
            {
                "rand_split": self.rand_split,
                "rand_merge": self.rand_merge,
                "voi_split": self.voi_split,
                "voi_merge": self.voi_merge,
                "voi": self.voi,
                "adapted_rand_error": self.adapted_rand_error,
                "voxels": self.voxels,
                "both_pairs": self.both_pairs,
                "truth_pairs": self.truth_pairs,
                "predicted_pairs": self.predicted_pairs,
                "split_bits": self.split_bits,
                "merge_bits": self.merge_bits,
            }
        )


def segment_agreement(truth: np.ndarray, predicted: np.ndarray) -> SegmentAgreement:
    """Compare two label arrays of one shape, over the voxels where the truth is not 0.

    Label 0 of the prediction is a segment like any other there.
    """
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    if truth.shape != predicted.shape:
        raise ValueError(
            f"`truth` and `predicted` must have one shape, got {truth.shape} and {predicted.shape}"
        )
    if truth.dtype.kind not in "iub" or predicted.dtype.kind not in "iub":
        raise ValueError(
            f"`truth` and `predicted` must hold integers, got {truth.dtype} and {predicted.dtype}"
        )
    here = truth != 0
    one = np.unique(truth[here], return_inverse=True)[1]
    columns, two = np.unique(predicted[here], return_inverse=True)
    table = np.unique(one * max(len(columns), 1) + two, return_counts=True)[1]
    rows, columns = np.bincount(one, minlength=1), np.bincount(two, minlength=1)
    both = _bits(table)
    return SegmentAgreement(
        voxels=int(here.sum()),
        both_pairs=float((table.astype(float) ** 2).sum()),
        truth_pairs=float((rows.astype(float) ** 2).sum()),
        predicted_pairs=float((columns.astype(float) ** 2).sum()),
        split_bits=max(_bits(rows) - both, 0.0),
        merge_bits=max(_bits(columns) - both, 0.0),
    )


def _bits(counts: np.ndarray) -> float:
    """Sum of n log n."""
    return float((counts * np.log2(np.maximum(counts, 1))).sum())
