r"""Rules of how a labelled image is put together from boxes.

As a context-free grammar describes strings, this one describes arrays of any dimension: a box of
one voxel derives from its label, and a larger box is cut in two by a plane across an axis.

    terminal    A -> label          a single voxel
    renaming    A -> B              the same box under another name
    split       A -> B o_a C        B on the near side of a plane across axis a, C beyond it

A grammar holds what a structure looks like ("a frame around an inside"); whether an image obeys it
is decided by [`recognise`][], and what comes closest by [`best_labelling`][].

References:
    M. I. Schlesinger, V. Hlaváč. Ten lectures on statistical and structural pattern recognition.
    Kluwer 2002. (Lecture 10 is on two-dimensional grammars.)
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

Renaming = tuple[str, str]
Split = tuple[str, str, str, int]
KEYS = ("start", "terminals", "renamings", "splits")


@dataclass(frozen=True)
class Grammar:
    """A grammar of arrays of labels.

    Args:
        start: the nonterminal that a valid array derives from.
        terminals: for each label, the nonterminals that produce it.
        renamings: pairs (A, B) of A -> B.
        splits: (A, B, C, axis) of A -> B then C along an axis.

    Raises ValueError for a name that no rule produces, and for what is not a rule.
    """

    start: str
    terminals: Mapping[int, Sequence[str]]
    renamings: Sequence[Renaming] = ()
    splits: Sequence[Split] = ()

    def __post_init__(self) -> None:
        for name, value in _checked(vars(self)).items():
            object.__setattr__(self, name, value)
        produced = set(self.symbols)
        used = [("start", self.start)]
        used += [(f"renamings[{k}]", rule[1]) for k, rule in enumerate(self.renamings)]
        used += [(f"splits[{k}]", name) for k, rule in enumerate(self.splits) for name in rule[1:3]]
        for where, name in used:
            if name not in produced:
                raise ValueError(
                    f"`{where}` names {name!r}, which no rule produces; known are "
                    f"{', '.join(self.symbols) or 'none'}"
                )

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """The nonterminals, in the order in which the rules produce them."""
        names = [name for names in self.terminals.values() for name in names]
        names += [rule[0] for rule in (*self.renamings, *self.splits)]
        return tuple(dict.fromkeys(names))

    @cached_property
    def axes(self) -> int:
        """How many axes an array needs at least, for every split to have its own."""
        return max((rule[3] + 1 for rule in self.splits), default=0)

    @cached_property
    def renamed(self) -> Bool[np.ndarray, "symbol symbol"]:
        """Whether a symbol (row) becomes another (column) by renamings, none included."""
        index = {name: number for number, name in enumerate(self.symbols)}
        reached = np.eye(len(index), dtype=bool)
        for a, b in self.renamings:
            reached[index[a], index[b]] = True
        for middle in range(len(index)):
            reached |= reached[:, middle, None] & reached[middle]
        return reached

    def across(self, axis: int) -> np.ndarray:
        """The splits across an axis, rows of the indices of (A, B, C)."""
        index = {name: number for number, name in enumerate(self.symbols)}
        rows = [[index[name] for name in rule[:3]] for rule in self.splits if rule[3] == axis]
        return np.array(rows, dtype=np.int64).reshape(-1, 3)

    @classmethod
    def from_json(cls, path: str | Path) -> "Grammar":
        """Read an object with the keys of the arguments.

        `{"start": "S", "terminals": {"0": ["A"], "1": ["B"]}, "splits": [["S", "A", "B", 0]]}`
        """
        try:
            record = json.loads(Path(path).read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path}: a grammar must be JSON ({error})") from None
        if not isinstance(record, dict) or not {"start", "terminals"} <= record.keys():
            raise ValueError(f"{path}: a grammar must be an object with `start` and `terminals`")
        unknown = [key for key in record if key not in KEYS]
        if unknown:
            raise ValueError(f"{path}: unknown key {unknown[0]!r}; known are {', '.join(KEYS)}")
        try:
            labelled = {**record, "terminals": _labels(record["terminals"])}
            return cls(**_checked({"renamings": [], "splits": [], **labelled}))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None


def _checked(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of all fields, rules made tuples; ValueError for what has the wrong form."""
    if not isinstance(values["start"], str):
        raise ValueError(f"`start` must be a name, got {values['start']!r}")
    if not isinstance(values["terminals"], Mapping) or not values["terminals"]:
        raise ValueError("`terminals` must say for one label or more which names produce it")
    for label, names in values["terminals"].items():
        if not isinstance(label, int | np.integer) or isinstance(label, bool):
            raise ValueError(f"`terminals`: a label must be a whole number, got {label!r}")
        if isinstance(names, str) or not _are_names(names):
            raise ValueError(f"`terminals[{label}]` must be a list of names, got {names!r}")
    for name in ("renamings", "splits"):
        if not isinstance(values[name], list | tuple):
            raise ValueError(f"`{name}` must be a list of rules, got {values[name]!r}")
    for number, rule in enumerate(values["renamings"]):
        if not (_is_rule(rule, 2) and _are_names(rule)):
            raise ValueError(f"`renamings[{number}]` must be two names (A, B), got {rule!r}")
    for number, rule in enumerate(values["splits"]):
        fits = _is_rule(rule, 4) and _are_names(rule[:3])
        if not (fits and type(rule[3]) is int and rule[3] >= 0):
            raise ValueError(
                f"`splits[{number}]` must be three names and an axis (A, B, C, 0 or more), "
                f"got {rule!r}"
            )
    rules = {name: tuple(map(tuple, values[name])) for name in ("renamings", "splits")}
    return {**values, **rules}


def _are_names(names: Any) -> bool:
    return isinstance(names, Sequence) and all(isinstance(name, str) for name in names)


def _is_rule(rule: Any, length: int) -> bool:
    return isinstance(rule, list | tuple) and len(rule) == length


def _labels(terminals: Any) -> Any:
    """The keys of a JSON object as whole numbers."""
    if not isinstance(terminals, dict):
        return terminals
    try:
        return {int(label): names for label, names in terminals.items()}
    except ValueError:
        raise ValueError(
            f"`terminals`: labels must be whole numbers, got {', '.join(map(repr, terminals))}"
        ) from None
