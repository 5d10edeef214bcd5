"""Neurite graphs, SWC files and the metrics that say how a tracing is wrong. Never imports torch.

Importing this package loads numpy and the sparse and spatial parts of scipy only; scikit-image and
networkx are loaded by the functions that use them, so that scoring a file starts at once.
"""

from topodelin.graphs.branches import branches, prune_branches, resample, smooth_branches
from topodelin.graphs.centreline_quality import CentrelineQuality, centreline_quality
from topodelin.graphs.forest import drop_small_components, spanning_forest
from topodelin.graphs.nearest import NearestPoints, SegmentTree, nearest_on_segments
from topodelin.graphs.neurite_graph import NeuriteGraph, as_neurite_graph, joined
from topodelin.graphs.skeleton import graph_from_mask
from topodelin.graphs.swc import SwcError, SwcProblem, check_swc, read_swc, write_swc

__all__ = [
    "CentrelineQuality",
    "NearestPoints",
    "NeuriteGraph",
    "SegmentTree",
    "SwcError",
    "SwcProblem",
    "as_neurite_graph",
    "branches",
    "centreline_quality",
    "check_swc",
    "drop_small_components",
    "graph_from_mask",
    "joined",
    "nearest_on_segments",
    "prune_branches",
    "read_swc",
    "resample",
    "smooth_branches",
    "spanning_forest",
    "write_swc",
]
