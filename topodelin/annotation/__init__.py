"""Targets made from neurite graphs, and synthetic microscopy of them."""

from topodelin.annotation.centreline import centreline_mask
from topodelin.annotation.clipping import clip_to_extent
from topodelin.annotation.distance_map import distance_map, graph_distance_map
from topodelin.annotation.microscope import Microscope
from topodelin.annotation.morphologies import neurites_from_swc
from topodelin.annotation.neurites import random_neurites
from topodelin.annotation.noise import degrade_annotation
from topodelin.annotation.rendering import expected_photons, render_microscopy
from topodelin.annotation.visual_hull import check_planes, crop_projections, visual_hull

__all__ = [
    "Microscope",
    "centreline_mask",
    "check_planes",
    "clip_to_extent",
    "crop_projections",
    "degrade_annotation",
    "distance_map",
    "expected_photons",
    "graph_distance_map",
    "neurites_from_swc",
    "random_neurites",
    "render_microscopy",
    "visual_hull",
]
