"""Images and labels as they come from files: normalisation, single images, weights, refusals."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.topodelin.training.labelled_drawings import discs, write_labelled_run
from topodelin.annotation import border_weights, class_balance_weights, diffusion_weights
from topodelin.models import load_model
from topodelin.training import load_config, train
from topodelin.training.labelled import LabelledStack, open_labelled

BORDER = {"cells": ["disc"], "w0": 3.0, "sigma": 2.0}
DIFFUSION = {"steps": 5, "rate": 0.2, "decay": 0.9, "floor": 0.1, "most": 7.0}


def opened(folder: Path, *settings: str, **sections: Any) -> LabelledStack:
    config = load_config(write_labelled_run(folder, **sections), overrides=settings)
    return open_labelled(config.data.train, config)[0]


def weights_of(folder: Path, named: dict[str, Any]) -> np.ndarray:
    weights = opened(folder, task={"weights": named}).weights
    assert weights is not None
    return weights


def test_a_standard_image_has_mean_0_and_deviation_1(tmp_path: Path) -> None:
    image = opened(tmp_path, "data.normalisation=standard").image
    assert image.mean() == pytest.approx(0, abs=1e-4) and image.std() == pytest.approx(1, abs=1e-3)


def test_the_range_of_the_data_type_becomes_0_to_1(tmp_path: Path) -> None:
    stack = opened(tmp_path, "data.normalisation=range")
    np.testing.assert_allclose(stack.image, discs()[0][:3] / 255, rtol=1e-6)


def test_percentiles_of_the_chosen_slices_become_0_and_1(tmp_path: Path) -> None:
    stack = opened(tmp_path, "data.normalisation=percentiles", "data.percentiles=[10, 90]")
    raw = discs()[0][:3]
    low, high = np.percentile(raw, [10, 90])
    at = (raw == np.round(low)) | (raw == np.round(high))
    np.testing.assert_allclose(stack.image[at], ((raw - low) / (high - low))[at], atol=0.02)


@pytest.mark.parametrize("named", ["constant", "balance", "border", "diffusion"])
def test_a_weight_map_is_that_of_its_function(named: str, tmp_path: Path) -> None:
    value: Any = {"constant": 0.7, "balance": 4.0, "border": BORDER, "diffusion": DIFFUSION}[named]
    stack = opened(tmp_path, task={"weights": {named: value}})
    classes = stack.classes
    assert classes is not None and stack.weights is not None
    expected = {
        "constant": lambda: np.full(stack.image.shape, 0.7),
        "balance": lambda: class_balance_weights(classes, 3, most=4.0),
        "border": lambda: border_weights(classes, [1], w0=3.0, sigma=2.0),
        "diffusion": lambda: diffusion_weights(classes, 3, **DIFFUSION),
    }[named]()
    assert expected.max() > 0
    np.testing.assert_allclose(stack.weights, expected, rtol=1e-6)
    assert stack.weights.dtype == np.float32


def test_weight_maps_add_up_and_the_sum_reaches_the_loss(tmp_path: Path) -> None:
    weights = {"constant": 1.0, "balance": 2.0, "border": BORDER, "diffusion": DIFFUSION}
    sums = weights_of(tmp_path, weights)
    each = [weights_of(tmp_path, {name: value}) for name, value in weights.items()]
    np.testing.assert_allclose(sums, np.sum(each, axis=0), rtol=1e-5)
    for name, given in (("weighted", weights), ("doubled", {"constant": 2.0}), ("plain", None)):
        config = load_config(write_labelled_run(tmp_path, task={"weights": given}, steps=1))
        train(config, run_dir=tmp_path / name)
    weighted, doubled, plain = (
        (tmp_path / name / "metrics.jsonl").read_text().split('"loss": ')[1].split(",")[0]
        for name in ("weighted", "doubled", "plain")
    )
    assert float(doubled) == pytest.approx(2 * float(plain), rel=1e-5)  # mean of weight x loss
    assert float(weighted) > float(plain)


def test_without_weights_all_voxels_count_the_same(tmp_path: Path) -> None:
    assert opened(tmp_path).weights is None


def test_single_images_are_stacks_of_one_slice(tmp_path: Path) -> None:
    image, labels = discs()
    entry = {"image": "image.png", "labels": "labels.png", "spacing": [1, 1, 1]}
    yaml = write_labelled_run(tmp_path, data={"train": [entry], "validation": [entry]}, steps=4)
    Image.fromarray(image[0]).save(tmp_path / "image.png")
    Image.fromarray(labels[0]).save(tmp_path / "labels.png")
    train(load_config(yaml), run_dir=tmp_path / "run")
    card = load_model(tmp_path / "run" / "model.safetensors")[1]
    assert card.provenance["data"] == ["image.png"] and card.cube == (1, 24, 24)


def test_images_of_several_channels_are_refused(tmp_path: Path) -> None:
    entry = {"image": "channels.npy", "labels": "labels.npy", "spacing": [1, 1, 1]}
    np.save(tmp_path / "channels.npy", np.zeros((2, 4, 48, 56), np.uint8))
    with pytest.raises(ValueError, match=r"channels\.npy: must have one channel, got shape"):
        opened(tmp_path, data={"train": [entry], "validation": []})


def test_stacks_of_other_spacings_are_refused(tmp_path: Path) -> None:
    entries = [
        {"image": "image.npy", "labels": "labels.npy", "spacing": spacing}
        for spacing in ([1, 1, 1], [2, 1, 1])
    ]
    with pytest.raises(ValueError, match=r"image\.npy: must have the spacing of image\.npy"):
        opened(tmp_path, data={"train": entries, "validation": []})


def test_a_lattice_and_its_bins_are_set_in_the_yaml(tmp_path: Path) -> None:
    lattice = {"kind": "lattice", "bins": [1, 12, 16], "crop": [1, 24, 24], "batch": 1}
    yaml = write_labelled_run(tmp_path, sampling=lattice, steps=6, validate_every=6)
    train(load_config(yaml), run_dir=tmp_path / "run")
    assert (tmp_path / "run" / "metrics.jsonl").read_text().count('"loss"') == 6
