"""The commands of the page "Delineate a brain" do what the page says, on a brain of 10 GB."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_docs import ROOT, blocks
from topodelin.graphs import centreline_quality, joined, read_swc

PAGE = ROOT / "docs" / "delineate.md"
# Each line of a block is a command; one interpreter runs them all, which loads torch once.
RUNNER = """
import json, runpy, shlex, sys
import torch
from topodelin.cli.app import app
from topodelin.cli import verbs

torch.set_num_threads(1)
for command in json.load(sys.stdin):
    program, *arguments = shlex.split(command)
    print("$", command, flush=True)
    if program == "topodelin":
        code = app(arguments, prog_name="topodelin", standalone_mode=False)
        print("exit", code or 0, flush=True)
    elif program == "python":
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")
    else:
        raise SystemExit(f"cannot run {program}")
"""


def commands(page: Path) -> list[str]:
    """The shell commands that a page shows, in order, each on one line."""
    text = "".join(text for language, text in blocks(page) if language == "sh")
    return text.replace("\\\n", " ").splitlines()


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The folder in which all commands of the page ran, and what each printed."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "benchmarks").symlink_to(ROOT / "benchmarks")
    done = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input=json.dumps(commands(PAGE)),
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "benchmarks")])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = [part.split("\n", 1) for part in done.stdout.split("$ ")[1:]]
    return folder, {command: text for command, text in said}


def answer(session: tuple[Path, dict[str, str]], *words: str) -> str:
    """What the first command with these words printed."""
    return next(text for command, text in session[1].items() if all(w in command for w in words))


def test_the_brain_has_ten_billion_voxels_and_takes_no_room(
    session: tuple[Path, dict[str, str]],
) -> None:
    drawn = json.loads(answer(session, "sparse_brain.py"))
    assert drawn["voxels"] > 1e10
    stored = sum(path.stat().st_size for path in (session[0] / "brain").rglob("*"))
    assert stored < 20e6
    assert "1600" in answer(session, "topodelin info")


def test_every_command_ends_well(session: tuple[Path, dict[str, str]]) -> None:
    ends = {command: text.split()[-1] for command, text in session[1].items() if "exit" in text}
    assert len(ends) >= 6
    assert set(ends.values()) == {"0"}


def test_a_budget_stops_the_run_and_the_same_command_without_it_goes_on(
    session: tuple[Path, dict[str, str]],
) -> None:
    assert "8 of 80000 cubes visited" in answer(session, "delineate", "--budget-cubes 8")
    (full,) = [text for command, text in session[1].items() if command.endswith("-o run")]
    assert "17 of 80000 cubes visited" in full
    assert "cubes wait" not in full


def test_the_neurons_are_found(session: tuple[Path, dict[str, str]]) -> None:
    folder, _ = session
    traced = joined([read_swc(path) for path in sorted((folder / "run" / "trees").glob("*.swc"))])
    quality = centreline_quality(read_swc(folder / "brain" / "truth.swc"), traced, tolerance=3.0)
    assert quality.completeness > 0.95
    assert quality.correctness > 0.95


def test_the_picture_is_drawn(session: tuple[Path, dict[str, str]]) -> None:
    assert (session[0] / "delineate.png").stat().st_size > 10_000
