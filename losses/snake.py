r"""The snake loss: an annotation that may move to the neurite before it is compared.

An annotator clicks beside the neurite, and a network that is punished for every voxel of that
learns to blur. Here the annotated graph is a snake (an active contour on a graph): it first slides
a few short steps down the predicted distance map, held together by its internal forces, and the
prediction is compared with the distance map of where it then lies. Through the way of the snake the
network also learns to predict maps that pull annotations to a consistent place.

The default departs from the published program where that has known defects:

* the distance map is exact, whatever the length of the edges, with no blocks and no lines drawn on
  voxels, and needs memory in proportion to the voxels (`render_distance_map`); nodes without edges
  are points;
* the implicit step is solved by iteration or by a sparse decomposition instead of a dense inverse,
  and frozen coordinates are eliminated, wherever their nodes stand in the list;
* the slope answers a ramp with its slope, whatever `sigma` (`gain="unit"`);
* ends are not drawn inwards by the cone around them, so that a perfect prediction leaves the
  annotation in place (`rest="ends"`; exactly, with zero loss, for `rest="annotation"`);
* crops keep every stretch of an edge that runs through them, in one convention for the box
  (`crop_graph`); curves outside the grid paint nothing on its faces;
* graphs are arrays in the order of the axes, the loss keeps no state, and the gradient through the
  snake, several times as large as the direct one, has a factor of its own (`through_snake`).

`SnakeLoss.paper` brings back the program's slope and the pull at the ends. Exact maps and solves,
and points where it forgets nodes without edges, stay; its cropping is the caller's.

References:
    D. Oner, L. Citraro, M. Kozinski, P. Fua. Adjusting the ground truth annotations for
    connectivity-based learning to delineate. TMI 2022. arXiv:2112.02781.
    P. Fua, Y. Leclerc. Model driven edge detection. Machine Vision and Applications 1990 (snakes
    that slide down a potential with an implicit step).
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from topodelin.losses.checks import check_pair, full_precision
from topodelin.losses.snakes.graphs import (
    PreparedGraph,
    PreparedGraphs,
    check_graphs,
    prepare_graphs,
)
from topodelin.losses.snakes.motion import final_positions, motion_of, rendered, trajectory
from topodelin.losses.snakes.rule import SnakeRule
from topodelin.losses.voxel_graph import VoxelGraph

Scalar = Float[Tensor, ""]


def adjust_graph(prediction: Tensor, graph: VoxelGraph, **constants: Any) -> VoxelGraph:
    """Let one annotation slide to the neurite that a distance map shows.

    Args:
        prediction: the predicted distance map of the graph's array, `(*space)`.
        graph: the annotation. Cut it with `crop_graph` if it reaches beyond the map.
        constants: the fields of [`SnakeRule`][], by name: `steps=50`, `beta=1.0`, ...

    Returns the graph with its nodes moved; edges and frozen coordinates stay. Write it for other
    programs with `graphs.write_swc(path, adjusted.to_neurite_graph(spacing))`.

    Raises:
        TypeError, ValueError: one line that names the argument, the rule and the remedy.
    """
    rule = SnakeRule(**constants)
    image = _checked(prediction[None, None])[0, 0].detach()
    prepared = prepare_graphs([graph], rule)
    check_graphs(prepared, (1, 1, *image.shape))
    sample = prepared.to(image.device).samples[0]
    start = sample.positions.to(image)
    if not len(start):
        return graph
    moved = trajectory(image, start, motion_of(image, sample, rule))[-1]
    shift = (moved - start).cpu().double().numpy()
    return VoxelGraph(graph.positions + shift, graph.edges, graph.frozen)


def snake_loss(
    prediction: Tensor, graphs: Sequence[VoxelGraph] | PreparedGraphs, **constants: Any
) -> Scalar:
    r"""Compare distance maps with those of annotations that were adjusted to them.

    $$L(p) = \frac1N \sum_x \bigl(p_x - D_x(s(p))\bigr)^2$$

    with $s(p)$ the positions of the snakes (`topodelin.losses.snakes.motion`), $D$ their exact
    distance maps, clipped at `d_max`, and $N$ the number of voxels of the batch. Its gradient has
    a direct part, $2 (p - D) / N$, and one through $D(s(p))$, times `through_snake`.

    Args:
        prediction: $p$, predicted distance maps `(batch, 1, *space)` in 2-D or 3-D, of any float
            type; the raw map, neither clipped nor logits.
        graphs: the annotation of each sample, in voxel indices of its crop; an empty graph where
            there is none, whose map is `d_max` everywhere. Or what [`SnakeLoss.prepare`][] made.
        constants: the fields of [`SnakeRule`][], by name.

    The variant of the published program that draws the snake on the voxels corresponds to
    `through_snake=0`, with the exact distance to the snake; the distance to its voxels is up to
    1.5 voxels off, 0.2 on average.

    Returns a float32 scalar, float64 for a float64 prediction. Computed in float32 under autocast.

    Raises:
        TypeError, ValueError: one line that names the argument, the rule and the remedy; also for
            NaN and infinity.
    """
    return _loss(prediction, graphs, SnakeRule(**constants))


class SnakeLoss(nn.Module):
    """[`snake_loss`][] with its constants fixed: [`SnakeRule`][] describes each of them."""

    takes: ClassVar[str] = "graphs"

    def __init__(
        self,
        *,
        steps: int = 10,
        step_size: float = 0.1,
        alpha: float = 1e-4,
        beta: float = 0.01,
        external_factor: float = 2.0,
        sigma: float = 0.5,
        gain: str = "unit",
        rest: str = "ends",
        d_max: float = 15.0,
        spacing: Sequence[float] | None = None,
        through_snake: float = 1.0,
        solver: str = "auto",
        backend: str = "auto",
    ) -> None:
        super().__init__()
        self.rule = SnakeRule(
            steps=steps,
            step_size=step_size,
            alpha=alpha,
            beta=beta,
            external_factor=external_factor,
            sigma=sigma,
            gain=gain,
            rest=rest,
            d_max=d_max,
            spacing=spacing,
            through_snake=through_snake,
            solver=solver,
            backend=backend,
        )

    @classmethod
    def paper(cls, **changes: Any) -> "SnakeLoss":
        """The published program (MSE-GaussSnake-wGrad), to single precision.

        Args:
            changes: constants that shall differ, by name; `through_snake=0` stops the gradient at
                the snake.

        It differs where the program depends on the size of the blocks that it renders: the map is
        exact, and a node without edges is a point. It takes the graph as it was cropped;
        `crop_graph` keeps edges and nodes that the program's cropping loses.
        """
        return cls(**{"gain": "published", "rest": "none", **changes})

    def prepare(self, graphs: Sequence[VoxelGraph]) -> PreparedGraphs:
        """What depends on the annotations only, for a data loader's worker.

        `forward` takes it in their place, with the same result.
        """
        return prepare_graphs(graphs, self.rule)

    def forward(self, prediction: Tensor, graphs: Sequence[VoxelGraph] | PreparedGraphs) -> Scalar:
        return _loss(prediction, graphs, self.rule)


def _loss(
    prediction: Tensor, graphs: Sequence[VoxelGraph] | PreparedGraphs, rule: SnakeRule
) -> Scalar:
    images = _checked(prediction)
    prepared = graphs if isinstance(graphs, PreparedGraphs) else prepare_graphs(graphs, rule)
    check_graphs(prepared, tuple(images.shape))
    maps = [
        _adjusted_map(image, sample.to(image.device), rule)
        for image, sample in zip(images[:, 0], prepared.samples, strict=True)
    ]
    return (images[:, 0] - torch.stack(maps)).square().mean()


def _adjusted_map(
    image: Float[Tensor, "*space"], sample: PreparedGraph, rule: SnakeRule
) -> Float[Tensor, "*space"]:
    """The distance map of the annotation after it slid down the image."""
    positions = start = sample.positions.to(image)
    if len(start):
        motion = motion_of(image.detach(), sample, rule)
        if rule.through_snake > 0:
            positions = final_positions(image, start, motion)
            held = positions.detach()
            positions = held + rule.through_snake * (positions - held)
        else:
            positions = trajectory(image, start, motion)[-1]
    return rendered(image, positions, sample, rule, rule.d_max)


def _checked(prediction: Tensor) -> Tensor:
    """The prediction in full precision, `(batch, 1, *space)` and finite."""
    check_pair(prediction, prediction.detach() if isinstance(prediction, Tensor) else prediction)
    if prediction.ndim not in (4, 5) or prediction.shape[1] != 1:
        raise ValueError(
            "`prediction` must be (batch, 1, height, width) or (batch, 1, z, y, x), one map for "
            f"each graph, got the shape {tuple(prediction.shape)}; add missing axes with "
            "prediction[None, None] or choose a channel"
        )
    return full_precision(prediction, prediction)[0]
