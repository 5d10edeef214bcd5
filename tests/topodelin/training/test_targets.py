"""What the terms of a loss get of a crop: every kind shows the same neurites at the same place."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch

from tests.topodelin.training.drawings import SHAPE, SPACING, line, stack, write_run
from topodelin.annotation import centreline_mask
from topodelin.graphs import NeuriteGraph
from topodelin.losses import min_projections
from topodelin.training import Sampler, Stack, load_config, train
from topodelin.training.config import Augmentation

ALL = frozenset({"distance_map", "projections", "graphs"})
CROP = (8, 16, 16)


def sampler(of: Stack, kinds: frozenset[str] = ALL, **changes: Any) -> Sampler:
    arguments: dict[str, Any] = {
        "seed": 3,
        "crop": CROP,
        "batch": 2,
        "min_foreground": 8,
        "d_max": 5.0,
        "augmentation": Augmentation(intensity=None),
        "kinds": kinds,
    }
    return Sampler(stacks=[of], **(arguments | changes))


def drawn(of: Sampler, step: int) -> Mapping[str, Any]:
    target = of.draw(step).target
    assert isinstance(target, Mapping)
    return target


def planes() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    mask = centreline_mask(line(), SHAPE, SPACING)
    z, y, x = (np.asarray(mask.any(axis)) for axis in range(3))
    return z, y, x


def seen_only() -> Stack:
    """The drawn stack, annotated in its projections alone."""
    known = stack()
    nothing = NeuriteGraph(np.zeros((0, 3)), np.zeros((0, 2), np.int64))
    return Stack("seen", known.image, known.brightness, nothing, planes=planes())


@pytest.mark.parametrize("step", range(6))
def test_the_graph_of_a_crop_runs_along_the_zeros_of_its_distance_map(step: int) -> None:
    target = drawn(sampler(stack()), step)
    for graph, distances in zip(target["graphs"], target["distance_map"], strict=True):
        ends = graph.positions[graph.edges]  # (edges, 2, 3)
        along = ends[:, :1] + np.linspace(0, 1, 40)[:, None] * (ends[:, 1:] - ends[:, :1])
        z, y, x = np.rint(along.reshape(-1, 3)).astype(int).T
        beside = distances[0, z, y, x]
        assert beside.mean() < 0.3
        assert beside.max() <= 2  # the next voxel along z, where a line passes in between
        zeros = int((distances == 0).sum())
        assert 0.7 * zeros < len(set(zip(z, y, x, strict=True))) < 1.4 * zeros


def test_projections_of_a_traced_crop_are_those_of_its_distance_map() -> None:
    target = drawn(sampler(stack()), 0)
    for found, expected in zip(
        target["projections"], min_projections(target["distance_map"]), strict=True
    ):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("step", range(8))
def test_a_crop_annotated_in_projections_is_turned_with_its_image(step: int) -> None:
    batch = sampler(seen_only(), frozenset({"projections"})).draw(step)
    assert isinstance(batch.target, Mapping)
    for axis, distances in enumerate(batch.target["projections"]):
        bright = batch.image.amax(2 + axis)
        # not all: the hull cannot tell a line in the crop from its continuation just outside
        assert (bright[distances == 0] > 0.7).float().mean() > 0.8
        assert bright[distances >= 4.5].mean() < 0.1


def test_only_what_the_loss_takes_is_handed_out() -> None:
    assert set(drawn(sampler(stack(), frozenset({"graphs"})), 0)) == {"graphs"}


def test_a_network_without_padding_gets_the_centre_of_everything() -> None:
    whole, inner = drawn(sampler(stack()), 0), drawn(sampler(stack(), lost=(2, 4, 4)), 0)
    centre = whole["distance_map"][:, :, 1:-1, 2:-2, 2:-2]
    torch.testing.assert_close(inner["distance_map"], centre)
    torch.testing.assert_close(inner["projections"][0], centre.amin(2))
    inside = inner["graphs"][0].positions
    assert (inside >= 0).all() and (inside <= np.subtract(CROP, (3, 5, 5))).all()


def test_projections_alone_do_not_suit_a_loss_on_volumes() -> None:
    with pytest.raises(ValueError, match="seen: a stack annotated in projections only.*distance"):
        sampler(seen_only(), frozenset({"distance_map"}))


def test_projections_alone_do_not_suit_a_network_without_padding() -> None:
    narrow = sampler(seen_only(), frozenset({"projections"}), lost=(2, 2, 2))
    with pytest.raises(ValueError, match="set `padding: same`"):
        narrow.draw(0)


def write_planes(folder: Path) -> list[str]:
    names = ["along_z.tif", "along_y.tif", "along_x.tif"]
    for name, plane in zip(names, planes(), strict=True):
        tifffile.imwrite(folder / name, plane.astype(np.uint8) * 255)
    return names


def projected_run(folder: Path, **entry: Any) -> Path:
    """A run that learns from the drawn stack and three traced projections of it."""
    path = write_run(folder)
    names = write_planes(folder)
    learnt = {"image": "image.npy", "spacing": list(SPACING), "projections": names} | entry
    judged = {"image": "image.npy", "spacing": list(SPACING), "truth": "truth.swc"}
    data = {"train": [learnt], "validation": [judged]}
    topo = {"d_max": 5.0, "window": 16}
    loss = {"terms": {"l2d": {"arguments": {"topo": topo}}}}
    return write_run(folder, data=data, loss=loss) and path


def test_a_run_learns_from_projections_alone(tmp_path: Path) -> None:
    train(load_config(projected_run(tmp_path)), run_dir=tmp_path / "run")
    assert (tmp_path / "run" / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"projections": ["along_x.tif", "along_y.tif", "along_z.tif"]}, "mind their order"),
        ({"projections": ["along_z.tif", "along_y.tif", "none.tif"]}, r"projections\[2\]: no such"),
        ({"projections": ["along_z.tif", "along_y.tif", "truth.swc"]}, "must be a TIFF of one"),
        ({"spacing": [1.0, 1.0, 1.0]}, "must have the spacing of the target"),
        ({"truth": "truth.swc"}, "must hold one kind of annotation, got truth and projections"),
    ],
)
def test_projections_that_do_not_fit_are_refused(
    entry: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=said):
        train(load_config(projected_run(tmp_path, **entry)), run_dir=tmp_path / "run")
