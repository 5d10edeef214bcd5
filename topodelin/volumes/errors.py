"""The one error of this room: a file that cannot serve as a volume, and what to do about it."""


class VolumeError(ValueError):
    """A volume cannot be opened, read or written. One line: the file, what is wrong, the remedy."""


def spacing_needed(source: object, reason: str) -> VolumeError:
    """The error for a file that does not tell the size of its voxels."""
    return VolumeError(
        f"{source}: {reason}; give the spacing in µm per voxel with `--spacing z,y,x` "
        "(in Python: `spacing=(z, y, x)`)"
    )


def extra_needed(source: object, package: str, extra: str) -> VolumeError:
    """The error for a format whose package is not installed."""
    return VolumeError(
        f'{source}: needs the package {package}; install it with `pip install "topodelin[{extra}]"`'
    )
