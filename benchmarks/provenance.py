"""What a measurement has to say of itself: version, commit and machine."""

import os
import platform
import subprocess
from pathlib import Path

import topodelin

ROOT = Path(__file__).resolve().parents[1]


def provenance() -> dict[str, str | None]:
    """Version, commit (None outside a checkout) and machine, as plain JSON values."""
    commit = None
    if (ROOT / ".git").exists():
        git = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
        commit = subprocess.run(git, capture_output=True, text=True).stdout.strip() or None
    return {
        "version": topodelin.__version__,
        "commit": commit,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "python": platform.python_version(),
    }
