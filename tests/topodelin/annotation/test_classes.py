"""The values of a label file become classes, or one line says which value does not."""

import numpy as np
import pytest

from topodelin import losses
from topodelin.annotation import class_indices
from topodelin.annotation.classes import IGNORE
from topodelin.losses.labels import IGNORE as IGNORE_OF_LOSSES

CLASSES = {"cell": [255], "membrane": [0, 3]}


def test_values_become_classes_in_the_order_of_their_names() -> None:
    labels = np.array([[255, 0, 3], [7, 255, 0]], np.uint8)
    expected = [[0, 1, 1], [IGNORE, 0, 1]]
    np.testing.assert_array_equal(class_indices(labels, CLASSES, [7]), expected)
    assert IGNORE == IGNORE_OF_LOSSES and losses.LabelTarget


def test_a_mask_of_booleans_is_labels_too() -> None:
    found = class_indices(np.array([True, False]), {"off": [0], "on": [1]})
    np.testing.assert_array_equal(found, [1, 0])


@pytest.mark.parametrize(
    ("labels", "classes", "ignore", "said"),
    [
        (np.array([255, 9, 9]), CLASSES, [], r"gt\.tif: holds the value 9 \(2 voxels"),
        (np.array([0.5]), CLASSES, [], r"gt\.tif: labels must be whole numbers, got float64"),
        (np.array([0]), {"a": [0], "b": [0]}, [], "0 stands for both 'a' and 'b'"),
        (np.array([0]), CLASSES, [255], "255 stands for the class 'cell'"),
    ],
)
def test_what_is_no_class_is_named(labels, classes, ignore, said) -> None:
    with pytest.raises(ValueError, match=said):
        class_indices(labels, classes, ignore, name="gt.tif")
