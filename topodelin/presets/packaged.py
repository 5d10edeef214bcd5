"""The presets that come with the library, by name.

The first line of a preset is a comment that says what it is; the others say where it comes from,
what to change for other data, and where it departs from its plan. The paths of its section `data`
are words in capitals, see [`fill_in`][topodelin.presets.filling.fill_in].
"""

import difflib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Preset:
    """A configuration as text.

    Args:
        name: of its file, without the ending.
        text: of the whole file.
    """

    name: str
    text: str

    @property
    def title(self) -> str:
        """What it is, in one line."""
        return self.text.splitlines()[0].removeprefix("# ")

    @property
    def task(self) -> str:
        """The kind of its task."""
        return str(self._content.get("task", {}).get("kind", "distance"))

    @property
    def network(self) -> str:
        """The name of its network, or of its classifier."""
        content = self._content
        named = content["model"]["name"] if "model" in content else content["task"]["classifier"]
        return str(named)

    @cached_property
    def _content(self) -> dict[str, Any]:
        return yaml.safe_load(self.text)


def preset_names() -> list[str]:
    """The names of all presets, in alphabetical order."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def preset(name: str) -> Preset:
    """The preset of a name; ValueError with the nearest name where there is none."""
    names = preset_names()
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1)
        remedy = f"did you mean `{close[0]}`?" if close else "`topodelin presets list` shows all"
        raise ValueError(f"the preset must be a known name, got {name!r}; {remedy}")
    return Preset(name, (FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
