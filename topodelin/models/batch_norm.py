"""The one thing that batch normalisation cannot be trained on: a single value."""

import math

from torch import Tensor

from topodelin.models.network import Network


def check_batch(network: Network, images: Tensor) -> None:
    """Refuse to train where a batch normalisation would see one value per channel.

    A lone value minus its own mean is 0 whatever the image. It happens to a batch of one image as
    small as the network's divisor, whose map at the bottom is a single voxel.

    Raises:
        ValueError: in training only; evaluation uses the statistics gathered before.
    """
    size = tuple(images.shape[2:])
    bottom = [length // d for length, d in zip(size, network.divisor, strict=True)]
    if network.training and len(images) * math.prod(bottom) == 1:
        larger = network.next_size((*size[:-1], size[-1] + 1))
        raise ValueError(
            "batch normalisation needs two values per channel to train on, got one image of size "
            f"{size}, a single voxel at the bottom; give two `images`, or one of {larger} or more"
        )
