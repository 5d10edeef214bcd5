"""Runs that learn classes: what they leave behind, and what they refuse."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.topodelin.training.killing import kill_a_run
from tests.topodelin.training.labelled_drawings import discs, write_labelled_run
from topodelin.models import SegmentationCard, UNet, load_model, predict_probabilities
from topodelin.training import ConfigError, check_config, load_config, train


def run(yaml: Path, folder: Path, *overrides: str) -> list[dict]:
    train(load_config(yaml, overrides=overrides), run_dir=folder)
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def refusal(yaml: Path, *overrides: str) -> str:
    with pytest.raises((ConfigError, ValueError)) as error:
        check_config(load_config(yaml, overrides=overrides))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_network_of_images_learns_the_discs(tmp_path: Path) -> None:
    yaml = write_labelled_run(tmp_path, steps=120, validate_every=60)
    records = run(yaml, tmp_path / "run")
    scores = [r["validation"][0] for r in records if "validation" in r]
    assert scores[-1]["miou"] > 0.8 and scores[-1]["iou_disc"] > 0.8
    network, card = load_model(tmp_path / "run" / "model.safetensors")
    assert isinstance(card, SegmentationCard) and isinstance(network, UNet)
    assert card.classes == ("ground", "disc", "rim") and card.normalisation == "range"
    assert card.provenance["task"] == "segmentation" and card.spacing == (0.05, 0.004, 0.004)
    image, labels = discs()
    told = predict_probabilities(network, image / np.float32(255), tile=(1, 48, 56), margin=0)
    assert np.mean(told.argmax(0) == labels // 10 - 1) > 0.9
    np.testing.assert_allclose(told.sum(0), 1, rtol=1e-5)


def test_a_volume_is_learnt_by_the_same_trainer(tmp_path: Path) -> None:
    yaml = write_labelled_run(
        tmp_path,
        model={"name": "unet", "arguments": {"base": 2, "poolings": [[1, 2, 2]]}},
        sampling={"crop": [2, 16, 16]},
        data={
            "train": [
                {"image": "image.npy", "labels": "labels.npy", "spacing": [0.05, 0.004, 0.004]}
            ],
            "validation": [],
        },
    )
    run(yaml, tmp_path / "run")
    assert load_model(tmp_path / "run" / "model.safetensors")[1].cube == (2, 16, 16)


def test_a_stopped_run_goes_on_to_the_same_network(tmp_path: Path) -> None:
    yaml = write_labelled_run(tmp_path, optimizer={"schedule": "constant"})
    run(yaml, tmp_path / "whole")
    run(yaml, tmp_path / "parts", "steps=5")
    run(yaml, tmp_path / "parts")
    last = "checkpoints/last.safetensors"
    whole, parts = (tmp_path / name / last for name in ("whole", "parts"))
    assert whole.read_bytes()[-1000:] == parts.read_bytes()[-1000:]


def test_a_killed_run_ends_with_the_same_bits(tmp_path: Path) -> None:
    arguments = {"dims": 2, "base": 4, "poolings": 1, "dropout": 0.2}
    yaml = write_labelled_run(
        tmp_path,
        model={"name": "unet", "arguments": arguments},
        task={"weights": {"constant": 1.0, "balance": 2.0}},
        augmentation={"elastic": {"points": 4, "amplitude": 2.0}, "zoom": [0.8, 1.2]},
        optimizer={"averaging": 0.9, "schedule": "plateau", "decay_every": 1},
        checkpoint_every=4,
        validate_every=10,
        steps=24,
    )
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run(yaml, whole)
    assert 4 <= kill_a_run(yaml, killed) < 24
    run(yaml, killed)
    for name in ("model.safetensors", "checkpoints/last.safetensors"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes()


def test_a_topology_loss_judges_one_class_against_the_rest(tmp_path: Path) -> None:
    terms = {"cross_entropy": {}, "cldice": {"of_class": "rim", "weight": 0.1}}
    records = run(write_labelled_run(tmp_path, loss={"terms": terms}), tmp_path / "run")
    assert all(r["terms"].keys() == set(terms) for r in records if "terms" in r)


def test_ignored_voxels_are_neither_learnt_nor_judged(tmp_path: Path) -> None:
    task = {"kind": "segmentation", "classes": {"ground": 10, "disc": 20}, "ignore": [30]}
    records = run(write_labelled_run(tmp_path, task=task, steps=4), tmp_path / "run")
    assert set(records[-1]["validation"][0]) >= {"iou_ground", "iou_disc"}
    assert "iou_rim" not in records[-1]["validation"][0]


def test_a_run_below_the_floor_or_without_progress_ends_early(tmp_path: Path) -> None:
    yaml = write_labelled_run(tmp_path, validate_every=2, steps=20)
    run(yaml, tmp_path / "floor", "stopping.floor=1.1", "stopping.floor_from=4")
    assert "stopping at step 4: miou" in (tmp_path / "floor" / "log.txt").read_text()
    run(yaml, tmp_path / "still", "stopping.patience=2", "stopping.min_delta=1")
    log = (tmp_path / "still" / "log.txt").read_text()
    assert "stopping at step 6: 2 validations without an improvement of 1 in miou" in log
    records = run(yaml, tmp_path / "still", "stopping.patience=2", "stopping.min_delta=1")
    assert records[-1]["step"] == 6  # the same command leaves it where it stopped


def test_the_learning_rate_drops_where_the_score_stands_still(tmp_path: Path) -> None:
    settings = {"schedule": "plateau", "decay": 0.5, "decay_every": 1, "lr": 1e-9, "warm_up": 0}
    yaml = write_labelled_run(tmp_path, optimizer=settings, validate_every=2)
    records = run(yaml, tmp_path / "run", "stopping.min_delta=1")
    rates = [r["learning_rate"] for r in records if "learning_rate" in r]
    assert rates == pytest.approx([1e-9] * 4 + [5e-10] * 2 + [2.5e-10] * 2)


def test_groups_freeze_weights_and_have_their_own_decay(tmp_path: Path) -> None:
    groups = [{"match": "^down", "rate": 0}, {"match": "head", "weight_decay": 0.5}]
    yaml = write_labelled_run(tmp_path, optimizer={"groups": groups})
    run(yaml, tmp_path / "run", "steps=1")
    run(yaml, tmp_path / "more", "steps=3")
    first, later = (load_model(tmp_path / n / "model.safetensors")[0] for n in ("run", "more"))
    one, two = first.state_dict(), later.state_dict()
    assert all((one[n] == two[n]).all() for n in one if n.startswith("down"))
    assert not (one["head.weight"] == two["head.weight"]).all()


def test_a_run_may_start_from_the_weights_of_another(tmp_path: Path) -> None:
    yaml = write_labelled_run(tmp_path)
    run(yaml, tmp_path / "first")
    start = f"model.weights={tmp_path / 'first' / 'model.safetensors'}"
    records = run(yaml, tmp_path / "second", start, "steps=1", "optimizer.lr=1e-12")
    one, two = (
        load_model(tmp_path / n / "model.safetensors")[0].state_dict() for n in ("first", "second")
    )
    np.testing.assert_allclose(one["head.weight"], two["head.weight"], atol=1e-6)
    assert records[0]["loss"] > 0
    assert "model.safetensors: " in (tmp_path / "second" / "log.txt").read_text()


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("task.classes={ground: 10, disc: 20}", r"labels.npy: holds the value 30"),
        ("task.classes={ground: 10, disc: 20, rim: 30, x: 40}", "'x' is absent from all labels"),
        ("task.classes={a: 10}", "task.classes"),
        ("task.clases={}", "task.clases: unknown key; did you mean `classes`?"),
        ("task.kind=segmentatoin", "task.kind: must be a known name, got 'segmentatoin'; did you"),
        ("task=segmentation", "task: must hold keys such as `kind`, got 'segmentation'"),
        ("task.weights={border: {cells: [disk]}}", "`weights.border.cells` must name classes, got"),
        ("task.weights={balanse: 3}", "task.weights.balanse: unknown key; did you mean `balance`?"),
        ("loss.terms={focal: {gamma: 2}}", "those of the class itself go under `arguments`"),
        (
            "loss.terms={focal: {arguments: {gama: 2}}}",
            "loss.terms.focal.arguments: unknown argument `gama`; did you mean `gamma`?",
        ),
        (
            "loss.terms={cross_entropy: {weight: {rampp: [0, 1]}}}",
            "weight: must be a number, or hold `ramp`, `switch` or `balance`, got {'rampp'",
        ),
        ("model.arguments={dims: 2, bas: 3}", "unknown argument `bas`; did you mean `base`?"),
        ("stopping.pacience=3", "stopping.pacience: unknown key; did you mean `patience`?"),
        ("sampling.crop=24", "sampling.crop: input should be a list, got 24"),
        ("device=gpu", "device: must be auto, cpu, mps, cuda, or one such as cuda:1, got 'gpu'"),
        ("task.metric=miou_subset", "needs `subset`"),
        ("task.subset=[x]", "`subset` must name classes, got 'x'"),
        ("task.ignore=[10]", "`ignore`: 10 is the value of a class as well"),
        ("data.train.0.labels=null", "`data.train[0]` must hold `image` and `labels`"),
        ("data.train.0.slices=[0, 9]", "`slices` must end by 4, its depth, got 9"),
        ("data.train.0.slices=[3, 3]", "`slices` must rise"),
        ("data.train.0.spacing=null", "`spacing: [z, y, x]`"),
        ("sampling.crop=[1, 96, 96]", "`sampling.crop` must fit in every stack, got (1, 96, 96)"),
        ("sampling.crop=[2, 24, 24]", "sampling.crop: must be one slice deep for a network of"),
        ("sampling.crop=[1, 25, 24]", "the next larger is (1, 26, 24)"),
        ("sampling.foreground=[x]", "`sampling.foreground` must name a class"),
        ("sampling.kind=lattice", "needs `sampling.bins`"),
        (
            "loss.terms={cldice: {}}",
            "loss.terms.cldice: is a loss of distance maps; name the class",
        ),
        ("loss.terms={focal: {of_class: rim}}", "of_class: is for losses of distance maps"),
        (
            "loss.terms.cross_entropy={head: aux}",
            "loss.terms.cross_entropy.head: must be an output",
        ),
        ("optimizer.groups=[{match: nowhere}]", "must match the name of a weight, got 'nowhere'"),
        ("optimizer.groups=[{match: '('}]", "must be a regular expression"),
        ("optimizer.groups=[{match: '', rate: 0}]", "must leave a weight that learns"),
        ("model.name=unet3d_dits", "did you mean `unet3d_dist`?"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_place_and_remedy(
    override: str, said: str, tmp_path: Path
) -> None:
    yaml = write_labelled_run(tmp_path)
    if override.startswith("optimizer"):
        with pytest.raises(ValueError) as error:
            run(yaml, tmp_path / "run", override)
        assert said in str(error.value)
    else:
        assert said in refusal(yaml, override)


def test_a_precision_may_be_written_as_a_number(tmp_path: Path) -> None:
    yaml = write_labelled_run(tmp_path)
    assert load_config(yaml, overrides=["precision=32"]).precision == "32"


def test_labels_of_another_shape_are_refused(tmp_path: Path) -> None:
    yaml = write_labelled_run(tmp_path)
    np.save(tmp_path / "labels.npy", discs()[1][:, :40])
    assert "labels.npy: must have the shape of its image, (4, 48, 56), got (4, 40, 56)" in refusal(
        yaml
    )


def test_a_pickled_checkpoint_is_refused_and_told_how_to_be_converted(tmp_path: Path) -> None:
    import torch

    torch.save({"a": torch.zeros(1)}, tmp_path / "resnet.pth")
    yaml = write_labelled_run(tmp_path)
    said = refusal(yaml, f"model.weights={tmp_path / 'resnet.pth'}")
    assert "is no safetensors file; convert a pickle that you trust once" in said
