"""From the data section of a configuration to stacks and the sampler that draws from them."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import nn

from topodelin.losses import WeightedSum
from topodelin.training.building import lost_voxels
from topodelin.training.config import TrainingConfig
from topodelin.training.config_data import Entry, Rendered
from topodelin.training.processes import together
from topodelin.training.progress import Report
from topodelin.training.rendered import render_sets
from topodelin.training.sampler import Sampler, check_stack
from topodelin.training.stacks import Stack, open_stacks

MOST_RENDERERS = 8  # processes; each holds a volume and the imports


def prepare_stacks(
    config: TrainingConfig, folder: Path, fabric: Fabric, report: Report
) -> tuple[list[Stack], list[Stack]]:
    """The stacks to learn from and those to be judged on; synthetic ones are rendered first."""
    sets = [_with_spacing(e.rendered, config) for e in _entries(config) if e.rendered]
    if sets:
        report.event(f"rendering {sum(each.count for each in sets)} volumes, where not done yet")
    render = partial(render_sets, sets, folder / "rendered", seed=config.seed)
    with together(fabric):
        if fabric.is_global_zero:
            render(workers=min(torch.get_num_threads(), MOST_RENDERERS))
    volumes = render(workers=0)
    taught = open_stacks(config.data.train, volumes, config)
    judged = open_stacks(config.data.validation, volumes, config)
    return _usable(taught, config, report), judged


def make_sampler(
    config: TrainingConfig, stacks: Sequence[Stack], network: nn.Module, loss: WeightedSum
) -> Sampler:
    """The sampler of a configuration, for what its loss takes of its network's output."""
    return Sampler(
        stacks,
        seed=config.seed,
        crop=config.sampling.crop,
        batch=config.sampling.batch,
        min_foreground=config.sampling.min_foreground,
        d_max=config.target.d_max,
        augmentation=config.augmentation,
        kinds=loss.takes,
        lost=lost_voxels(network),
    )


def _usable(stacks: list[Stack], config: TrainingConfig, report: Report) -> list[Stack]:
    """Without the rendered volumes that chance left too empty; a real stack must be usable."""
    usable = []
    for stack in stacks:
        try:
            check_stack(stack, config.sampling.crop, config.sampling.min_foreground)
        except ValueError as error:
            if not stack.rendered:
                raise
            report.event(f"left out: {error}")
            continue
        usable.append(stack)
    if not usable:
        raise ValueError(
            "`data.train` must hold a stack with enough centreline, got only rendered volumes "
            "with less; lower `sampling.min_foreground` or render larger volumes or more trees"
        )
    return usable


def _entries(config: TrainingConfig) -> list[Entry]:
    return [*config.data.train, *config.data.validation]


def _with_spacing(rendered: Rendered, config: TrainingConfig) -> Rendered:
    if rendered.spacing is not None:
        return rendered
    return rendered.model_copy(update={"spacing": config.target.spacing})
