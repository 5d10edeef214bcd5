"""Networks that regress distance maps, and the files they travel in."""

from topodelin.models.card import ModelCard, SegmentationCard, read_card
from topodelin.models.network import Network
from topodelin.models.prediction import predict_distance_map, predict_tiled
from topodelin.models.storage import (
    ModelError,
    bundled_models,
    load_distance_model,
    load_model,
    save_model,
)
from topodelin.models.unet import UNet
from topodelin.models.zoo import MODELS

__all__ = [
    "MODELS",
    "ModelCard",
    "ModelError",
    "Network",
    "SegmentationCard",
    "UNet",
    "bundled_models",
    "load_distance_model",
    "load_model",
    "predict_distance_map",
    "predict_tiled",
    "read_card",
    "save_model",
]
