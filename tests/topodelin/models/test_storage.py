"""A model file gives the same network back, or one line that says why not."""

import dataclasses
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from topodelin.models import (
    MODELS,
    ModelCard,
    ModelError,
    SegmentationCard,
    UNet,
    bundled_models,
    load_distance_model,
    load_model,
    predict_distance_map,
    read_card,
    save_model,
    storage,
)


def trained() -> UNet:
    """A network whose statistics have seen something."""
    torch.manual_seed(0)
    network = UNet(3, base=2, poolings=((1, 2, 2), 2), dropout=0.1)
    network(torch.randn(2, 1, 4, 8, 8))
    return network


def card_of(network: UNet, **changes) -> ModelCard:
    card = ModelCard(
        name="unet",
        arguments=network.arguments,
        spacing=(1.0, 0.5, 0.5),
        d_max=10.0,
        threshold=2.0,
        cube=(32, 96, 96),
        margin=(8, 24, 24),
        licence="BSD-3-Clause",
        provenance={"data": ["rendered neurites"], "steps": 100},
    )
    return dataclasses.replace(card, **changes)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    network = trained()
    save_model(tmp_path / "neurites.safetensors", network, card_of(network))
    return tmp_path / "neurites.safetensors"


def rewrite(file: Path, *, card: dict | str | None = None, **weights: torch.Tensor | None) -> None:
    """The same file with other weights (None = without) or another card, by foreign hands."""
    tensors = load_file(file)
    tensors.update({name: value for name, value in weights.items() if value is not None})
    kept = {n: t for n, t in tensors.items() if weights.get(n, t) is not None}
    text = card if isinstance(card, str) else json.dumps({**stored_card(file), **(card or {})})
    save_file(kept, file, metadata={"topodelin": text})


def stored_card(file: Path) -> dict:
    return json.loads(header(file)["__metadata__"]["topodelin"])


def header(file: Path) -> dict:
    content = file.read_bytes()
    return json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])


def refusal(file: Path | str) -> str:
    with pytest.raises(ModelError) as refused:
        load_model(file)
    message = str(refused.value)
    assert "\n" not in message and len(message) < 400
    assert str(file) in message
    return message


def test_a_stored_network_sees_the_same_bit_by_bit(file: Path) -> None:
    network, image = trained(), np.random.default_rng(0).normal(size=(5, 9, 9)).astype("float32")
    loaded, card = load_model(file)
    assert card == card_of(network)
    assert not loaded.training
    np.testing.assert_array_equal(
        predict_distance_map(loaded, image, d_max=10),
        predict_distance_map(network, image, d_max=10),
    )


def test_a_loaded_network_can_be_trained_further(file: Path) -> None:
    loaded, _ = load_model(file)
    loaded.train()(torch.randn(2, 1, 4, 8, 8)).sum().backward()
    assert all(weight.grad is not None for weight in loaded.parameters())


def test_a_loaded_network_does_not_change_when_its_file_does(file: Path) -> None:
    loaded, _ = load_model(file)
    before = {name: value.clone() for name, value in loaded.state_dict().items()}
    with open(file, "r+b") as stream:
        stream.write(bytes(os.path.getsize(file)))
    after = loaded.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_half_precision_halves_the_kernels_and_loads_as_float32(file: Path) -> None:
    network = trained()
    half = file.with_name("half.safetensors")
    save_model(half, network, card_of(network), dtype=torch.float16)
    loaded, _ = load_model(half)
    assert {weight.dtype for weight in loaded.parameters()} == {torch.float32}
    kernel = network.state_dict()["down.0.0.weight"]
    assert torch.equal(loaded.state_dict()["down.0.0.weight"], kernel.half().float())
    variance = "down.0.1.running_var"
    assert torch.equal(loaded.state_dict()[variance], network.state_dict()[variance])
    assert half.stat().st_size < 0.75 * file.stat().st_size


def test_storing_twice_gives_the_same_bytes_and_leaves_nothing_else(file: Path) -> None:
    first = file.read_bytes()
    network = trained()
    save_model(file, network, card_of(network))
    assert file.read_bytes() == first
    assert os.listdir(file.parent) == [file.name]


def test_an_interrupted_write_leaves_the_old_file(file: Path, monkeypatch) -> None:
    def full(*_) -> None:
        raise OSError("no space left on device")

    before, network = file.read_bytes(), trained()
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="no space"):
        save_model(file, network, card_of(network))
    assert file.read_bytes() == before
    assert os.listdir(file.parent) == [file.name]


def test_the_file_is_plain_safetensors_for_others(file: Path) -> None:
    tensors = load_file(file)
    assert tensors.keys() == trained().state_dict().keys()
    assert stored_card(file)["licence"] == "BSD-3-Clause"


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda whole: b"", "is empty (0 bytes)"),
        (lambda whole: whole[:5], "not a whole model file"),
        (lambda whole: whole[:300], "not a whole model file"),
        (lambda whole: whole[:-1], "not a whole model file"),
        (lambda whole: whole + b"more", "not a whole model file"),
        (lambda whole: (2**62).to_bytes(8, "little") + whole[8:], "not a whole model file"),
        (lambda whole: (90 * 2**20).to_bytes(8, "little") + whole[8:], "not a whole model file"),
        (lambda whole: whole[:8] + b"[" * (len(whole) - 8), "not a whole model file"),
        (lambda whole: pickle.dumps({"weights": [1]}) * 9, "pickled files"),
        (lambda whole: b"id z y x\n" * 99, "not a whole model file"),
    ],
)
def test_a_damaged_or_foreign_file_is_refused(file: Path, damage, complaint) -> None:
    file.write_bytes(damage(file.read_bytes()))
    assert complaint in refusal(file)


def test_a_checkpoint_of_torch_is_refused_without_unpickling(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    torch.save(Trap(), tmp_path / "net.pt")
    assert "never loaded" in refusal(tmp_path / "net.pt")
    assert not (tmp_path / "sprung").exists()


def test_weights_without_a_card_are_foreign(file: Path) -> None:
    save_file(load_file(file), file, metadata={"format": "pt"})
    assert "no topodelin card" in refusal(file)
    save_file(load_file(file), file)
    assert "no topodelin card" in refusal(file)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"format_version": 2}, "format version 2, newer than 1"),
        ({"format_version": 2, "dials": 3}, "format version 2, newer than 1"),
        ({"format_version": "one"}, "`format_version` must be a whole number"),
        ({"dials": 3}, "the card has unknown 'dials'"),
        ({"name": "unett"}, "unknown network 'unett', did you mean 'unet'?; known: unet"),
        ({"name": 3}, "`name` must be text"),
        ({"arguments": {"base": 2, "dims": 7}}, "`dims` must be 2 or 3, got 7"),
        ({"arguments": {"depth": 2}}, "unexpected keyword argument 'depth'"),
        ({"arguments": {"base": 10**9}}, "do not fit"),
        ({"arguments": []}, "`arguments` must be a dict"),
        ({"spacing": [1, 1]}, "`spacing` must hold 3 finite number(s) above 0"),
        ({"spacing": [1, 1, float("nan")]}, "`spacing` must hold 3 finite"),
        ({"spacing": [1, 1, 10**400]}, "`spacing` must hold 3 number(s)"),
        ({"cube": [32, 96, 1.5]}, "`cube` must hold 3 whole numbers from 1"),
        ({"margin": [-1, 0, 0]}, "`margin` must hold 3 whole numbers from 0"),
        ({"threshold": 11}, "`threshold` must be at most `d_max` = 10"),
        ({"percentiles": [99, 50]}, "`percentiles` must rise"),
        ({"provenance": {"score": float("inf")}}, "`provenance` must hold JSON"),
    ],
)
def test_a_card_that_says_the_impossible_is_refused(file: Path, change, complaint) -> None:
    rewrite(file, card=change)
    assert complaint in refusal(file)


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, '"unet"'])
def test_a_card_that_is_no_json_object_is_refused(file: Path, text: str) -> None:
    rewrite(file, card=text)
    assert "the card must be" in refusal(file)


def test_a_card_with_gaps_is_refused(file: Path) -> None:
    gaps = {k: v for k, v in stored_card(file).items() if k not in ("cube", "d_max")}
    rewrite(file, card=json.dumps(gaps))
    assert "lacks cube, lacks d_max" in refusal(file)


@pytest.mark.parametrize(
    ("weights", "complaint"),
    [
        ({"head.bias": None}, "1 weights missing, e.g. 'head.bias'"),
        ({"extra": torch.ones(3)}, "1 unknown, e.g. 'extra'"),
        ({"two\nlines": torch.ones(3)}, "1 unknown, e.g. 'two\\nlines'"),
        ({"head.bias": torch.ones(2)}, "`head.bias` must have shape (1,), got (2,)"),
        ({"head.bias": torch.tensor([torch.nan])}, "`head.bias` holds NaN or infinite"),
        ({"head.bias": torch.tensor([torch.inf])}, "`head.bias` holds NaN or infinite"),
        ({"head.bias": torch.ones(1, dtype=torch.int64)}, "must be torch.float32, got torch.int64"),
    ],
)
def test_weights_of_another_network_are_refused(file: Path, weights, complaint) -> None:
    rewrite(file, **weights)
    assert complaint in refusal(file)


def test_what_is_not_there_is_answered_with_what_is(
    tmp_path: Path, file: Path, monkeypatch
) -> None:
    monkeypatch.setattr(storage, "BUNDLED", tmp_path)
    assert bundled_models() == ["neurites"]
    assert load_model("neurites")[1].name == "unet"
    assert "did you mean 'neurites'?; bundled: neurites" in refusal("neurite")
    assert "neither a file nor a bundled model" in refusal(tmp_path / "ghost.safetensors")
    assert "is a folder" in refusal(tmp_path)


def test_every_bundled_model_loads() -> None:
    assert [load_model(name)[1].name in MODELS for name in bundled_models()] == [True] * len(
        bundled_models()
    )


def test_a_card_for_another_network_is_not_stored(tmp_path: Path) -> None:
    network = trained()
    other = card_of(network, arguments={**network.arguments, "final": "relu"})
    with pytest.raises(ModelError, match="`card` must describe `model`"):
        save_model(tmp_path / "m", network, other)
    with pytest.raises(ModelError, match="unknown network 'resnet'"):
        save_model(tmp_path / "m", network, card_of(network, name="resnet"))
    assert not any(tmp_path.iterdir())


def test_weights_that_cannot_be_kept_are_not_stored(tmp_path: Path) -> None:
    network = trained()
    with pytest.raises(ModelError, match="`dtype` must be"):
        save_model(tmp_path / "m", network, card_of(network), dtype=torch.int8)
    network.get_parameter("head.weight").data.fill_(1e6)
    with pytest.raises(ModelError, match="`head.weight` must be finite as torch.float16"):
        save_model(tmp_path / "m", network, card_of(network), dtype=torch.float16)
    network.get_parameter("head.weight").data.fill_(torch.nan)
    with pytest.raises(ModelError, match="`head.weight` must be finite as torch.float32"):
        save_model(tmp_path / "m", network, card_of(network))
    with pytest.raises(FileNotFoundError):
        save_model(tmp_path / "no" / "m", trained(), card_of(trained()))
    assert not any(tmp_path.iterdir())


SEGMENTATION = SegmentationCard(
    "unet", {"dims": 2}, (0.05, 0.004, 0.004), (1, 512, 512), (0, 92, 92), ("cell", "membrane")
)


def test_a_card_of_classes_reads_back_and_travels_with_its_network(tmp_path: Path) -> None:
    network = UNet(2, base=2, poolings=1)
    card = dataclasses.replace(SEGMENTATION, arguments=network.arguments)
    assert read_card(card.to_json()) == card
    save_model(tmp_path / "classes.safetensors", network, card)
    loaded, found = load_model(tmp_path / "classes.safetensors")
    assert found == card and isinstance(loaded, UNet)


def test_who_needs_distances_is_told_that_a_network_tells_classes(tmp_path: Path) -> None:
    network = UNet(2, base=2, poolings=1)
    card = dataclasses.replace(SEGMENTATION, arguments=network.arguments)
    save_model(tmp_path / "classes.safetensors", network, card)
    with pytest.raises(ModelError, match="predicts the classes cell, membrane; use"):
        load_distance_model(tmp_path / "classes.safetensors")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"classes": ("one",)}, "`classes` must be two different names"),
        ({"classes": ("one", "one")}, "`classes` must be two different names"),
        ({"normalisation": "guess"}, "`normalisation` must be one of percentiles"),
        ({"cube": (0, 8, 8)}, "`cube` must hold 3 whole numbers"),
    ],
)
def test_a_card_of_classes_that_says_the_impossible_is_refused(change, complaint) -> None:
    with pytest.raises(ValueError, match=complaint):
        dataclasses.replace(SEGMENTATION, **change)


def test_a_card_of_a_kind_yet_to_come_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown kind, 'dreams'; upgrade"):
        read_card(SEGMENTATION.to_json().replace('"classes"', '"dreams"', 1))


def test_a_card_reads_back_as_it_was_written() -> None:
    card = card_of(trained(), provenance={"note": "µm, ä, 漢"})
    assert read_card(card.to_json()) == card
