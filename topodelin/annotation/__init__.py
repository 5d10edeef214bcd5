"""Targets made from neurite graphs, and synthetic microscopy of them."""

from topodelin.annotation.centreline import centreline_mask
from topodelin.annotation.classes import class_indices
from topodelin.annotation.clipping import clip_to_extent
from topodelin.annotation.distance_map import distance_map, graph_distance_map
from topodelin.annotation.microscope import Microscope
from topodelin.annotation.morphologies import neurites_from_swc
from topodelin.annotation.neurites import random_neurites
from topodelin.annotation.noise import degrade_annotation
from topodelin.annotation.rendering import expected_photons, render_microscopy
from topodelin.annotation.visual_hull import check_planes, crop_projections, visual_hull
from topodelin.annotation.weight_maps import (
    border_weights,
    class_balance_weights,
    diffusion_weights,
)

__all__ = [
    "Microscope",
    "border_weights",
    "centreline_mask",
    "check_planes",
    "class_balance_weights",
    "class_indices",
    "clip_to_extent",
    "crop_projections",
    "degrade_annotation",
    "diffusion_weights",
    "distance_map",
    "expected_photons",
    "graph_distance_map",
    "neurites_from_swc",
    "random_neurites",
    "render_microscopy",
    "visual_hull",
]
