"""A table of suspicious spots is ranked, and read back as it was written."""

from pathlib import Path

import pytest

from topodelin.delineation.tracing.spots import KINDS, Spot, ranked, read_spots, write_spots

WORST = Spot("failed_cube", (1.0, 2.0, 3.0), 1.0, 64.0, (), "Input/output error")
GAP = Spot("gap", (10.5, 20.25, 30.125), 0.5, 4.0, (2, 7), 'not joined, "costs too much" (0.50)')
WIDER = Spot("gap", (1.0, 1.0, 1.0), 0.5, 6.0, (1,))


def test_the_worst_come_first_and_among_equals_the_larger() -> None:
    assert ranked([GAP, WIDER, WORST]) == [WORST, WIDER, GAP]
    same = [Spot(kind, (0.0, 0.0, 0.0), 0.5, 1.0) for kind in reversed(KINDS)]
    assert [spot.kind for spot in ranked(same)] == list(KINDS)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    write_spots(tmp_path / "spots.csv", [WORST, GAP])
    assert read_spots(tmp_path / "spots.csv") == [WORST, GAP]
    assert (tmp_path / "spots.csv").read_text().splitlines()[2].startswith("2,gap,10.500,20.250")
    write_spots(tmp_path / "none.csv", [])
    assert read_spots(tmp_path / "none.csv") == []


@pytest.mark.parametrize("line", ["1,gap,1,2,3", "1,hole,1,2,3,0.5,1,,", "1,gap,1,2,x,0.5,1,,"])
def test_a_line_that_is_no_spot_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "spots.csv"
    write_spots(path, [])
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(ValueError, match="line 2: is not a spot"):
        read_spots(path)
    path.write_text("rank,kind\n")
    with pytest.raises(ValueError, match="line 1: must be rank,kind"):
        read_spots(path)


def test_a_spot_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="`kind` must be one of"):
        Spot("hole", (0.0, 0.0, 0.0), 0.5, 1.0)
    with pytest.raises(ValueError, match="`severity` must lie between 0 and 1, got 1.5"):
        Spot("gap", (0.0, 0.0, 0.0), 1.5, 1.0)
