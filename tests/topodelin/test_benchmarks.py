"""The quality benchmark runs on a folder of stacks; here on the packaged one."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from topodelin.demo import STACK, TRUTH

ROOT = Path(__file__).resolve().parents[2]


def test_the_bundled_network_follows_the_packaged_dendrites(tmp_path: Path) -> None:
    stacks = tmp_path / "stacks"
    stacks.mkdir()
    shutil.copyfile(STACK, stacks / "dendrite.tif")
    shutil.copyfile(TRUTH, stacks / "dendrite.swc")
    command = [sys.executable, str(ROOT / "benchmarks" / "quality_stacks.py")]
    done = subprocess.run(
        [*command, str(stacks), "-o", str(tmp_path / "runs")],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    stack, pooled = map(json.loads, done.stdout.splitlines())
    assert stack["quality"] == pooled["quality"] >= 0.85
    assert pooled["stacks"] == 1
