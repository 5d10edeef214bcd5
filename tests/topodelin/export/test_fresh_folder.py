"""Exports appear whole, replace their own kind and touch nothing else."""

from pathlib import Path

import pytest

from topodelin.export.fresh_folder import fresh_folder


def fill(folder: Path, kind: str = "napari", name: str = "script.py", text: str = "1") -> None:
    with fresh_folder(folder, kind) as draft:
        (draft / name).write_text(text)


def test_an_earlier_export_is_replaced(tmp_path: Path) -> None:
    fill(tmp_path / "out", name="old.py")
    fill(tmp_path / "out", text="2")
    assert (tmp_path / "out" / "script.py").read_text() == "2"
    assert not (tmp_path / "out" / "old.py").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_an_error_keeps_the_earlier_export(tmp_path: Path) -> None:
    fill(tmp_path / "out")
    with pytest.raises(RuntimeError), fresh_folder(tmp_path / "out", "napari") as draft:
        (draft / "script.py").write_text("half")
        raise RuntimeError
    assert (tmp_path / "out" / "script.py").read_text() == "1"
    fill(tmp_path / "out", text="3")  # the remains are no hindrance
    assert (tmp_path / "out" / "script.py").read_text() == "3"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_corrections_beside_an_export_are_not_thrown_away(tmp_path: Path) -> None:
    fill(tmp_path / "out")
    (tmp_path / "out" / "tree_0001_corrected.swc").write_text("precious")
    with pytest.raises(ValueError, match=r"tree_0001_corrected\.swc.*move it"):
        fill(tmp_path / "out", text="2")
    assert (tmp_path / "out" / "tree_0001_corrected.swc").read_text() == "precious"
    assert (tmp_path / "out" / "script.py").read_text() == "1"


@pytest.mark.parametrize("name", ["out", "out.part"])
def test_a_folder_of_something_else_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "thesis.tex").write_text("precious")
    with pytest.raises(ValueError, match=r"thesis\.tex"):
        fill(tmp_path / "out")
    assert (tmp_path / name / "thesis.tex").exists()


def test_an_export_of_another_kind_is_refused(tmp_path: Path) -> None:
    fill(tmp_path / "out")
    with pytest.raises(ValueError, match="not of an export for neuroglancer"):
        fill(tmp_path / "out", kind="neuroglancer")


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(ValueError, match="is a file"):
        fill(tmp_path / "out")
