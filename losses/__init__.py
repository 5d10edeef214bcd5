"""Losses on distance maps that see connectivity.

| loss | what it punishes | space |
|---|---|---|
| `MSELoss` | the squared difference of every voxel | any |
| `TopoLoss` | gaps and false bridges of an image | 2-D |
| `ConnLoss` | gaps and false bridges of a volume, in its projections | 3-D |
| `L3DLoss` | the squared difference and the connectivity of a volume | 3-D |
| `L2DLoss` | the same in three projections, where only these are annotated | 3-D |
| `SnakeLoss` | the squared difference to an annotation that moves to the neurite | any |
| `SpanningPathLoss` | what breaks the paths in a neurite or joins two, in the volume | any |
| `CentreSlackLoss` | centreline without a low distance nearby | any |
| `ClDiceLoss`, `SkeletonRecallLoss`, `PathLoss` | centreline that is not found | any |
| `PersistenceLoss`, `MalisLoss`, `SupervoxelLoss` | other ways to see both | any |

All take `(prediction, target)`: a raw predicted distance map `(batch, channel, *space)` and the
annotated one, 0 on the centreline and clipped at `d_max` (`L2DLoss` takes three 2-D maps,
`SnakeLoss` graphs). `WeightedSum` adds them, with weights that may follow a schedule (`Ramp`,
`Switch`) or the gradients (`GradientBalance`); `FromLogits` and `FromProbabilities` adapt them to
networks that predict a foreground; `MinProjectionLoss` lifts any image loss to volumes.

Of classes (`takes = "labels"`): `CrossEntropyLoss`, `FocalLoss`, `DiceLoss` and `DiceBCELoss` take
logits and a `LabelTarget`, which may leave voxels out or weigh them.
"""

from torch import nn

from topodelin.losses.adapters import FromLogits, FromProbabilities
from topodelin.losses.affinity_pairs import AffinityPairs, affinity_pair_counts
from topodelin.losses.centre_slack import CentreSlackLoss, centre_slack_loss
from topodelin.losses.cldice import ClDiceLoss, cldice_loss, soft_cldice
from topodelin.losses.conn import ConnLoss, conn_loss
from topodelin.losses.critical_components import CriticalVoxels, critical_voxels
from topodelin.losses.cross_entropy import CrossEntropyLoss, FocalLoss, cross_entropy_loss
from topodelin.losses.dice import DiceBCELoss, DiceLoss, dice_loss
from topodelin.losses.l2d import L2DLoss, l2d_loss
from topodelin.losses.l3d import L3DLoss, l3d_loss
from topodelin.losses.labels import LabelTarget
from topodelin.losses.malis import MalisLoss, affinity_malis_loss, malis_loss
from topodelin.losses.min_projection import (
    MinProjectionLoss,
    min_projections,
    over_min_projections,
)
from topodelin.losses.mse import MSELoss, mse_loss
from topodelin.losses.path import PathLoss, path_loss
from topodelin.losses.persistence import PersistenceLoss, persistence_loss
from topodelin.losses.probability import foreground_probability
from topodelin.losses.rendering import render_distance_map
from topodelin.losses.schedule import GradientBalance, Ramp, Switch
from topodelin.losses.skeleton_recall import SkeletonRecallLoss, skeleton_recall_loss
from topodelin.losses.snake import SnakeLoss, adjust_graph, snake_loss
from topodelin.losses.soft_skeleton import soft_skeleton
from topodelin.losses.spanning_path import SpanningPathLoss, spanning_path_loss
from topodelin.losses.supervoxel import SupervoxelLoss, supervoxel_loss
from topodelin.losses.topo import TopoLoss, topo_loss
from topodelin.losses.topology.rule import TopologyRule
from topodelin.losses.topology.weights import TopologyWeights, topology_weights
from topodelin.losses.voxel_graph import VoxelGraph, crop_graph
from topodelin.losses.weighted_sum import PreparedTargets, WeightedSum

LOSSES: dict[str, type[nn.Module]] = {
    "mse": MSELoss,
    "topo": TopoLoss,
    "conn": ConnLoss,
    "l3d": L3DLoss,
    "l2d": L2DLoss,
    "snake": SnakeLoss,
    "spanning_path": SpanningPathLoss,
    "centre_slack": CentreSlackLoss,
    "cldice": ClDiceLoss,
    "skeleton_recall": SkeletonRecallLoss,
    "persistence": PersistenceLoss,
    "malis": MalisLoss,
    "supervoxel": SupervoxelLoss,
    "path": PathLoss,
    "cross_entropy": CrossEntropyLoss,
    "focal": FocalLoss,
    "dice": DiceLoss,
    "dice_bce": DiceBCELoss,
}

__all__ = [
    "LOSSES",
    "AffinityPairs",
    "CentreSlackLoss",
    "ClDiceLoss",
    "ConnLoss",
    "CriticalVoxels",
    "CrossEntropyLoss",
    "DiceBCELoss",
    "DiceLoss",
    "FocalLoss",
    "FromLogits",
    "FromProbabilities",
    "GradientBalance",
    "L2DLoss",
    "L3DLoss",
    "LabelTarget",
    "MSELoss",
    "MalisLoss",
    "MinProjectionLoss",
    "PathLoss",
    "PersistenceLoss",
    "PreparedTargets",
    "Ramp",
    "SkeletonRecallLoss",
    "SnakeLoss",
    "SpanningPathLoss",
    "SupervoxelLoss",
    "Switch",
    "TopoLoss",
    "TopologyRule",
    "TopologyWeights",
    "VoxelGraph",
    "WeightedSum",
    "adjust_graph",
    "affinity_malis_loss",
    "affinity_pair_counts",
    "centre_slack_loss",
    "cldice_loss",
    "conn_loss",
    "critical_voxels",
    "crop_graph",
    "cross_entropy_loss",
    "dice_loss",
    "foreground_probability",
    "l2d_loss",
    "l3d_loss",
    "malis_loss",
    "min_projections",
    "mse_loss",
    "over_min_projections",
    "path_loss",
    "persistence_loss",
    "render_distance_map",
    "skeleton_recall_loss",
    "snake_loss",
    "soft_cldice",
    "soft_skeleton",
    "spanning_path_loss",
    "supervoxel_loss",
    "topo_loss",
    "topology_weights",
]
