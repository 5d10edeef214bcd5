"""ANO linkers: names of one folder, and none that lead out of it."""

from pathlib import Path

import pytest

from topodelin.graphs import LinkedFiles, read_ano, write_ano


def test_files_of_one_folder_are_tied_together_by_name(tmp_path: Path) -> None:
    write_ano(
        tmp_path / "a.ano",
        swc=[tmp_path / "ä 1.swc", "b.eswc"],
        apo="a.apo",
        image=tmp_path / "x" / ".." / "overlay.v3draw",
    )
    assert (tmp_path / "a.ano").read_text(encoding="utf-8").splitlines() == [
        "RAWIMG=overlay.v3draw",
        "APOFILE=a.apo",
        "SWCFILE=ä 1.swc",
        "SWCFILE=b.eswc",
    ]
    assert read_ano(tmp_path / "a.ano") == LinkedFiles(
        swc=(tmp_path / "ä 1.swc", tmp_path / "b.eswc"),
        apo=(tmp_path / "a.apo",),
        images=(tmp_path / "overlay.v3draw",),
    )


def test_other_keys_blank_lines_and_comments_are_passed_over(tmp_path: Path) -> None:
    text = "# made by hand\n\nGRAYIMG = a.tif\r\nsurface=b.v3ds\nswcfile=c=1.swc\n"
    (tmp_path / "a.ano").write_text(text)
    found = read_ano(tmp_path / "a.ano")
    assert found == LinkedFiles(swc=(tmp_path / "c=1.swc",), images=(tmp_path / "a.tif",))


@pytest.mark.parametrize(
    "name",
    ["../a.swc", "/etc/passwd", "x/a.swc", "x\\a.swc", "C:a.swc", "..", ".", "\\\\host\\a.swc"],
)
def test_a_name_that_leaves_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.ano").write_text(f"APOFILE=a.apo\nSWCFILE={name}\n")
    with pytest.raises(ValueError, match=r"a\.ano, line 2: names .* not in the folder"):
        read_ano(tmp_path / "a.ano")


@pytest.mark.parametrize("name", ["../a.swc", "/tmp/a.swc", "x/a.swc", "a\nb.swc", "", " a.swc"])
def test_only_names_of_the_folder_are_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="names files in its own folder"):
        write_ano(tmp_path / "a.ano", swc=name)
    assert not list(tmp_path.iterdir())


def test_a_linker_of_nothing_and_a_line_of_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must name a file"):
        write_ano(tmp_path / "a.ano")
    (tmp_path / "a.ano").write_text("SWCFILE=\n")
    with pytest.raises(ValueError, match="line 1: must be KEY=file, got 'SWCFILE='"):
        read_ano(tmp_path / "a.ano")
