"""Neurite graphs, SWC files and the metrics that say how a tracing is wrong. Never imports torch.

Importing this package loads numpy and the sparse and spatial parts of scipy only; scikit-image and
networkx are loaded by the functions that use them, so that scoring a file starts at once.
"""

from topodelin.graphs.apls import PathCosts, PathLengthSimilarity, apls
from topodelin.graphs.betti import (
    BettiErrors,
    betti_errors,
    betti_numbers,
    mask_betti_errors,
    mask_betti_numbers,
)
from topodelin.graphs.branches import branches, prune_branches, resample, smooth_branches
from topodelin.graphs.cable_connectivity import CableConnectivity, cable_connectivity
from topodelin.graphs.centreline_quality import CentrelineQuality, centreline_quality
from topodelin.graphs.edge_splitting import SplitGraph, split_at, split_long_edges
from topodelin.graphs.error_costs import ErrorCosts, error_costs, repaired
from topodelin.graphs.error_files import write_errors_apo, write_errors_csv
from topodelin.graphs.expected_run_length import (
    ExpectedRunLength,
    expected_run_length,
    labels_at_nodes,
    run_length_of_labels,
)
from topodelin.graphs.find_errors import TracingError, TracingErrors, find_errors
from topodelin.graphs.forest import drop_small_components, spanning_forest
from topodelin.graphs.nearest import NearestPoints, SegmentTree, nearest_on_segments
from topodelin.graphs.neurite_graph import NeuriteGraph, as_neurite_graph, joined
from topodelin.graphs.segment_agreement import SegmentAgreement, segment_agreement
from topodelin.graphs.skeleton import graph_from_mask
from topodelin.graphs.swc import SwcError, SwcProblem, check_swc, read_swc, write_swc
from topodelin.graphs.tlts import PathLengthAgreement, PathShares, tlts

__all__ = [
    "BettiErrors",
    "CableConnectivity",
    "CentrelineQuality",
    "ErrorCosts",
    "ExpectedRunLength",
    "NearestPoints",
    "NeuriteGraph",
    "PathCosts",
    "PathLengthAgreement",
    "PathLengthSimilarity",
    "PathShares",
    "SegmentAgreement",
    "SegmentTree",
    "SplitGraph",
    "SwcError",
    "SwcProblem",
    "TracingError",
    "TracingErrors",
    "apls",
    "as_neurite_graph",
    "betti_errors",
    "betti_numbers",
    "branches",
    "cable_connectivity",
    "centreline_quality",
    "check_swc",
    "drop_small_components",
    "error_costs",
    "expected_run_length",
    "find_errors",
    "graph_from_mask",
    "joined",
    "labels_at_nodes",
    "mask_betti_errors",
    "mask_betti_numbers",
    "nearest_on_segments",
    "prune_branches",
    "read_swc",
    "repaired",
    "resample",
    "run_length_of_labels",
    "segment_agreement",
    "smooth_branches",
    "spanning_forest",
    "split_at",
    "split_long_edges",
    "tlts",
    "write_errors_apo",
    "write_errors_csv",
    "write_swc",
]
