"""Units of length in image files, and their size in micrometres."""

MICROMETRES = {
    "nm": 1e-3, "nanometer": 1e-3, "nanometre": 1e-3,
    "um": 1.0, "µm": 1.0, "μm": 1.0, "\\u00b5m": 1.0, "\\u03bcm": 1.0,
    "micron": 1.0, "microns": 1.0, "micrometer": 1.0, "micrometre": 1.0,
    "mm": 1e3, "millimeter": 1e3, "millimetre": 1e3,
}  # fmt: skip


def micrometres(unit: str) -> float | None:
    """How many µm one `unit` is (nm, µm, mm in their usual spellings); None for any other."""
    return MICROMETRES.get(unit.strip().lower())
