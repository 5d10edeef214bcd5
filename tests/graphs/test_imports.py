"""Measuring a tracing starts at once: nothing heavy is imported on the way."""

import subprocess
import sys

import numpy as np
import pytest

from topodelin.graphs import NeuriteGraph, as_neurite_graph

HEAVY = ("torch", "networkx", "skimage", "numba", "gudhi", "matplotlib")


def test_graphs_never_imports_torch_nor_what_only_some_functions_need() -> None:
    code = (
        "import sys; sys.modules['torch'] = None; import topodelin.graphs; "
        f"print([name for name in {HEAVY[1:]} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_thing_that_is_no_graph_is_refused() -> None:
    with pytest.raises(TypeError, match="NeuriteGraph or a networkx.Graph, got dict"):
        as_neurite_graph({})  # type: ignore[arg-type]


def test_a_graph_survives_the_way_through_networkx() -> None:
    graph = NeuriteGraph(np.eye(3), np.array([(0, 1), (1, 2)]), np.ones(3), np.array([1, 2, 3]))
    back = as_neurite_graph(graph.to_networkx())
    for name in ("positions", "edges", "radii", "kinds"):
        np.testing.assert_array_equal(getattr(back, name), getattr(graph, name))
