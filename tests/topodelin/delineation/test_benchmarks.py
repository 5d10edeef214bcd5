"""The benchmarks run, and their answers are right at toy size."""

import os
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from topodelin.annotation import graph_distance_map
from topodelin.graphs import read_swc
from topodelin.volumes import open_volume

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmarks can be imported, here and in worker processes."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_an_ideal_network_visits_every_cube_that_holds_truth() -> None:
    (line,) = import_module("cubes_visited").main(["--toy"])
    assert line["truth_visited"] == 1
    assert line["cubes_with_truth"] <= line["cubes_visited"] <= line["cubes_total"]


def test_a_sparse_brain_shines_at_its_truth_across_chunks_and_is_dark_elsewhere(
    tmp_path: Path,
) -> None:
    sparse_brain = import_module("sparse_brain")
    spacing = (2.0, 1.0, 1.5)
    brain = sparse_brain.draw(
        tmp_path, (40, 90, 70), spacing, length_um=60.0, seed=3, chunk=(16, 32, 16)
    )
    volume = open_volume(brain.path)
    assert volume.spacing == spacing
    distances = graph_distance_map(brain.truth, volume.shape, spacing, sparse_brain.D_MAX)
    expected = sparse_brain.light(distances, 0.0, np.random.default_rng(0))
    np.testing.assert_array_equal(np.asarray(volume.data), expected)
    assert 0 < brain.chunks < 3 * 3 * 5
    stored = read_swc(tmp_path / "truth.swc")
    assert stored.length == pytest.approx(brain.truth.length, rel=1e-3)
    assert expected[tuple(np.rint(brain.somata / spacing).astype(int).T)].min() > 100


def test_the_same_seed_draws_the_same_noisy_brain(tmp_path: Path) -> None:
    sparse_brain = import_module("sparse_brain")
    for name in ("one", "two"):
        sparse_brain.main(
            [str(tmp_path / name), "--shape", "40,64,64", "--spacing", "1,1,1", "--noise", "5"]
        )
    one, two = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in files}
        for name in ("one", "two")
        if (files := [path for path in (tmp_path / name).rglob("*") if path.is_file()])
    )
    assert one == two


def test_memory_is_measured_beside_the_answer(tmp_path: Path) -> None:
    benchmark = import_module("memory_delineate")
    import_module("sparse_brain").draw(tmp_path, (96, 96, 96), (1.0, 1.0, 1.0), length_um=60.0)
    line = benchmark.delineated(tmp_path, workers=1, cube=32, seed=0)
    assert line["completeness"] > 0.9
    assert line["cubes_visited"] <= line["cubes_total"] == 27
    assert import_module("process_tree").physical_memory(os.getpid()) > 2**20


def test_the_parts_of_a_cube_make_up_its_time() -> None:
    benchmark = import_module("speed_cube")
    for line in benchmark.main(["--toy"]):
        names = ("read", "normalise", "frame", "foreground", "write", "transaction", "other")
        assert sum(line[name] for name in names) == pytest.approx(line["total"], abs=0.01)
        assert min(line[name] for name in names if name != "other") > 0  # that is what is left
        assert line["cubes_visited"] > 1


def test_a_simulated_search_visits_all_that_neurites_pass() -> None:
    *marks, whole = import_module("scale_simulation").main(["--toy"])
    assert whole["none_lost"]
    assert 1000 < whole["visited"] < 3000
    assert marks[-1]["waiting"] == 0
