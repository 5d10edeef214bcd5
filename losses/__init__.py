"""Losses on distance maps that see connectivity.

| loss | what it punishes | space |
|---|---|---|
| `MSELoss` | the squared difference of every voxel | any |
| `TopoLoss` | gaps and false bridges of an image | 2-D |
| `ConnLoss` | gaps and false bridges of a volume, in its projections | 3-D |
| `L3DLoss` | the squared difference and the connectivity of a volume | 3-D |

All take `(prediction, target)`, both `(batch, channel, *space)`: a raw predicted distance map and
the annotated one, 0 on the centreline and clipped at `d_max`. `MinProjectionLoss` lifts any image
loss to volumes; `WeightedSum` and `Ramp` add, weigh and schedule.
"""

from torch import nn

from topodelin.losses.conn import ConnLoss, conn_loss
from topodelin.losses.l3d import L3DLoss, l3d_loss
from topodelin.losses.min_projection import (
    MinProjectionLoss,
    min_projections,
    over_min_projections,
)
from topodelin.losses.mse import MSELoss, mse_loss
from topodelin.losses.schedule import Ramp
from topodelin.losses.topo import TopoLoss, topo_loss
from topodelin.losses.topology_rule import TopologyRule
from topodelin.losses.topology_weights import TopologyWeights, topology_weights
from topodelin.losses.weighted_sum import WeightedSum

LOSSES: dict[str, type[nn.Module]] = {
    "mse": MSELoss,
    "topo": TopoLoss,
    "conn": ConnLoss,
    "l3d": L3DLoss,
}

__all__ = [
    "LOSSES",
    "ConnLoss",
    "L3DLoss",
    "MSELoss",
    "MinProjectionLoss",
    "Ramp",
    "TopoLoss",
    "TopologyRule",
    "TopologyWeights",
    "WeightedSum",
    "conn_loss",
    "l3d_loss",
    "min_projections",
    "mse_loss",
    "over_min_projections",
    "topo_loss",
    "topology_weights",
]
