from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim import Adam

from topodelin.training import checkpoint
from topodelin.training.checkpoint import (
    CheckpointError,
    Progress,
    State,
    load_checkpoint,
    read_header,
    save_checkpoint,
)


def state(seed: int, *, width: int = 3) -> State:
    """A small network one step after its start."""
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width))
    optimizer = Adam(network.parameters(), lr=0.1)
    network(torch.rand(4, 2)).square().sum().backward()
    optimizer.step()
    return State(network, optimizer, None, Progress(step=1, best_score=0.5))


def test_a_saved_state_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    first, second = state(0), state(1)
    save_checkpoint(tmp_path / "a", first, {"steps": 9})
    load_checkpoint(tmp_path / "a", second)
    for each in (first, second):
        each.optimizer.zero_grad()
        each.network(torch.ones(4, 2) * torch.arange(4)[:, None]).sum().backward()
        each.optimizer.step()
    weights, restored = first.network.state_dict(), second.network.state_dict()
    torch.testing.assert_close(weights, restored, rtol=0, atol=0)
    assert second.progress == first.progress
    assert read_header(tmp_path / "a")["config"] == {"steps": 9}


def test_a_crash_while_writing_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.safetensors"
    save_checkpoint(path, state(0), {})
    before = path.read_bytes()

    def half(tensors: object, part: Path, metadata: object) -> None:
        part.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(checkpoint, "save_file", half)
    with pytest.raises(OSError, match="no space"):
        save_checkpoint(path, state(1), {})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]  # nor is the half left behind


@pytest.mark.parametrize("content", [b"", b"\x80\x04pickle", b"\x02\0\0\0\0\0\0\0{}"])
def test_a_file_that_is_no_checkpoint_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "last.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"last\.safetensors: is no checkpoint.*--restart"):
        read_header(path)


def test_a_newer_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "FORMAT_VERSION", 3)
    save_checkpoint(tmp_path / "a", state(0), {})
    monkeypatch.setattr(checkpoint, "FORMAT_VERSION", 2)
    with pytest.raises(CheckpointError, match="newer than this one"):
        read_header(tmp_path / "a")


def test_an_older_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "FORMAT_VERSION", 1)
    save_checkpoint(tmp_path / "a", state(0), {})
    monkeypatch.setattr(checkpoint, "FORMAT_VERSION", 2)
    with pytest.raises(CheckpointError, match="an older one.*--restart"):
        read_header(tmp_path / "a")


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a", state(0, width=4), {})
    with pytest.raises(CheckpointError, match="another network"):
        load_checkpoint(tmp_path / "a", state(0))


def test_a_full_disk_is_one_line_and_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    path = tmp_path / "last.safetensors"
    save_checkpoint(path, state(0), {})
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # no file may grow larger
    try:
        with pytest.raises(OSError, match=r"last\.safetensors: cannot be written: .*[Tt]oo large"):
            save_checkpoint(path, state(1, width=99), {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
