"""One contract for every network of the zoo, at a size that a test can afford."""

import dataclasses
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from topodelin.models import MODELS, ZOO, Network, SegmentationCard, load_model, save_model

TINY: dict[str, dict[str, Any]] = {
    "unet": {"base": 2},
    "resunet": {"base": 4},
    "resunetplusplus": {"base": 4, "reduction": 1, "rates": (1, 2)},
    "cenet": {"base": 8},
    "resnetunet": {"base": 4, "widths": (16, 12, 8, 6, 4), "frozen": False},
    "medicalnet": {"base": 4, "width": 4},
    "dmcn": {"base": 4, "branch": 4},
    "deeplab": {"base": 4, "width": 8, "fine": 4},
    "hybrid2d3d": {"base": 2},
    "centrevoxelnet": {},
    "convnext3d": {"depths": (1, 1), "widths": (4, 6), "kernel": 3, "window": 8, "patch": 2},
    "vae": {"trunk": "3layer", "latent": 5, "decoder": (6, 4, 3), "trunk_arguments": {}},
}
NAMES = sorted(ZOO)
KINDS = sorted({(entry.name, entry.dims): name for name, entry in ZOO.items()}.values())


def tiny(name: str, **changes: Any) -> Network:
    """The network of the zoo with few channels; reproducible weights."""
    torch.manual_seed(0)
    return ZOO[name].build(**{**TINY[ZOO[name].name], **changes})


def images(network: Network, batch: int = 2, seed: int = 1) -> Tensor:
    """As small as the network takes, but twice where one voxel would be left at the bottom."""
    generator = torch.Generator().manual_seed(seed)
    size = network.next_size((8,) * network.dims)
    return torch.randn(batch, network.in_channels, *size, generator=generator)


def outputs(network: nn.Module, seen: Tensor) -> dict[str, Tensor]:
    found = network(seen)
    return found if isinstance(found, dict) else {"main": found}


def test_every_class_has_a_published_network_and_every_network_a_tiny_one() -> None:
    learnt_otherwise = {"treeensemble"}  # has no architecture before it has learnt
    assert {entry.name for entry in ZOO.values()} == set(TINY) == set(MODELS) - learnt_otherwise


@pytest.mark.parametrize("name", NAMES)
def test_it_has_as_many_weights_as_were_published(name: str) -> None:
    with torch.device("meta"):
        network = ZOO[name].build()
    weights = list(network.parameters())
    assert sum(weight.numel() for weight in weights) == ZOO[name].parameters
    learn = sum(weight.numel() for weight in weights if weight.requires_grad)
    assert learn == (ZOO[name].trainable or ZOO[name].parameters)
    assert network.dims == ZOO[name].dims


@pytest.mark.parametrize("name", KINDS)
def test_the_output_has_the_size_that_the_network_tells(name: str) -> None:
    network = tiny(name).eval()
    seen = images(network)
    found = outputs(network, seen)
    heads = getattr(network, "heads", ("main",))
    assert tuple(found) == heads and heads[0] == "main"
    main = found["main"]
    assert main.shape[:2] == (2, network.out_channels)
    lost = zip(seen.shape[2:], network.shrink, strict=True)
    assert tuple(main.shape[2:]) == tuple(n - s for n, s in lost)


@pytest.mark.parametrize("name", KINDS)
def test_every_weight_learns(name: str) -> None:
    network = tiny(name).train()
    total = sum(
        (part * torch.randn_like(part)).sum() for part in outputs(network, images(network)).values()
    )
    assert isinstance(total, Tensor)
    total.backward()
    silent = [n for n, weight in network.named_parameters() if weight.grad is None]
    assert not silent


@pytest.mark.parametrize("name", KINDS)
def test_a_size_that_does_not_fit_is_answered_with_the_next_that_does(name: str) -> None:
    network = tiny(name).eval()
    size = tuple(n + 1 for n in network.next_size((8,) * network.dims))
    fitting = network.next_size(size)
    assert network.next_size(fitting) == fitting
    if fitting == size:  # it takes any size
        outputs(network, torch.zeros(1, network.in_channels, *size))
        return
    with pytest.raises(ValueError) as error:
        network(torch.zeros(1, network.in_channels, *size))
    assert str(fitting) in str(error.value) and "\n" not in str(error.value)
    for wrong in (torch.zeros(network.in_channels, *fitting), torch.zeros(1, 9, *fitting)):
        with pytest.raises(ValueError, match="`images` must have"):
            network(wrong)
    with pytest.raises(TypeError, match="floating point"):
        network(torch.zeros(1, network.in_channels, *fitting, dtype=torch.uint8))


@pytest.mark.parametrize("name", KINDS)
def test_its_file_alone_rebuilds_it(name: str, tmp_path: Path) -> None:
    network = tiny(name).eval()
    card = SegmentationCard(
        ZOO[name].name, network.arguments, (1, 1, 1), (8, 8, 8), (0, 0, 0), ("a", "b")
    )
    save_model(tmp_path / "m.safetensors", network, card)
    again, read = load_model(tmp_path / "m.safetensors")
    assert dataclasses.asdict(read) == dataclasses.asdict(card)
    seen = images(network)
    for one, two in zip(
        outputs(network, seen).values(), outputs(again, seen).values(), strict=True
    ):
        assert torch.equal(one, two)


@pytest.mark.parametrize("name", KINDS)
def test_half_precision_stays_finite(name: str) -> None:
    network = tiny(name).eval().bfloat16()
    for part in outputs(network, images(network).bfloat16()).values():
        assert part.dtype == torch.bfloat16 and bool(part.isfinite().all())


@pytest.mark.parametrize("name", KINDS)
def test_it_can_be_exported(name: str) -> None:
    network = tiny(name).eval()
    seen = images(network)
    program = torch.export.export(network, (seen,))
    expected, found = outputs(network, seen), outputs(program.module(), seen)
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=1e-4, atol=1e-5)
    assert math.isfinite(float(expected["main"].detach().sum()))


COMPILED = """
import torch
from topodelin.models import ZOO

torch.manual_seed(0)
for name, changes in {changes}.items():
    network = ZOO[name].build(**changes).eval()
    seen = torch.randn(2, network.in_channels, *network.next_size((8,) * network.dims))
    compiled = torch.compile(network, backend="aot_eager", fullgraph=True)
    main = [f["main"] if isinstance(f, dict) else f for f in (network(seen), compiled(seen))]
    torch.testing.assert_close(*main, rtol=1e-4, atol=1e-5)
"""


def test_networks_can_be_compiled() -> None:
    """In a process of its own: the checks of shapes that the tests add cannot be compiled."""
    names = ("hybrid2d3d",)
    code = COMPILED.format(changes={name: TINY[ZOO[name].name] for name in names})
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
