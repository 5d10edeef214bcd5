"""What acts on a finished prediction of classes: neighbours that agree, structures that are valid.

| function | what it does | space |
|---|---|---|
| `dense_crf`, `CRFParameters` | probabilities that agree between close and like voxels | any |
| `recognise`, `is_valid` | whether labels obey a `Grammar` of boxes | any, small |
| `best_labelling` | the most probable labels that obey it | any, small |
"""

from topodelin.refinement.best_labelling import best_labelling
from topodelin.refinement.box_table import BoxTable
from topodelin.refinement.crf_parameters import CRFParameters
from topodelin.refinement.dense_crf import dense_crf
from topodelin.refinement.gaussian_blur import GaussianBlur
from topodelin.refinement.grammar import Grammar
from topodelin.refinement.recognise import is_valid, recognise

__all__ = [
    "BoxTable",
    "CRFParameters",
    "GaussianBlur",
    "Grammar",
    "best_labelling",
    "dense_crf",
    "is_valid",
    "recognise",
]
