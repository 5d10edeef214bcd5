"""Losses on one output of a network with several, and on one class of many."""

from collections.abc import Mapping
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from topodelin.losses import FromLogits, LabelTarget

Scalar = Float[Tensor, ""]


class OnHead(nn.Module):
    """A loss of one named output of a network."""

    def __init__(self, loss: nn.Module, head: str) -> None:
        super().__init__()
        self.loss, self.head = loss, head

    @property
    def takes(self) -> Any:
        """What the loss takes."""
        return getattr(self.loss, "takes", "distance_map")

    def prepare(self, target: Any) -> Any:
        """What the loss makes of the annotation alone."""
        return self.loss.prepare(target) if hasattr(self.loss, "prepare") else target  # type: ignore[operator]

    def forward(self, outputs: Mapping[str, Tensor], target: Any) -> Scalar:
        return self.loss(outputs[self.head], target)


class OnClass(nn.Module):
    r"""A loss of distance maps on one class against the rest.

    The logit of class $k$ against the rest is $x_k - \log\sum_{j \ne k} e^{x_j}$, or the output
    itself where a single channel tells class 1; the annotated map is that of the centreline of
    the voxels of class $k$.
    """

    takes: ClassVar[str] = "labels"

    def __init__(self, loss: nn.Module, number: int) -> None:
        super().__init__()
        self.loss, self.number = FromLogits(loss), number

    def prepare(self, target: LabelTarget) -> Any:
        """The centreline of the class, and what the loss makes of it."""
        return self.loss.prepare((target.classes == self.number)[:, None])

    def forward(self, logits: Float[Tensor, "batch channel *space"], target: Any) -> Scalar:
        ready = self.prepare(target) if isinstance(target, LabelTarget) else target
        return self.loss(one_against_the_rest(logits, self.number), ready)


def one_against_the_rest(
    logits: Float[Tensor, "batch channel *space"], number: int
) -> Float[Tensor, "batch 1 *space"]:
    """The logit of one class against all others."""
    if logits.shape[1] == 1:
        return logits if number == 1 else -logits
    own = logits[:, number : number + 1]
    others = [k for k in range(logits.shape[1]) if k != number]
    return own - logits[:, others].logsumexp(1, keepdim=True)


class GaussianDivergence(nn.Module):
    r"""How far the codes of an autoencoder are from a standard normal distribution.

    $$\frac1B \sum_b \sum_i \tfrac12 \left(\mu_{bi}^2 + e^{v_{bi}} - 1 - v_{bi}\right)$$

    of codes with mean $\mu$ and logarithm of the variance $v$, `(batch, 2, latent)`: summed over
    the code, averaged over the batch. The target is not looked at.
    """

    def forward(self, code: Float[Tensor, "batch 2 latent"], target: Any) -> Scalar:  # noqa: ARG002
        mean, log_variance = code.float().unbind(1)
        each = (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
        return 0.5 * each.mean()
