"""Growing trees on labelled voxels: which voxels, with which weights, and what is refused."""

import sys
from typing import Any

import numpy as np
import pytest
import torch

from topodelin.classical.fitting import fit_trees, make_classifier, trees_of
from topodelin.models.filter_features import filter_features
from topodelin.models.tree_ensemble import TreeEnsemble


def halves(depth: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Dark on the left, bright on the right, a few voxels of a third class, unjudged margins."""
    classes = np.zeros((depth, 12, 20), np.int64)
    classes[:, :, 10:] = 1
    classes[:, 0, 0] = 2
    classes[:, -1] = -1
    noise = np.random.default_rng(0).normal(0, 0.02, classes.shape)
    return (np.array([0.1, 0.7, 0.4, 9.0])[classes] + noise).astype(np.float32), classes


def same(one: TreeEnsemble, two: TreeEnsemble) -> bool:
    pairs = zip(one.state_dict().values(), two.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_judged_voxels_are_learnt_from_and_no_others() -> None:
    image, classes = halves()
    network = fit_trees([image], [classes], classifier="decision_tree")
    told = network(torch.from_numpy(image)[:, None]).argmax(1).numpy()
    known = classes >= 0
    assert (told[known] == classes[known]).all() and network.out_channels == 3
    features = filter_features(torch.from_numpy(image)).movedim(-3, 0).flatten(1).T.numpy()
    model = make_classifier("decision_tree", {}, 0)
    model.fit(features[known.ravel()], classes[known])
    assert same(network, TreeEnsemble.of(trees_of(model)))


def test_two_stacks_are_learnt_as_one() -> None:
    image, classes = halves()
    whole = fit_trees([image], [classes], classifier="decision_tree")
    parts = fit_trees(list(image[:, None]), list(classes[:, None]), classifier="decision_tree")
    assert same(whole, parts)


def test_a_draw_keeps_every_class_and_depends_on_the_seed_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from topodelin.classical import fitting

    seen: list[list[int]] = []

    class Spy:
        def fit(self, features: np.ndarray, labels: np.ndarray) -> None:
            seen.append(np.bincount(labels).tolist())
            assert features.shape == (len(labels), 2) and len(np.unique(features[:, 0])) > 10

    monkeypatch.setattr(fitting, "make_classifier", lambda *_: Spy())
    monkeypatch.setattr(fitting, "trees_of", lambda _: None)
    monkeypatch.setattr(fitting.TreeEnsemble, "of", lambda *_: TreeEnsemble())
    image, classes = halves()
    for voxels in (44, None, 10**9):
        given = {"features": ["intensity", "laplace"], "voxels": voxels}
        fit_trees([image], [classes], classifier="decision_tree", **given)
    assert seen == [[22, 22, 1], [218, 220, 2], [218, 220, 2]]
    monkeypatch.undo()
    one, two, other = (
        fit_trees([image], [classes], classifier="random_forest", voxels=60, seed=s)
        for s in (3, 3, 4)
    )
    assert same(one, two)
    assert one.arguments != other.arguments or not same(one, other)


def test_a_heavier_stack_counts_for_more() -> None:
    image = np.zeros((1, 4, 4), np.float32)
    classes = [np.full((1, 4, 4), k) for k in (0, 1)]
    for weights, expected in (([1.0, 3.0], 0.75), ([2.0, 2.0], 0.5), (None, 0.5)):
        network = fit_trees([image, image], classes, classifier="decision_tree", weights=weights)
        assert network(torch.zeros(1, 1, 2, 2)).exp()[0, 1, 0, 0] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"classifier": "forest"}, "`classifier` must be one of decision_tree, random_forest"),
        ({"arguments": {"trees": 3}}, "`arguments` of random_forest: .*trees"),
        ({"arguments": {"n_estimators": -1}}, "`arguments` of random_forest: .*n_estimators"),
        ({"features": ["colour"]}, "`features` must name"),
    ],
)
def test_a_wrong_setting_is_refused_in_one_line(given: dict[str, Any], said: str) -> None:
    image, classes = halves()
    with pytest.raises(ValueError, match=said) as error:
        fit_trees([image], [classes], **{"classifier": "random_forest", **given})
    assert "\n" not in str(error.value)


def test_without_scikit_learn_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ValueError, match=r'needs scikit-learn; `pip install "topodelin\[em\]"`'):
        make_classifier("adaboost", {}, 0)
