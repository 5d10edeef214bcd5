"""What the README shows is what runs."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
SHELL = [text for language, text in BLOCKS if language == "sh"]
PYTHON = [text for language, text in BLOCKS if language == "python"]
INSTALL = re.compile(r"\bpip install\b|\bvenv\b|\bpytest\b")


def commands(block: str) -> list[str]:
    """The single commands of a shell block; comments, and what follows each `&&`, apart."""
    lines = [line.split("  #")[0].strip() for line in block.splitlines()]
    return [part.strip() for line in lines if line for part in line.split("&&")]


def set_up_blocks() -> list[str]:
    return [block for block in SHELL if "venv" in block]


def test_there_are_exactly_two_set_up_commands() -> None:
    demo, tests = set_up_blocks()
    assert len(demo.strip().splitlines()) == 1 and demo.strip().endswith("topodelin demo")
    assert len(tests.strip().splitlines()) == 1 and tests.strip().endswith("pytest")
    assert all("-c constraints.txt" in block for block in (demo, tests))


@pytest.mark.parametrize("code", PYTHON, ids=range(len(PYTHON)))
def test_python_blocks_run(code: str, tmp_path: Path) -> None:
    run([sys.executable, "-c", code], tmp_path)


def test_shell_commands_run_in_the_order_shown(tmp_path: Path) -> None:
    shown = [c for block in SHELL for c in commands(block) if not INSTALL.search(c)]
    assert any(command.endswith("topodelin demo") for command in shown)
    for command in shown:
        words = shlex.split(command)
        assert Path(words[0]).name == "topodelin", command
        run([sys.executable, "-m", "topodelin", *words[1:]], tmp_path)


def run(arguments: list[str], folder: Path) -> None:
    # the benchmark and data paths of the README are relative to the checkout
    for name in ("benchmarks", "docs"):
        if (ROOT / name).exists() and not (folder / name).exists():
            (folder / name).symlink_to(ROOT / name)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
