"""Weights from elsewhere: what fits by name and shape is taken, and all the rest is told."""

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.networks.nets import resnet
from safetensors.torch import save_file
from torch import Tensor

from topodelin.models.cenet import CENet
from topodelin.models.medicalnet import MedicalNet
from topodelin.models.pretrained import Loaded, load_pretrained
from topodelin.models.resnet import ResNet
from topodelin.models.resnet_unet import ResNetUNet
from topodelin.models.storage import ModelError


def trunk(depth: int = 18, **changes) -> Any:
    torch.manual_seed(1)
    return ResNet(**{"dims": 2, "in_channels": 3, "depth": depth, "base": 4, **changes})


def stored(path: Path, tensors: dict[str, Tensor]) -> Path:
    save_file({name: value.contiguous() for name, value in tensors.items()}, path)
    return path


@pytest.fixture
def imagenet(tmp_path) -> tuple[Any, Path]:
    """A classifier with the names of torchvision, and its file."""
    torch.manual_seed(0)
    network = resnet.ResNet(
        "basic",
        [2, 2, 2, 2],
        [4, 8, 16, 32],
        spatial_dims=2,
        n_input_channels=3,
        num_classes=5,
        bias_downsample=False,
        conv1_t_stride=2,
    )
    return network.eval(), stored(tmp_path / "resnet18.safetensors", network.state_dict())


def test_a_trunk_computes_what_the_stored_classifier_did(imagenet) -> None:
    other, file = imagenet
    network = trunk().eval()
    found = load_pretrained(network, file)
    assert found.absent == () and found.misshapen == ()
    assert found.unused == ("fc.bias", "fc.weight")
    assert set(found.loaded) == set(network.state_dict())
    image = torch.randn(1, 3, 64, 40)
    torch.testing.assert_close(other.fc(network(image)[-1].mean((2, 3))), other(image))


def test_a_file_of_a_trunk_goes_into_the_trunk_of_a_larger_network(imagenet) -> None:
    _, file = imagenet
    network = ResNetUNet(2, depth=18, base=4, widths=(8, 8, 8, 4, 4), repeat=3, frozen=True)
    found = load_pretrained(network, file)
    assert len(found.loaded) == len(network.trunk.state_dict())
    assert {name.split(".")[0] for name in found.absent} == {"up", "head"}
    assert found.unused == ("trunk.fc.bias", "trunk.fc.weight")
    alone = trunk()
    load_pretrained(alone, file)
    for name, value in alone.state_dict().items():
        assert torch.equal(network.trunk.state_dict()[name], value)
    assert not any(weight.requires_grad for weight in network.trunk.parameters())


def test_the_trunk_of_ce_net_takes_the_same_files(tmp_path) -> None:
    file = stored(tmp_path / "resnet34.safetensors", trunk(34).state_dict())
    found = load_pretrained(CENet(2, 3, base=4), file)
    assert not any(name.startswith("trunk.") for name in found.absent) and found.unused == ()


def test_a_whole_network_goes_back_into_itself(tmp_path) -> None:
    first = MedicalNet(2, base=2, width=2)
    file = stored(tmp_path / "model.safetensors", first.state_dict())
    second = MedicalNet(2, base=2, width=2)
    assert load_pretrained(second, file).absent == ()
    for name, value in first.state_dict().items():
        assert torch.equal(second.state_dict()[name], value)


def test_a_file_of_medicalnet_fits_but_for_its_wrapper_and_its_own_tail(tmp_path) -> None:
    # Wrapped for several devices, its last convolution for another number of classes.
    written: Any = MedicalNet(3, 1, 2, depth=18, shortcut="A", base=2, width=2)
    names = {f"module.{n.removeprefix('trunk.')}": v for n, v in written.trunk.state_dict().items()}
    tail = {f"module.conv_seg.{n}": v for n, v in written.conv_seg.state_dict().items()}
    file = stored(tmp_path / "resnet_18.safetensors", names | tail)
    network: Any = MedicalNet(3, depth=18, shortcut="A", base=2, width=2)
    found = load_pretrained(network, file)
    assert torch.equal(network.trunk.conv1.weight, written.trunk.conv1.weight)
    assert len(found.loaded) == len(names)
    renamed = {"conv_seg.": "conv_seg.", "": "trunk."}
    found = load_pretrained(network, file, renamed=renamed)
    assert found.absent == () and found.unused == ()
    assert found.misshapen == (("conv_seg.6.weight", (2, 2, 1, 1, 1), (1, 2, 1, 1, 1)),)
    assert torch.equal(network.conv_seg[3].weight, written.conv_seg[3].weight)


def test_absent_unused_and_misshapen_names_are_told_and_left_alone(imagenet, tmp_path) -> None:
    other, _ = imagenet
    tensors = other.state_dict()
    del tensors["layer1.0.bn1.weight"]
    tensors["conv1.weight"] = tensors["conv1.weight"][:, :1]
    network = trunk()
    before = network.conv1.weight.clone()
    found = load_pretrained(network, stored(tmp_path / "other.safetensors", tensors))
    assert found.absent == ("layer1.0.bn1.weight",)
    assert found.misshapen == (("conv1.weight", (4, 1, 7, 7), (4, 3, 7, 7)),)
    assert torch.equal(network.conv1.weight, before)
    assert str(found) == (
        f"{len(found.loaded)} weights loaded; 1 not in the file: layer1.0.bn1.weight; "
        "2 of the file unused: fc.bias, fc.weight; "
        "1 of another shape: conv1.weight (4, 1, 7, 7) for (4, 3, 7, 7)"
    )


def test_old_files_without_counters_of_batches_lack_nothing(imagenet, tmp_path) -> None:
    tensors = {n: v for n, v in imagenet[0].state_dict().items() if "num_batches" not in n}
    assert load_pretrained(trunk(), stored(tmp_path / "old.safetensors", tensors)).absent == ()


def test_a_checkpoint_of_a_run_gives_its_weights_only(imagenet, tmp_path) -> None:
    tensors = {f"network.{name}": value for name, value in imagenet[0].state_dict().items()}
    tensors |= {"optimizer.0.step": torch.zeros(1), "averaged.conv1.weight": torch.zeros(1)}
    found = load_pretrained(trunk(), stored(tmp_path / "run.safetensors", tensors))
    assert found.absent == () and found.unused == ("fc.bias", "fc.weight")


def test_half_precision_files_are_widened(imagenet, tmp_path) -> None:
    tensors = {
        n: v.half() if v.is_floating_point() else v for n, v in imagenet[0].state_dict().items()
    }
    network = trunk()
    load_pretrained(network, stored(tmp_path / "half.safetensors", tensors))
    assert network.conv1.weight.dtype == torch.float32
    assert torch.equal(network.conv1.weight, tensors["conv1.weight"].float())


def test_a_long_list_is_cut_short_when_told() -> None:
    told = str(Loaded(("a",), tuple("bcdefg"), (), ()))
    assert told == "1 weights loaded; 6 not in the file: b, c, d and 3 more"


def faulty(folder: Path) -> dict[str, Path]:
    good = trunk().state_dict()
    pickled, old, torn = folder / "a.pth", folder / "old.pth", folder / "torn.safetensors"
    torch.save(good, pickled)
    old.write_bytes(pickle.dumps({"conv1.weight": [1.0]}))
    torn.write_bytes(stored(folder / "whole.safetensors", good).read_bytes()[:5000])
    (folder / "empty.safetensors").touch()
    broken = {**good, "layer1.0.conv1.weight": good["layer1.0.conv1.weight"] * float("nan")}
    counted = {**good, "conv1.weight": good["conv1.weight"].to(torch.int8)}
    counters = {name: value for name, value in good.items() if "num_batches" in name}
    return {
        "pickled": pickled,
        "old": old,
        "torn": torn,
        "empty": folder / "empty.safetensors",
        "folder": folder,
        "missing": folder / "none.safetensors",
        "broken": stored(folder / "broken.safetensors", broken),
        "quantised": stored(folder / "quantised.safetensors", counted),
        "foreign": stored(folder / "foreign.safetensors", {"encoder.0": torch.zeros(3)}),
        "counters": stored(folder / "counters.safetensors", counters),
        "nothing": stored(folder / "nothing.safetensors", {}),
    }


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("pickled", "is no safetensors file; convert a pickle that you trust once: python -c"),
        ("old", "is no safetensors file; convert a pickle"),
        ("torn", r"is no whole safetensors file \(.*\); copy it again"),
        ("empty", r"is no whole safetensors file \(.*\); copy it again"),
        ("folder", "no such file of weights"),
        ("missing", "no such file of weights"),
        ("broken", "`layer1.0.conv1.weight` holds NaN or infinite values"),
        ("quantised", r"`conv1.weight` must be torch.float32, got torch.int8"),
        ("foreign", "must hold weights of a ResNet, got none that fits .* unused: encoder.0"),
        ("counters", "must hold weights of a ResNet, got none that fits"),
        ("nothing", "must hold weights of a ResNet, got none that fits"),
    ],
)
def test_a_faulty_file_is_refused_in_one_line_and_changes_nothing(fault, message, tmp_path) -> None:
    network = trunk(depth=18)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(ModelError, match=message) as refusal:
        load_pretrained(network, faulty(tmp_path)[fault])
    assert "\n" not in str(refusal.value)
    assert all(torch.equal(network.state_dict()[name], value) for name, value in before.items())


def test_a_pickle_is_never_opened(tmp_path) -> None:
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    file = tmp_path / "trap.pth"
    file.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ModelError):
        load_pretrained(trunk(), file)
    assert not (tmp_path / "sprung").exists()


def test_two_names_of_a_file_may_not_become_one(imagenet) -> None:
    renamed = {"layer1.": "", "layer2.": ""}
    with pytest.raises(ModelError, match="`renamed` must keep names apart, got 0.bn1.bias for"):
        load_pretrained(trunk(), imagenet[1], renamed=renamed)
