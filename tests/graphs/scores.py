"""Every metric as scores of an event that are 1 at best, and what each sees of the catalogue."""

from collections.abc import Callable

from tests.graphs.drawings import betti
from tests.graphs.events import (
    EVENTS,
    EVENTS_OF_GEOMETRY,
    MARGIN,
    TOLERANCE,
    Event,
    labels,
    lines,
    mask,
)
from topodelin.graphs import (
    apls,
    betti_errors,
    betti_matching,
    cable_connectivity,
    centreline_quality,
    confusion,
    critical_nodes,
    error_costs,
    expected_run_length,
    find_errors,
    holes_and_marbles,
    junction_arms,
    junction_score,
    labels_at_nodes,
    mask_betti_errors,
    path_score,
    run_length_of_labels,
    segment_agreement,
    skeleton_overlap,
    spatial_distance,
    tlts,
    voxel_quality,
)
from topodelin.graphs.diadem import diadem

CATALOGUE = EVENTS | EVENTS_OF_GEOMETRY


def wrong_junctions(event: Event) -> float:
    """Of either graph, as shares are undefined without junctions."""
    found = junction_arms(event.truth, event.predicted, tolerance=TOLERANCE)
    return found.truth - found.fitting + found.not_fitting


def kept_by_errors(event: Event) -> float:
    """Run length as a share of what it is after repairing all errors."""
    errors = find_errors(event.truth, event.predicted, tolerance=TOLERANCE)
    lengths = error_costs(event.truth, event.predicted, errors).run_lengths
    return lengths[0] / lengths[-1]


def run_length_in_labels(event: Event) -> float:
    """Of the components of the traced mask, each a segment."""
    origin = (0.0, -MARGIN, -MARGIN)
    found = labels_at_nodes(
        event.truth, labels(event.predicted)[None], spacing=(1.0, 1.0, 1.0), origin=origin
    )
    return run_length_of_labels(event.truth, found).normalised


def score_of_trees(event: Event) -> float:
    """NaN where one of the graphs has a loop, which has no root."""
    if betti(event.truth)[1] or betti(event.predicted)[1]:
        return float("nan")
    return diadem(event.truth, event.predicted, tolerance=TOLERANCE).score


# All are 1 for a tracing without an error.
SCORES: dict[str, Callable[[Event], float]] = {
    "quality": lambda e: centreline_quality(e.truth, e.predicted, tolerance=TOLERANCE).quality,
    "nerl": lambda e: expected_run_length(e.truth, e.predicted, tolerance=TOLERANCE).normalised,
    "kept": lambda e: cable_connectivity(e.truth, e.predicted, tolerance=TOLERANCE).kept,
    "true": lambda e: cable_connectivity(e.truth, e.predicted, tolerance=TOLERANCE).true,
    "apls there": lambda e: apls(e.truth, e.predicted, tolerance=TOLERANCE).truth_to_predicted,
    "apls back": lambda e: apls(e.truth, e.predicted, tolerance=TOLERANCE).predicted_to_truth,
    "tlts there": lambda e: (
        tlts(e.truth, e.predicted, tolerance=TOLERANCE).truth_paths.correct_share
    ),
    "tlts back": lambda e: (
        tlts(e.truth, e.predicted, tolerance=TOLERANCE).predicted_paths.correct_share
    ),
    "betti": lambda e: 1 - sum(betti_errors(e.truth, e.predicted).errors),
    "critical": lambda e: critical_nodes(e.truth, e.predicted, tolerance=TOLERANCE).f1,
    "opt-j": lambda e: junction_score(e.truth, e.predicted, tolerance=TOLERANCE).f1,
    "opt-p": lambda e: path_score(e.truth, e.predicted, tolerance=TOLERANCE).f1,
    "diadem": score_of_trees,
    "marbles": lambda e: (
        holes_and_marbles(e.truth, e.predicted, tolerance=TOLERANCE, radius=40.0).f1
    ),
    "junct": lambda e: 1 - wrong_junctions(e),
    "esa": lambda e: 1 - spatial_distance(e.truth, e.predicted).esa,
    "pds": lambda e: 1 - spatial_distance(e.truth, e.predicted, threshold=TOLERANCE).pds,
    "errors": lambda e: 1 - len(find_errors(e.truth, e.predicted, tolerance=TOLERANCE).errors),
    "costs": kept_by_errors,
    "cldice": lambda e: skeleton_overlap(mask(e.truth), mask(e.predicted)).cldice,
    "skeleton recall": lambda e: skeleton_overlap(mask(e.truth), mask(e.predicted)).recall,
    "voxel quality": lambda e: (
        voxel_quality(lines(e.truth), lines(e.predicted), tolerance=TOLERANCE).quality
    ),
    "mask betti": lambda e: 1 - sum(mask_betti_errors(mask(e.truth), mask(e.predicted)).errors),
    "betti matching": lambda e: 1 - betti_matching(mask(e.truth), mask(e.predicted)).error,
    "iou": lambda e: confusion(mask(e.truth), mask(e.predicted), labels=(0, 1)).iou(1),
    "rand split": lambda e: segment_agreement(labels(e.truth), labels(e.predicted)).rand_split,
    "rand merge": lambda e: segment_agreement(labels(e.truth), labels(e.predicted)).rand_merge,
    "nerl of labels": run_length_in_labels,
}
COLUMNS = {
    "id": "identical",
    "br": "break of one edge",
    "ga": "gap",
    "lo": "longer gap",
    "tw": "two gaps",
    "mi": "missing branch",
    "cu": "branch cut off",
    "sh": "short end",
    "sp": "spur",
    "is": "island",
    "de": "detour",
    "bw": "bridge within a tree",
    "bb": "bridge between trees",
    "on": "one tree missing",
    "ri": "ring",
    "rc": "ring cut",
    "r1": "ring cut at one edge",
    "no": "nothing",
    "sf": "shifted",
    "dt": "drawn twice",
}
# x: the score falls below that of a tracing without an error; a point: it is blind to
# the event; a dash: it is undefined (trees with loops have no root, no paths no share).
TABLE = """
                 id br ga lo tw mi cu sh sp is de bw bb on ri rc r1 no sf dt
quality          .  .  x  x  x  x  x  x  x  x  x  x  x  x  .  x  .  x  .  .
nerl             .  x  x  x  x  x  x  x  .  .  x  .  x  x  .  x  .  x  .  .
kept             .  x  x  x  x  x  x  x  .  .  x  .  .  x  .  x  .  x  .  .
true             .  .  .  .  .  .  .  .  .  .  .  .  x  .  .  .  .  x  .  .
apls there       .  x  x  x  x  x  x  x  .  .  x  x  .  x  .  x  x  x  .  .
apls back        .  .  .  .  .  .  .  .  x  x  x  x  x  .  .  x  x  x  x  x
tlts there       .  x  x  x  x  x  x  x  .  .  x  x  .  x  .  x  x  x  .  .
tlts back        .  .  .  .  .  .  .  .  x  x  x  x  x  .  .  x  x  -  x  x
betti            .  x  x  x  x  .  x  .  .  x  .  x  x  x  .  x  x  x  .  x
critical         .  x  x  x  x  x  x  x  x  x  .  x  x  x  .  x  x  x  .  x
opt-j            .  x  x  x  x  x  x  x  x  x  .  x  x  x  .  x  x  x  .  x
opt-p            .  x  x  x  x  x  x  x  x  x  x  x  x  x  .  x  x  x  .  .
diadem           .  x  x  x  x  x  x  x  x  .  x  -  x  x  -  -  -  x  .  .
marbles          .  x  x  x  x  x  x  x  x  .  x  x  x  x  .  x  x  x  .  .
junct            .  .  .  .  .  x  x  .  x  .  .  x  x  .  .  .  .  x  .  x
esa              .  x  x  x  x  x  x  x  x  x  x  x  x  x  .  x  x  x  x  x
pds              .  .  x  x  x  x  x  x  x  x  x  x  x  x  .  x  .  x  .  .
errors           .  x  x  x  x  x  x  x  x  x  x  x  x  x  .  x  x  x  .  .
costs            .  x  x  x  x  x  x  x  .  .  x  .  x  x  .  x  .  x  .  .
cldice           .  x  x  x  x  x  x  x  x  x  x  x  x  x  .  x  x  x  x  .
skeleton recall  .  x  x  x  x  x  x  x  .  .  x  .  .  x  .  x  x  x  x  .
voxel quality    .  .  x  x  x  x  x  x  x  x  x  x  x  x  .  x  .  x  .  .
mask betti       .  x  x  x  x  .  x  .  .  x  .  x  x  x  .  x  x  x  .  .
betti matching   .  x  x  x  x  .  x  .  .  x  .  x  x  x  .  x  x  x  .  .
iou              .  x  x  x  x  x  x  x  x  x  x  x  x  x  .  x  x  x  x  x
rand split       .  x  x  x  x  x  x  x  .  .  x  .  .  .  .  x  x  .  x  .
rand merge       .  .  .  .  .  .  .  .  .  .  .  .  x  .  .  .  .  .  .  .
nerl of labels   .  x  x  x  x  x  x  x  .  .  x  .  x  x  .  x  .  x  .  .
"""
HEAD, *ROWS = TABLE.strip("\n").split("\n")
SEEN: dict[str, dict[str, str]] = {
    row[:16].rstrip(): dict(zip(HEAD.split(), row[16:].split(), strict=True)) for row in ROWS
}
