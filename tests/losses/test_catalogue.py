"""The catalogue says of every loss of the registry what is true of it."""

import importlib

import pytest

from topodelin.losses import LOSSES
from topodelin.losses.catalogue import CATALOGUE


def test_it_is_the_registry() -> None:
    assert list(CATALOGUE) == list(LOSSES)


@pytest.mark.parametrize("name", LOSSES)
def test_the_path_leads_to_the_class_of_the_registry(name: str) -> None:
    module, _, attribute = CATALOGUE[name].path.rpartition(".")
    assert getattr(importlib.import_module(module), attribute) is LOSSES[name]


@pytest.mark.parametrize("name", LOSSES)
def test_it_says_what_the_loss_takes(name: str) -> None:
    entry = CATALOGUE[name]
    assert entry.takes == getattr(LOSSES[name], "takes", "distance_map")
    assert set(entry.dims) <= {2, 3} and entry.dims


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_entry_is_complete(name: str) -> None:
    entry = CATALOGUE[name]
    assert entry.name == name and entry.punishes and entry.cost and entry.paper
    assert entry.milliseconds_96 is None or entry.milliseconds_96 > 0
