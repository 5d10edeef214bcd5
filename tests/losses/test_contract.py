"""What holds for every loss: inputs accepted, refused with a remedy, and left alone."""

import math
import pickle
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.losses.drawings import curves, noisy
from topodelin.losses import LOSSES, MinProjectionLoss, MSELoss

IMAGE = (1, 1, 20, 24)
VOLUME = (1, 1, 12, 20, 24)
# The others, which take projections or graphs: test_l2d_loss.py and test_snake_contract.py.
ON_MAPS = [name for name, loss in LOSSES.items() if not hasattr(loss, "takes")]
every_loss = pytest.mark.parametrize("name", ON_MAPS)
map_losses = pytest.mark.parametrize("name", [name for name in ON_MAPS if name != "mse"])
clipped_losses = pytest.mark.parametrize("name", ["topo", "conn", "l3d", "malis"])
prepared_losses = pytest.mark.parametrize(
    "name", [name for name in ON_MAPS if hasattr(LOSSES[name], "prepare")]
)
volume_losses = pytest.mark.parametrize("name", ["conn", "l3d"])


def loss_and_pair(name: str) -> tuple[nn.Module, Tensor, Tensor]:
    """A loss and what it accepts: a noisy prediction and a target."""
    target = curves(0, (IMAGE if name == "topo" else VOLUME)[2:])
    return LOSSES[name](), noisy(target, 0), target


@every_loss
def test_inputs_are_left_alone(name: str) -> None:
    loss, prediction, target = loss_and_pair(name)
    before = prediction.clone(), target.clone()
    prediction.requires_grad_()
    loss(prediction, target).backward()
    assert torch.equal(prediction, before[0]) and torch.equal(target, before[1])


@prepared_losses
def test_a_prepared_target_gives_the_same_value_and_gradient(name: str) -> None:
    loss, prediction, target = loss_and_pair(name)
    prepared = pickle.loads(pickle.dumps(loss.prepare(target))).to("cpu")  # type: ignore[operator]
    gradients = []
    for given in (target, prepared):
        leaf = prediction.clone().requires_grad_()
        value = loss(leaf, given)
        value.backward()
        assert torch.equal(value.detach(), loss(prediction, target)) and leaf.grad is not None
        gradients.append(leaf.grad)
    assert torch.equal(*gradients)


@prepared_losses
def test_a_prepared_target_is_checked_against_the_prediction(name: str) -> None:
    loss, prediction, target = loss_and_pair(name)
    prepared = loss.prepare(target)  # type: ignore[operator]
    with pytest.raises(ValueError, match="must have the same shape"):
        loss(prediction[..., :-1], prepared)
    with pytest.raises(ValueError, match="`prediction` must be finite"):
        loss(prediction * math.nan, prepared)


@every_loss
def test_it_holds_no_state_and_survives_pickling(name: str) -> None:
    loss, prediction, target = loss_and_pair(name)
    assert loss.state_dict() == {} and not list(loss.parameters())
    copy = pickle.loads(pickle.dumps(loss))
    assert torch.equal(copy(prediction, target), loss(prediction, target))


@every_loss
def test_memory_order_does_not_matter(name: str) -> None:
    loss, prediction, target = loss_and_pair(name)
    turned = [
        tensor.transpose(-1, -2).contiguous().transpose(-1, -2) for tensor in (prediction, target)
    ]
    torch.testing.assert_close(loss(*turned), loss(prediction, target))


@every_loss
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_any_float_type_is_summed_in_full_precision(name: str, dtype: torch.dtype) -> None:
    loss, prediction, target = loss_and_pair(name)
    p, t = prediction.to(dtype).requires_grad_(), target.to(dtype)
    value = loss(p, t)
    value.backward()
    assert value.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert p.grad is not None and p.grad.dtype == dtype
    expected = loss(p.detach().float(), t.float())
    torch.testing.assert_close(value.detach().float(), expected)


@every_loss
def test_autocast_changes_nothing(name: str) -> None:
    loss, prediction, target = loss_and_pair(name)
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(prediction, target)
    assert torch.equal(value, loss(prediction, target)) and value.dtype == torch.float32


@every_loss
def test_it_runs_where_the_tensors_are(name: str) -> None:
    # "meta" tensors hold no values; a device that is not the host must at least not be mixed up.
    loss, prediction, target = loss_and_pair(name)
    with pytest.raises(ValueError, match="must be on one device, got meta and cpu"):
        loss(prediction.to("meta"), target)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@every_loss
def test_the_gpu_gives_the_value_of_the_host(name: str) -> None:
    loss, prediction, target = loss_and_pair(name)
    on_gpu = prediction.cuda().requires_grad_()
    value = loss(on_gpu, target.cuda())
    value.backward()
    prediction.requires_grad_()
    expected = loss(prediction, target)
    expected.backward()
    assert value.device.type == "cuda"
    assert prediction.grad is not None and on_gpu.grad is not None
    torch.testing.assert_close(value.cpu(), expected, rtol=1e-5, atol=0)
    torch.testing.assert_close(on_gpu.grad.cpu(), prediction.grad)


@every_loss
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("which", ["prediction", "target"])
def test_values_that_are_not_finite_are_refused(name: str, value: float, which: str) -> None:
    loss, prediction, target = loss_and_pair(name)
    {"prediction": prediction, "target": target}[which].view(-1)[3] = value
    with pytest.raises(ValueError, match=f"`{which}` must be finite"):
        loss(prediction, target)


@every_loss
def test_exchanged_arguments_are_refused(name: str) -> None:
    loss, prediction, target = loss_and_pair(name)
    with pytest.raises(ValueError, match="the order is loss\\(prediction, target\\)"):
        loss(target, prediction.requires_grad_())


@every_loss
@pytest.mark.parametrize("change", [lambda t: t[..., :-1], lambda t: torch.cat([t, t])])
def test_different_shapes_are_refused(name: str, change: Callable[[Tensor], Tensor]) -> None:
    loss, prediction, target = loss_and_pair(name)
    with pytest.raises(ValueError, match="must have the same shape"):
        loss(prediction, change(target))


@every_loss
@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64])
def test_a_mask_is_refused_by_its_type(name: str, dtype: torch.dtype) -> None:
    loss, prediction, target = loss_and_pair(name)
    with pytest.raises(TypeError, match="make one with topodelin.annotation.distance_map"):
        loss(prediction, (target == 0).to(dtype))


@map_losses
def test_a_mask_is_refused_by_its_values(name: str) -> None:
    loss, prediction, target = loss_and_pair(name)
    with pytest.raises(ValueError, match="got only the values 0 and 1, a mask"):
        loss(prediction, (target == 0).float())


@map_losses
def test_a_negative_target_is_refused(name: str) -> None:
    loss, prediction, target = loss_and_pair(name)
    with pytest.raises(ValueError, match="0 on the centreline and positive elsewhere, got -1"):
        loss(prediction, target - 1)


@clipped_losses
def test_a_target_that_is_not_clipped_is_refused(name: str) -> None:
    loss, prediction, target = loss_and_pair(name)
    with pytest.raises(
        ValueError, match=r"clipped at d_max=15, got 30; use target.clamp\(max=15\)"
    ):
        loss(prediction, target.where(target < target.max(), torch.tensor(30.0)))


@every_loss
def test_an_array_is_refused(name: str) -> None:
    loss, prediction, target = loss_and_pair(name)
    # The type checker of the tests speaks first; without it, the loss does.
    with pytest.raises(TypeError, match="torch.from_numpy|Type-check"):
        loss(prediction, np.asarray(target))


@every_loss
def test_an_empty_batch_is_refused(name: str) -> None:
    loss, prediction, target = loss_and_pair(name)
    with pytest.raises(ValueError, match="must not be empty"):
        loss(prediction[:0], target[:0])


def test_a_volume_given_to_an_image_loss_is_sent_to_the_projections() -> None:
    _, prediction, target = loss_and_pair("conn")
    with pytest.raises(ValueError, match="use ConnLoss"):
        LOSSES["topo"]()(prediction, target)


@volume_losses
def test_an_image_given_to_a_volume_loss_is_sent_to_the_image_loss(name: str) -> None:
    _, prediction, target = loss_and_pair("topo")
    with pytest.raises(ValueError, match="use TopoLoss, or add the channel axis"):
        LOSSES[name]()(prediction, target)


@pytest.mark.parametrize(
    ("name", "axes", "remedy"),
    [
        ("topo", 1, r"prediction.unsqueeze\(1\)"),
        ("topo", 2, r"prediction\[None, None\]"),
        ("conn", 2, r"prediction\[None, None\]"),
        ("mse", 4, r"prediction\[None, None\]"),
    ],
)
def test_missing_axes_are_asked_for(name: str, axes: int, remedy: str) -> None:
    loss, prediction, target = loss_and_pair(name)
    first = (0,) * axes
    with pytest.raises(ValueError, match=remedy):
        loss(prediction[first], target[first])


def test_a_map_of_other_rank_is_refused() -> None:
    with pytest.raises(ValueError, match="give it maps with 2 axes of space"):
        LOSSES["topo"]()(torch.zeros(1, 1, 1, 1, 1, 1), torch.zeros(1, 1, 1, 1, 1, 1))


def test_ignored_must_be_a_mask_of_the_same_shape() -> None:
    loss, prediction, target = loss_and_pair("topo")
    with pytest.raises(TypeError, match="`ignored` must be a bool tensor"):
        loss(prediction, target, ignored=target)
    with pytest.raises(ValueError, match="`ignored` must have the shape and device of `target`"):
        loss(prediction, target, ignored=(target == 0)[0])


def test_a_projected_loss_asks_for_volumes_too() -> None:
    _, prediction, target = loss_and_pair("topo")
    with pytest.raises(ValueError, match=r"must be \(batch, channel, z, y, x\)"):
        MinProjectionLoss(MSELoss())(prediction, target)
