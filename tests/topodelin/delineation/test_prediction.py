"""The prediction of a cube depends on the image around it and on nothing else."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.topodelin.delineation.stand_in import D_MAX, Inverse, card, drawn
from topodelin.delineation.prediction import QUANTUM, CubePredictor, quantised, read_padded
from topodelin.delineation.task import Task, search_rule
from topodelin.delineation.visit import CubeVisit, Visit
from topodelin.volumes import Box, IntensityRange, Volume, create_ome_zarr

LINE = drawn([[(8.0, 8.0, 4.0), (8.0, 8.0, 44.0)]], (20, 20, 48))


def predictor(model: torch.nn.Module, volume: Volume = LINE) -> CubePredictor:
    task = Task(volume, model, card(), search_rule(card()))
    return task.predictor(IntensityRange(0, 255))


def test_a_cube_answers_for_its_core_only() -> None:
    result = predictor(Inverse())((0, 0, 1))
    assert result.distance.shape == (16, 16, 16)
    expected = D_MAX * (1 - LINE.read(Box((0, 0, 16), (16, 16, 32))) / 255)
    np.testing.assert_allclose(result.distance, expected, atol=QUANTUM)
    assert set(result.directions) >= {(0, 0, -1), (0, 0, 1)}
    assert result.foreground == (result.distance < 2.5).sum()


def test_the_last_cube_is_cut_to_the_volume() -> None:
    assert predictor(Inverse())((1, 1, 2)).distance.shape == (4, 4, 16)


class SeesItsMargin(Inverse):
    """Answers the mean of the whole image it is given."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        assert image.shape[-3:] == (20, 20, 20)
        return image.mean() + 0 * image


def test_the_margin_is_read_from_the_image_and_its_border_repeated() -> None:
    distance = predictor(SeesItsMargin())((0, 0, 0)).distance
    image = np.array(LINE.data)[:18, :18, :18] / 255
    expected = np.pad(image, [(2, 0)] * 3, mode="edge").mean()
    np.testing.assert_allclose(distance, expected, atol=QUANTUM)


def test_a_predictor_sent_to_another_process_answers_the_same() -> None:
    here = predictor(Inverse())
    there = pickle.loads(pickle.dumps(here))
    np.testing.assert_array_equal(here((0, 0, 1)).distance, there((0, 0, 1)).distance)


def test_distances_are_rounded_to_sixteenths() -> None:
    rounded = quantised(np.array([0.0, 0.03, 0.04, 5.99], np.float32))
    assert rounded.dtype == np.float32
    np.testing.assert_array_equal(rounded, [0, 0, 0.0625, 6])


def test_a_box_that_reaches_outside_repeats_the_border() -> None:
    volume = Volume(np.arange(8).reshape(1, 2, 2, 2), (1, 1, 1))  # one channel
    image = read_padded(volume, Box((-1, 0, 0), (2, 2, 3)))
    assert image.shape == (3, 2, 3)
    np.testing.assert_array_equal(image[0], image[1])
    np.testing.assert_array_equal(image[:, :, 2], image[:, :, 1])


def test_an_image_with_nan_is_refused() -> None:
    image = np.array(LINE.data, np.float32)
    image[8, 8, 20] = np.nan
    with pytest.raises(ValueError, match="the image holds NaN or infinity"):
        predictor(Inverse(), Volume(image, (1.0, 1.0, 1.0)))((0, 0, 1))


class SeesNeuriteInTheDark(Inverse):
    """Answers 0 everywhere, and counts how often it is asked."""

    asked = 0

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        type(self).asked += 1
        return 0 * image


def test_a_blank_cube_is_skipped_only_if_the_network_sees_nothing_in_it(tmp_path: Path) -> None:
    blank = Volume(np.zeros((16, 16, 64), np.uint8), (1.0, 1.0, 1.0))
    store = create_ome_zarr(
        tmp_path / "map", shape=(16, 16, 64), spacing=(1, 1, 1), dtype=np.float32,
        chunks=(16, 16, 16),
    )  # fmt: skip
    dark = CubeVisit(predictor(Inverse(), blank), store)
    assert dark((0, 0, 1)) == Visit((0, 0, 1), 0, {}, blank=True)
    bright = CubeVisit(predictor(SeesNeuriteInTheDark(), blank), store)
    visits = [bright((0, 0, x)) for x in range(1, 4)]
    assert [visit.foreground for visit in visits] == [16**3] * 3
    assert not any(visit.blank for visit in visits)
    assert SeesNeuriteInTheDark.asked == 1
    assert [store.has(store.volume.box & Box((0, 0, 16 * x), (16, 16, 16 * x + 16)))
            for x in range(4)] == [False, True, True, True]  # fmt: skip


def test_a_border_is_the_surer_the_nearer_to_a_centreline_it_is() -> None:
    sure = predictor(Inverse())((0, 0, 1)).directions
    assert sure[0, 0, 1] == pytest.approx(1.0)
    assert all(0 < value <= 1 for value in sure.values())
