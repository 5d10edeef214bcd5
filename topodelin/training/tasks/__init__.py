"""What a run can learn: distance maps, classes, intensities. One function a kind makes its task."""

from collections.abc import Sequence
from pathlib import Path

from lightning_fabric import Fabric

from topodelin.models import load_model, load_pretrained
from topodelin.training.config import TrainingConfig
from topodelin.training.config_task import Voxelwise
from topodelin.training.labelled import open_labelled
from topodelin.training.progress import LineReport, Report
from topodelin.training.tasks.distance import check_distance_config, distance_task
from topodelin.training.tasks.pretraining import centre_region_task, reconstruction_task
from topodelin.training.tasks.segmentation import judge_classes, segmentation_task
from topodelin.training.tasks.task import Judgement, Task
from topodelin.training.tasks.voxelwise import check_voxelwise

_OF_IMAGES = {
    "segmentation": segmentation_task,
    "centre_voxel": segmentation_task,
    "centre_region": centre_region_task,
    "reconstruction": reconstruction_task,
}


def make_task(config: TrainingConfig, folder: Path, fabric: Fabric, report: Report) -> Task:
    """The task that a configuration names; what has to be made for it lies in `folder`."""
    if config.task.kind == "distance":
        return distance_task(config, folder, fabric, report)
    return _OF_IMAGES[config.task.kind](config)


def check_config(config: TrainingConfig) -> None:
    """Say what would stop a run before its first step: names, arguments, files, labels."""
    if config.task.kind == "voxelwise":
        check_voxelwise(config)
        return
    if config.task.kind == "distance":
        network = check_distance_config(config)
    else:
        network = _OF_IMAGES[config.task.kind](config).network
    if config.model.weights is not None:
        load_pretrained(network, config.model.weights)


def judge_ensemble(models: Sequence[Path], config: TrainingConfig, folder: Path) -> Judgement:
    """What the networks of some model files say together of the stacks to be judged on."""
    networks = [load_model(path)[0] for path in models]
    if isinstance(config.task, Voxelwise):
        stacks = open_labelled(config.data.validation, config)
        return judge_classes(*networks, stacks=stacks, config=config)
    fabric = Fabric(accelerator="cpu", devices=1)
    task = make_task(config, folder, fabric, LineReport(lambda line: None))
    return task.judge(*networks)


__all__ = ["Judgement", "Task", "check_config", "judge_ensemble", "make_task"]
