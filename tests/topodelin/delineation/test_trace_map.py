"""`topodelin trace`: neurons from a distance map that is there already."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from tests.topodelin.delineation.stand_in import fork_in_space
from tests.topodelin.delineation.test_delineate import follow
from tests.topodelin.delineation.tracings import distances
from topodelin.cli import verbs as verbs
from topodelin.cli.app import app
from topodelin.delineation.tracing.trace_map import trace_map
from topodelin.delineation.tracing.tree_rule import TreeRule
from topodelin.export.finished_run import open_run
from topodelin.volumes import create_ome_zarr

LINES = [[(12.0, 12.0, 4.0), (12.0, 12.0, 60.0)], [(12.0, 12.0, 30.0), (12.0, 40.0, 44.0)]]
SHAPE = (24, 48, 64)


@pytest.fixture(scope="module")
def drawing() -> np.ndarray:
    return distances(LINES, SHAPE)


def saved(folder: Path, distance: np.ndarray) -> Path:
    np.save(folder / "map.npy", distance)
    return folder / "map.npy"


def test_any_format_gives_the_same_trees(tmp_path: Path, drawing: np.ndarray) -> None:
    store = tmp_path / "map.ome.zarr"
    writer = create_ome_zarr(
        store, shape=SHAPE, spacing=(1, 1, 1), dtype=np.float32, chunks=SHAPE, fill_value=8
    )
    writer.write(writer.volume.box, drawing)
    tifffile.imwrite(tmp_path / "map.tif", drawing)
    paths = (saved(tmp_path, drawing), tmp_path / "map.tif", store)
    for place, path in enumerate(paths):
        trace_map(path, tmp_path / str(place), spacing=(1, 1, 1), rule=TreeRule())
    files = [tmp_path / str(n) / "trees" / "tree_0001.swc" for n in range(3)]
    bodies = [file.read_text().split("\n", 2)[2] for file in files]
    assert bodies[0] == bodies[1] == bodies[2]


def test_a_run_is_traced_again_with_other_rules_and_without_its_network(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert len(follow(fork_in_space(), run).trees) == 2
    before = (run / "trees" / "tree_0001.swc").read_bytes()
    elsewhere = trace_map(run, tmp_path / "other", rule=TreeRule(min_tree_um=50, radius="map"))
    assert len(elsewhere.trees) == 1
    assert (run / "trees" / "tree_0001.swc").read_bytes() == before
    assert open_run(tmp_path / "other").threshold == 2.5
    again = trace_map(run, rule=TreeRule(min_tree_um=50))
    assert len(again.trees) == len(list((run / "trees").glob("*.swc"))) == 1
    assert json.loads((run / "run.json").read_text())["trees"]["min_tree_um"] == 50
    back = trace_map(run)
    assert len(back.trees) == 2
    assert len(follow(fork_in_space(), run).trees) == 2, "the search still knows its folder"


def test_what_is_no_distance_map_is_refused_with_a_reason(
    tmp_path: Path, drawing: np.ndarray
) -> None:
    noise = np.random.default_rng(0).uniform(0, 255, SHAPE)
    for made, why in (
        (drawing - 4, "it holds -4"),
        (np.zeros(SHAPE), "it is 0 everywhere"),
        (1 - drawing / 8, "100 % of it lie below the threshold"),
        (np.where(drawing < 1, np.nan, drawing), "NaN"),
        (noise, "it changes by more than 2"),
    ):
        with pytest.raises(ValueError, match=why):
            trace_map(saved(tmp_path, made), tmp_path / "out", spacing=(1, 1, 1))
    assert not (tmp_path / "out" / "run.json").exists()


def test_the_folder_of_another_tracing_is_left_alone(tmp_path: Path, drawing: np.ndarray) -> None:
    path = saved(tmp_path, drawing)
    trace_map(path, tmp_path / "out", spacing=(1, 1, 1))
    with pytest.raises(ValueError, match="--restart"):
        trace_map(path, tmp_path / "out", spacing=(1, 1, 1), threshold=2.5)
    trace_map(path, tmp_path / "out", spacing=(1, 1, 1), threshold=2.5, restart=True)
    with pytest.raises(ValueError, match="say where the trees go with -o"):
        trace_map(path, spacing=(1, 1, 1))


def test_the_command_line_says_what_it_made(tmp_path: Path, drawing: np.ndarray) -> None:
    path = saved(tmp_path, drawing)
    (tmp_path / "seeds.csv").write_text("12,12,5\n")
    np.save(tmp_path / "image.npy", (255 * (1 - drawing / 8)).astype(np.uint8))
    words = ["trace", str(path), "-o", str(tmp_path / "out"), "--spacing", "1,1,1", "--json"]
    words += ["--seeds", str(tmp_path / "seeds.csv"), "--image", str(tmp_path / "image.npy")]
    done = CliRunner().invoke(app, [*words, "--image-spacing", "1,1,1", "--resample-um", "3"])
    assert done.exit_code == 0, done.output
    made = json.loads(done.stdout.splitlines()[-1])
    assert (made["trees"], made["bridges"]) == (1, 0)
    run = open_run(tmp_path / "out")
    assert run.seeds.tolist() == [[12, 12, 5]]
    assert run.image.shape == SHAPE
    ((_, graph),) = run.graphs()
    assert np.linalg.norm(graph.positions[0] - [12, 12, 5]) < 2
    assert ((graph.radii > 2) & (graph.radii < 5)).all(), "half maximum of a tent 8 wide"
