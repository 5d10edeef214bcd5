"""Two processes train one network: the same curve as one, and the same end."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.topodelin.training.labelled_drawings import write_labelled_run
from tests.topodelin.training.two_machines import SEVERAL, UNET
from topodelin.models import load_model
from topodelin.training import ConfigError, load_config, train
from topodelin.training.checkpoint import read_header

LAST = "checkpoints/last.safetensors"
ALONE = {**os.environ, "OMP_NUM_THREADS": "1"}


def a_free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which two processes, as on two machines, went through every scenario."""
    folder = tmp_path_factory.mktemp("both")
    write_labelled_run(folder / "run", model=UNET)
    write_labelled_run(folder / "heads", model=SEVERAL, steps=2, validate_every=9)
    module, port = "tests.topodelin.training.two_machines", a_free_port()
    commands = [[sys.executable, "-m", module, str(folder), rank, port] for rank in ("0", "1")]
    processes = [
        subprocess.Popen(c, env=ALONE, stderr=subprocess.PIPE, text=True) for c in commands
    ]
    try:
        said = [process.communicate(timeout=240)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], said
    assert said == ["", ""]
    return folder


def ends(folder: Path, name: str) -> list[str]:
    return [(folder / f"{name}-{rank}.txt").read_text() for rank in (0, 1)]


def curve(folder: Path, key: str = "loss") -> list[float]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [record[key] for line in lines if key in (record := json.loads(line))]


def test_two_processes_follow_the_curve_of_one(both: Path, tmp_path: Path) -> None:
    train(load_config(both / "run" / "run.yaml"), run_dir=tmp_path / "one")
    assert ends(both, "together") == ["8 steps", "8 steps"]
    for key in ("loss", "gradient_norm"):
        assert curve(both / "together", key) == pytest.approx(curve(tmp_path / "one", key), 1e-5)
    one, two = (
        load_model(f / "model.safetensors")[0] for f in (tmp_path / "one", both / "together")
    )
    for name, weight in one.state_dict().items():
        assert (weight - two.state_dict()[name]).abs().max() < 1e-4, name


def test_the_first_process_alone_writes(both: Path) -> None:
    assert len(curve(both / "together")) == 8
    assert (both / "together" / "log.txt").read_text().count("starting: ") == 1


def test_a_nan_in_one_process_ends_both_with_its_message(both: Path) -> None:
    error = "FloatingPointError: process 1: the network's output is not finite at step 2; lower"
    first, second = ends(both, "dark")
    assert first.startswith(error) and second == "SystemExit: 0"


def test_a_batch_that_one_process_cannot_make_ends_both(both: Path) -> None:
    first, second = ends(both, "unread")
    assert first.endswith(
        "process 1: the crops of step 2 could not be prepared: a slice cannot be read"
    )
    assert second == "SystemExit: 0"


def test_a_full_disk_ends_both(both: Path) -> None:
    assert ends(both, "full") == [
        "OSError: [Errno 28] No space left on device: 'last.safetensors'",
        "SystemExit: 0",
    ]


def test_ctrl_c_in_one_process_stops_both_and_both_go_on(both: Path) -> None:
    assert ends(both, "stopped") == ["8 steps", "8 steps"]
    assert "going on from step 3" in (both / "stopped" / "log.txt").read_text()
    assert (both / "stopped" / LAST).read_bytes() == (both / "together" / LAST).read_bytes()


def test_folders_that_the_machines_do_not_share_are_refused(both: Path) -> None:
    first, second = ends(both, "apart")
    assert first.startswith("ValueError: process 1: ") and "that all machines share" in first
    assert "at step 0 here and at step 3 on the first" in first and second == "SystemExit: 0"


def test_ctrl_c_during_the_judgement_stops_both(both: Path) -> None:
    first, second = ends(both, "judged")
    assert first.startswith("Interrupted: stopped at step 4 of 8") and second == "SystemExit: 0"
    assert read_header(both / "judged" / LAST)["progress"]["step"] == 4


def test_an_early_stop_is_decided_once(both: Path) -> None:
    assert ends(both, "still") == ["4 steps", "4 steps"]


def test_a_head_without_a_term_does_not_stop_the_others(both: Path) -> None:
    assert ends(both, "heads") == ["2 steps", "2 steps"]


def test_the_command_starts_its_own_copies_and_ctrl_c_stops_them_with_one_line(
    tmp_path: Path,
) -> None:
    yaml = write_labelled_run(tmp_path, model=UNET, steps=100_000, validate_every=100_000)
    command = [sys.executable, "-m", "topodelin", "train", str(yaml), "--devices", "2"]
    with subprocess.Popen(
        command,
        env=ALONE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None and process.stderr is not None
            while "step 1 of" not in (line := process.stdout.readline()):
                assert line, process.stderr.read()
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does
            error = process.communicate(timeout=120)[1]
        finally:
            process.kill()
    assert process.returncode == 130
    assert error.count("\n") == 1 and "the same command goes on from there" in error
    assert read_header(tmp_path / "run" / LAST)["progress"]["step"] >= 1


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["devices=2", "sampling.batch=3"], "must be a multiple of `devices` x `nodes` (2), got 3"),
        (["devices=2", "device=cuda:1"], "`device` must not name a single one for 2 `devices`"),
    ],
)
def test_shares_that_differ_and_contradictions_are_refused(
    settings: list[str], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as error:
        load_config(write_labelled_run(tmp_path), overrides=settings)
    assert said in str(error.value)


def test_a_device_that_is_not_there_is_refused_in_one_line(tmp_path: Path) -> None:
    config = load_config(write_labelled_run(tmp_path), overrides=["device=cuda:63"])
    with pytest.raises(
        ConfigError, match="device: must be one that this machine has, got 'cuda:63'"
    ):
        train(config, run_dir=tmp_path / "run")
