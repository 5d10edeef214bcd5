"""Options that several verbs share, turned from text into values."""

import os


def parse_spacing(text: str | None) -> tuple[float, float, float] | None:
    """`"1.0,0.3,0.3"` as µm per voxel (z, y, x); None stays None."""
    if text is None:
        return None
    parts = text.replace(" ", "").split(",")
    try:
        z, y, x = (float(part) for part in parts)
    except ValueError:
        raise ValueError(
            f"`--spacing` must be three numbers z,y,x in µm per voxel, got {text!r}; "
            "for example --spacing 1.0,0.3,0.3"
        ) from None
    return z, y, x


def parse_intensity(text: str | None) -> tuple[float, float] | None:
    """`"90,1400"` as the grey values of background and of bright neurites; None stays None."""
    if text is None:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(
            f"`--intensity` must be two grey values low,high, got {text!r}; "
            "for example --intensity 90,1400"
        ) from None
    return low, high


def parse_bounds(
    text: str | None,
) -> tuple[tuple[float, float, float], tuple[float, float, float]] | None:
    """`"0,0,0,100,200,200"` as two corners (z, y, x) in µm; None stays None."""
    if text is None:
        return None
    try:
        z0, y0, x0, z1, y1, x1 = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(
            f"`--within` must be two corners z,y,x,z,y,x in µm, got {text!r}; "
            "for example --within 0,0,0,100,200,200"
        ) from None
    return (z0, y0, x0), (z1, y1, x1)


def absolute(path: str) -> str:
    """A path as it is found from anywhere; a URL stays as it is."""
    return path if "://" in path else os.path.abspath(path)
