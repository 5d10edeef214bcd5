"""Networks applied to image files of any size: classes, probabilities or distance maps."""

from topodelin.prediction.crf import CRF, read_crf
from topodelin.prediction.members import Member, open_members
from topodelin.prediction.picture import class_picture, distance_picture
from topodelin.prediction.planes import predicted_planes
from topodelin.prediction.predict import Prediction, predict
from topodelin.prediction.seen_image import SeenImage, grid_spacing
from topodelin.prediction.writing import check_out, write_planes

__all__ = [
    "CRF",
    "Member",
    "Prediction",
    "SeenImage",
    "check_out",
    "class_picture",
    "distance_picture",
    "grid_spacing",
    "open_members",
    "predict",
    "predicted_planes",
    "read_crf",
    "write_planes",
]
