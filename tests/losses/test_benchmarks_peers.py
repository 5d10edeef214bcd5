"""The table of all losses and the picture run at toy size, and their answers hold."""

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from topodelin.losses.catalogue import CATALOGUE

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    return runpy.run_path(str(BENCHMARKS / "peers_losses.py"))["main"](["--toy"])


def test_every_loss_is_measured_and_says_where(measured: dict[str, Any]) -> None:
    assert {"version", "commit", "machine", "seed", "answer"} <= set(measured)
    assert {name for name, e in CATALOGUE.items() if e.takes != "labels"} <= set(measured["answer"])


def test_what_a_loss_cannot_see_it_does_not_see(measured: dict[str, Any]) -> None:
    answer = measured["answer"]
    assert answer["mse"]["gaps_seen"] == answer["mse"]["bridges_seen"] == 1
    for name in ("skeleton_recall", "centre_slack", "path"):
        assert answer[name]["bridges_seen"] == 0
    assert answer["skeleton_recall"]["gaps_seen"] == 1


def test_times_are_positive_and_shares_are_shares(measured: dict[str, Any]) -> None:
    for row in measured["answer"].values():
        assert row["step_ms"] > 0 and row["prepare_ms"] >= 0
        assert 0 <= row["gradient_at_faults"] <= 1 + 1e-6


def test_faults_are_planted_where_they_are_said_to_be() -> None:
    plant = runpy.run_path(str(BENCHMARKS / "planted_faults.py"))["plant"]
    scene = plant((32, 32, 32), 2, 2, 2, 0)
    truth, prediction = (maps[0, 0].numpy() for maps in (scene.truth, scene.prediction))
    assert len(scene.gaps) == len(scene.bridges) == 2
    for gap in scene.gaps:
        assert truth[gap].min() == 0 and prediction[gap & (truth == 0)].max() > 1.5
    for bridge in scene.bridges:
        assert truth[bridge].min() > 4 and prediction[bridge].min() < 1
    assert np.count_nonzero(truth == 0) >= 32


def test_descent_joins_what_belongs_together_and_parts_the_rest(tmp_path: Path) -> None:
    picture = tmp_path / "descent.png"
    main = runpy.run_path(str(BENCHMARKS / "picture_gradient_descent.py"))["main"]
    answer = main(["--toy", "-o", str(picture)])["answer"]
    before, after = (answer["TopoLoss, image"][moment] for moment in ("before", "after"))
    assert not before["the upper line is whole"] and before["the lines are joined"]
    assert after["the upper line is whole"] and not after["the lines are joined"]
    assert picture.stat().st_size > 0
