"""Tree ensembles grown by scikit-learn on labelled voxels, and taken out of it as plain arrays.

Nothing of scikit-learn is stored or needed afterwards. Its trees compare values in single
precision with thresholds in double precision; rounding a threshold down to single precision
changes no such comparison, so that every voxel falls into the same leaf.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64

from topodelin.models.filter_features import FEATURES, filter_features
from topodelin.models.tree_ensemble import TreeEnsemble, Trees

CLASSIFIERS = {
    "decision_tree": ("tree", "DecisionTreeClassifier"),
    "random_forest": ("ensemble", "RandomForestClassifier"),
    "adaboost": ("ensemble", "AdaBoostClassifier"),
    "gradient_boosting": ("ensemble", "GradientBoostingClassifier"),
}


def fit_trees(
    images: Sequence[Float[np.ndarray, "z y x"]],
    classes: Sequence[Int64[np.ndarray, "z y x"]],
    *,
    classifier: str,
    features: Sequence[str] = FEATURES,
    arguments: Mapping[str, Any] | None = None,
    voxels: int | None = None,
    weights: Sequence[float] | None = None,
    seed: int = 0,
) -> TreeEnsemble:
    """Grow a classifier of voxels on images whose voxels have a class.

    Args:
        images: normalised; their slices are filtered one by one.
        classes: of each image, counted from 0 without a gap over all images; -1 where not judged.
        classifier: a key of `CLASSIFIERS`, with the defaults of scikit-learn.
        features: what a voxel is judged by.
        arguments: of the classifier, over the defaults.
        voxels: learn from about that many, drawn at random, each class in proportion but from one
            voxel at least; from all where None.
        weights: of the voxels of each image; 1 by default.
        seed: of the draw and of the classifier.

    Raises:
        ValueError: for an unknown classifier or argument, or when scikit-learn is not installed.
    """
    model = make_classifier(classifier, arguments or {}, seed)
    rng = np.random.default_rng(seed)
    picked = _draw([each.ravel() for each in classes], voxels, rng)
    table, labels, counts = [], [], []
    for image, each, weight, chosen in zip(
        images, classes, weights or [1.0] * len(images), picked, strict=True
    ):
        values = filter_features(torch.from_numpy(np.ascontiguousarray(image)), features)
        table.append(values.movedim(-3, 0).flatten(1)[:, torch.from_numpy(chosen)].T.numpy())
        labels.append(each.ravel()[chosen])
        counts.append(np.full(len(chosen), float(weight)))
    even = len(set(weights or [1.0])) == 1
    given = {} if even else {"sample_weight": np.concatenate(counts)}
    try:
        model.fit(np.concatenate(table), np.concatenate(labels), **given)
    except (TypeError, ValueError) as error:
        raise ValueError(_refusal(classifier, error)) from None
    return TreeEnsemble.of(trees_of(model), features)


def make_classifier(name: str, arguments: Mapping[str, Any], seed: int) -> Any:
    """A classifier of scikit-learn that has not learnt anything yet."""
    if name not in CLASSIFIERS:
        raise ValueError(f"`classifier` must be one of {', '.join(CLASSIFIERS)}, got {name!r}")
    try:
        from sklearn import ensemble, tree
    except ImportError:
        raise ValueError(
            f'`classifier: {name}` needs scikit-learn; `pip install "topodelin[em]"`'
        ) from None
    module, kind = CLASSIFIERS[name]
    try:
        return getattr({"ensemble": ensemble, "tree": tree}[module], kind)(
            **{"random_state": seed, **arguments}
        )
    except TypeError as error:
        raise ValueError(_refusal(name, error)) from None


def trees_of(model: Any) -> Trees:
    """The arrays of a classifier of scikit-learn that has learnt: one of `CLASSIFIERS`.

    Their evaluation gives its `predict_proba`.
    """
    grown, combine, offset = _grown(model)
    roots, parts, vectors = [], [], []
    nodes = leaves = 0
    for tree, values in grown:
        left, right = tree.children_left, tree.children_right
        leaf = left < 0
        number = np.where(leaf, ~(np.cumsum(leaf) - 1 + leaves), np.cumsum(~leaf) - 1 + nodes)
        roots.append(number[0])
        branches = number[np.stack([left, right], axis=1)[~leaf]]
        parts.append((tree.feature[~leaf], round_down(tree.threshold[~leaf]), branches))
        vectors.append(values[leaf])
        nodes, leaves = nodes + len(branches), leaves + len(vectors[-1])
    feature, threshold, branches = (np.concatenate(each) for each in zip(*parts, strict=True))
    return Trees(
        roots=np.array(roots, np.int32),
        feature=feature.astype(np.int32),
        threshold=threshold,
        branches=branches.astype(np.int32),
        leaves=np.concatenate(vectors).astype(np.float32),
        offset=np.asarray(offset, np.float32),
        depth=max(int(tree.max_depth) for tree, _ in grown),
        combine=combine,
    )


def round_down(values: Float[np.ndarray, " n"]) -> Float32[np.ndarray, " n"]:
    """The largest number of single precision that is not above each value."""
    near = values.astype(np.float32)
    return np.where(near > values, np.nextafter(near, np.float32(-np.inf)), near)


Grown = tuple[list[tuple[Any, np.ndarray]], str, np.ndarray]


def _grown(model: Any) -> Grown:
    """Trees, each with what its nodes add for every class; what they add up to; the constant."""
    kind = type(model).__name__
    if kind == "GradientBoostingClassifier":
        return _gradient_boosting(model)
    nothing = np.zeros(len(model.classes_))
    if kind == "AdaBoostClassifier":
        return _adaboost(model), "logits", nothing
    single = [model] if kind == "DecisionTreeClassifier" else model.estimators_
    grown = [(each.tree_, _shares(each.tree_) / len(single)) for each in single]
    return grown, "probabilities", nothing


def _shares(tree: Any) -> np.ndarray:
    """(nodes, classes) the share of each class among what a node has seen."""
    values = tree.value[:, 0, :]
    return values / values.sum(axis=1, keepdims=True)


def _adaboost(model: Any) -> list[tuple[Any, np.ndarray]]:
    """Every tree votes for one class, w for it and -w / (K - 1) for each other.

    The logits are the votes over (K - 1) and over the sum of all w. For two classes scikit-learn
    takes the sigmoid of the difference d of the votes, which are -d / 2 and d / 2: the same.
    """
    classes = len(model.classes_)
    total = model.estimator_weights_.sum() * (classes - 1)
    grown = []
    for each, weight in zip(model.estimators_, model.estimator_weights_, strict=False):
        votes = np.eye(classes)[each.classes_[_shares(each.tree_).argmax(axis=1)]]
        others = weight / (classes - 1)
        grown.append((each.tree_, (votes * (weight + others) - others) / total))
    return grown


def _gradient_boosting(model: Any) -> Grown:
    """Every tree adds to the logit of one class; of two classes, to that of the second."""
    classes = len(model.classes_)
    grown = []
    for stage in model.estimators_:
        for number, each in enumerate(stage):
            values = np.zeros((each.tree_.node_count, classes))
            column = 1 if classes == 2 else number
            values[:, column] = model.learning_rate * each.tree_.value[:, 0, 0]
            grown.append((each.tree_, values))
    somewhere = np.zeros((1, model.n_features_in_), np.float32)
    summed = sum(values[tree.apply(somewhere)[0]] for tree, values in grown)
    told = np.ravel(model.decision_function(somewhere))
    return grown, "logits", (np.array([0.0, *told]) if classes == 2 else told) - summed


def _draw(
    classes: Sequence[np.ndarray], voxels: int | None, rng: np.random.Generator
) -> list[np.ndarray]:
    """Which voxels of each image are learnt from, in order."""
    known = [np.flatnonzero(each >= 0) for each in classes]
    image = np.repeat(np.arange(len(classes)), [len(each) for each in known])
    every = np.concatenate([each[here] for each, here in zip(classes, known, strict=True)])
    place = np.concatenate(known)
    share = 1.0 if voxels is None else min(1.0, voxels / max(1, len(every)))
    if share < 1:
        chosen = []
        for number in np.unique(every):
            mine = np.flatnonzero(every == number)
            chosen.append(rng.choice(mine, max(1, round(share * len(mine))), replace=False))
        taken = np.sort(np.concatenate(chosen))
        image, place = image[taken], place[taken]
    return [place[image == number] for number in range(len(classes))]


def _refusal(name: str, error: Exception) -> str:
    return f"`arguments` of {name}: {' '.join(str(error).split())}"
