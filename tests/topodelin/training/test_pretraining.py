"""Learning from cubes without labels, and a classifier that starts from it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from tests.topodelin.training.labelled_drawings import write_labelled_run
from topodelin.models import VAE, CentreVoxelNet, SegmentationCard, load_model
from topodelin.training import load_config, train
from topodelin.training.config import Augmentation
from topodelin.training.label_sampler import LabelSampler
from topodelin.training.labelled import LabelledStack
from topodelin.training.sampler import Batch
from topodelin.training.tasks.pretraining import MaskedCubes

ENTRY = {"image": "image.npy", "spacing": [1, 1, 1]}
THREE_LAYERS = {"name": "centrevoxelnet", "arguments": {"plan": "3layer", "window": 8}}
TINY_VAE = {
    "name": "vae",
    "arguments": {
        "trunk": "3layer",
        "latent": 3,
        "decoder": [6, 4, 2],
        "trunk_arguments": {"window": 8},
    },
}
CLASSES = {"ground": 10, "disc": 20, "rim": 30}
PLAIN = Augmentation(flips=False, quarter_turns=False, rotation=False, intensity=None)


def write_cubes_run(folder: Path, task: dict[str, Any], **sections: Any) -> Path:
    """The YAML of a run over cubes; without labels where the task needs none."""
    path = write_labelled_run(folder)
    content = yaml.safe_load(path.read_text()) | {
        "task": task,
        "data": {"train": [ENTRY], "validation": [ENTRY]},
        "model": THREE_LAYERS,
        "sampling": {"crop": [8, 8, 8], "batch": 4},
        "loss": {"terms": {"mse": {}}},
    }
    path.write_text(yaml.safe_dump(content | sections))
    return path


def run(config: Path, folder: Path, *overrides: str) -> list[dict]:
    train(load_config(config, overrides=overrides), run_dir=folder)
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def cubes(**changes: Any) -> MaskedCubes:
    image = np.arange(1, 11 * 12 * 13 + 1, dtype=np.float32).reshape(11, 12, 13)
    stack = LabelledStack("drawn", image, (1.0, 1.0, 1.0))
    side = changes.pop("side", 8)
    sampler = LabelSampler([stack], 0, (side,) * 3, 4, PLAIN, kind="centred")
    return MaskedCubes(sampler, **{"radius": 1, "dropout": 0.0, "whole": False, **changes})


def told(batch: Batch) -> torch.Tensor:
    """The intensities that the network is asked for."""
    assert isinstance(batch.target, Mapping)
    return batch.target["distance_map"]


@pytest.mark.parametrize("side", [7, 8])
@pytest.mark.parametrize("radius", [0, 1, 2])
def test_the_mask_lies_around_the_voxel_that_is_to_be_told(radius: int, side: int) -> None:
    masked = cubes(radius=radius, side=side)
    seen, whole = masked.draw(3).image, masked.sampler.draw(3).image
    dark = (seen == 0) & (whole != 0)
    places = torch.stack(torch.nonzero(dark[0, 0], as_tuple=True), 1)
    assert dark[0].sum() == (1 + 2 * radius) ** 3
    assert (places.float().mean(0) == side // 2).all()
    target = told(masked.draw(3))
    assert target.shape == (4, 1, 1, 1, 1)
    torch.testing.assert_close(target[:, 0, 0, 0, 0], whole[:, 0, side // 2, side // 2, side // 2])
    torch.testing.assert_close(seen[~dark], whole[~dark])


def test_a_reconstruction_is_asked_for_the_whole_cube_also_where_it_is_masked() -> None:
    masked = cubes(whole=True, radius=2)
    torch.testing.assert_close(told(masked.draw(0)), masked.sampler.draw(0).image)
    unmasked = cubes(whole=True, radius=None).draw(0)
    torch.testing.assert_close(unmasked.image, told(unmasked))


def test_the_share_of_voxels_that_are_blanked_is_that_of_dropout() -> None:
    dark = cubes(dropout=0.3, radius=0, side=10).draw(1)
    assert (dark.image == 0).float().mean().item() == pytest.approx(0.3, abs=0.03)
    assert (told(dark) != 0).all()  # what is to be told is not blanked


def test_two_processes_blank_the_voxels_that_one_would() -> None:
    masked = cubes(dropout=0.3)
    share = masked.draw(5, first=1, every=2)
    torch.testing.assert_close(share.image, masked.draw(5).image[1::2])
    torch.testing.assert_close(told(share), told(masked.draw(5))[1::2])


def test_weights_learnt_without_labels_start_a_classifier(tmp_path: Path) -> None:
    config = write_cubes_run(tmp_path / "before", {"kind": "centre_region"})
    records = run(config, tmp_path / "before" / "run")
    judged = [r["validation"][0]["loss"] for r in records if "validation" in r]
    assert len(judged) == 2 and all(np.isfinite(judged))
    start = tmp_path / "before" / "run" / "model.safetensors"
    network, card = load_model(start)
    assert isinstance(network, CentreVoxelNet) and isinstance(card, SegmentationCard)
    assert card.classes == () and card.provenance["task"] == "centre_region"
    assert card.cube == (8, 8, 8)

    labelled = {**ENTRY, "labels": "labels.npy"}
    config = write_cubes_run(
        tmp_path / "after",
        {"kind": "centre_voxel", "classes": CLASSES},
        data={"train": [labelled], "validation": [{**labelled, "slices": [0, 1]}]},
        loss={"terms": {"focal": {}}},
    )
    settings = [f"model.weights={start}", "optimizer.lr=1e-12"]
    run(config, tmp_path / "after" / "run", *settings, "steps=1")
    classifier, card = load_model(tmp_path / "after" / "run" / "model.safetensors")
    assert classifier.arguments["out_channels"] == 3  # type: ignore[index]
    learnt, start_of = network.state_dict(), classifier.state_dict()
    trunk = [name for name in learnt if name.startswith("trunk.") and name.endswith("weight")]
    assert len(trunk) == 6
    for name in trunk:
        torch.testing.assert_close(start_of[name], learnt[name], rtol=0, atol=1e-6)
    log = (tmp_path / "after" / "run" / "log.txt").read_text()
    assert "model.safetensors: " in log and "head" in log


def test_a_classifier_of_middle_voxels_learns_and_is_judged_on_all_of_them(tmp_path: Path) -> None:
    labelled = {**ENTRY, "labels": "labels.npy"}
    config = write_cubes_run(
        tmp_path,
        {"kind": "centre_voxel", "classes": CLASSES},
        data={"train": [labelled], "validation": [{**labelled, "slices": [0, 2]}]},
        sampling={"crop": [8, 8, 8], "batch": 16, "foreground": ["disc", "rim"]},
        loss={"terms": {"cross_entropy": {}}},
        augmentation={"intensity": None},
        steps=60,
        validate_every=60,
    )
    records = run(config, tmp_path / "run", "optimizer.lr=0.01")
    losses = [r["loss"] for r in records if "loss" in r]
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])
    assert records[-1]["validation"][0]["iou_disc"] > 0.3


def test_an_autoencoder_gives_cubes_back_and_reports_the_divergence_of_its_code(
    tmp_path: Path,
) -> None:
    config = write_cubes_run(tmp_path, {"kind": "reconstruction"}, model=TINY_VAE)
    records = run(config, tmp_path / "run", "steps=40", "validate_every=40", "task.mask=1")
    steps = [r for r in records if "loss" in r]
    assert all(r["terms"].keys() == {"mse", "divergence"} for r in steps)
    for r in steps:
        total = r["terms"]["mse"] + 0.5 * r["terms"]["divergence"]
        assert r["loss"] == pytest.approx(total, rel=1e-5)
    assert steps[-1]["loss"] < steps[0]["loss"]
    network, card = load_model(tmp_path / "run" / "model.safetensors")
    assert isinstance(network, VAE) and isinstance(card, SegmentationCard)
    assert card.classes == () and card.provenance["validation"]["loss"] > 0


def test_a_stopped_pretraining_goes_on_to_the_same_network(tmp_path: Path) -> None:
    config = write_cubes_run(tmp_path, {"kind": "reconstruction"}, model=TINY_VAE)
    run(config, tmp_path / "whole", "optimizer.schedule=constant")
    run(config, tmp_path / "parts", "optimizer.schedule=constant", "steps=3")
    run(config, tmp_path / "parts", "optimizer.schedule=constant")
    one, two = (load_model(tmp_path / n / "model.safetensors")[0] for n in ("whole", "parts"))
    torch.testing.assert_close(one.state_dict(), two.state_dict(), rtol=0, atol=0)
