import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from topodelin.cli import verbs  # noqa: F401  (registers the verbs)
from topodelin.cli.app import app


def test_the_verb_hands_its_options_on_and_prints_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def run_demo(*args: object, **options: object) -> str:
        calls.append((args, options))
        return "what was found"

    monkeypatch.setattr("topodelin.demo.run_demo", run_demo)
    result = CliRunner().invoke(app, ["demo", "-o", str(tmp_path), "--model", "m", "--restart"])
    assert result.exit_code == 0
    assert result.output == "what was found\n"
    assert calls == [((tmp_path,), {"model": "m", "restart": True})]


def test_an_interrupted_demo_ends_with_130_and_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run_demo(*_: object, **__: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("topodelin.demo.run_demo", run_demo)
    result = CliRunner().invoke(app, ["demo"])
    assert result.exit_code == 130
    assert "the same command goes on" in result.output


def test_the_verb_is_listed_and_explains_its_options() -> None:
    assert re.search(r"\bdemo\b", CliRunner().invoke(app, ["--help"]).output)
    assert "report.html" in CliRunner().invoke(app, ["demo", "--help"]).output


def test_an_unknown_model_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "topodelin", "demo", "-o", str(tmp_path), "--model", "nobody"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr.startswith("error: nobody is neither a file nor a bundled model")
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
