"""What the pages of the documentation show is what runs."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
# Every block is a program of its own; one interpreter runs them all, which loads torch once.
RUNNER = """
import sys, torch, warnings
torch.set_num_threads(1)
warnings.filterwarnings("ignore", module="(pytorch_|)lightning")
for number, block in enumerate(sys.stdin.read().split(chr(0)), 1):
    torch.manual_seed(0)
    exec(compile(block, f"block {number}", "exec"), {"__name__": "__main__"})
"""
OTHERS = {"pytorch_lightning", "monai"}
# pages with commands, and the test that runs them
SHELL = {"delineate": "test_delineate_page.py", "proofread": "test_proofread_page.py"}


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and text of every block of code."""
    text = page.read_text(encoding="utf-8")
    return re.findall(r"^```(\w+)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def run(page: Path, programs: list[str], folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", RUNNER],
        input="\0".join(programs),
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{page.name}: {done.stdout}{done.stderr}"
    return done.stdout


def needs_other_packages(program: str) -> set[str]:
    return {name for name in OTHERS if re.search(rf"^(import|from) {name}\b", program, re.M)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_runs_by_itself(page: Path, tmp_path: Path) -> None:
    programs = [text for language, text in blocks(page) if language == "python"]
    own = [text for text in programs if not needs_other_packages(text)]
    assert own and run(page, own, tmp_path)


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_the_losses_stand_in_other_frameworks(name: str, tmp_path: Path) -> None:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"needs {name}")
    page = ROOT / "docs" / "drop_in.md"
    (program,) = [text for _, text in blocks(page) if name in needs_other_packages(text)]
    assert "conn" in run(page, [program], tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_nothing_shown_is_left_unrun(page: Path) -> None:
    shown = {language for language, _ in blocks(page)}
    assert shown <= {"python", "sh"}
    assert "sh" not in shown or Path(__file__).with_name(SHELL[page.stem]).exists()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#][^)]*)\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert links and not missing
