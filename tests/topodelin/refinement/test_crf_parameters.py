"""Numbers of a random field in a preset and in files."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
import yaml

from topodelin.refinement import CRFParameters, dense_crf

SMALL = {
    "theta_alpha": 2,
    "theta_beta": 0.1,
    "theta_gamma": 1,
    "compatibility": [[0, 3], [3, 0]],
    "smoothness": 1,
}


def stack() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 3, 8, 9, generator=generator)
    return logits.softmax(0), torch.rand(3, 8, 9, generator=generator)


def test_the_preset_has_a_cost_for_every_pair_of_six_classes() -> None:
    preset = CRFParameters.fibsem()
    costs = torch.tensor(preset.compatibility)
    of = {name: number for number, name in enumerate(preset.classes)}
    assert costs.shape == (6, 6) and torch.equal(costs, costs.T)
    assert costs[of["membrane"], of["synapse"]] == 0.5
    assert costs[of["mitochondrion"], of["mitochondrial membrane"]] == 5
    assert costs[of["membrane"], of["mitochondrial membrane"]] == 10
    assert costs.sum() == 2 * (5 * 100 + 1 + 1 + 1 + 3 * 100 + 10 + 0.5 + 5 + 100)


def test_a_stack_is_refined_slice_by_slice_or_as_a_volume() -> None:
    p, image = stack()
    preset = CRFParameters.fibsem()
    alone = preset.refine(p[:, 1:2], image[1:2])
    torch.testing.assert_close(preset.refine(p, image)[:, 1:2], alone)
    whole = dataclasses.replace(preset, by_slice=False).refine(p, image)
    assert (whole[:, 1:2] - alone).abs().max() > 0.01


def test_spacing_is_in_the_order_of_the_axes_for_slices_too() -> None:
    p, image = stack()
    preset = dataclasses.replace(CRFParameters.fibsem(), theta_alpha=8.0, theta_gamma=8.0)
    by_slice = preset.refine(p, image, spacing=(30.0, 8.0, 4.0))
    numbers = dataclasses.asdict(preset)
    del numbers["by_slice"], numbers["classes"]
    plane = dense_crf(p[:, 2], image[2], **numbers, spacing=(8.0, 4.0))
    torch.testing.assert_close(by_slice[:, 2], plane)


@pytest.mark.parametrize("write", [json.dumps, yaml.safe_dump])
def test_a_file_gives_back_what_was_written(tmp_path: Path, write) -> None:
    path = tmp_path / "crf.yaml"
    record = json.loads(json.dumps(dataclasses.asdict(CRFParameters.fibsem())))
    path.write_text(write(record))
    assert CRFParameters.from_file(path) == CRFParameters.fibsem()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"theta_alfa": 1}, "unknown key 'theta_alfa'; known are theta_alpha"),
        ({"theta_beta": "wide"}, "`theta_beta` must be a number above 0, got 'wide'"),
        ({"compatibility": [[0, 3]]}, "`compatibility` must be a number or a square matrix"),
        ({"compatibility": [[0, 3], [2, 0]]}, "`compatibility` must be symmetric"),
        ({"compatibility": "potts"}, "`compatibility` must be a number or a square matrix"),
        (
            {"classes": ["a", "b", "c"]},
            "one row and column for each of the 3 classes, got shape (2, 2)",
        ),
        ({"classes": "ab"}, "`classes` must be a list of names"),
        ({"classes": 3}, "`classes` must be a list of names"),
        ({"by_slice": "yes please"}, "`by_slice` must be true or false"),
        ({"steps": 1.5}, "`steps` must be a whole number of 0 or more, got 1.5"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(tmp_path: Path, changes: dict, message: str) -> None:
    path = tmp_path / "crf.json"
    path.write_text(json.dumps(SMALL | changes))
    with pytest.raises(ValueError) as raised:
        CRFParameters.from_file(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert message in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"theta_alpha": 1}', "`theta_beta` is missing"),
        ("[1, 2]", "must be a mapping"),
        ("{", "must be JSON or YAML"),
    ],
)
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "crf.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as raised:
        CRFParameters.from_file(path)
    assert "\n" not in str(raised.value)


def test_a_stack_that_does_not_fit_is_refused() -> None:
    p, image = stack()
    preset = CRFParameters.fibsem()
    with pytest.raises(ValueError, match="`image` must have the space of `probabilities`"):
        preset.refine(p, image[:2])
    with pytest.raises(ValueError, match="`probabilities` must have axes"):
        preset.refine(p[:, :0], image[:0])
    with pytest.raises(ValueError, match="`spacing` must be 3 numbers above 0"):
        preset.refine(p, image, spacing=(8.0, 4.0))
