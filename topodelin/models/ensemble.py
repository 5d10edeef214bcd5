"""Several networks as one: the mean of what they say, slice by slice.

References:
    L. Hansen, P. Salamon. Neural network ensembles. IEEE Transactions on Pattern Analysis and
    Machine Intelligence 1990.
"""

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from jaxtyping import Float32

from topodelin.models.card import ModelCard, SegmentationCard

SAME = 1e-3  # relative difference of spacing that is no difference


def mean_planes(
    members: Sequence[Iterable[Float32[np.ndarray, "channel _ y x"]]],
) -> Iterator[Float32[np.ndarray, "channel y x"]]:
    """The mean over the members, one slice at a time.

    Args:
        members: what each says, piece by piece along z; the pieces need not be equally thick, the
            sums of their thicknesses are.
    """
    for together in zip(*(_planes(slabs) for slabs in members), strict=True):
        yield together[0] if len(together) == 1 else np.mean(together, axis=0)


def check_members(names: Sequence[str], cards: Sequence[ModelCard | SegmentationCard]) -> None:
    """Refuse networks whose answers cannot be averaged.

    Args:
        names: of the model files, for the message.
        cards: the first sets what the others must tell: the same classes in the same order, or
            distance maps with the same `d_max`, at the same spacing (within 0.1 %).
    """
    first = cards[0]
    for name, card in zip(names[1:], cards[1:], strict=True):
        near = zip(first.spacing, card.spacing, strict=True)
        told, spaced = _told(first), all(math.isclose(a, b, rel_tol=SAME) for a, b in near)
        if told == _told(card) and spaced:
            continue
        what = ("the same", told, _told(card))
        if told == _told(card):
            what = ("at the same spacing", first.spacing, card.spacing)
        raise ValueError(
            f"the networks of an ensemble must tell {what[0]}: {names[0]} has {what[1]}, "
            f"{name} has {what[2]}; predict with each on its own"
        )


def _planes(slabs: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    return (slab[:, z] for slab in slabs for z in range(slab.shape[1]))


def _told(card: ModelCard | SegmentationCard) -> str:
    if isinstance(card, ModelCard):
        return f"distances up to {card.d_max:g}"
    return f"the classes {', '.join(card.classes)}" if card.classes else "intensities"
