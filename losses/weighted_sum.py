"""Add losses, each with its weight or schedule, and keep the value of every term."""

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor, nn

from topodelin.losses.schedule import Ramp

Scalar = Float[Tensor, ""]


class WeightedSum(nn.Module):
    """The weighted sum of losses.

        late = Ramp(0, 1e-3, start=2000)
        loss = WeightedSum({"mse": (MSELoss(), 1.0), "conn": (ConnLoss(), late)})
        loss.step = 2500
        value = loss(prediction, target)
        loss.last_terms["conn"]   # its value before the weight

    Args:
        terms: name -> (loss, weight), the weight a number or a [`Ramp`][] of the step.

    Attributes:
        step: the step of the training, set by the caller; 0 at first.
        last_terms: after a call, the value of each term before its weight, detached. A term
            whose weight is 0 is not computed and is absent.
        last_weights: after a call, the weight of every term.
    """

    def __init__(self, terms: Mapping[str, tuple[nn.Module, float | Ramp]]) -> None:
        super().__init__()
        if not terms:
            raise ValueError("`terms` must name at least one loss, got none")
        for name, term in terms.items():
            if len(term) != 2 or not isinstance(term[0], nn.Module):
                raise TypeError(
                    f"`terms[{name!r}]` must be a pair (loss module, weight), got {term}; "
                    "build the loss first, as in (MSELoss(), 1.0)"
                )
        self.losses = nn.ModuleDict({name: loss for name, (loss, _) in terms.items()})
        self.weights = {name: weight for name, (_, weight) in terms.items()}
        self.step = 0
        self.last_terms: dict[str, Tensor] = {}
        self.last_weights: dict[str, float] = {}

    def forward(self, prediction: Tensor, target: Tensor) -> Scalar:
        self.last_weights = {
            name: float(weight(self.step) if isinstance(weight, Ramp) else weight)
            for name, weight in self.weights.items()
        }
        values = {
            name: loss(prediction, target)
            for name, loss in self.losses.items()
            if self.last_weights[name] != 0
        }
        self.last_terms = {name: value.detach() for name, value in values.items()}
        if not values:
            return prediction.sum() * 0.0
        return sum(self.last_weights[name] * value for name, value in values.items())  # type: ignore[return-value]
