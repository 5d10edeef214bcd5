"""APO markers: the columns of Vaa3D, the way there and back, and names that would break a table."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from topodelin.graphs import Marker, read_apo, write_apo

VAA3D = (
    "##n,orderinfo,name,comment,z,x,y, pixmax,intensity,sdev,volsize,mass,,,, "
    "color_r,color_g,color_b\n"
    "\n1, ,  7,soma , 30.5,10,20, 0,0,0,314.159,0,,,,0,128,255\n"
)


def test_a_marker_is_written_column_by_column_in_voxels(tmp_path: Path) -> None:
    marker = Marker((10, 4, 9), "gap", "3.2 um", (1, 2, 3), volume=80)
    write_apo(tmp_path / "a.apo", [marker], spacing=(5, 2, 3))
    header, line = (tmp_path / "a.apo").read_text().splitlines()
    named = dict(zip(header.lstrip("#").split(","), line.split(","), strict=True))
    assert (named["z"], named["y"], named["x"]) == ("2.000", "2.000", "3.000")
    assert (named["n"], named["name"], named["comment"]) == ("1", "gap", "3.2 um")
    assert (named["color_r"], named["color_g"], named["color_b"]) == ("1", "2", "3")
    assert named["volsize"] == "80"


def test_what_vaa3d_writes_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.apo").write_text(VAA3D)
    (marker,) = read_apo(tmp_path / "a.apo", spacing=(2, 1, 0.5))
    assert marker == Marker((61, 20, 5), "7", "soma", (0, 128, 255), 314.159)


def test_columns_after_the_place_may_be_missing(tmp_path: Path) -> None:
    (tmp_path / "a.apo").write_text("1,1,end,,3,1,2\n")
    assert read_apo(tmp_path / "a.apo") == [Marker((3, 2, 1), "end")]


@settings(max_examples=25)
@given(names=st.lists(st.text(max_size=30), max_size=4))
def test_no_name_breaks_the_table(names: list[str], tmp_path_factory) -> None:
    path = tmp_path_factory.mktemp("apo") / "märker.apo"
    markers = [Marker((n, 0.25, -3.5), name, name) for n, name in enumerate(names)]
    write_apo(path, markers, spacing=(0.5, 0.25, 0.125))
    found = read_apo(path, spacing=(0.5, 0.25, 0.125))
    assert [marker.position for marker in found] == [marker.position for marker in markers]
    for marker, name in zip(found, names, strict=True):
        assert marker.name == marker.comment == " ".join(name.replace(",", ";").split())


def test_commas_and_line_breaks_are_replaced_and_long_names_end(tmp_path: Path) -> None:
    write_apo(tmp_path / "a.apo", [Marker((0, 0, 0), "a, b\nc", "x" * 20000)])
    (marker,) = read_apo(tmp_path / "a.apo")
    assert marker.name == "a; b c" and len(marker.comment) == 1000


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("\n1,1,gap\n", r"line 2: is not a marker \(3 columns, a marker has 18"),
        ("1,1,gap,,a,b,c\n", r"line 1: .*could not convert string"),
        ("1,1,gap,,nan,0,0\n", "line 1: .*`position` must be finite"),
        (VAA3D.replace("255", "256"), "line 3: .*from 0 to 255"),
        (VAA3D.replace("255", "red"), "line 3: "),
        ("", "the file is empty"),
        ("\0", "binary or damaged file, not the text of an APO file"),
    ],
)
def test_a_broken_file_is_answered_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "a.apo").write_text(text)
    with pytest.raises(ValueError, match=rf"a\.apo.*{says}"):
        read_apo(tmp_path / "a.apo")


def test_a_marker_has_a_place_and_a_colour() -> None:
    with pytest.raises(ValueError, match="`position` must be finite"):
        Marker((0, np.inf, 0), "end")
    with pytest.raises(ValueError, match="`colour` must be three numbers from 0 to 255"):
        Marker((0, 0, 0), "end", colour=(0, 0, -1))
