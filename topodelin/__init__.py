"""Follow neurites through brain images without breaking them.

Importing the package is cheap on purpose: each part is imported by its own name
(`topodelin.losses`, `topodelin.graphs`, `topodelin.volumes`, ...), so that measuring a tracing
never loads torch.
"""

from pathlib import Path as _Path

__version__ = "0.1.0"

if not (_Path(__file__).parent / "losses").is_dir():  # a checkout whose symlinks were lost
    __path__.append(str(_Path(__file__).parents[1]))
