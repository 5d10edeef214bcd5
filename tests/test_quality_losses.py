"""The learning experiment runs at toy size, goes on where it was, and its table can be trusted."""

import json
from pathlib import Path

import numpy as np
import pytest
import quality_losses
import torch
from rendered_crops import draw, render

from topodelin.losses import WeightedSum


@pytest.fixture(scope="module")
def volumes() -> list:
    return [render((1, number), 40) for number in range(2)]


@pytest.mark.parametrize("name", quality_losses.ROWS)
def test_every_row_gives_a_gradient(name: str, volumes: list) -> None:
    _, annotation = draw(volumes, (0, 0), 32, 1, least=20)
    loss = WeightedSum(quality_losses.ROWS[name]())
    prediction = torch.full((1, 1, 32, 32, 32), 5.0).requires_grad_()
    noise = torch.rand(prediction.shape, generator=torch.Generator().manual_seed(0))
    loss(prediction + noise, annotation).backward()
    assert prediction.grad is not None and prediction.grad.abs().sum() > 0


def test_a_crop_is_turned_together_with_all_its_annotations(volumes: list) -> None:
    image, annotation = draw(volumes, (0, 3), 32, 4, least=20)
    distances, graphs = annotation["distance_map"], annotation["graphs"]
    assert isinstance(distances, torch.Tensor) and isinstance(graphs, tuple)
    for number, graph in enumerate(graphs):
        z, y, x = np.rint(graph.positions).astype(int).T
        assert distances[number, 0, z, y, x].mean() < 0.5
    bright = image[distances < 1].mean()
    assert bright > 2 * image[distances > 5].mean()


def test_an_experiment_goes_on_where_it_was(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    arguments = [str(tmp_path), "--toy", "--seeds", "2", "--rows", "mse,l3d"]
    threads = torch.get_num_threads()
    first = quality_losses.main(arguments)
    assert capsys.readouterr().out.count('"trained"') == 6  # two rows and a warm start, two seeds
    again = quality_losses.main(arguments)
    assert capsys.readouterr().out.count('"trained"') == 0
    torch.set_num_threads(threads)
    assert json.dumps(first["rows"]) == json.dumps(again["rows"])
    assert [row["row"] for row in first["rows"]] == ["l3d", "mse"]  # type: ignore[index,union-attr]
    assert (tmp_path / "mse-1.safetensors").exists()


def test_the_threshold_is_chosen_on_the_validation_volumes_alone() -> None:
    def at(apls: float, bridges: float, gaps: float) -> dict[str, float]:
        return {"apls": apls, "bridges_per_mm": bridges, "gaps_per_mm": gaps}

    result = {
        "validation": {"2": at(0.3, 0, 0), "3": at(0.5, 0, 0)},
        "test": {"2": at(0.9, 5.0, 20.0), "3": at(0.1, 15.0, 10.0)},
    }
    chosen = quality_losses.chosen(result)
    assert (chosen["threshold"], chosen["apls"]) == (3.0, 0.1)
    assert chosen["gaps_at_equal_bridges"] == 15.0  # half way between the two thresholds


def test_the_interval_is_student_s() -> None:
    # five values with mean 3 and deviation sqrt(2.5): 2.776 * sqrt(2.5 / 5)
    assert quality_losses.mean_and_interval([1, 2, 3, 4, 5]) == (3.0, 1.9632)
