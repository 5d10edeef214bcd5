"""The networks that a configuration or a model file may name.

`MODELS` are classes, whose arguments are their architecture; `ZOO` (`zoo.toml`) are published
networks: a class with the arguments of a paper.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from topodelin.models.cenet import CENet
from topodelin.models.centre_voxel import CentreVoxelNet
from topodelin.models.convnext import ConvNeXt3D
from topodelin.models.deeplab import DeepLab
from topodelin.models.dmcn import DMCN
from topodelin.models.hybrid import Hybrid2D3D
from topodelin.models.medicalnet import MedicalNet
from topodelin.models.network import Network
from topodelin.models.resnet_unet import ResNetUNet
from topodelin.models.resunet import ResUNet
from topodelin.models.resunetpp import ResUNetPlusPlus
from topodelin.models.tree_ensemble import TreeEnsemble
from topodelin.models.unet import UNet
from topodelin.models.vae import VAE

_NETWORKS: list[type[Network]] = [
    UNet,
    ResUNet,
    ResUNetPlusPlus,
    CENet,
    ResNetUNet,
    MedicalNet,
    DMCN,
    DeepLab,
    Hybrid2D3D,
    CentreVoxelNet,
    ConvNeXt3D,
    VAE,
    TreeEnsemble,
]

MODELS: dict[str, type[Network]] = {network.__name__.lower(): network for network in _NETWORKS}


@dataclass(frozen=True)
class ZooEntry:
    """A published network.

    Args:
        name: of its class, a key of `MODELS`.
        arguments: of its constructor.
        dims: axes of space.
        parameters: how many weights it has.
        seed: the experiment that asks for it.
        paper: where it comes from.
        trainable: how many of the weights learn, where some are frozen.
    """

    name: str
    arguments: Mapping[str, Any]
    dims: int
    parameters: int
    seed: str
    paper: str
    trainable: int | None = None

    def build(self, **changes: Any) -> Network:
        """The network with fresh weights; `changes` go over the arguments."""
        return MODELS[self.name](**{**self.arguments, **changes})


def _read() -> dict[str, ZooEntry]:
    text = Path(__file__).with_name("zoo.toml").read_text("utf-8")
    entries = tomllib.loads(text).items()
    return {name: ZooEntry(name=facts.pop("class"), **facts) for name, facts in entries}


ZOO: dict[str, ZooEntry] = _read()
