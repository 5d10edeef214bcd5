"""`topodelin losses` as a person runs it, with torch never loaded."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
CATALOGUE = tomllib.loads((ROOT / "losses" / "catalogue.toml").read_text(encoding="utf-8"))
BLOCKED = "import sys; sys.modules['torch'] = None; from topodelin.cli import main; main()"


def run(*arguments: str) -> str:
    """What the command prints in a fresh interpreter in which importing torch fails."""
    command = [sys.executable, "-X", "utf8", "-c", BLOCKED, "losses", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_table_names_every_loss_with_what_it_punishes_its_cost_and_its_paper() -> None:
    header, *lines = run().splitlines()
    assert header.split()[:3] == ["loss", "axes", "target"]
    for (name, facts), first, second in zip(
        CATALOGUE.items(), lines[::2], lines[1::2], strict=True
    ):
        assert first.startswith(f"{name} ") and first.endswith(facts["punishes"])
        assert second.strip() == f"{facts['cost']}; {facts['paper']}"
        assert second.index(second.strip()) == header.index("punishes")


def test_json_holds_the_whole_catalogue() -> None:
    assert json.loads(run("--json")) == CATALOGUE
