"""Neurite graphs, SWC files, metrics that say how a tracing is wrong. Never imports torch."""

from topodelin.graphs.neurite_graph import NeuriteGraph, as_neurite_graph

__all__ = ["NeuriteGraph", "as_neurite_graph"]
