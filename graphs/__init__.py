"""Neurite graphs, SWC files and the metrics that say how a tracing is wrong. Never imports torch.

Importing this package loads numpy and the sparse and spatial parts of scipy only; scikit-image and
networkx are loaded by the functions that use them, so that scoring a file starts at once.
"""

from topodelin.graphs.accumulator import Accumulator, Estimate
from topodelin.graphs.ano import LinkedFiles, read_ano, write_ano
from topodelin.graphs.apls import PathCosts, PathLengthSimilarity, apls
from topodelin.graphs.apo import Marker, read_apo, write_apo
from topodelin.graphs.barcode_matching import BarcodeMatching, match_barcodes
from topodelin.graphs.betti import (
    BettiErrors,
    betti_errors,
    betti_numbers,
    mask_betti_errors,
    mask_betti_numbers,
)
from topodelin.graphs.betti_matching import BettiMatching, betti_matching
from topodelin.graphs.branches import branches, prune_branches, resample, smooth_branches
from topodelin.graphs.cable_connectivity import CableConnectivity, cable_connectivity
from topodelin.graphs.centreline_quality import CentrelineQuality, centreline_quality
from topodelin.graphs.confusion import Confusion, average_precision, confusion, roc_auc
from topodelin.graphs.critical_nodes import CriticalNodes, critical_nodes
from topodelin.graphs.diadem import DiademScore, diadem
from topodelin.graphs.edge_splitting import SplitGraph, split_at, split_long_edges
from topodelin.graphs.error_costs import ErrorCosts, error_costs
from topodelin.graphs.error_files import (
    write_errors,
    write_errors_apo,
    write_errors_csv,
    write_errors_swc,
)
from topodelin.graphs.expected_run_length import (
    ExpectedRunLength,
    expected_run_length,
    labels_at_nodes,
    run_length_of_labels,
)
from topodelin.graphs.find_errors import TracingError, TracingErrors, find_errors
from topodelin.graphs.forest import drop_small_components, separated, spanning_forest
from topodelin.graphs.holes_and_marbles import HolesAndMarbles, holes_and_marbles
from topodelin.graphs.json_files import GraphFileError, read_graph_json, write_graph_json
from topodelin.graphs.junction_arms import JunctionArms, junction_arms
from topodelin.graphs.junction_score import JunctionScore, junction_score
from topodelin.graphs.morphometry import Morphometry, morphometry
from topodelin.graphs.nearest import NearestPoints, SegmentTree, nearest_on_segments
from topodelin.graphs.neurite_graph import NeuriteGraph, as_neurite_graph, joined
from topodelin.graphs.patch_betti import PatchBettiErrors, patch_betti_errors
from topodelin.graphs.path_score import PathScore, path_score
from topodelin.graphs.repair import repaired
from topodelin.graphs.segment_agreement import SegmentAgreement, segment_agreement
from topodelin.graphs.skeleton import graph_from_mask
from topodelin.graphs.skeleton_overlap import SkeletonOverlap, skeleton_overlap
from topodelin.graphs.spatial_distance import DirectedDistance, SpatialDistance, spatial_distance
from topodelin.graphs.swc import (
    SwcChange,
    SwcError,
    SwcProblem,
    check_swc,
    fix_swc,
    read_swc,
    write_eswc,
    write_swc,
)
from topodelin.graphs.tlts import PathLengthAgreement, PathShares, tlts
from topodelin.graphs.tracing_score import TracingScore, comparison_doubts, score_tracing
from topodelin.graphs.voxel_quality import VoxelQuality, voxel_quality

__all__ = [
    "Accumulator",
    "BarcodeMatching",
    "BettiErrors",
    "BettiMatching",
    "CableConnectivity",
    "CentrelineQuality",
    "Confusion",
    "CriticalNodes",
    "DiademScore",
    "DirectedDistance",
    "ErrorCosts",
    "Estimate",
    "ExpectedRunLength",
    "GraphFileError",
    "HolesAndMarbles",
    "JunctionArms",
    "JunctionScore",
    "LinkedFiles",
    "Marker",
    "Morphometry",
    "NearestPoints",
    "NeuriteGraph",
    "PatchBettiErrors",
    "PathCosts",
    "PathLengthAgreement",
    "PathLengthSimilarity",
    "PathScore",
    "PathShares",
    "SegmentAgreement",
    "SegmentTree",
    "SkeletonOverlap",
    "SpatialDistance",
    "SplitGraph",
    "SwcChange",
    "SwcError",
    "SwcProblem",
    "TracingError",
    "TracingErrors",
    "TracingScore",
    "VoxelQuality",
    "apls",
    "as_neurite_graph",
    "average_precision",
    "betti_errors",
    "betti_matching",
    "betti_numbers",
    "branches",
    "cable_connectivity",
    "centreline_quality",
    "check_swc",
    "comparison_doubts",
    "confusion",
    "critical_nodes",
    "diadem",
    "drop_small_components",
    "error_costs",
    "expected_run_length",
    "find_errors",
    "fix_swc",
    "graph_from_mask",
    "holes_and_marbles",
    "joined",
    "junction_arms",
    "junction_score",
    "labels_at_nodes",
    "mask_betti_errors",
    "mask_betti_numbers",
    "match_barcodes",
    "morphometry",
    "nearest_on_segments",
    "patch_betti_errors",
    "path_score",
    "prune_branches",
    "read_ano",
    "read_apo",
    "read_graph_json",
    "read_swc",
    "repaired",
    "resample",
    "roc_auc",
    "run_length_of_labels",
    "score_tracing",
    "segment_agreement",
    "separated",
    "skeleton_overlap",
    "smooth_branches",
    "spanning_forest",
    "spatial_distance",
    "split_at",
    "split_long_edges",
    "tlts",
    "voxel_quality",
    "write_ano",
    "write_apo",
    "write_errors",
    "write_errors_apo",
    "write_errors_csv",
    "write_errors_swc",
    "write_eswc",
    "write_graph_json",
    "write_swc",
]
