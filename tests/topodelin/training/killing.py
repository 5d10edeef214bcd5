"""A run that is killed without warning while it trains."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from topodelin.training.checkpoint import read_header

ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}


def kill_a_run(yaml: Path, folder: Path) -> int:
    """Start the run as a command of its own, kill it half way, and tell its last checkpoint."""
    command = [sys.executable, "-m", "topodelin", "train", str(yaml), "-o", str(folder)]
    metrics, said = folder / "metrics.jsonl", folder.with_suffix(".txt")
    with (
        said.open("w") as output,
        subprocess.Popen(command, stdout=output, stderr=output, env=ONE_THREAD) as process,
    ):
        while process.poll() is None and not (metrics.exists() and metrics.stat().st_size > 1000):
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL, said.read_text()
    return read_header(folder / "checkpoints" / "last.safetensors")["progress"]["step"]
