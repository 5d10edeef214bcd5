"""Networks that regress distance maps, and the files they travel in."""

from topodelin.models.card import ModelCard, SegmentationCard, read_card
from topodelin.models.cenet import CENet
from topodelin.models.centre_voxel import CentreVoxelNet
from topodelin.models.convnext import ConvNeXt3D
from topodelin.models.deeplab import DeepLab
from topodelin.models.dense import dense_version
from topodelin.models.dmcn import DMCN
from topodelin.models.hybrid import Hybrid2D3D
from topodelin.models.medicalnet import MedicalNet
from topodelin.models.network import Network
from topodelin.models.prediction import predict_distance_map, predict_tiled
from topodelin.models.pretrained import Loaded, load_pretrained
from topodelin.models.probabilities import predict_probabilities, probabilities
from topodelin.models.resnet import ResNet
from topodelin.models.resnet_unet import ResNetUNet
from topodelin.models.resunet import ResUNet
from topodelin.models.resunetpp import ResUNetPlusPlus
from topodelin.models.storage import (
    ModelError,
    bundled_models,
    load_distance_model,
    load_model,
    save_model,
)
from topodelin.models.tiles import predict_tiles
from topodelin.models.unet import UNet
from topodelin.models.vae import VAE
from topodelin.models.zoo import MODELS, ZOO, ZooEntry

__all__ = [
    "DMCN",
    "MODELS",
    "VAE",
    "ZOO",
    "CENet",
    "CentreVoxelNet",
    "ConvNeXt3D",
    "DeepLab",
    "Hybrid2D3D",
    "Loaded",
    "MedicalNet",
    "ModelCard",
    "ModelError",
    "Network",
    "ResNet",
    "ResNetUNet",
    "ResUNet",
    "ResUNetPlusPlus",
    "SegmentationCard",
    "UNet",
    "ZooEntry",
    "bundled_models",
    "dense_version",
    "load_distance_model",
    "load_model",
    "load_pretrained",
    "predict_distance_map",
    "predict_probabilities",
    "predict_tiled",
    "predict_tiles",
    "probabilities",
    "read_card",
    "save_model",
]
