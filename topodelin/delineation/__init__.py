"""Delineation of whole volumes, cube by cube."""

from topodelin.delineation.delineate import delineate
from topodelin.delineation.device import default_model, to_device
from topodelin.delineation.memory import parse_bytes
from topodelin.delineation.planning import Plan, plan_delineation
from topodelin.delineation.result import Delineation
from topodelin.delineation.search_rule import SearchRule
from topodelin.delineation.seeds import coarse_seeds, read_seeds
from topodelin.delineation.task import search_rule
from topodelin.delineation.tracing.trees import Tree, TreeRule

__all__ = [
    "Delineation",
    "Plan",
    "SearchRule",
    "Tree",
    "TreeRule",
    "coarse_seeds",
    "default_model",
    "delineate",
    "parse_bytes",
    "plan_delineation",
    "read_seeds",
    "search_rule",
    "to_device",
]
