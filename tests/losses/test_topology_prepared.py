"""Annotations prepared ahead: the same bits, picklable, and refused by another loss."""

import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.losses.drawings import curves, noisy
from topodelin.losses import ConnLoss, L2DLoss, L3DLoss, TopoLoss, min_projections

IMAGES = torch.cat([curves(seed, (60, 70)) for seed in range(2)])
VOLUMES = torch.cat([curves(seed, (20, 40, 30)) for seed in range(2)])

CASES: dict[str, tuple[Any, Any, Tensor]] = {
    "topo": (TopoLoss(), IMAGES, noisy(IMAGES, 0)),
    "topo paper": (TopoLoss.paper(), IMAGES, noisy(IMAGES, 0)),
    "topo overlapping": (TopoLoss(stride=30), IMAGES, noisy(IMAGES, 0)),
    "conn": (ConnLoss(), VOLUMES, noisy(VOLUMES, 0)),
    "conn slabs": (ConnLoss(axes=(4, 2), slab=8), VOLUMES, noisy(VOLUMES, 0)),
    "l3d": (L3DLoss(), VOLUMES, noisy(VOLUMES, 0)),
    "l2d": (L2DLoss(), min_projections(VOLUMES), noisy(VOLUMES, 0)),
    "l3d by torch": (L3DLoss(backend="torch"), VOLUMES, noisy(VOLUMES, 0)),
}
every_case = pytest.mark.parametrize("name", CASES)


def value_and_gradient(loss: nn.Module, prediction: Tensor, target: Any, **masks: Any) -> Any:
    prediction = prediction.clone().requires_grad_()
    value = loss(prediction, target, **masks)
    value.backward()
    return value.detach(), prediction.grad


@every_case
def test_a_prepared_target_gives_the_same_bits(name: str) -> None:
    loss, target, prediction = CASES[name]
    plain = value_and_gradient(loss, prediction, target)
    prepared = pickle.loads(pickle.dumps(loss.prepare(target))).to("cpu")
    ahead = value_and_gradient(loss, prediction, prepared)
    assert plain[0] > 0
    assert torch.equal(plain[0], ahead[0]) and torch.equal(plain[1], ahead[1])


@every_case
def test_a_mask_is_given_when_preparing(name: str) -> None:
    loss, target, prediction = CASES[name]
    whole = target if isinstance(target, Tensor) else target[0]
    ignored: Any = torch.zeros_like(whole, dtype=torch.bool)
    ignored[..., :9] = True
    if not isinstance(target, Tensor):
        ignored = [ignored, *(torch.zeros_like(image, dtype=torch.bool) for image in target[1:])]
    plain = value_and_gradient(loss, prediction, target, ignored=ignored)
    prepared = loss.prepare(target, ignored=ignored)
    ahead = value_and_gradient(loss, prediction, prepared)
    assert plain[0] != loss(prediction, target)
    assert torch.equal(plain[0], ahead[0]) and torch.equal(plain[1], ahead[1])
    with pytest.raises(ValueError, match="give it to `prepare`"):
        loss(prediction, prepared, ignored=ignored)


@every_case
def test_it_can_be_prepared_where_its_values_are_not(name: str) -> None:
    loss, target, prediction = CASES[name]
    elsewhere = loss.prepare(target).to("meta")
    with pytest.raises(ValueError, match="must be on one device, got cpu and meta"):
        loss(prediction, elsewhere)


@every_case
def test_a_prediction_that_does_not_fit_is_refused(name: str) -> None:
    loss, target, prediction = CASES[name]
    with pytest.raises(ValueError, match="must have the same shape|must have the shape"):
        loss(prediction[..., :-1], loss.prepare(target))


@every_case
def test_a_prediction_that_is_not_finite_is_refused(name: str) -> None:
    loss, target, prediction = CASES[name]
    with pytest.raises(ValueError, match="`prediction` must be finite"):
        loss(prediction + torch.inf, loss.prepare(target))


@pytest.mark.parametrize("how", [lambda t: t - 1, lambda t: t + 30, lambda t: t * torch.nan])
@every_case
def test_a_bad_annotation_is_refused_when_preparing(name: str, how: Any) -> None:
    loss, target, _ = CASES[name]
    bad = how(target) if isinstance(target, Tensor) else [how(image) for image in target]
    with pytest.raises(ValueError, match="`target` must be"):
        loss.prepare(bad)


@pytest.mark.parametrize("kind", [TopoLoss, ConnLoss, L3DLoss])
def test_an_annotation_prepared_by_another_loss_is_refused(kind: Any) -> None:
    target = IMAGES if kind is TopoLoss else VOLUMES
    constants: Any = {"window": 32, "d_max": 15.5}
    other = kind(**constants) if kind is TopoLoss else kind(topo=constants)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="got others in window, d_max; call `prepare` of this"):
        kind()(noisy(target, 0), other.prepare(target))


def test_projections_along_other_axes_are_refused() -> None:
    prepared = ConnLoss(axes=(2, 3)).prepare(VOLUMES)
    with pytest.raises(ValueError, match=r"axes=\(2, 3, 4\) and slab=None, got \(2, 3\) and None"):
        ConnLoss()(noisy(VOLUMES, 0), prepared)
