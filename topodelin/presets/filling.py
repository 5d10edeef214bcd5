"""A preset for one's own files.

IMAGE, LABELS                          the image and what is known of it: labels, or a tracing
VALIDATION_IMAGE, VALIDATION_LABELS    the same of a second image, where a preset judges on one

Everything else of the text, comments included, stays as it is.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from topodelin.presets.packaged import Preset
from topodelin.volumes import open_images

LEARNT = 0.8  # share of the slices that is learnt from
OPTIONS = {
    "IMAGE": "--image",
    "LABELS": "--labels",
    "VALIDATION_IMAGE": "--validation-image",
    "VALIDATION_LABELS": "--validation-labels",
}
PLACE = re.compile(rf"(: )({'|'.join(OPTIONS)})\b")
SPACING = re.compile(r"(spacing: )\[[^]]*\]")
SLICES = re.compile(r"(slices: )\[[^]]*\]")


def fill_in(
    preset: Preset,
    files: Mapping[str, Path],
    *,
    folder: Path,
    spacing: Sequence[float] | None = None,
) -> str:
    """The text of a preset with the paths of files, and what follows from them.

    With an IMAGE, its voxel size replaces that of the preset, and where the preset shares out the
    slices of one image, the first 80 % are learnt from and the others judged on. A single slice is
    both.

    Args:
        preset: is not changed.
        files: a placeholder, see above -> the file in its place. The others stay.
        folder: of the YAML to be; files inside are named from there, others by their whole path.
        spacing: µm per voxel (z, y, x) of the images, before what the IMAGE says of itself.

    Raises:
        ValueError: for a file that the preset has no place for, or an image without a voxel size.
        OSError: for a file that cannot be read.
    """
    for place, file in files.items():
        if place not in placeholders(preset.text):
            raise ValueError(
                f"`{OPTIONS[place]}`: the preset {preset.name} has no place for it; it takes "
                f"{', '.join(OPTIONS[p] for p in placeholders(preset.text))}"
            )
        if not file.exists():
            raise FileNotFoundError(2, "no such file", str(file))
    text = preset.text
    if "IMAGE" in files:
        volume = open_images(files["IMAGE"], spacing=spacing)
        spacing, text = volume.spacing, _share_out(text, volume.shape[0])
    if spacing is not None:
        numbers = f"[{', '.join(f'{size:g}' for size in spacing)}]"
        text = _in_entries(SPACING, numbers, text)
    written = {place: _named(file, folder) for place, file in files.items()}
    return PLACE.sub(lambda found: found[1] + written.get(found[2], found[2]), text)


def placeholders(text: str) -> list[str]:
    """Those that a text holds, in the order of `OPTIONS`."""
    found = {match[2] for match in PLACE.finditer(text)}
    return [place for place in OPTIONS if place in found]


def _share_out(text: str, depth: int) -> str:
    """`slices` of the first entry and of the second, which judges."""
    cut = min(max(1, round(LEARNT * depth)), max(1, depth - 1))
    blocks = iter(([0, cut], [cut, depth] if depth > 1 else [0, 1]))
    return SLICES.sub(lambda found: f"{found[1]}{next(blocks)}", text)


def _in_entries(pattern: re.Pattern[str], value: str, text: str) -> str:
    """The text with a value replaced in the lines that name a file to be filled in."""
    lines = text.split("\n")
    return "\n".join(
        pattern.sub(rf"\g<1>{value}", line) if PLACE.search(line) else line for line in lines
    )


def _named(file: Path, folder: Path) -> str:
    """A path as YAML text in quotation marks."""
    whole, base = file.resolve(), folder.resolve()
    path = whole.relative_to(base) if whole.is_relative_to(base) else whole
    return json.dumps(path.as_posix(), ensure_ascii=False)
