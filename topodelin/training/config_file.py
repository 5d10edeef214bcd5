"""Reading a run's YAML, and errors that name file, key, rule and value in one line."""

import difflib
import inspect
import re
import types
import typing
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from topodelin import __version__
from topodelin.training.config import TrainingConfig
from topodelin.training.config_loss import Balance, Ramp, Switch
from topodelin.training.config_task import TASKS

# Settings that say where and how a run is computed, not what it learns: free to change on resuming.
FREE_TO_CHANGE = (
    "steps",
    "validate_every",
    "checkpoint_every",
    "threads",
    "device",
    "devices",
    "nodes",
    "sampling.workers",
    "data.memory_gb",
)


RUN_HEADER = "# topodelin"  # how the record of a run begins
# pydantic names the branch of a union in the place of an error; these are no keys
UNION_BRANCHES: dict[str, type[BaseModel] | None] = {
    "constrained-float": None,
    "float": None,
    "Ramp": Ramp,
    "Switch": Switch,
    "Balance": Balance,
    **TASKS,
}


class ConfigError(ValueError):
    """A configuration that cannot be run; the message names the file and the key."""


class _Loader(yaml.SafeLoader):
    """The safe loader, but 1e-3 is a number and a key given twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key `{key.value}` is given twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def load_config(path: str | Path, *, overrides: Sequence[str] = ()) -> TrainingConfig:
    """The configuration in a YAML file, with paths made absolute.

    Args:
        path: the file; relative paths in it count from its folder.
        overrides: `"key.path=value"`, for example `"optimizer.lr=3e-4"` or
            `"data.train.0.weight=2"`; the value is read as YAML.

    Raises:
        ConfigError: in one line, naming the file, the key, the rule and the value.
        OSError: when the file cannot be read.
    """
    path = Path(path)
    content = _parse(path.read_bytes(), str(path))
    for override in overrides:
        _override(content, override)
    try:
        config = TrainingConfig.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"{path}: {_first_problem(error)}") from None
    return _with_files(config, path)


def dump_config(config: TrainingConfig) -> str:
    """The whole configuration as YAML that `load_config` reads, with the version in front."""
    body = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
    return f"{RUN_HEADER} {__version__}: every setting of this run\n{body}"


def changed_settings(before: dict[str, Any], now: dict[str, Any], prefix: str = "") -> list[str]:
    """Key paths whose values differ between two dumped configurations."""
    changed = []
    for key in dict.fromkeys([*before, *now]):
        name, old, new = f"{prefix}{key}", before.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            changed += changed_settings(old, new, f"{name}.")
        elif old != new:
            changed.append(name)
    return changed


def nearest(name: str, known: Iterable[str]) -> str:
    """The remedy for a name that is not known: the nearest known one, or all of them."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`?" if close else f"known are {', '.join(sorted(known))}"


def unknown_argument(made: Any, arguments: Iterable[str]) -> str:
    """What is wrong with the first name that is no argument of a class; empty where all are."""
    known = inspect.signature(made).parameters
    if any(each.kind is each.VAR_KEYWORD for each in known.values()):
        return ""
    for name in arguments:
        if name not in known:
            return f"unknown argument `{name}`; {nearest(name, known)}"
    return ""


def _parse(text: bytes, name: str) -> dict[str, Any]:
    try:
        content = yaml.load(text, _Loader)  # noqa: S506  (a SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{name}{line}: not YAML: {error.problem}") from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        raise ConfigError(f"{name}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise ConfigError(
            f"{name}: a configuration must be a mapping of keys such as `data:`, got "
            f"{type(content).__name__}; `topodelin config schema` prints every key"
        )
    return content


def _override(content: dict[str, Any], text: str) -> None:
    keys, equals, value = text.partition("=")
    if not equals or not keys:
        raise ConfigError(f"`--set` must be key=value, got {text!r}; e.g. --set optimizer.lr=3e-4")
    *parents, last = keys.split(".")
    place: Any = content
    try:
        for key in parents:
            place = place[int(key)] if isinstance(place, list) else place.setdefault(key, {})
        place[int(last) if isinstance(place, list) else last] = yaml.load(value, _Loader)
    except (IndexError, TypeError, ValueError, AttributeError, yaml.YAMLError):
        raise ConfigError(f"--set {text}: `{keys}` is no place in this configuration") from None


def _first_problem(error: ValidationError) -> str:
    problems = error.errors(include_url=False)
    problem = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    where, text = _explained(problem)
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{_key_path(where)}: {text}{more}" if where else f"{text}{more}"


def _explained(problem: Any) -> tuple[Sequence[str | int], str]:
    """Where a problem of pydantic lies and what it is, in the words of this library."""
    kind, where, value = problem["type"], problem["loc"], problem["input"]
    shown = repr(value) if len(repr(value)) < 60 else f"{repr(value)[:57]}..."
    if kind == "extra_forbidden":
        known = _known_keys(where[:-1])
        inner = "; those of the class itself go under `arguments`" if "arguments" in known else ""
        return where, f"unknown key; {nearest(str(where[-1]), known)}{inner}"
    if kind == "missing" and isinstance(where[-1], int):
        return where[:-1], f"holds too few values, got {value!r}"
    if kind == "missing":
        return where, "this key is required"
    if kind == "value_error":
        return where, str(problem.get("ctx", {}).get("error"))
    if kind == "union_tag_invalid":  # of the section `task` alone
        kinds = [name.partition(":")[2] for name in TASKS]
        given = value.get("kind") if isinstance(value, dict) else value
        return (
            *where,
            "kind",
        ), f"must be a known name, got {given!r}; {nearest(str(given), kinds)}"
    if kind in ("model_type", "model_attributes_type"):
        keys = ", ".join(f"`{key}`" for key in _known_keys(where)[:3])
        return where, f"must hold keys such as {keys}, got {shown}"
    if where[-1] == "float" and isinstance(value, dict):
        schedules = "`ramp`, `switch` or `balance`"
        return where, f"must be a number, or hold {schedules}, got {shown}"
    told = str(problem["msg"]).replace("valid tuple", "list")
    return where, f"{told[:1].lower()}{told[1:]}, got {shown}"


def _key_path(where: Sequence[str | int]) -> str:
    path = ""
    for part in where:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part not in UNION_BRANCHES:
            path += f".{part}" if path else part
    return path


def _known_keys(where: Sequence[str | int]) -> list[str]:
    kind: Any = TrainingConfig
    for part in where:
        if part in UNION_BRANCHES:
            kind = UNION_BRANCHES[str(part)] or kind
            continue
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = kind.model_fields[str(part)].annotation
        elif typing.get_origin(kind) in (list, dict):
            kind = typing.get_args(kind)[-1]
        if typing.get_origin(kind) in (typing.Union, types.UnionType):
            kind = next((k for k in typing.get_args(kind) if _is_section(k)), kind)
    return list(kind.model_fields) if _is_section(kind) else []


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _with_files(config: TrainingConfig, path: Path) -> TrainingConfig:
    folder = path.resolve().parent
    data = config.model_dump()
    for part in ("train", "validation"):
        for index, entry in enumerate(data["data"][part]):
            place = f"{path}: data.{part}[{index}]"
            for key in ("image", "truth", "labels"):
                if entry[key] is not None:
                    entry[key] = _file(folder, entry[key], f"{place}.{key}")
            if entry["projections"] is not None:
                entry["projections"] = [
                    _file(folder, plane, f"{place}.projections[{axis}]")
                    for axis, plane in enumerate(entry["projections"])
                ]
    if data["model"]["weights"] is not None:
        place = f"{path}: model.weights"
        data["model"]["weights"] = _file(folder, data["model"]["weights"], place)
    return TrainingConfig.model_validate(data)


def _file(folder: Path, path: str | Path, place: str) -> Path:
    file = folder / Path(path).expanduser()
    if not file.exists():
        raise ConfigError(f"{place}: no such file {file}; relative paths count from {folder}")
    return file
