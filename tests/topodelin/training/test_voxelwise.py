"""A run of a tree ensemble: the files of a run, scores, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.topodelin.training.labelled_drawings import discs, write_labelled_run
from topodelin.models import SegmentationCard, load_model, predict_probabilities
from topodelin.models.tree_ensemble import TreeEnsemble
from topodelin.training import ConfigError, check_config, load_config, train
from topodelin.training.checkpoint import CheckpointError

TASK: dict[str, Any] = {
    "kind": "voxelwise",
    "classes": {"ground": 10, "disc": 20, "rim": 30},
    "arguments": {"n_estimators": 10},
    "voxels": 2000,
}
OF_NETWORKS = ("model", "sampling", "loss", "optimizer")


def write_run(folder: Path, **task: Any) -> Path:
    """The YAML of a forest, without the sections of networks."""
    import yaml

    path = write_labelled_run(folder, task={**TASK, **task})
    content = yaml.safe_load(path.read_text())
    kept = {name: section for name, section in content.items() if name not in OF_NETWORKS}
    path.write_text(yaml.safe_dump(kept, sort_keys=False))
    return path


def test_a_forest_leaves_what_a_network_does(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    result = train(load_config(write_run(tmp_path)), run_dir=folder)
    (record,) = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    scores = record["validation"][0]
    assert result.best_score == scores["miou"] > 0.8 and scores["iou_rim"] > 0.5
    assert set(scores) >= {"f1", "kappa", "pixel_accuracy", "average_precision"}
    network, card = load_model(result.model)
    assert isinstance(network, TreeEnsemble) and isinstance(card, SegmentationCard)
    assert card.classes == ("ground", "disc", "rim") and card.normalisation == "range"
    assert card.cube == (1, 512, 512) and card.margin == (0, 1, 1)
    assert card.provenance["model"] == "random_forest"
    assert card.provenance["validation"] == scores
    image, labels = discs()
    told = predict_probabilities(
        network, image / np.float32(255), tile=card.cube, margin=card.margin
    )
    assert np.mean(told.argmax(0) == labels // 10 - 1) > 0.95
    said = (folder / "log.txt").read_text().splitlines()
    assert [line.split(":")[0] for line in said] == ["fitting", "fitted", "done"]
    again = load_config(folder / "config.yaml")
    assert again.task == load_config(tmp_path / "run.yaml").task


@pytest.mark.parametrize("classifier", ["decision_tree", "adaboost", "gradient_boosting"])
def test_every_classifier_goes_through_the_same_command(classifier: str, tmp_path: Path) -> None:
    arguments = {} if classifier == "decision_tree" else {"n_estimators": 8}
    yaml = write_run(tmp_path, classifier=classifier, arguments=arguments)
    result = train(load_config(yaml), run_dir=tmp_path / "run")
    assert result.best_score is not None and result.best_score > 0.5
    assert load_model(result.model)[1].provenance["model"] == classifier


def test_the_same_command_gives_the_same_file(tmp_path: Path) -> None:
    config = load_config(write_run(tmp_path))
    one, two = (train(config, run_dir=tmp_path / "run").model.read_bytes() for _ in range(2))
    assert one == two


def test_without_stacks_to_be_judged_on_there_is_no_score(tmp_path: Path) -> None:
    config = load_config(write_run(tmp_path), overrides=["data.validation=[]"])
    result = train(config, run_dir=tmp_path / "run")
    assert result.best_score is None
    assert load_model(result.model)[1].provenance["validation"] == {}


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("optimizer.lr=0.5", "optimizer: is for networks, `task.kind: voxelwise` has none"),
        ("model.name=dmcn", "model: is for networks"),
        ("task.features=[x]", "task: `features` must name one or more of intensity"),
        ("task.classifier=x", "task.classifier: input should be 'decision_tree'"),
        ("task.classifer=x", "task.classifer: unknown key; did you mean `classifier`?"),
        ("task.arguments={x: 1}", "task: `arguments` of random_forest"),
        ("task.classes={a: [10, 20], b: 30, c: 1}", "'c' is absent from all labels"),
        ("task.voxels=0", "task.voxels"),
    ],
)
def test_a_wrong_setting_is_refused(override: str, said: str, tmp_path: Path) -> None:
    with pytest.raises((ConfigError, ValueError)) as error:
        check_config(load_config(write_run(tmp_path), overrides=[override]))
    assert said in str(error.value) and "\n" not in str(error.value)


def test_the_folder_of_a_network_is_not_written_over(tmp_path: Path) -> None:
    yaml = write_labelled_run(tmp_path / "network", steps=1)
    train(load_config(yaml), run_dir=tmp_path / "run")
    with pytest.raises(CheckpointError, match="holds a run with another"):
        train(load_config(write_run(tmp_path / "forest")), run_dir=tmp_path / "run")
