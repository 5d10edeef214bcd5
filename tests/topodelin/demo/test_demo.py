import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.topodelin.demo.stand_in import Blur, load_stand_in
from topodelin.cli import verbs  # noqa: F401  (registers the verbs)
from topodelin.cli.app import app
from topodelin.demo import TRUTH, DemoResult, run_demo
from topodelin.graphs import check_swc, read_swc
from topodelin.models import bundled_models
from topodelin.training import load_config


def use_stand_in(patch: pytest.MonkeyPatch) -> None:
    """A stand-in for the network, and few pixels to draw."""
    patch.setattr("topodelin.demo.demo.load_distance_model", load_stand_in)
    patch.setattr("topodelin.report.picture.DPI", 30)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> DemoResult:
    """The demo run once with a stand-in for the network."""
    with pytest.MonkeyPatch.context() as patch:
        use_stand_in(patch)
        folder = tmp_path_factory.mktemp("the demo") / "made"
        return run_demo(folder, model="stand-in", progress=None)


def roots(swc: Path) -> list[str]:
    """Where each tree of a file starts: x, y and z as written."""
    return re.findall(r"^\d+ \d+ (\S+ \S+ \S+) \S+ -1$", swc.read_text(encoding="utf-8"), re.M)


def test_the_folder_holds_everything_that_the_demo_promises(finished: DemoResult) -> None:
    names = {path.name for path in finished.out_dir.iterdir()}
    assert names == {
        "dendrite.ome.tif",
        "truth.swc",
        "traced.swc",
        "run",
        "metrics.json",
        "report.html",
        "train.yaml",
    }
    assert list((finished.out_dir / "run" / "trees").glob("*.swc"))
    assert (finished.out_dir / "run" / "distance_map.ome.zarr").is_dir()


def test_even_one_blur_follows_these_dendrites(finished: DemoResult) -> None:
    assert finished.quality.quality > 0.85


def test_the_metrics_are_those_of_the_result(finished: DemoResult) -> None:
    metrics = json.loads((finished.out_dir / "metrics.json").read_text(encoding="utf-8"))
    assert metrics.items() >= finished.quality.as_dict().items()
    assert metrics["tolerance_um"] == 3.0
    assert metrics["trees"] == finished.trees
    assert metrics["model"] == "stand-in"
    assert metrics["cubes_computed"] == finished.coverage.computed
    assert metrics["cubes"] == finished.coverage.cubes > finished.coverage.computed


def test_every_cube_that_holds_truth_counts_as_computed(finished: DemoResult) -> None:
    cubes = np.floor_divide(read_swc(TRUTH).positions, finished.coverage.cube_um).astype(int)
    assert finished.coverage.visited[tuple(cubes.T)].all()


def test_all_trees_lie_in_one_valid_file(finished: DemoResult) -> None:
    traced = finished.out_dir / "traced.swc"
    assert [p for p in check_swc(traced) if p.severity == "error"] == []
    files = list((finished.out_dir / "run" / "trees").glob("*.swc"))
    assert sorted(roots(traced)) == sorted(root for file in files for root in roots(file))
    trees = [read_swc(path) for path in files]
    assert read_swc(traced).length == pytest.approx(sum(t.length for t in trees), abs=0.01)


def test_the_report_names_the_stack_the_network_and_the_result(finished: DemoResult) -> None:
    text = finished.report.read_text(encoding="utf-8")
    assert "dendrite.ome.tif" in text and "stand-in" in text
    assert "weights: none &lt;needed&gt;" in text
    assert f"Quality {finished.quality.quality:.2f} at 3 µm" in text


def test_what_is_printed_leads_on(finished: DemoResult) -> None:
    printed = str(finished)
    assert "completeness" in printed and str(finished.report) in printed
    assert len(finished.next_commands) == 3
    assert all(command in printed for _, command in finished.next_commands)


def test_the_next_commands_are_verbs_and_their_files_exist(finished: DemoResult) -> None:
    verbs_known = {command.name for command in app.registered_commands}
    for _, command in finished.next_commands:
        program, verb, first, *_ = shlex.split(command)
        assert program == "topodelin" and verb in verbs_known
        assert Path(first).is_file()


def test_the_training_file_is_a_valid_configuration(finished: DemoResult) -> None:
    config = load_config(finished.out_dir / "train.yaml")
    assert config.data.train[0].image == (finished.out_dir / "dendrite.ome.tif").resolve()


def test_a_second_run_predicts_nothing_and_changes_nothing(
    finished: DemoResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("metrics.json", "traced.swc", "report.html")
    before = [(finished.out_dir / name).read_bytes() for name in names]

    def refuse(self: Blur, image: torch.Tensor) -> torch.Tensor:
        raise AssertionError("nothing was left to predict")

    use_stand_in(monkeypatch)
    monkeypatch.setattr(Blur, "forward", refuse)
    run_demo(finished.out_dir, model="stand-in", progress=None)
    assert [(finished.out_dir / name).read_bytes() for name in names] == before


@pytest.mark.skipif(not bundled_models(), reason="no network is bundled yet")
def test_the_bundled_network_traces_the_packaged_stack(tmp_path: Path) -> None:
    result = run_demo(tmp_path, progress=None)
    assert result.quality.quality >= 0.85
    assert result.coverage.computed < result.coverage.cubes
