r"""Learning from images without labels, to start a network of classes from.

Centre-region regression: a cube of side $1 + 2N$ in the middle is set to 0, and so is a share of
all voxels; the network tells the intensity that was in the middle. Reconstruction: a variational
autoencoder gives back the whole cube through a narrow code.

References:
    D. P. Kingma, M. Welling. Auto-encoding variational Bayes. ICLR 2014. arXiv:1312.6114.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from topodelin.losses import WeightedSum
from topodelin.losses.prepared import moved
from topodelin.models.frame import evaluating
from topodelin.training.building import build_loss, build_network, heads_of
from topodelin.training.config import TrainingConfig
from topodelin.training.config_task import CentreRegion, Reconstruction
from topodelin.training.heads import GaussianDivergence, OnHead
from topodelin.training.label_sampler import LabelSampler
from topodelin.training.labelled import LabelledStack, open_labelled
from topodelin.training.sampler import Batch
from topodelin.training.tasks.segmentation import class_card, label_sampler
from topodelin.training.tasks.task import Judgement, Task

JUDGED_BATCHES = 16
DROPOUT = 1  # tells its random numbers from those that lay the crop


def centre_region_task(config: TrainingConfig) -> Task:
    """The task of telling the intensity in the middle of a masked cube."""
    assert isinstance(config.task, CentreRegion)
    network = build_network(config, out_channels=1)
    return _task(config, network, build_loss(config, heads_of(network)), config.task.radius)


def reconstruction_task(config: TrainingConfig) -> Task:
    """The task of giving a cube back; half of the divergence of its code is added to the loss."""
    assert isinstance(config.task, Reconstruction)
    network = build_network(config)
    heads = heads_of(network)
    own = build_loss(config, heads)
    terms = {name: (own.losses[name], own.weights[name]) for name in own.weights}
    if "code" in heads:
        divergence = OnHead(GaussianDivergence(), "code")
        terms["divergence"] = (divergence, config.task.divergence)
    return _task(config, network, WeightedSum(terms), config.task.mask)


def _task(
    config: TrainingConfig, network: nn.Module, loss: WeightedSum, radius: int | None
) -> Task:
    dropout = config.task.dropout if isinstance(config.task, CentreRegion) else 0.0
    whole = isinstance(config.task, Reconstruction)
    taught = open_labelled(config.data.train, config)
    judged = open_labelled(config.data.validation, config)

    def masked(stacks: Sequence[LabelledStack]) -> MaskedCubes:
        return MaskedCubes(label_sampler(config, stacks, network), radius, dropout, whole)

    judge = partial(judge_loss, cubes=masked(judged) if judged else None, loss=loss)
    return Task(
        network=network,
        loss=loss,
        sampler=masked(taught),
        learnt=len(taught),
        judged=len(judged),
        judge=judge,
        card=partial(class_card, config, taught),
    )


@dataclass(frozen=True)
class MaskedCubes:
    """Cubes with a masked middle, and what was there.

    Args:
        sampler: of the cubes.
        radius: $N$ of the mask of side $1 + 2N$; None masks nothing.
        dropout: share of the other voxels that are set to 0.
        whole: whether the target is the whole cube, or the voxel in the middle.
    """

    sampler: LabelSampler
    radius: int | None
    dropout: float
    whole: bool

    def draw(self, step: int, *, first: int = 0, every: int = 1) -> Batch:
        """The batch of a step; its target are intensities, in the place of a distance map."""
        image = self.sampler.draw(step, first=first, every=every).image
        target = image[:, :1] if self.whole else image[:, :1][self._middle(image, 0)]
        seen = image.clone()
        if self.dropout:
            for crop, number in zip(seen, range(first, self.sampler.batch, every), strict=True):
                rng = np.random.default_rng([self.sampler.seed, step, number, DROPOUT])
                crop *= torch.from_numpy(rng.random(crop.shape) >= self.dropout)
        if self.radius is not None:
            seen[self._middle(image, self.radius)] = 0
        return Batch(seen, {"distance_map": target.clone()})

    def _middle(self, image: Tensor, radius: int) -> tuple[slice, ...]:
        space = tuple(slice(n // 2 - radius, n // 2 + radius + 1) for n in image.shape[2:])
        return (slice(None), slice(None), *space)


def judge_loss(*networks: nn.Module, cubes: MaskedCubes | None, loss: WeightedSum) -> Judgement:
    """Minus the mean loss of some batches of the stacks to be judged on, the same every time.

    Of several networks the losses are averaged: their codes cannot be.
    """
    assert cubes is not None  # asked for where there are stacks to be judged on
    values = []
    for network in networks:
        device = next(network.parameters()).device
        with evaluating(network):
            for step in range(JUDGED_BATCHES):
                batch = cubes.draw(step)
                output = network(batch.image.to(device))
                values.append(float(loss(output, moved(batch.target, device))))
    mean = float(np.mean(values))
    return Judgement(-mean, f"loss {mean:.4g}", ({"loss": mean},), {"loss": mean})
