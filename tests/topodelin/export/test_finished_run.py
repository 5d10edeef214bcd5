"""Opening the folder of a run again."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.topodelin.export.small_run import D_MAX, SPOTS, bars, phantom_npy, write_run
from tests.topodelin.volumes.phantom import SPACING, phantom
from topodelin.delineation.tracing.spots import ranked
from topodelin.export import open_run


def test_everything_that_a_run_holds_is_found_again(tmp_path: Path) -> None:
    image = phantom_npy(tmp_path)
    write_run(tmp_path / "run", bars(), image=image, spacing=SPACING)
    run = open_run(tmp_path / "run")
    assert (run.d_max, run.threshold) == (D_MAX, 2.5)
    assert np.array_equal(run.image.data[...], phantom()) and run.image.spacing == SPACING
    assert run.distance_map.spacing == (1.5, 0.5, 0.5)
    assert run.seeds.tolist() == [[0, 0, 0], [3, 0, 0]]
    assert run.spots == ranked(SPOTS)
    assert [(number, name) for number, name, _ in run.numbered_graphs()] == [
        (1, "tree_0001"), (2, "tree_0002"),
    ]  # fmt: skip
    assert run.intensity is None


def test_a_tracing_of_a_distance_map_elsewhere_is_a_run_too(tmp_path: Path) -> None:
    np.save(tmp_path / "distances.npy", np.full((4, 5, 6), 1.25, np.float32))
    elsewhere = {"path": str(tmp_path / "distances.npy"), "spacing": [2.0, 1.0, 1.0]}
    run = write_run(tmp_path / "run", bars(), distance_map=elsewhere)
    assert run.distance_map.spacing == (2, 1, 1)
    assert run.distance_map.data[0, 0, 0] == 1.25
    assert run.distance_map_place == elsewhere["path"]


def test_an_image_that_was_moved_is_asked_for_and_may_be_named(tmp_path: Path) -> None:
    image = phantom_npy(tmp_path)
    write_run(tmp_path / "run", [], image=tmp_path / "gone.npy", spacing=SPACING)
    with pytest.raises(ValueError, match=r"gone\.npy.*name it with --image"):
        _ = open_run(tmp_path / "run").image
    assert open_run(tmp_path / "run", image=str(image)).image.shape == phantom().shape


def test_a_run_of_before_asks_for_its_image(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [])
    assert run.image_place is None
    with pytest.raises(ValueError, match="does not say which image was traced"):
        _ = run.image


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no run\.json"):
        open_run(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({}))
    with pytest.raises(ValueError, match="holds no trees yet"):
        open_run(tmp_path)
