"""Delineation of whole volumes, cube by cube."""
