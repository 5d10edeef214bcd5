r"""The way of a snake down the slope of a map, and the gradient back along it.

One step moves the positions $s$ to

$$s' = r + (I + \tau F A)^{-1} \bigl(s - r - \tau \kappa F\, (g(s) - g_0)\bigr)$$

with the internal forces $A$ and the mask $F$ of `topodelin.losses.snakes.forces`, the slope $g$ of
`topodelin.losses.snakes.gradient_filter`, and the shape $r$ and slope $g_0$ at which the snake
rests: zeros, or the annotated shape and the slope of its own distance map.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from topodelin.losses.rendering import render_distance_map
from topodelin.losses.snakes.forces import ImplicitStep
from topodelin.losses.snakes.gradient_filter import (
    AxisFilter,
    filtered_gradient,
    neighbourhoods,
    weighted_gradient,
)
from topodelin.losses.snakes.graphs import PreparedGraph
from topodelin.losses.snakes.rule import SnakeRule


@dataclass(frozen=True, eq=False)
class SnakeMotion:
    r"""All that the steps of one snake share; tensors of one type on one device.

    Args:
        rest: $r$.
        rest_slope: $g_0$, per voxel.
        pace: voxels moved in one step per unit of slope: step size times external factor, 0 where
            a coordinate is frozen.
        implicit: the map $(I + \tau F A)^{-1}$.
        filters: one for each axis.
        steps: how many.
    """

    rest: Float[Tensor, "nodes dims"]
    rest_slope: Float[Tensor, "nodes dims"]
    pace: Float[Tensor, "nodes dims"]
    implicit: ImplicitStep
    filters: Sequence[AxisFilter]
    steps: int

    def step(
        self, image: Float[Tensor, "*space"], positions: Float[Tensor, "nodes dims"]
    ) -> Float[Tensor, "nodes dims"]:
        slope = filtered_gradient(image, positions, self.filters)
        pulled = positions - self.rest - self.pace * (slope - self.rest_slope)
        return self.rest + self.implicit(pulled)


def motion_of(
    image: Float[Tensor, "*space"], sample: PreparedGraph, rule: SnakeRule
) -> SnakeMotion:
    """The motion of one annotation down an image, of which only shape and type matter here."""
    edges = rule.voxel_edges(image.ndim)
    filters = rule.filters(image.ndim)
    start = sample.positions.to(image)
    rest = rest_slope = torch.zeros_like(start)
    if rule.rest != "none":
        # Only the voxels that the filter reaches from a node have to be right.
        reach = math.hypot(*((f.reach + 1) * edge for f, edge in zip(filters, edges, strict=True)))
        own_map = rendered(image, start, sample, rule, min(reach, rule.d_max))
        rest_slope = filtered_gradient(own_map, start, filters)
    if rule.rest == "annotation":
        rest = start
    if rule.rest == "ends":
        rest_slope = rest_slope * sample.ends[:, None]
    # A slope per voxel becomes one per unit of length, and so does the motion it causes.
    squares = start.new_tensor([edge**2 for edge in edges])
    return SnakeMotion(
        rest,
        rest_slope,
        rule.step_size * rule.external_factor / squares * sample.free,
        ImplicitStep(sample.forces, sample.free, rule.step_size, rule.solver),
        filters,
        rule.steps,
    )


def rendered(
    image: Float[Tensor, "*space"],
    positions: Float[Tensor, "nodes dims"],
    sample: PreparedGraph,
    rule: SnakeRule,
    d_max: float,
) -> Float[Tensor, "*space"]:
    """The distance map of an annotation in the array of an image, its nodes at `positions`."""
    spacing = rule.voxel_edges(image.ndim)
    return render_distance_map(
        positions, sample.edges, image.shape, d_max, spacing=spacing, backend=rule.backend
    )


def trajectory(
    image: Float[Tensor, "*space"], start: Float[Tensor, "nodes dims"], motion: SnakeMotion
) -> list[Float[Tensor, "nodes dims"]]:
    """The positions at the start and after each step, without gradients."""
    places = [start.detach()]
    with torch.no_grad():
        for _ in range(motion.steps):
            places.append(motion.step(image, places[-1]))
    return places


def final_positions(
    image: Float[Tensor, "*space"], start: Float[Tensor, "nodes dims"], motion: SnakeMotion
) -> Float[Tensor, "nodes dims"]:
    """The last positions of [`trajectory`][], with their gradient with respect to the image.

    It passes through every step: the slope that was felt, the place where it was felt, and the
    implicit solve. `start` is a constant.
    """
    return _FinalPositions.apply(image, start, motion)  # type: ignore[return-value]


class _FinalPositions(torch.autograd.Function):
    """Keeps the positions of every step only, and walks back over them."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, start: Tensor, motion: SnakeMotion) -> Tensor:
        places = trajectory(image, start, motion)
        ctx.motion = motion
        ctx.save_for_backward(image, *places[:-1])
        return places[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        motion: SnakeMotion = ctx.motion
        image, *places = ctx.saved_tensors
        values = image.reshape(-1)
        total = torch.zeros_like(values)
        pulled = gradients[0]
        for place in reversed(places):
            pulled = motion.implicit.adjoint(pulled)
            with torch.enable_grad():
                at = place.requires_grad_()
                index, weights = neighbourhoods(at, tuple(image.shape), motion.filters)
                patches = values[index].requires_grad_()
                slope = weighted_gradient(patches, weights)
                to_place, to_patches = torch.autograd.grad(
                    slope, (at, patches), -motion.pace * pulled
                )
            total.index_add_(0, index.flatten(), to_patches.flatten())
            pulled = pulled + to_place
        return total.reshape(image.shape), None, None
