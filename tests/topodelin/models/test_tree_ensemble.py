"""Tree ensembles as networks: equal to scikit-learn, to themselves in a file, and safe."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from topodelin.classical.fitting import CLASSIFIERS, make_classifier, round_down, trees_of
from topodelin.models import (
    ModelError,
    SegmentationCard,
    load_model,
    predict_probabilities,
    save_model,
)
from topodelin.models.filter_features import FEATURES, filter_features
from topodelin.models.tree_ensemble import TreeEnsemble, Trees

SMALL: dict[str, dict[str, Any]] = {
    "decision_tree": {},
    "random_forest": {"n_estimators": 8},
    "adaboost": {"n_estimators": 9},
    "gradient_boosting": {"n_estimators": 12},
}


def stack(classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Noisy images and the classes of their pixels, which overlap."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(classes, (2, 13, 17), p=np.arange(1, classes + 1) / sum(range(classes + 1)))
    return (0.3 * labels + rng.normal(0, 0.3, labels.shape)).astype(np.float32), labels


def table(image: np.ndarray) -> np.ndarray:
    return filter_features(torch.from_numpy(image)).movedim(-3, 0).flatten(1).T.numpy()


def grown(classifier: str, classes: int, **arguments: Any) -> tuple[Any, TreeEnsemble]:
    image, labels = stack(classes)
    model = make_classifier(classifier, {**SMALL[classifier], **arguments}, 0)
    model.fit(table(image), labels.ravel())
    return model, TreeEnsemble.of(trees_of(model))


def by_hand() -> TreeEnsemble:
    """Dark pixels are class 0; bright ones class 2 where nothing bends, else class 1."""
    trees = Trees(
        roots=np.array([0], np.int32),
        feature=np.array([0, 4], np.int32),
        threshold=np.array([0.5, -0.5], np.float32),
        branches=np.array([[~0, 1], [~1, ~2]], np.int32),
        leaves=np.eye(3, dtype=np.float32),
        offset=np.zeros(3, np.float32),
        depth=2,
        combine="probabilities",
    )
    return TreeEnsemble.of(trees)


def test_a_tree_by_hand() -> None:
    image = torch.zeros(1, 1, 5, 7)
    image[..., 1:4] = 1  # a band of three columns: its borders bend by -1
    image[..., 0, 0] = 0.5  # at most the threshold
    told = by_hand()(image).argmax(1)[0]
    assert told[1:].tolist() == [[0, 1, 2, 1, 0, 0, 0]] * 4 and told[0, 0] == 0
    assert by_hand()(image).exp().sum(1).allclose(torch.ones(5, 7))


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_probabilities_are_those_of_scikit_learn(classifier: str, classes: int) -> None:
    model, network = grown(classifier, classes)
    unseen = stack(classes, seed=1)[0]
    for image in (unseen, stack(classes)[0]):
        told = predict_probabilities(network, image, tile=6, margin=1)
        expected = model.predict_proba(table(image)).T.reshape(told.shape)
        np.testing.assert_allclose(told, expected, rtol=0, atol=1e-6)
    assert expected.std() > 0.01  # and they say something


@pytest.mark.parametrize(
    ("classifier", "arguments"),
    [
        ("gradient_boosting", {"init": "zero", "learning_rate": 0.7}),
        ("gradient_boosting", {"subsample": 0.5, "max_leaf_nodes": 5}),
        ("random_forest", {"max_depth": 3, "bootstrap": False}),
        ("adaboost", {"learning_rate": 0.1}),
        ("decision_tree", {"class_weight": "balanced", "max_leaf_nodes": 6}),
        ("decision_tree", {"max_depth": 1}),
        ("decision_tree", {"min_samples_leaf": 400}),  # a root that is a leaf
    ],
)
def test_arguments_of_the_classifier_change_nothing_of_that(
    classifier: str, arguments: dict[str, Any]
) -> None:
    model, network = grown(classifier, 3, **arguments)
    image = stack(3, seed=2)[0]
    told = predict_probabilities(network, image, tile=32, margin=0)
    np.testing.assert_allclose(
        told, model.predict_proba(table(image)).T.reshape(told.shape), atol=1e-6
    )


@settings(max_examples=30)
@given(value=st.floats(-1e30, 1e30), seed=st.integers(0, 99))
def test_a_threshold_rounded_down_parts_single_precision_alike(value: float, seed: int) -> None:
    near = np.float32(value)
    beside = [np.nextafter(near, np.float32(way)) for way in (-np.inf, np.inf)]
    lower = round_down(np.array([value]))[0]
    for x in (near, *beside):
        assert (x <= lower) == (float(x) <= value)


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_a_file_gives_back_the_same_network(classifier: str, tmp_path: Path) -> None:
    _, network = grown(classifier, 3)
    card = SegmentationCard(
        name="treeensemble",
        arguments=network.arguments,
        spacing=(0.05, 0.004, 0.004),
        cube=(1, 64, 64),
        margin=(0, 1, 1),
        classes=("a", "b", "c"),
    )
    save_model(tmp_path / "trees.safetensors", network, card)
    again, read = load_model(tmp_path / "trees.safetensors")
    image = torch.from_numpy(stack(3)[0])[:, None]
    assert read == card and torch.equal(again(image), network(image))
    assert not any(weight.requires_grad for weight in again.parameters())


def test_tiles_and_half_precision_decide_as_the_whole_does() -> None:
    _, network = grown("random_forest", 3)
    image = stack(3)[0]
    whole = predict_probabilities(network, image, tile=64, margin=0)
    np.testing.assert_array_equal(whole, predict_probabilities(network, image, tile=5, margin=1))
    assert network(torch.from_numpy(image)[:, None].half()).isfinite().all()


def test_without_arrays_all_classes_are_alike() -> None:
    for combine in ("probabilities", "logits"):
        told = TreeEnsemble(FEATURES, 4, trees=3, combine=combine)(torch.rand(2, 1, 4, 5))
        np.testing.assert_allclose(told.softmax(1), 0.25)


@pytest.mark.parametrize(
    ("name", "place", "value", "said"),
    [
        ("roots", 0, 2, "`roots` must hold numbers from -3 to 1"),
        ("branches", (0, 0), -4, "`branches` must hold numbers from -3 to 1"),
        ("feature", 1, 8, "`feature` must hold numbers from 0 to 7"),
        ("branches", (0, 1), 0, "`depth` must be that of the trees, got 2"),  # a loop
    ],
)
def test_damaged_arrays_are_refused_and_never_loop(
    name: str, place: Any, value: int, said: str
) -> None:
    network = by_hand()
    getattr(network, name)[place] = value
    with pytest.raises(ValueError, match=said):
        network(torch.ones(1, 1, 4, 4))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"combine": "mean"}, "`combine` must be one of probabilities, logits"),
        ({"features": ["colour"]}, "`features` must name one or more"),
        ({"trees": 0}, "`trees` must be at least 1"),
        ({"depth": -1}, "`depth` must be at least 0"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        TreeEnsemble(**arguments)


def test_a_file_of_another_size_is_refused(tmp_path: Path) -> None:
    card = SegmentationCard(
        name="treeensemble",
        arguments={**by_hand().arguments, "nodes": 9},
        spacing=(1, 1, 1),
        cube=(1, 8, 8),
        margin=(0, 1, 1),
        classes=("a", "b", "c"),
    )
    with pytest.raises(ModelError, match="`card` must describe `model`"):
        save_model(tmp_path / "trees.safetensors", by_hand(), card)
