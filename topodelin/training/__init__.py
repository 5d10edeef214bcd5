"""Learning from annotated images: configuration, crops, loop, checkpoints, validation."""

from topodelin.training.config import TrainingConfig
from topodelin.training.config_file import ConfigError, dump_config, load_config
from topodelin.training.interruption import Interrupted
from topodelin.training.loop import Step, steps
from topodelin.training.progress import LineReport, LiveReport
from topodelin.training.run import TrainingResult, train
from topodelin.training.sampler import Batch, Sampler
from topodelin.training.stacks import Stack
from topodelin.training.tasks import check_config
from topodelin.training.validation import Score, validate
from topodelin.training.warping import Warp, random_warp

__all__ = [
    "Batch",
    "ConfigError",
    "Interrupted",
    "LineReport",
    "LiveReport",
    "Sampler",
    "Score",
    "Stack",
    "Step",
    "TrainingConfig",
    "TrainingResult",
    "Warp",
    "check_config",
    "dump_config",
    "load_config",
    "random_warp",
    "steps",
    "train",
    "validate",
]
