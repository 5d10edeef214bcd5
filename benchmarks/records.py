"""A measurement kept as a JSON file."""

import json
from pathlib import Path
from typing import Any


def keep(lines: list[dict[str, Any]], output: Path | None) -> list[dict[str, Any]]:
    """Write the lines of a measurement to a file, if one is named; returns them."""
    if output is not None:
        text = json.dumps(lines, indent=1, ensure_ascii=False)
        output.write_text(text + "\n", encoding="utf-8")
    return lines
