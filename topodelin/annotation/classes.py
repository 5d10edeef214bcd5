"""The classes of a label file: which of its values stands for which."""

from collections.abc import Mapping, Sequence

import numpy as np

IGNORE = -1


def class_indices(
    labels: np.ndarray,
    classes: Mapping[str, Sequence[int]],
    ignore: Sequence[int] = (),
    *,
    name: str = "labels",
) -> np.ndarray:
    """The class of every voxel, int64, counted from 0 in the order of `classes`.

    Args:
        labels: whole numbers as they stand in a file, any shape.
        classes: the values that stand for each class.
        ignore: values of voxels that nobody judged; they become `IGNORE` = -1.
        name: of the file, for the error.

    Raises:
        ValueError: for a value that is neither of a class nor ignored, or is both, or stands for
            two classes.
    """
    index: dict[int, int] = {}
    for number, (label, values) in enumerate(classes.items()):
        for value in values:
            if index.setdefault(int(value), number) != number:
                other = list(classes)[index[int(value)]]
                raise ValueError(f"`classes`: {value} stands for both {other!r} and {label!r}")
    for value in ignore:
        if int(value) in index:
            raise ValueError(
                f"`ignore`: {value} stands for the class {list(classes)[index[int(value)]]!r}; "
                "a value is either a class or ignored"
            )
        index[int(value)] = IGNORE
    if labels.dtype.kind not in "iub":
        raise ValueError(f"{name}: labels must be whole numbers, got {labels.dtype}")
    found, inverse = np.unique(labels, return_inverse=True)
    unknown = [int(value) for value in found if int(value) not in index]
    if unknown:
        voxels = int(np.isin(labels, unknown).sum())
        raise ValueError(
            f"{name}: holds the value {unknown[0]} ({voxels} voxels are of no class); declared are "
            f"{', '.join(f'{k}: {list(v)}' for k, v in classes.items())}; add it to a class or to "
            "`ignore`"
        )
    table = np.array([index[int(value)] for value in found], dtype=np.int64)
    return table[inverse.reshape(labels.shape)]
