"""Published experiments as configurations: one YAML an experiment, to be copied and changed."""

from topodelin.presets.packaged import Preset as Preset
from topodelin.presets.packaged import preset as preset
from topodelin.presets.packaged import preset_names as preset_names

__all__ = ["Preset", "preset", "preset_names"]
