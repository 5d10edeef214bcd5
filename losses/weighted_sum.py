"""Add losses, each with its weight or schedule, and keep the value of every term."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from topodelin.losses.prepared import moved_record
from topodelin.losses.schedule import GradientBalance, Ramp, Switch, weight_at

Scalar = Float[Tensor, ""]
Weight = float | Ramp | Switch | GradientBalance


@dataclass(frozen=True)
class PreparedTargets:
    """What each term made of an annotation, by the name of the term ([`WeightedSum.prepare`][])."""

    parts: Mapping[str, Any]

    def to(self, device: torch.device | str) -> "PreparedTargets":
        """The same on another device."""
        return moved_record(self, device)


class WeightedSum(nn.Module):
    r"""The weighted sum of losses, $\sum_i w_i L_i$.

        late = Ramp(0, 1e-3, start=2000)
        loss = WeightedSum({"mse": (MSELoss(), 1.0), "conn": (ConnLoss(), late)})
        loss.step = 2500
        value = loss(prediction, target)
        loss.last_terms["conn"]   # its value before the weight

    The target is one tensor that all terms share. Where terms want different things, it is a
    mapping, and each term gets the entry named by its attribute `takes` ("distance_map" unless it
    says otherwise): `{"distance_map": maps, "graphs": [graph, graph]}`.

    Args:
        terms: name -> (loss, weight). The weight is a number, a schedule of the step ([`Ramp`][],
            [`Switch`][]) or a [`GradientBalance`][] with the first term, which must itself have
            one of the others. With a balance the gradient flows to the prediction alone, and
            cannot be differentiated again.

    Attributes:
        step: the step of the training, set by the caller; 0 at first.
        last_terms: after a call, the value of each term before its weight, detached. A term
            whose weight is 0 is not computed and is absent.
        last_weights: after a call, the weight of every term; of a balanced one a tensor, so that
            nothing waits for the device.
    """

    def __init__(self, terms: Mapping[str, tuple[nn.Module, Weight]]) -> None:
        super().__init__()
        _check_terms(terms)
        self.losses = nn.ModuleDict({name: loss for name, (loss, _) in terms.items()})
        self.weights = {name: weight for name, (_, weight) in terms.items()}
        self.step = 0
        self.last_terms: dict[str, Tensor] = {}
        self.last_weights: dict[str, float | Tensor] = {}

    @property
    def takes(self) -> frozenset[str]:
        """The kinds of annotation that the terms want."""
        return frozenset(getattr(loss, "takes", "distance_map") for loss in self.losses.values())

    def prepare(self, target: Tensor | Mapping[str, Any] | PreparedTargets) -> PreparedTargets:
        """Do the work that depends on the annotation only, for every term that has such work.

        Call it where batches are made, in the worker of a data loader, and give the result to the
        loss in the place of the target; the value is the same. What is prepared stays as it is.
        """
        if isinstance(target, PreparedTargets):
            return target
        parts = {}
        for name, loss in self.losses.items():
            part = _part_for(name, loss, target)
            parts[name] = loss.prepare(part) if hasattr(loss, "prepare") else part  # type: ignore[operator]
        return PreparedTargets(parts)

    def forward(
        self,
        prediction: Tensor | Mapping[str, Tensor],
        target: Tensor | Mapping[str, Any] | PreparedTargets,
    ) -> Scalar:
        factors = {
            name: weight_at(w.rho if isinstance(w, GradientBalance) else w, self.step)
            for name, w in self.weights.items()
        }
        used = {name: self.losses[name] for name, factor in factors.items() if factor != 0}
        parts = {name: _part_for(name, loss, target) for name, loss in used.items()}
        self.last_weights = dict(factors)
        self.last_terms = {}
        if not used:
            maps = [prediction] if isinstance(prediction, Tensor) else list(prediction.values())
            return torch.stack([each.sum() * 0.0 for each in maps]).sum()
        if any(isinstance(self.weights[name], GradientBalance) for name in used):
            return self._balanced(prediction, parts, factors)  # type: ignore[arg-type]
        values = {name: loss(prediction, parts[name]) for name, loss in used.items()}
        self.last_terms = {name: value.detach() for name, value in values.items()}
        return torch.stack([factors[name] * value for name, value in values.items()]).sum()

    def _balanced(
        self, prediction: Tensor, parts: Mapping[str, Any], factors: Mapping[str, float]
    ) -> Scalar:
        """Each term by itself on a copy of the prediction, so that its gradient is seen alone."""
        first = next(iter(self.weights))
        values, gradients = [], []
        reference = torch.zeros((), device=prediction.device)
        for name in parts:
            with torch.enable_grad():
                leaf = prediction.detach().requires_grad_()
                value = self.losses[name](leaf, parts[name])
                (gradient,) = torch.autograd.grad(value, leaf, allow_unused=True)
            gradient = torch.zeros_like(leaf) if gradient is None else gradient
            norm = gradient.float().norm()
            weight: float | Tensor = factors[name]
            if name == first:
                reference = norm * weight
            balance = self.weights[name]
            if isinstance(balance, GradientBalance):
                weight = torch.where(norm > 0, factors[name] * reference / norm, 0.0)
                weight = weight.clamp(max=balance.most)
                self.last_weights[name] = weight
            self.last_terms[name] = value.detach()
            values.append(weight * value.detach())
            gradients.append((weight * gradient).to(prediction.dtype))
        return _WithGradient.apply(prediction, torch.stack(values).sum(), sum(gradients))  # type: ignore[return-value]


class _WithGradient(torch.autograd.Function):
    """A value whose gradient with respect to the prediction is known already."""

    @staticmethod
    def forward(ctx: Any, prediction: Tensor, value: Tensor, gradient: Tensor) -> Tensor:  # noqa: ARG004
        ctx.save_for_backward(gradient)
        return value.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *factors: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return factors[0].to(gradient.dtype) * gradient, None, None


def _part_for(name: str, loss: nn.Module, target: Any) -> Any:
    if isinstance(target, PreparedTargets):
        return target.parts[name]
    takes = getattr(loss, "takes", "distance_map")
    if not isinstance(target, Mapping):
        return target
    if takes not in target:
        raise ValueError(
            f"`target` must hold {takes!r} for the term {name!r}, got {sorted(target)}"
        )
    return target[takes]


def _check_terms(terms: Mapping[str, tuple[nn.Module, Weight]]) -> None:
    if not terms:
        raise ValueError("`terms` must name at least one loss, got none")
    for name, term in terms.items():
        if len(term) != 2 or not isinstance(term[0], nn.Module):
            raise TypeError(
                f"`terms[{name!r}]` must be a pair (loss module, weight), got {term}; "
                "build the loss first, as in (MSELoss(), 1.0)"
            )
    first = next(iter(terms))
    if isinstance(terms[first][1], GradientBalance):
        raise ValueError(
            f"`terms[{first!r}]`, the first, must have a weight of its own, got a "
            "GradientBalance; the other terms are balanced with it"
        )
