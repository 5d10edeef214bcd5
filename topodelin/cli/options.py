"""Options that several verbs share, turned from text into values."""


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
