"""Losses on one output of several and on one class of many, and the divergence of a code."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Normal, kl_divergence

from tests.topodelin.training.labelled_drawings import write_labelled_run
from topodelin.losses import MSELoss
from topodelin.models import load_model
from topodelin.training import ConfigError, load_config, train
from topodelin.training.heads import GaussianDivergence, OnClass, OnHead, one_against_the_rest

DMCN_HEADS = ("main", "auxiliary_2", "auxiliary_4", "auxiliary_8")


def steps(config: Path, folder: Path, *overrides: str) -> list[dict[str, Any]]:
    train(load_config(config, overrides=overrides), run_dir=folder)
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [record for line in lines if "loss" in (record := json.loads(line))]


@given(seed=st.integers(0, 1000), latent=st.integers(1, 5))
def test_the_divergence_is_that_of_torch_summed_over_the_code(seed: int, latent: int) -> None:
    code = torch.randn(3, 2, latent, generator=torch.Generator().manual_seed(seed))
    mean, log_variance = code.unbind(1)
    told = Normal(mean, (log_variance / 2).exp())
    expected = kl_divergence(told, Normal(0.0, 1.0)).sum(1).mean()
    torch.testing.assert_close(GaussianDivergence()(code, None), expected)


def test_a_code_that_is_standard_normal_costs_nothing() -> None:
    assert GaussianDivergence()(torch.zeros(2, 2, 7), None) == 0


@given(seed=st.integers(0, 1000), number=st.integers(0, 3))
def test_one_class_against_the_rest_has_the_probability_of_the_softmax(
    seed: int, number: int
) -> None:
    logits = 3 * torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(seed))
    single = one_against_the_rest(logits, number).sigmoid()[:, 0]
    torch.testing.assert_close(single, logits.softmax(1)[:, number])


def test_a_single_channel_tells_class_1_and_its_negative_class_0() -> None:
    logits = torch.tensor([[[[2.0]]]])
    assert one_against_the_rest(logits, 1).item() == 2
    assert one_against_the_rest(logits, 0).item() == -2


def test_a_loss_on_a_head_sees_that_output_alone_and_takes_what_it_took() -> None:
    outputs = {"main": torch.zeros(1, 1, 2, 2, 2), "aux": torch.ones(1, 1, 2, 2, 2)}
    loss = OnHead(MSELoss(), "aux")
    assert loss.takes == "distance_map"
    assert loss(outputs, torch.full((1, 1, 2, 2, 2), 3.0)) == 4
    assert OnHead(OnClass(MSELoss(), 0), "aux").takes == "labels"


@pytest.mark.parametrize("weight", [0.33, 0.0])
def test_a_second_head_adds_its_loss_with_its_weight(weight: float, tmp_path: Path) -> None:
    terms = {
        "main": {"loss": "cross_entropy"},
        "flat": {"loss": "cross_entropy", "head": "aux2d", "weight": weight},
    }
    config = write_labelled_run(
        tmp_path,
        model={"name": "hybrid2d3d", "arguments": {"base": 1}},
        sampling={"crop": [2, 16, 16]},
        loss={"terms": terms},
        steps=2,
    )
    for step in steps(config, tmp_path / "run"):
        flat = step["terms"].get("flat", 0.0)  # a term without weight is not computed
        assert ("flat" in step["terms"]) == (weight > 0)
        assert step["loss"] == pytest.approx(step["terms"]["main"] + weight * flat, rel=1e-5)
    network, _ = load_model(tmp_path / "run" / "model.safetensors")
    assert network.heads == ("main", "aux2d")


def test_every_auxiliary_head_of_a_trunk_has_a_term_and_a_weight_that_falls(
    tmp_path: Path,
) -> None:
    terms: dict[str, Any] = {"main": {"loss": "cross_entropy"}}
    for head in DMCN_HEADS[1:]:
        weight = {"ramp": [1.0, 0.0], "start": 1, "length": 2}
        terms[head] = {"loss": "cross_entropy", "head": head, "weight": weight}
    arguments = {"dims": 2, "base": 2, "branch": 2, "auxiliary": True}
    config = write_labelled_run(
        tmp_path, model={"name": "dmcn", "arguments": arguments}, loss={"terms": terms}, steps=4
    )
    done = steps(config, tmp_path / "run")
    assert [len(step["terms"]) for step in done] == [4, 4, 4, 1]
    for step, weight in zip(done, (1.0, 1.0, 0.5, 0.0), strict=True):
        others = [value for name, value in step["terms"].items() if name != "main"]
        assert step["loss"] == pytest.approx(step["terms"]["main"] + weight * sum(others), rel=1e-5)


def test_a_head_that_is_not_there_is_refused_with_the_nearest(tmp_path: Path) -> None:
    config = write_labelled_run(
        tmp_path,
        model={"name": "hybrid2d3d", "arguments": {"base": 1}},
        sampling={"crop": [2, 16, 16]},
        loss={"terms": {"cross_entropy": {"head": "aux2"}}},
    )
    with pytest.raises(ConfigError, match="head: must be an output.*did you mean `aux2d`"):
        train(load_config(config), run_dir=tmp_path / "run")
