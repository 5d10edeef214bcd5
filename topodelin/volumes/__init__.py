"""Volumes read by box, from any microscopy format, with their spacing."""

from topodelin.volumes.volume import Box, Index, Spacing, Volume, check_spacing

__all__ = ["Box", "Index", "Spacing", "Volume", "check_spacing"]
