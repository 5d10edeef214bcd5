"""The commands of docs/proofread.md, run one after the other on a small run."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.topodelin.export.small_run import bars, phantom_npy, write_run
from tests.topodelin.volumes.phantom import SPACING
from topodelin.cli import app, verbs  # noqa: F401  (registers the verbs)
from topodelin.delineation.tracing.spots import KINDS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "proofread.md"


def commands() -> list[list[str]]:
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines() if line.strip()]


def test_the_commands_do_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run(tmp_path / "run", bars(), image=phantom_npy(tmp_path), spacing=SPACING)
    (tmp_path / "corrected").mkdir()
    shutil.copy(tmp_path / "run" / "trees" / "tree_0001.swc", tmp_path / "corrected")
    monkeypatch.chdir(tmp_path)
    served = [words for words in commands() if "--serve" in words]
    for words in commands():
        assert words[0] == "topodelin"
        if words not in served:
            done = CliRunner().invoke(app, words[1:], catch_exceptions=False)
            assert done.exit_code == 0, (words, done.output)
    assert len(served) == 1  # tests/topodelin/cli/test_export.py stops a real one
    for name in re.findall(r"^\| `([^`|]+)`", PAGE.read_text(encoding="utf-8"), re.MULTILINE):
        inside = [tmp_path / "run" / "export" / kind / name for kind in ("napari", "neuroglancer")]
        assert name in KINDS or any(path.exists() for path in inside), name
    assert (tmp_path / "corrected" / "tree_0001_fixed.swc").exists()


def test_every_kind_of_spot_is_explained() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert all(f"| `{kind}` |" in text for kind in KINDS)


def test_the_script_is_good_python_without_topodelin(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", bars())
    CliRunner().invoke(app, ["export", "napari", str(run.folder.path)], catch_exceptions=False)
    code = "import sys; sys.modules['topodelin'] = None; import open_in_napari"
    folder = run.folder.path / "export" / "napari"
    subprocess.run(
        [sys.executable, "-c", code], cwd=folder, check=True, env=os.environ | {"PYTHONPATH": ""}
    )
