"""Learning to predict distance maps: configuration, crops, loop, checkpoints, validation."""

from topodelin.training.augmentation import Motion, random_motion
from topodelin.training.config import TrainingConfig
from topodelin.training.config_file import ConfigError, dump_config, load_config
from topodelin.training.interruption import Interrupted
from topodelin.training.loop import Step, steps
from topodelin.training.preparation import check_config
from topodelin.training.progress import LineReport, LiveReport
from topodelin.training.run import TrainingResult, train
from topodelin.training.sampler import Batch, Sampler
from topodelin.training.stacks import Stack
from topodelin.training.validation import Score, validate

__all__ = [
    "Batch",
    "ConfigError",
    "Interrupted",
    "LineReport",
    "LiveReport",
    "Motion",
    "Sampler",
    "Score",
    "Stack",
    "Step",
    "TrainingConfig",
    "TrainingResult",
    "check_config",
    "dump_config",
    "load_config",
    "random_motion",
    "steps",
    "train",
    "validate",
]
