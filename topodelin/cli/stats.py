"""`topodelin stats`: how much of each class an image holds, how bright, how different."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from topodelin.cli.app import app
from topodelin.cli.tables import aligned

if TYPE_CHECKING:
    import numpy as np

    from topodelin.classical.statistics import ClassStatistics

MOST = 64  # values of a label file that are taken for classes without being named

NOTE = (
    "Tests look at {count} voxels, {apart} apart along z, y, x{left}: closer voxels resemble each "
    "other, and p-values of all voxels would be far too small. p (Holm) is corrected for "
    "{pairs} pairs. Hedges' g: the difference of the means in standard deviations. P(first > "
    "second): 0.5 where two classes look alike."
)


@app.command("stats")
def stats(
    image: Annotated[Path, typer.Argument(help="An image or a stack.")],
    labels: Annotated[Path, typer.Argument(help="The class of every voxel, of the same shape.")],
    classes: Annotated[
        str | None,
        typer.Option(help="name=value,...; several values as membrane=0+32. Else every value."),
    ] = None,
    ignore: Annotated[
        str | None, typer.Option(help="Values of voxels that nobody judged, e.g. 7,8.")
    ] = None,
    spacing: Annotated[
        str | None, typer.Option(help="z,y,x in µm per voxel, where the image has none.")
    ] = None,
    apart: Annotated[
        str | None,
        typer.Option(help="z,y,x voxels between those that are tested; by default measured."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the sub-sample.", min=0)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Count the classes of LABELS in IMAGE, describe their intensities and compare them."""
    import json

    from topodelin.annotation.classes import class_indices
    from topodelin.classical.statistics import class_statistics
    from topodelin.cli.options import parse_spacing
    from topodelin.volumes import open_images

    volume = open_images(image, spacing=parse_spacing(spacing))
    marks = open_images(labels, spacing=volume.spacing)
    for path, each in ((image, volume), (labels, marks)):
        if len(each.data.shape) != 3:
            raise ValueError(f"{path}: must have one channel, got shape {tuple(each.data.shape)}")
    if marks.shape != volume.shape:
        raise ValueError(
            f"{labels}: must have the shape of {image}, {volume.shape}, got {marks.shape}"
        )
    raw, judged = marks.data[:], parse_values("ignore", ignore)
    named = parse_classes(classes) if classes else every_value(raw, judged, labels)
    found = class_statistics(
        volume.data[:],
        class_indices(raw, named, judged, name=str(labels)),
        list(named),
        spacing=volume.spacing,
        apart=parse_apart(apart),
        seed=seed,
    )
    print(json.dumps(found.as_dict(), indent=2) if as_json else table(found))


def parse_classes(text: str) -> dict[str, list[int]]:
    """`"cell=255,membrane=0+32"` as names with their values."""
    found: dict[str, list[int]] = {}
    for part in text.split(","):
        name, equals, values = part.strip().partition("=")
        try:
            numbers = [int(value) for value in values.split("+")]
        except ValueError:
            numbers = []
        if not name or not equals or not numbers or name in found:
            raise ValueError(
                f"`--classes` must be name=value,... with each name once, got {part!r}; for "
                "example cell=255,membrane=0+32"
            )
        found[name] = numbers
    return found


def parse_values(option: str, text: str | None) -> list[int]:
    """`"7,8"` as whole numbers; none for None."""
    try:
        return [int(part) for part in (text or "").split(",") if part.strip()]
    except ValueError:
        raise ValueError(f"`--{option}` must be whole numbers such as 7,8, got {text!r}") from None


def parse_apart(text: str | None) -> tuple[int, int, int] | None:
    """`"4,10,10"` as voxels `(z, y, x)`; None stays None."""
    if text is None:
        return None
    numbers = parse_values("apart", text)
    if len(numbers) != 3 or min(numbers) < 1:
        raise ValueError(f"`--apart` must be three whole numbers z,y,x from 1, got {text!r}")
    return numbers[0], numbers[1], numbers[2]


def every_value(raw: "np.ndarray", ignored: list[int], path: Path) -> dict[str, list[int]]:
    """Each value of a label file as a class of its own."""
    import numpy as np

    values = [int(value) for value in np.unique(raw) if int(value) not in ignored]
    if len(values) > MOST:
        raise ValueError(
            f"{path}: holds {len(values)} values, more than {MOST} classes; name them with "
            "--classes name=value,..."
        )
    return {str(value): [value] for value in values}


def table(found: "ClassStatistics") -> str:
    """The statistics for people: two tables and what they rest on."""
    shares = [share for share, _ in found.classes[0].quantiles]
    header = ["class", "voxels", "share", "µm³", "mean", "sd", *(f"q{q * 100:g}" for q in shares)]
    rows = [
        [c.name, f"{c.voxels:,}", f"{c.share:.2%}", *_few(c.volume), *_whole(c.mean, c.sd)]
        + _whole(*(value for _, value in c.quantiles))
        + [f"{c.sampled:,}", *_few(c.normality.skewness, c.normality.kurtosis, c.normality.p)]
        for c in found.classes
    ]
    header += ["tested", "skew", "kurtosis", "p normal"]
    pairs = [
        [d.first, d.second, *_whole(d.difference), *_few(d.t), *_whole(d.degrees)]
        + _few(d.p, d.p_holm, d.hedges_g, d.superiority)
        for d in found.differences
    ]
    names = ["first", "second", "difference", "t", "df", "p", "p (Holm)", "g", "P(first > second)"]
    left = [f"{value:.2f}" for value in found.correlation if value == value]
    note = NOTE.format(
        count=f"{sum(c.sampled for c in found.classes):,}",
        apart=", ".join(map(str, found.apart)),
        left=f" (autocorrelation left: {', '.join(left)})" if left else "",
        pairs=sum(d.p == d.p for d in found.differences),
    )
    f, p, eta = _few(found.variance.f, found.variance.p, found.variance.eta_squared)
    between = f"All classes alike? F {f}, p {p}; between them lies {eta} of the variance (eta²)."
    return "\n\n".join([aligned(header, rows), note, between, aligned(names, pairs, words=2)])


def _few(*values: float) -> list[str]:
    return ["-" if value != value else f"{value:.3g}" for value in values]


def _whole(*values: float) -> list[str]:
    """Three digits at least, and all before the point."""
    return [
        f"{v:,.0f}" if abs(v) >= 100 else text
        for v, text in zip(values, _few(*values), strict=True)
    ]
