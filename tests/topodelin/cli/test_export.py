"""`topodelin export` from the command line."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest
from typer.testing import CliRunner

from tests.topodelin.export.small_run import bars, phantom_npy, write_run
from tests.topodelin.volumes.phantom import SPACING
from topodelin.cli import app, verbs  # noqa: F401  (registers the verbs)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_run(tmp_path / "run", bars(), image=phantom_npy(tmp_path), spacing=SPACING)
    return tmp_path / "run"


def export(*words: object) -> str:
    done = CliRunner().invoke(app, ["export", *map(str, words)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize("name", ["vaa3d", "terafly", "napari", "neuroglancer"])
def test_each_program_gets_its_folder_in_the_run(run: Path, name: str) -> None:
    answer = json.loads(export(name, run, "--json"))
    assert Path(answer["folder"]) == run / "export" / name
    assert answer["paths"] and all(Path(path).exists() for path in answer["paths"])
    assert (run / "run.json").exists()


def test_the_next_step_can_be_copied(run: Path, tmp_path: Path) -> None:
    said = export("neuroglancer", run, "-o", tmp_path / "here")
    assert said.splitlines()[-1] == f"next: topodelin export neuroglancer {run} --serve"
    assert (tmp_path / "here" / "state.json").exists()
    assert "open_in_napari.py" in export("napari", run).splitlines()[-1]


def test_the_overlay_takes_its_options(run: Path) -> None:
    words = ["--dtype", "uint16", "--colour", "rgb", "--factor", "0.5", "--box", "0:4,0:8,2:20"]
    export("vaa3d", run, *words)
    assert (run / "export" / "vaa3d" / "box_0_0_2.v3draw").exists()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--box", "0:4,0:8"], r"`--box` must be z0:z1,y0:y1,x0:x1"),
        (["--box", "a:b,0:8,0:2"], r"`--box` must be z0:z1,y0:y1,x0:x1"),
        (["--colour", "pink"], r"`--colour` must be one of grey, rgb, got 'pink'"),
    ],
)
def test_bad_options_are_named(run: Path, words: list[str], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        export("vaa3d", run, *words)


def test_it_is_served_until_it_is_stopped(run: Path) -> None:
    words = [sys.executable, "-m", "topodelin", "export", "neuroglancer", str(run), "--serve"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=os.environ) as server:
        assert server.stdout is not None
        try:
            said = next(line for line in server.stdout if "#!" in line)
            found = re.search(r"#!(http://127\.0\.0\.1:\d+/\S+)/state\.json", said)
            assert found is not None
            state = json.loads(urlopen(f"{found.group(1)}/state.json").read())
            assert state["layers"][0]["source"] == f"zarr://{found.group(1)}/image"
            assert b"zarr_format" in urlopen(f"{found.group(1)}/distance_map/0/.zarray").read()
        finally:
            server.send_signal(signal.SIGINT)
        assert server.wait(20) == 0
        assert "stopped" in server.stdout.read()
