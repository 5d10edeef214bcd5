"""`topodelin models list` as a person runs it, with torch never loaded."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import topodelin

(ZOO_FILE,) = (Path(f) / "models" / "zoo.toml" for f in topodelin.__path__[:1])
ZOO = tomllib.loads(ZOO_FILE.read_text(encoding="utf-8"))
BLOCKED = "import sys; sys.modules['torch'] = None; from topodelin.cli import main; main()"


def run(*arguments: str) -> str:
    """What the command prints in a fresh interpreter in which importing torch fails."""
    command = [sys.executable, "-X", "utf8", "-c", BLOCKED, "models", "list", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_table_names_every_network_with_its_axes_its_weights_and_its_paper() -> None:
    header, *lines = run().splitlines()
    assert header.split()[:3] == ["network", "axes", "weights"]
    for (name, facts), first, second in zip(ZOO.items(), lines[::2], lines[1::2], strict=True):
        assert first.split()[:3] == [name, f"{facts['dims']}-D", f"{facts['parameters']:,}"]
        assert first.endswith(facts["seed"])
        assert second.strip() == facts["paper"]
        assert second.index(second.strip()) == header.index("asked for by")


def test_json_holds_the_whole_zoo() -> None:
    assert json.loads(run("--json")) == ZOO
