"""Large reference files that may lie beside a checkout; tests that need them skip without them."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"
HAS_SHARED = SHARED.is_dir()
needs_shared = pytest.mark.skipif(
    not HAS_SHARED, reason="needs the reference data beside the checkout"
)


def shared(*parts: str) -> Path:
    """A file or folder of the reference data."""
    return SHARED.joinpath(*parts)
