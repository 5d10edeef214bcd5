"""Volumes read by box, from any microscopy format, with their spacing."""

from topodelin.volumes.errors import VolumeError
from topodelin.volumes.intensity import IntensityRange, intensity_range, intensity_scaling
from topodelin.volumes.ome_zarr_writer import OmeZarrWriter, create_ome_zarr, write_ome_zarr
from topodelin.volumes.opening import open_images, open_volume
from topodelin.volumes.resample import resample
from topodelin.volumes.volume import Box, Index, Spacing, Volume, check_spacing

__all__ = [
    "Box",
    "Index",
    "IntensityRange",
    "OmeZarrWriter",
    "Spacing",
    "Volume",
    "VolumeError",
    "check_spacing",
    "create_ome_zarr",
    "intensity_range",
    "intensity_scaling",
    "open_images",
    "open_volume",
    "resample",
    "write_ome_zarr",
]
