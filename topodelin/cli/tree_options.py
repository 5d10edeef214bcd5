"""The options that say how a skeleton becomes trees, the same for every verb that traces."""

from typing import Annotated

import typer

MinBranchUm = Annotated[float, typer.Option(help="Shorter side branches are pruned.")]
MinTreeUm = Annotated[float, typer.Option(help="Shorter trees are dropped.")]
SmoothUm = Annotated[
    float | None, typer.Option(help="Waves to take out along a neurite; default: 6 voxels.")
]
ResampleUm = Annotated[float, typer.Option(help="Distance between nodes; 0: one for each voxel.")]
Somas = Annotated[
    bool, typer.Option("--somas", help="Each seed is a cell body: split trees between them.")
]
SplitCrossings = Annotated[
    bool,
    typer.Option("--split-crossings", help="Take neurites apart that cross and run straight on."),
]
BridgeUm = Annotated[float, typer.Option(help="Widest gap to bridge; 0: none.")]
BridgeCost = Annotated[float, typer.Option(help="Plain background a bridge may lead through, µm.")]
MinConfidence = Annotated[float, typer.Option(help="Bridges less sure than this are not made.")]
Radius = Annotated[str, typer.Option(help="Radii from: image, map or fixed.")]
