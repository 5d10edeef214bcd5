"""Metrics beyond those that `topodelin score` always reports, by the names of `--also`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from topodelin import graphs
from topodelin.cli.score_files import Labels, Mask, Side, Tracing
from topodelin.graphs import NeuriteGraph
from topodelin.graphs.diadem import diadem

ALL = "all"


@dataclass(frozen=True)
class Also:
    """One metric on request.

    Args:
        metric: the function of `topodelin.graphs`.
        call: truth, traced and the tolerance in µm; graphs, or masks where `masks` says so.
        headlines: the numbers of the table, most telling first.
        masks: whether it compares two masks.
        trees: whether it compares graphs without cycles only.
    """

    metric: Callable[..., Any]
    call: Callable[[Any, Any, float], Any]
    headlines: tuple[str, ...]
    masks: bool = False
    trees: bool = False


def _near(metric: Callable[..., Any], *headlines: str) -> Also:
    """A metric of graphs with a tolerance."""
    return Also(metric, lambda one, two, far: metric(one, two, tolerance=far), headlines)


def _voxels(metric: Callable[..., Any], *headlines: str) -> Also:
    """A metric of two arrays."""
    return Also(
        metric, lambda one, two, _: metric(one.values != 0, two.values != 0), headlines, masks=True
    )


def _skeleton_quality(truth: Mask, traced: Mask, tolerance: float) -> Any:
    from topodelin.graphs.thinning import thin

    if not np.allclose(truth.spacing, traced.spacing, rtol=1e-3, atol=0):
        raise ValueError(
            f"{traced.path}: voxels must be as large as those of {truth.path} for voxel_quality, "
            f"{truth.spacing} µm, got {traced.spacing}; resample it or overrule with --spacing"
        )
    one, two = (thin(side.values != 0) for side in (truth, traced))
    return graphs.voxel_quality(one, two, tolerance=tolerance, spacing=truth.spacing)


METRICS: dict[str, Also] = {
    "critical_nodes": _near(
        graphs.critical_nodes, "critical_f1", "critical_precision", "critical_recall"
    ),
    "diadem": Also(
        diadem, lambda one, two, far: diadem(one, two, tolerance=far), ("diadem",), trees=True
    ),
    "holes_and_marbles": _near(
        graphs.holes_and_marbles,
        "holes_marbles_f1",
        "holes_marbles_precision",
        "holes_marbles_recall",
    ),
    "junction_arms": _near(graphs.junction_arms, "junct_correct", "junct_error"),
    "junction_score": _near(graphs.junction_score, "opt_j_f1", "opt_j_precision", "opt_j_recall"),
    "path_score": _near(graphs.path_score, "opt_p_f1", "opt_p_precision", "opt_p_recall"),
    "spatial_distance": Also(
        graphs.spatial_distance,
        lambda one, two, _: graphs.spatial_distance(one, two),
        ("esa_um", "dsa_um", "pds", "hausdorff_um"),
    ),
    "tlts": _near(
        graphs.tlts, "tlts_correct", "tlts_too_long", "tlts_too_short", "tlts_infeasible"
    ),
    "skeleton_overlap": _voxels(
        graphs.skeleton_overlap, "cldice", "skeleton_recall", "skeleton_precision"
    ),
    "mask_betti_errors": _voxels(
        graphs.mask_betti_errors, "error_components", "error_loops", "error_cavities"
    ),
    "betti_matching": _voxels(graphs.betti_matching, "betti_matching_error"),
    "voxel_quality": Also(
        graphs.voxel_quality,
        _skeleton_quality,
        ("voxel_quality", "voxel_completeness", "voxel_correctness"),
        masks=True,
    ),
    "confusion": Also(
        graphs.confusion,
        lambda one, two, _: graphs.confusion(one.values != 0, two.values != 0, labels=(0, 1)),
        ("dice_1", "iou_1", "precision_1", "recall_1"),
        masks=True,
    ),
}


def check_names(names: Sequence[str]) -> None:
    """Refuse a metric that does not exist, with the list of those that do."""
    for name in names:
        if name not in METRICS and name != ALL:
            raise ValueError(
                f"`--also` must name metrics of {', '.join([ALL, *METRICS])}, got {name!r}"
            )


def measure_also(
    names: Sequence[str], truth: Side, traced: Side, tolerance: float
) -> dict[str, Any]:
    """The results of some metrics by name; `all` means those that suit what is compared."""
    if not names:
        return {}
    if isinstance(truth, Labels) or isinstance(traced, Labels):
        raise ValueError(
            "`--also` takes tracings and masks, and there are labels; add --volumes mask"
        )
    tracing = next((side for side in (truth, traced) if isinstance(side, Tracing)), None)
    if ALL in names:
        names = _suitable(truth.graph, traced.graph, masks=tracing is None)
    measured: dict[str, Any] = {}
    for name in names:
        also = METRICS[name]
        if not also.masks:
            measured[name] = also.call(truth.graph, traced.graph, tolerance)
            continue
        if tracing is not None:
            raise ValueError(f"`--also {name}` compares two masks, and {tracing.path} is a tracing")
        _check_shapes(name, truth, traced)
        measured[name] = also.call(truth, traced, tolerance)
    return measured


def also_table(measured: dict[str, Any]) -> str:
    """One line for each metric: its most telling numbers."""
    return "\n".join(f"{name:20}{_headlines(name, found)}" for name, found in measured.items())


def _suitable(truth: NeuriteGraph, traced: NeuriteGraph, *, masks: bool) -> list[str]:
    cycles = any(graphs.betti_numbers(graph)[1] for graph in (truth, traced))
    return [
        name
        for name, also in METRICS.items()
        if (masks or not also.masks) and not (cycles and also.trees)
    ]


def _headlines(name: str, found: Any) -> str:
    numbers = found.as_dict()
    known = [(key, numbers[key]) for key in METRICS[name].headlines if key in numbers]
    return ", ".join(
        f"{key} {'nan' if value is None else format(value, '.4g')}" for key, value in known
    )


def _check_shapes(name: str, truth: Any, traced: Any) -> None:
    if truth.values.shape != traced.values.shape:
        raise ValueError(
            f"{traced.path}: must have the shape of {truth.path} for {name}, "
            f"{truth.values.shape}, got {traced.values.shape}; crop or resample it"
        )
