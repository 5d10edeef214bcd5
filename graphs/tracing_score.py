"""The metrics that say most about a tracing, measured together, and what makes them doubtful."""

from dataclasses import dataclass

import numpy as np

from topodelin.graphs.apls import PathLengthSimilarity, apls
from topodelin.graphs.betti import BettiErrors, betti_errors
from topodelin.graphs.cable_connectivity import CableConnectivity, connectivity_of_matching
from topodelin.graphs.centreline_quality import CentrelineQuality, centreline_quality
from topodelin.graphs.compared_paths import Starts
from topodelin.graphs.expected_run_length import ExpectedRunLength, run_length_of_matching
from topodelin.graphs.find_errors import TracingErrors, find_errors
from topodelin.graphs.matching import match
from topodelin.graphs.neurite_graph import NetworkxGraph, NeuriteGraph, as_neurite_graph

SUSPICIOUS_SCALE = 3.0  # larger by more than this: perhaps in another unit
WORDS = {
    "gap": "gaps",
    "bridge": "bridges",
    "missing_branch": "missing branches",
    "spurious_branch": "spurious branches",
    "displaced": "displaced",
}


@dataclass(frozen=True, eq=False)
class TracingScore:
    """One result of each metric, all with the same tolerance.

    Args:
        quality, run_length, paths, connectivity, topology, errors: the results.
        doubts: one line each on what looks like a mistake in the files; mostly none.
    """

    quality: CentrelineQuality
    run_length: ExpectedRunLength
    paths: PathLengthSimilarity
    connectivity: CableConnectivity
    topology: BettiErrors
    errors: TracingErrors
    doubts: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """The numbers of the centreline quality by name, and those of each other metric below."""
        return {
            **self.quality.as_dict(),
            "run_length": self.run_length.as_dict(),
            "apls": self.paths.as_dict(),
            "connectivity": self.connectivity.as_dict(),
            "topology": self.topology.as_dict(),
            "errors": self.errors.as_dict(),
            "warnings": list(self.doubts),
        }

    def table(self) -> str:
        """The numbers to read."""
        run, paths, cable = self.run_length, self.paths, self.connectivity
        kept, true = (
            f"{share:.3f}" + (f" ± {part.standard_error:.3f}" if part.starts < part.points else "")
            for share, part in (
                (paths.truth_to_predicted, paths.truth_paths),
                (paths.predicted_to_truth, paths.predicted_paths),
            )
        )
        lines = [
            f"connectivity  {cable.score:.3f}   connections kept {cable.kept:.3f}, "
            f"true {cable.true:.3f}",
            f"run length    {run.normalised:.3f}   {run.expected_run_length:.1f} µm of "
            f"{run.best_run_length:.1f}; {run.splits} splits, {run.mergers} mergers",
            f"APLS          {paths.similarity:.3f}   paths of the truth {kept}, "
            f"of the tracing {true}",
            "",
            f"{'errors':18}{'number':>8}{'per mm':>9}{'µm':>10}",
        ]
        for kind, word in WORDS.items():
            number, per_mm = self.errors.counts[kind], self.errors.per_mm[kind]
            lines.append(f"{word:18}{number:8}{per_mm:9.2f}{self.errors.lengths[kind]:10.1f}")
        return "\n".join([self.quality.table(), *lines])


def score_tracing(
    truth: NeuriteGraph | NetworkxGraph,
    predicted: NeuriteGraph | NetworkxGraph,
    *,
    tolerance: float,
    step: float | None = None,
    starts: Starts = None,
) -> TracingScore:
    """Measure centreline quality, run length, APLS, cable connectivity, topology and errors.

    Args:
        truth: what a person traced, µm.
        predicted: what is to be judged, µm.
        tolerance: how far apart the same neurite may lie in the two, µm.
        step: of the centreline quality, µm; the other metrics have their own.
        starts: of `apls`; by default all control points of graphs that are not too large.
    """
    truth, predicted = as_neurite_graph(truth), as_neurite_graph(predicted)
    quality = centreline_quality(truth, predicted, tolerance=tolerance, step=step)
    run_length, connectivity = _of_one_matching(truth, predicted, tolerance)
    return TracingScore(
        quality=quality,
        run_length=run_length,
        paths=apls(truth, predicted, tolerance=tolerance, starts=starts),
        connectivity=connectivity,
        topology=betti_errors(truth, predicted),
        errors=find_errors(truth, predicted, tolerance=tolerance),
        doubts=comparison_doubts(truth, predicted, quality),
    )


def _of_one_matching(
    truth: NeuriteGraph, predicted: NeuriteGraph, tolerance: float
) -> tuple[ExpectedRunLength, CableConnectivity]:
    """`expected_run_length` and `cable_connectivity`, which match the graphs in the same way."""
    matching = match(truth, predicted, tolerance=tolerance, step=tolerance / 4)
    return (
        run_length_of_matching(matching, merge_length=4 * tolerance),
        connectivity_of_matching(matching),
    )


def comparison_doubts(
    truth: NeuriteGraph, predicted: NeuriteGraph, quality: CentrelineQuality
) -> tuple[str, ...]:
    """One line for each sign that the two graphs are not in the same unit and frame.

    * Their bounding boxes are further apart than the tolerance.
    * One is more than three times as large along an axis, and less than half of the smaller one
      lies on the larger, so that it is not simply a part of it.
    """
    if not len(truth.edges) or not len(predicted.edges):
        return ()
    low, high = (
        np.stack([extreme(graph.positions, axis=0) for graph in (truth, predicted)])
        for extreme in (np.min, np.max)
    )
    apart = float(np.linalg.norm(np.maximum(low.max(axis=0) - high.min(axis=0), 0)))
    doubts = []
    if apart > quality.tolerance:
        doubts.append(
            f"the bounding boxes of truth and tracing do not touch ({apart:.1f} µm apart): "
            "check that both count from the same origin, in the same order of axes and unit"
        )
    size = high - low
    flat = (size <= quality.tolerance).any(axis=0)  # nothing to compare along this axis
    ratio = np.where(flat, 1.0, size[0] / np.where(flat, 1.0, size[1]))
    larger = np.maximum(ratio, 1 / ratio)
    matched = quality.correctness if np.prod(ratio) >= 1 else quality.completeness
    if larger.max() > SUSPICIOUS_SCALE and matched < 0.5:
        z, y, x = ratio.tolist()
        doubts.append(
            f"the truth is {z:.2f}, {y:.2f}, {x:.2f} times as large as the tracing (z, y, x): if "
            "one of them is in voxels, read it with unit voxel and its spacing"
        )
    return tuple(doubts)
