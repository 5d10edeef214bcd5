"""Seeds from files and from a scan."""

from pathlib import Path

import numpy as np
import pytest

from tests.topodelin.delineation.stand_in import drawn
from topodelin.delineation.lattice import Lattice
from topodelin.delineation.seeds import as_seeds, coarse_seeds, cubes_at, read_seeds
from topodelin.volumes import IntensityRange, Volume


def written(folder: Path, text: str) -> Path:
    path = folder / "seeds.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_three_columns_without_names_are_z_y_x_in_micrometres(tmp_path: Path) -> None:
    path = written(tmp_path, "# from Fiji\n1,2,3\n\n4.5, 5, 6\n")
    np.testing.assert_array_equal(read_seeds(path), [[1, 2, 3], [4.5, 5, 6]])


def test_named_columns_may_stand_in_any_order_among_others(tmp_path: Path) -> None:
    path = written(tmp_path, "\ufeffname,X,y,Z\nfirst,3,2,1\n")
    np.testing.assert_array_equal(read_seeds(path), [[1, 2, 3]])


def test_voxels_become_micrometres(tmp_path: Path) -> None:
    path = written(tmp_path, "10,10,10\n")
    np.testing.assert_allclose(read_seeds(path, "voxel", (2.0, 0.5, 0.25)), [[20, 5, 2.5]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,3\n1,two,3\n", r"line 2: must hold numbers for z,y,x, got \['1', 'two', '3'\]"),
        ("1,2,3\n1,2\n", "line 2: must hold three numbers z,y,x, got 2"),
        ("1,2,3\n1,nan,3\n", "line 2: must hold numbers"),
        ("z,y\n1,2\n", "line 1: must name the columns z, y and x once each"),
        ("z,y,x\n1,2\n", "line 2: must hold numbers for z,y,x"),
        ("# nothing\n", "holds no seeds"),
    ],
)
def test_a_line_that_is_no_position_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_seeds(written(tmp_path, text))


def test_an_unknown_unit_and_a_binary_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`unit` must be one of"):
        read_seeds(written(tmp_path, "1,2,3\n"), "mm")
    (tmp_path / "seeds.csv").write_bytes(b"\xff\xfe\x00\x81" * 9)
    with pytest.raises(ValueError, match="is not a text file"):
        read_seeds(tmp_path / "seeds.csv")


def test_no_seed_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one position"):
        as_seeds(np.zeros((0, 3)))


def test_a_seed_starts_its_cube_and_those_within_reach() -> None:
    volume = Volume(np.zeros((40, 40, 40), np.uint8), (1.0, 1.0, 1.0))
    lattice = Lattice((40, 40, 40), (20, 20, 20))
    middle, border = np.array([[10.0, 10, 10]]), np.array([[10.0, 10, 18]])
    assert cubes_at(middle, volume, lattice, volume.spacing, 3.0) == [(0, 0, 0)]
    assert cubes_at(border, volume, lattice, volume.spacing, 3.0) == [(0, 0, 0), (0, 0, 1)]


def test_a_seed_outside_is_refused_with_the_extent() -> None:
    volume = Volume(np.zeros((40, 40, 40), np.uint8), (2.0, 1.0, 1.0))
    lattice = Lattice((40, 40, 40), (20, 20, 20))
    inside, outside = [78.0, 39, 39], [80.0, 39, 39.6]
    with pytest.raises(ValueError, match=r"to \(78, 39, 39\) µm.*1 outside.*\(80, 39, 39.6\)"):
        cubes_at(np.array([inside, outside]), volume, lattice, volume.spacing, 3.0)


def test_the_scan_finds_one_seed_in_each_cube_that_holds_a_bright_line() -> None:
    volume = drawn([[(8, 8, 4), (8, 8, 44)]], (32, 32, 48), spacing=(2.0, 2.0, 2.0))
    lattice = Lattice(volume.shape, (16, 16, 16))
    seeds = coarse_seeds(volume, lattice, IntensityRange(0, 255))
    assert seeds.shape == (3, 3)
    np.testing.assert_array_equal(seeds[:, :2], 16)
    assert np.floor(seeds[:, 2] / 32).tolist() == [0, 1, 2]


def test_noise_alone_gives_no_seed() -> None:
    noise = np.random.default_rng(0).normal(100, 10, (48, 48, 48)).astype(np.float32)
    volume = Volume(noise, (1.0, 1.0, 1.0))
    low, high = np.percentile(noise, [50, 99.9]).tolist()
    seeds = coarse_seeds(volume, Lattice(volume.shape, (16, 16, 16)), IntensityRange(low, high))
    assert len(seeds) == 0
