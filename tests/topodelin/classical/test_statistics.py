"""Statistics of the classes of an image."""

import json
import math

import numpy as np
import pytest

from topodelin.classical.statistics import class_statistics

NAMES = ("dark", "bright", "nowhere")


def drawing() -> tuple[np.ndarray, np.ndarray]:
    """Dark above, bright below, one column that nobody judged."""
    classes = np.zeros((2, 40, 41), np.int64)
    classes[:, 25:] = 1
    classes[:, :, -1] = -1
    noise = np.random.default_rng(0).normal(0, 10, classes.shape)
    image = np.array([50, 120, 255])[classes] + noise
    return np.clip(image, 0, 255).astype(np.uint8), classes


def test_counts_and_intensities_are_of_all_voxels() -> None:
    image, classes = drawing()
    found = class_statistics(image, classes, NAMES, spacing=(0.5, 0.1, 0.1))
    dark, bright, nowhere = found.classes
    assert (dark.voxels, bright.voxels, nowhere.voxels) == (2000, 1200, 0) and found.ignored == 80
    assert dark.share == 0.625 and dark.volume == pytest.approx(2000 * 0.005)
    values = image[classes == 1].astype(float)
    assert bright.mean == pytest.approx(values.mean()) and bright.sd == pytest.approx(
        values.std(ddof=1)
    )
    assert dict(bright.quantiles)[0.5] == np.median(values)
    assert math.isnan(nowhere.mean) and math.isnan(nowhere.sd) and nowhere.share == 0


def test_tests_are_of_the_sub_sample() -> None:
    image, classes = drawing()
    whole = class_statistics(image, classes, NAMES, spacing=(1, 1, 1))
    assert whole.apart == (1, 1, 1)  # the noise is white, once the means are gone
    assert whole.classes[0].sampled == 2000 and max(map(abs, whole.correlation)) < 0.1
    thin = class_statistics(image, classes, NAMES, spacing=(1, 1, 1), apart=(1, 5, 10))
    assert thin.apart == (1, 5, 10) and all(math.isnan(c) for c in thin.correlation)
    assert (thin.classes[0].sampled, thin.classes[1].sampled) == (40, 24)
    assert thin.classes[0].mean == whole.classes[0].mean
    pair = thin.differences[0]
    assert (pair.first, pair.second) == NAMES[:2] and pair.superiority < 0.01
    assert pair.hedges_g == pytest.approx(-7, abs=1) and 0.8 < thin.variance.eta_squared < 1
    assert math.isnan(thin.differences[1].p)  # nobody is nowhere


def test_the_seed_lays_the_lattice() -> None:
    image, classes = drawing()

    def means(seed: int) -> list[float]:
        found = class_statistics(
            image, classes, NAMES, spacing=(1, 1, 1), apart=(2, 7, 7), seed=seed
        )
        return [pair.t for pair in found.differences[:1]]

    assert means(1) == means(1) and len({means(seed)[0] for seed in range(6)}) > 3


def test_all_of_it_is_ready_for_json() -> None:
    image, classes = drawing()
    found = class_statistics(image, classes, NAMES, spacing=(1, 1, 1))
    read = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert read["classes"][2]["mean"] is None and read["classes"][0]["voxels"] == 2000
    assert read["differences"][0]["first"] == "dark" and read["apart"] == [1, 1, 1]
    nothing = class_statistics(
        np.zeros((1, 3, 3)), np.full((1, 3, 3), -1), ("a", "b"), spacing=(1, 1, 1)
    )
    assert nothing.as_dict()["classes"][0]["share"] is None


def test_what_does_not_fit_is_refused() -> None:
    image, classes = drawing()
    with pytest.raises(ValueError, match="must have one shape"):
        class_statistics(image[:1], classes, NAMES, spacing=(1, 1, 1))
    with pytest.raises(ValueError, match="must name every class, got 1 for number 1"):
        class_statistics(image, classes, NAMES[:1], spacing=(1, 1, 1))
    with pytest.raises(ValueError, match="`apart` must hold three whole numbers from 1"):
        class_statistics(image, classes, NAMES, spacing=(1, 1, 1), apart=(0, 1, 1))
