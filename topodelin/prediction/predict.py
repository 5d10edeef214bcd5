"""An image file in, a file of classes, probabilities or distances out."""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from topodelin.models import ModelCard
from topodelin.prediction.crf import CRF
from topodelin.prediction.members import Member
from topodelin.prediction.picture import class_picture, distance_picture
from topodelin.prediction.planes import Sizes, predicted_planes
from topodelin.prediction.seen_image import grid_spacing, one_channel
from topodelin.prediction.writing import check_out, replacing, write_planes
from topodelin.volumes import Volume

OUTPUTS = ("classes", "probabilities", "distance")
PRECISIONS = ("float32", "float16")

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Prediction:
    """What was written.

    Args:
        out: the file or folder.
        output: "classes", "probabilities" or "distance".
        classes: their names; the number of a class is its place. Empty for a distance.
        voxels: of each class, where it is the most probable one.
        note: a line about resampling; empty where there was none.
    """

    out: Path
    output: str
    classes: tuple[str, ...]
    voxels: tuple[int, ...]
    note: str

    def __str__(self) -> str:
        lines = [f"{self.out}: {self.output}", *([self.note] if self.note else [])]
        total, width = sum(self.voxels), max(map(len, self.classes), default=0)
        for number, (name, count) in enumerate(zip(self.classes, self.voxels, strict=True)):
            lines.append(
                f"  {number:>3}  {name:{width}}  {count:>15,}  {100 * count / total:5.1f} %"
            )
        return "\n".join(lines)


def predict(
    volume: Volume,
    members: Sequence[Member],
    out: Path,
    *,
    output: str | None = None,
    precision: str = "float32",
    tile: Sizes | None = None,
    margin: Sizes | None = None,
    blend: str = "linear",
    crf: CRF | None = None,
    overwrite: bool = False,
    picture: Path | None = None,
    progress: Progress | None = None,
) -> Prediction:
    """Predict on a volume of any size, slice by slice, and write it on the volume's own grid.

    Args:
        volume: one channel; read some slices at a time.
        members: see `open_members`; several are averaged.
        out: .tif or .ome.zarr.
        output: "classes" (whole numbers, the most probable class, the first of equals),
            "probabilities" (a channel for each class) or "distance" (finest voxel edges of the
            network's spacing); by default what the cards tell.
        precision: of probabilities and distances, "float32" or "float16" (.ome.zarr only).
        tile, margin, blend: see `predicted_planes`.
        crf: makes probabilities agree with the image.
        overwrite: whether an existing `out` and `picture` are replaced.
        picture: PNG of the middle slice beside what was predicted.
        progress: called with the number of slices done and their total.

    Raises:
        ValueError: in one line, before anything is predicted where that can be known.
    """
    card = members[0].card
    distance = isinstance(card, ModelCard)
    output = output or ("distance" if distance else "classes")
    _check(members[0], output, precision, crf)
    volume = one_channel(volume)
    names = () if isinstance(card, ModelCard) else card.classes
    kind = precision if output != "classes" else "uint8" if len(names) <= 256 else "uint16"
    check_out(out, kind, overwrite=overwrite)
    if picture is not None:
        _check_picture(picture, overwrite=overwrite)
    _, note = grid_spacing(volume, card, flat=all(m.flat for m in members))
    voxels = np.zeros(len(names), np.int64)
    middle, shown = volume.shape[0] // 2, np.zeros(0)

    def told() -> Generator[np.ndarray, None, None]:
        nonlocal shown
        planes = predicted_planes(
            members, volume, tile=tile, margin=margin, blend=blend, scratch=out.parent
        )
        with closing(planes):
            refined = planes if crf is None else crf.refined(planes, volume)
            for z, plane in enumerate(refined):
                if not distance:
                    chosen = plane.argmax(0)
                    voxels[:] += np.bincount(chosen.ravel(), minlength=len(names))
                    plane = chosen[None] if output == "classes" else plane
                if z == middle:
                    shown = plane[0] if distance else chosen
                if progress is not None:
                    progress(z + 1, volume.shape[0])
                yield plane

    with closing(told()) as planes:
        write_planes(
            out,
            planes,
            shape=volume.shape,
            spacing=volume.spacing,
            dtype=kind,
            channels=names if output == "probabilities" else (),
            reduce={"classes": None, "probabilities": "mean", "distance": "min"}[output],
        )
    if picture is not None:
        image, pixel = np.asarray(volume.data[middle]), volume.spacing[1:]
        if isinstance(card, ModelCard):
            png = distance_picture(image, shown, card.d_max, pixel, middle)
        else:
            png = class_picture(image, shown, names, pixel, middle)
        with replacing(picture) as partial:
            partial.write_bytes(png)
    return Prediction(out, output, names, tuple(voxels.tolist()), note)


def _check(member: Member, output: str, precision: str, crf: CRF | None) -> None:
    if output not in OUTPUTS:
        raise ValueError(f"`output` must be one of {', '.join(OUTPUTS)}, got {output!r}")
    if precision not in PRECISIONS:
        raise ValueError(f"`precision` must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    distance = isinstance(member.card, ModelCard)
    if distance != (output == "distance"):
        told = "a distance map" if distance else "classes"
        fit = "distance" if distance else "classes or probabilities"
        raise ValueError(f"`output` must be {fit}, since {member.name} tells {told}, got {output}")
    if crf is not None and distance:
        raise ValueError(f"`crf` needs probabilities, {member.name} tells a distance map")


def _check_picture(path: Path, *, overwrite: bool) -> None:
    if path.suffix.lower() != ".png":
        raise ValueError(f"{path}: `picture` must end in .png")
    if not path.parent.is_dir():
        raise ValueError(f"{path.parent}: is no folder; create it first")
    if path.exists() and (path.is_dir() or not overwrite):
        raise ValueError(f"{path}: exists; give another name, or --overwrite")
