"""What the README shows is what runs."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
SET_UP = [text for language, text in BLOCKS if language == "sh" and "venv" in text]
# making the environment and running the tests are left to `.ci/run`: this is one of the tests
LEFT_OUT = re.compile(r"\bpip install\b|-m venv\b|\bpytest\b")


def commands(block: str) -> list[str]:
    """The single commands of a shell block; comments, and what follows each `&&`, apart."""
    lines = [line.split("  #")[0].strip() for line in block.splitlines()]
    parts = [part.strip() for line in lines if line for part in line.split("&&")]
    return [part for part in parts if not LEFT_OUT.search(part)]


def run(arguments: list[str], folder: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"


def run_block(language: str, text: str, folder: Path) -> int:
    """Run a block in a folder; how many commands that were."""
    if language == "python":
        run([sys.executable, "-W", "error", "-c", text], folder)
        return 1
    for command in commands(text):
        program, *arguments = shlex.split(command)
        assert Path(program).name == "topodelin", command
        run([sys.executable, "-m", "topodelin", *arguments], folder)
    return len(commands(text))


def test_there_are_exactly_two_set_up_commands() -> None:
    demo, tests = (text.strip() for text in SET_UP)
    assert demo.endswith("topodelin demo") and tests.endswith("pytest -n 2")
    assert all("\n" not in text and "-c constraints.txt" in text for text in (demo, tests))


def test_everything_shown_runs_in_the_order_shown(tmp_path: Path) -> None:
    (tmp_path / "benchmarks").symlink_to(ROOT / "benchmarks")
    assert sum(run_block(language, text, tmp_path) for language, text in BLOCKS) >= 7
    assert (tmp_path / "topodelin-demo" / "report.html").stat().st_size > 0


def test_files_linked_from_the_readme_exist() -> None:
    links = re.findall(r"\]\(([^)#][^)]*)\)", README)
    missing = [link for link in links if "://" not in link and not (ROOT / link).exists()]
    assert links and not missing
