from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tests.topodelin.training.drawings import write_run
from topodelin.losses import GradientBalance, Ramp
from topodelin.training import ConfigError, TrainingConfig, check_config, dump_config, load_config
from topodelin.training.building import build_loss
from topodelin.training.config_file import changed_settings


def refusal(path: Path, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        check_config(load_config(path, overrides=overrides))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_what_is_written_beside_the_outputs_reads_back_the_same(tmp_path: Path) -> None:
    config = load_config(write_run(tmp_path))
    copy = tmp_path / "elsewhere" / "config.yaml"
    copy.parent.mkdir()
    copy.write_text(dump_config(config))
    assert load_config(copy) == config
    assert copy.read_text().startswith("# topodelin ")


def test_relative_paths_count_from_the_file(tmp_path: Path, monkeypatch: Any) -> None:
    path = write_run(tmp_path / "there")
    monkeypatch.chdir(tmp_path)
    config = load_config(path.relative_to(tmp_path))
    assert config.data.train[0].image == tmp_path / "there" / "image.npy"


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("optimizer.learning=1", "run.yaml: optimizer.learning: unknown key; known are"),
        ("optimizer.lrr=1", "run.yaml: optimizer.lrr: unknown key; did you mean `lr`?"),
        ("stepss=5", "run.yaml: stepss: unknown key; did you mean `steps`?"),
        (
            "loss.terms.mse={weight: {ramp: [0, 1], starts: 3}}",
            "loss.terms.mse.weight.starts: unknown key; did you mean `start`?",
        ),
        ("data.train.0.imag=x", "data.train[0].imag: unknown key; did you mean `image`?"),
        ("optimizer.lr=fast", "optimizer.lr: input should be a valid number"),
        ("optimizer.lr=-1", "optimizer.lr: input should be greater than 0, got -1"),
        ("sampling.crop=[8, 8]", "sampling.crop: holds too few values, got [8, 8]"),
        ("steps=2.5", "steps: input should be a valid integer"),
        ("data.train=[]", "data.train: list should have at least 1 item"),
        ("data.train.0.truth=null", "`data.train[0]` must hold `image` and `truth`, or"),
        ("data.train.0.image=gone.tif", "data.train[0].image: no such file"),
        ("device=tpu", "device: must be auto, cpu, mps, cuda, or one such as cuda:1, got"),
        ("devices=3", "`sampling.batch` must be a multiple of `devices` x `nodes` (3), got 2"),
        ("model.name=unett", "model.name: must be a known name, got 'unett'; did you mean `unet`?"),
        ("model.arguments.bas=4", "model.arguments: "),
        ("model.arguments={dims: 2}", "model.arguments: the network must take volumes"),
        ("loss.terms.mse={weight: {rampe: [0, 1]}}", "loss.terms.mse.weight: must be a number, or"),
        (
            "loss.terms.mse={weight: {switch: [0, 1], at: [5, 7]}}",
            "loss.terms.mse.weight: `values` must hold one weight more",
        ),
        (
            "loss.terms.mse={weight: {balance: 1.0, moost: 3}}",
            "loss.terms.mse.weight.moost: unknown key; did you mean `most`?",
        ),
        ("loss.terms.mse={weight: {balance: 1.0}}", "the first, must have a weight of its own"),
        ("loss.terms.late={loss: mee}", "loss.terms.late: must be a known name, got 'mee'"),
        (
            "data.validation.0={image: image.npy, projections: [a, b, c]}",
            "data: `validation[0]` must hold `truth`",
        ),
        ("loss.terms={mee: {}}", "loss.terms.mee: must be a known name, got 'mee'"),
        ("loss.terms.mse={arguments: {p: 1}}", "loss.terms.mse.arguments: "),
        ("sampling.crop=[8, 15, 16]", "sampling.crop: must suit the network"),
        ("validation.cube=[8, 15, 16]", "validation.cube: must be a multiple of"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_place_and_rule(
    override: str, said: str, tmp_path: Path
) -> None:
    assert said in refusal(write_run(tmp_path), override)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\nsteps: [1", "run.yaml:2: not YAML"),
        ("steps: 1\nsteps: 2", "run.yaml:2: not YAML: the key `steps` is given twice"),
        ("- 1", "run.yaml: a configuration must be a mapping of keys"),
        ("", "run.yaml: a configuration must be a mapping of keys"),
        ("steps: 1", "run.yaml: data: this key is required"),
        ("a: !!python/object:os.system {}", "run.yaml:1: not YAML"),
        ("\x00", "run.yaml: not YAML"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    assert said in refusal(path)


@pytest.mark.parametrize("override", ["steps", "data.train.7.weight=1", "steps.x=1", "=3"])
def test_an_override_without_a_place_is_refused(override: str, tmp_path: Path) -> None:
    assert "--set" in refusal(write_run(tmp_path), override)


def test_a_missing_file_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_config(tmp_path / "none.yaml")


def test_a_power_of_ten_without_a_point_is_a_number(tmp_path: Path) -> None:
    config = load_config(write_run(tmp_path), overrides=["model.arguments={dropout: 1e-2}"])
    assert config.model.arguments["dropout"] == 0.01


def test_a_broken_tracing_is_named(tmp_path: Path) -> None:
    path = write_run(tmp_path)
    (tmp_path / "truth.swc").write_text("1 0 0 0 0 1 -1\n2 0 nonsense 0 0 1 1\n")
    with pytest.raises(ValueError, match=r"truth\.swc.*2"):
        check_config(load_config(path))


def test_a_tracing_in_voxels_read_as_um_is_noticed(tmp_path: Path) -> None:
    path = write_run(tmp_path)
    (tmp_path / "truth.swc").write_text("1 0 4000 3000 5 1 -1\n2 0 4400 3000 6 1 1\n")
    with pytest.raises(ValueError, match=r"truth\.swc: 100% of the tracing lies outside.*unit"):
        check_config(load_config(path))


def test_an_image_without_spacing_names_the_key(tmp_path: Path) -> None:
    path = write_run(tmp_path)
    with pytest.raises(ValueError, match=r"image\.npy.*`spacing: \[z, y, x\]`"):
        check_config(load_config(path, overrides=["data.train.0.spacing=null"]))


def test_changed_settings_are_named_by_their_place() -> None:
    before = {"steps": 1, "target": {"d_max": 5, "spacing": [1, 1, 1]}, "gone": 1}
    now = {"steps": 2, "target": {"d_max": 5, "spacing": [1, 1, 2]}}
    assert changed_settings(before, now) == ["steps", "target.spacing", "gone"]


def test_every_setting_of_the_schema_is_closed_to_unknown_keys() -> None:
    schema = TrainingConfig.model_json_schema()
    parts = [schema, *schema["$defs"].values()]
    assert all(part["additionalProperties"] is False for part in parts)


def test_the_default_configuration_needs_only_data() -> None:
    text = "data: {train: [{rendered: {count: 1}}]}"
    config = TrainingConfig.model_validate(yaml.safe_load(text))
    assert config.sampling.min_foreground == 100
    assert config.target.d_max == 10


@pytest.mark.parametrize(
    ("weight", "steps"),
    [
        ("0.5", {0: 0.5, 9: 0.5}),
        ("{ramp: [0, 2], start: 4, length: 4}", {3: 0, 6: 1, 9: 2}),
        ("{switch: [0, 3, 1], at: [2, 5]}", {1: 0, 2: 3, 5: 1}),
    ],
)
def test_a_weight_follows_its_schedule(
    weight: str, steps: dict[int, float], tmp_path: Path
) -> None:
    override = f"loss.terms={{late: {{loss: mse, weight: {weight}}}}}"
    config = load_config(write_run(tmp_path), overrides=[override])
    assert load_config_again(config, tmp_path) == config
    loss = build_loss(config)
    for step, expected in steps.items():
        loss.step = step
        loss(torch.ones(1, 1, 2, 2, 2), torch.zeros(1, 1, 2, 2, 2))
        assert loss.last_weights["late"] == expected


def test_a_balanced_weight_may_be_bounded_and_scheduled(tmp_path: Path) -> None:
    balance = "{balance: {ramp: [0, 2], start: 4}, most: 9}"
    override = f"loss.terms={{mse: {{}}, late: {{loss: mse, weight: {balance}}}}}"
    config = load_config(write_run(tmp_path), overrides=[override])
    assert load_config_again(config, tmp_path) == config
    expected = GradientBalance(Ramp(0, 2, start=4), most=9)
    assert build_loss(config).weights["late"] == expected


def load_config_again(config: TrainingConfig, folder: Path) -> TrainingConfig:
    copy = folder / "copy.yaml"
    copy.write_text(dump_config(config))
    return load_config(copy)
