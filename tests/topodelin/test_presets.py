"""Every preset is a configuration of this version; its network is the published one; it learns."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from seed_experiments import configuration
from seed_plans import EXPERIMENTS
from seed_scores import two_class_scores
from seed_table import RESULTS, table

from tests.shared_files import needs_shared, shared
from topodelin.graphs import confusion
from topodelin.models import MODELS, ZOO
from topodelin.presets import preset, preset_names
from topodelin.presets.filling import fill_in, placeholders
from topodelin.training import load_config, train
from topodelin.training.building import build_loss, build_optimizer, check_sizes, heads_of
from topodelin.training.config import TrainingConfig
from topodelin.training.config_task import CentreRegion, Labelled

ROOT = Path(__file__).resolve().parents[2]
NETWORKS = [name for name in preset_names() if preset(name).task != "voxelwise"]


def validated(name: str) -> TrainingConfig:
    return TrainingConfig.model_validate(yaml.safe_load(preset(name).text))


def on_meta(config: TrainingConfig) -> torch.nn.Module:
    """The network without its weights."""
    entry, given = ZOO[config.model.name], dict(config.model.arguments)
    if isinstance(config.task, CentreRegion):
        given["out_channels"] = 1
    with torch.device("meta"):
        return MODELS[entry.name](**{**entry.arguments, **given})


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_begins_with_what_it_is_and_fits_the_schema(name: str) -> None:
    lines = preset(name).text.splitlines()
    assert lines[0].startswith("# ") and lines[0].endswith(".")
    assert max(map(len, lines)) <= 100
    assert any("# For your data: " in line for line in lines)
    assert any(line.startswith("# Plan: ") for line in lines)
    assert placeholders(preset(name).text)[0] == "IMAGE"
    validated(name)


@pytest.mark.parametrize("name", NETWORKS)
def test_its_network_loss_and_optimiser_can_be_built(name: str) -> None:
    config = validated(name)
    network = on_meta(config)
    check_sizes(network, config)
    build_loss(config, heads_of(network))
    build_optimizer(network, config.optimizer)
    if isinstance(config.task, Labelled):
        wanted = {len(config.task.classes), 1 if len(config.task.classes) == 2 else None}
        assert network.out_channels in wanted


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("fibsem_4res", 1_460_166),
        ("fibsem_convnext_16", 31_315_110),
        ("fibsem_vae", 39_177_713),
        ("isbi_unet1", 31_030_593),
        ("isbi_unet2", 8_629_921),
        ("isbi_dmcn", 7_741_569),
        ("mito_resnet34", 24_436_369),
        ("neurite_cenet", 85_857_447),
        ("platelet_hybrid", 10_267_022),
        ("platelet_no_3x3x3", 9_916_238),
        ("platelet_no_pyramid", 7_882_311),
        ("platelet_unet", 31_030_983),
        ("platelet_deeplab_r101", 59_340_711),
    ],
)
def test_its_network_has_the_weights_of_the_plan(name: str, weights: int) -> None:
    assert sum(each.numel() for each in on_meta(validated(name)).parameters()) == weights


def test_the_hybrid_lattice_and_its_decay_are_those_of_the_paper() -> None:
    config = validated("platelet_hybrid")
    # corners that fit in 50 x 800 x 800 voxels, one a bin of (2, 100, 100)
    fitting = [
        len(range(0, n - size + 1, every))
        for n, size, every in zip(
            (50, 800, 800), config.sampling.crop, config.sampling.bins or (), strict=True
        )
    ]
    assert np.prod(fitting) == 828 == config.validate_every
    assert config.steps == 40 * 828
    assert config.stopping.floor == 0.3 and config.stopping.floor_from == 10 * 828
    assert config.optimizer.betas == pytest.approx((1 - 10**-1.5, 1 - 10**-2.1), abs=1e-5)
    decays = {group.match: group.weight_decay for group in config.optimizer.groups}
    # the gradient of a squared norm is twice the weight
    expected = {"^flat": 2 * 10**-4.7, "^pyramid": 2e-5, "^predictors": 2e-9}
    assert decays == pytest.approx(expected, rel=1e-3)


TINY = {
    "fibsem_4conv": {"sampling.batch": 2},
    "fibsem_cr1": {"sampling.batch": 2, "model.name": "center3d_4conv"},
    "isbi_weighted": {"sampling.crop": [1, 32, 32], "model.arguments.base": 2},
    "isbi_unet1": {"sampling.crop": [1, 188, 188], "model.arguments.base": 2},
    "mito_resnet34": {
        "sampling.crop": [1, 32, 32],
        "sampling.batch": 2,
        "model.arguments.base": 2,
        "model.arguments.widths": [4, 4, 4, 4, 4],
    },
    "platelet_hybrid": {
        "sampling.crop": [5, 28, 28],
        "sampling.bins": [1, 20, 20],
        "model.arguments.base": 2,
        "model.arguments.out_channels": 7,
    },
}


@pytest.mark.parametrize("name", TINY)
def test_a_small_one_learns_from_an_image_and_its_labels(name: str, tmp_path: Path) -> None:
    config = validated(name)
    values = [0]
    if isinstance(config.task, Labelled):
        values = [value for each in config.task.classes.values() for value in each]
    side = 192 if name == "isbi_unet1" else 40
    labels = np.array(values, np.uint8)[np.indices((8, side, side)).sum(0) // 5 % len(values)]
    rng = np.random.default_rng(0)
    np.save(tmp_path / "image.npy", (labels * 20 + rng.integers(0, 20, labels.shape)) % 256)
    np.save(tmp_path / "labels.npy", labels)
    files = {"IMAGE": tmp_path / "image.npy", "LABELS": tmp_path / "labels.npy"}
    own = {place: files[place] for place in placeholders(preset(name).text)}
    run = tmp_path / "run.yaml"
    run.write_text(fill_in(preset(name), own, folder=tmp_path, spacing=(1, 1, 1)), "utf-8")
    small = {"steps": 1, "threads": 1, "device": "cpu", "data.validation": "[]", **TINY[name]}
    result = train(
        load_config(run, overrides=[f"{key}={value}" for key, value in small.items()]),
        run_dir=tmp_path / "run",
    )
    assert result.steps == 1 and result.model.exists()


@needs_shared
@pytest.mark.parametrize("name", [n for n in EXPERIMENTS if EXPERIMENTS[n].start is None])
def test_the_changes_of_an_experiment_suit_its_preset(name: str, tmp_path: Path) -> None:
    config = configuration(EXPERIMENTS[name], shared("data"), tmp_path, tmp_path / "run.yaml")
    values = config.model_dump(mode="json")
    for path, value in EXPERIMENTS[name].changes.items():
        place = values
        for key in path.split("."):
            place = place[key]
        assert place == value


def test_the_scores_of_two_classes_by_hand() -> None:
    # two cells of 2 x 2 pixels beside each other, parted by a column that is missed
    true = np.array([[[1, 1, 0, 1, 1], [1, 1, 0, 1, 1]]])
    told = np.ones_like(true)
    counts = confusion(true.ravel(), told.ravel(), labels=(0, 1))
    scores = two_class_scores(counts, told, true)
    assert scores["iou"] == 0.8 and scores["dice"] == pytest.approx(16 / 18)
    assert scores["pixel_rand_error"] == pytest.approx(2 * 0.2 * 0.8)
    # pairs of different pixels in one cell: 2 x 12 of the truth, 56 told, 24 of both
    assert scores["region_rand_error"] == pytest.approx(1 - 2 * 24 / (24 + 56))


def test_the_table_of_the_documentation_is_made_from_the_records() -> None:
    lines = (ROOT / "docs" / "reproduce.md").read_text("utf-8").splitlines()
    shown = [line for line in lines if line.startswith("|")]
    assert "\n".join(shown) == table(RESULTS, EXPERIMENTS)


RECORDS = sorted(file for file in RESULTS.glob("*.json") if not file.stem.startswith("brain_"))


@pytest.mark.parametrize("file", RECORDS, ids=lambda file: file.stem)
def test_a_record_says_what_was_run_and_the_documentation_shows_it(file: Path) -> None:
    record = json.loads(file.read_text("utf-8"))
    experiment = EXPERIMENTS[file.stem]
    assert record["experiment"] == file.stem and record["preset"] == experiment.preset
    assert record["changed"] == json.loads(json.dumps(experiment.changes))
    assert record["published"] == experiment.published
    assert record["cpu_minutes"] > 0 and record["commit"] and record["seed"] == 0
