"""A neurite graph: nodes in space (µm) and straight edges between them, as frozen arrays."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

if TYPE_CHECKING:
    from networkx import Graph as NetworkxGraph
else:  # importing networkx costs more than reading an SWC file, so it waits until it is used
    NetworkxGraph = Any


@dataclass(frozen=True, eq=False)
class NeuriteGraph:
    """Nodes and edges of one or more neurites; cycles are allowed.

    Args:
        positions: (N, 3) float64, µm, `(z, y, x)`.
        edges: (E, 2) integers, rows of `positions`; no self-loops.
        radii: (N,) float64, µm; NaN where unknown (the default).
        kinds: (N,) integers, the SWC structure types (0 undefined, 1 soma, 2 axon, 3 basal and
            4 apical dendrite, 5 and above custom); 0 by default.

    The arrays are copied and cannot be written to; every derived quantity is computed once.
    """

    positions: np.ndarray
    edges: np.ndarray
    radii: np.ndarray = None  # type: ignore[assignment]
    kinds: np.ndarray = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        positions = np.array(self.positions, dtype=np.float64).reshape(-1, 3)
        edges = np.array(self.edges, dtype=np.int64).reshape(-1, 2)
        count = len(positions)
        radii = np.full(count, np.nan) if self.radii is None else self.radii
        kinds = np.zeros(count, np.int64) if self.kinds is None else self.kinds
        radii, kinds = np.array(radii, dtype=np.float64), np.array(kinds, dtype=np.int64)
        if not np.isfinite(positions).all():
            raise ValueError("`positions` must be finite, got NaN or infinity")
        if len(edges) and (edges.min() < 0 or edges.max() >= count):
            raise ValueError(f"`edges` must hold rows of the {count} positions, got {edges.max()}")
        if len(edges) and (edges[:, 0] == edges[:, 1]).any():
            loop = int(edges[edges[:, 0] == edges[:, 1]][0, 0])
            raise ValueError(f"`edges` must join two different nodes, got a loop at node {loop}")
        for name, array in (("radii", radii), ("kinds", kinds)):
            if array.shape != (count,):
                raise ValueError(
                    f"`{name}` must have one value for each of {count} nodes, got {array.shape}"
                )
        for name, array in (
            ("positions", positions),
            ("edges", edges),
            ("radii", radii),
            ("kinds", kinds),
        ):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.positions)

    def __repr__(self) -> str:
        return f"NeuriteGraph({len(self)} nodes, {len(self.edges)} edges, {self.length:.1f} µm)"

    @cached_property
    def lengths(self) -> np.ndarray:
        """(E,) length of each edge, µm."""
        start, end = self.positions[self.edges[:, 0]], self.positions[self.edges[:, 1]]
        return np.linalg.norm(end - start, axis=1)

    @cached_property
    def length(self) -> float:
        """Total length of the edges, µm."""
        return float(self.lengths.sum())

    @cached_property
    def degrees(self) -> np.ndarray:
        """(N,) number of edges at each node."""
        return np.bincount(self.edges.ravel(), minlength=len(self))

    @cached_property
    def adjacency(self) -> csr_array:
        """(N, N) symmetric sparse matrix of edge lengths, µm; an edge of length 0 is kept."""
        heads, tails = np.concatenate([self.edges, self.edges[:, ::-1]]).T
        lengths = np.maximum(np.tile(self.lengths, 2), 1e-12)  # a stored 0 would be no edge
        return csr_array((lengths, (heads, tails)), shape=(len(self), len(self)))

    @cached_property
    def components(self) -> np.ndarray:
        """(N,) number of the connected component of each node, from 0."""
        return connected_components(self.adjacency, directed=False)[1]

    def select(self, keep: np.ndarray) -> "NeuriteGraph":
        """The part whose nodes are marked in `keep` ((N,) bool), with the edges between them."""
        keep = np.asarray(keep, dtype=bool)
        renumber = np.cumsum(keep) - 1
        inside = keep[self.edges].all(axis=1)
        return NeuriteGraph(
            self.positions[keep],
            renumber[self.edges[inside]],
            self.radii[keep],
            self.kinds[keep],
        )

    def to_networkx(self) -> NetworkxGraph:
        """Nodes 0..N-1 with `pos`, `radius`, `kind`; edges with `length`, µm."""
        import networkx as nx

        graph = nx.Graph()
        for node, (pos, radius, kind) in enumerate(
            zip(self.positions.tolist(), self.radii.tolist(), self.kinds.tolist(), strict=True)
        ):
            graph.add_node(node, pos=tuple(pos), radius=radius, kind=kind)
        for (start, end), length in zip(self.edges.tolist(), self.lengths.tolist(), strict=True):
            graph.add_edge(start, end, length=length)
        return graph

    @classmethod
    def from_networkx(cls, graph: NetworkxGraph) -> "NeuriteGraph":
        """From a graph whose nodes carry `pos`, `(z, y, x)` or `(y, x)` in µm.

        `radius` and `kind` are taken where present. Self-loops are dropped.
        """
        number = {node: index for index, node in enumerate(graph.nodes)}
        positions = np.zeros((len(number), 3))
        radii, kinds = np.full(len(number), np.nan), np.zeros(len(number), np.int64)
        for node, index in number.items():
            attributes: dict[str, Any] = graph.nodes[node]
            pos = attributes.get("pos")
            if pos is None or len(pos) not in (2, 3):
                raise ValueError(f"node {node!r} must carry `pos`, (z, y, x) in µm, got {pos!r}")
            positions[index, -len(pos) :] = pos
            radii[index] = attributes.get("radius", np.nan)
            kinds[index] = attributes.get("kind", 0)
        edges = [(number[a], number[b]) for a, b in graph.edges() if a != b]
        return cls(positions, np.array(edges, dtype=np.int64), radii, kinds)


def as_neurite_graph(graph: "NeuriteGraph | NetworkxGraph") -> NeuriteGraph:
    """The graph as a `NeuriteGraph`, whichever of the two kinds came."""
    if isinstance(graph, NeuriteGraph):
        return graph
    networkx = sys.modules.get("networkx")  # without that module nobody holds one of its graphs
    if networkx is not None and isinstance(graph, networkx.Graph):
        return NeuriteGraph.from_networkx(graph)
    raise TypeError(
        f"a graph must be a NeuriteGraph or a networkx.Graph, got {type(graph).__name__}"
    )


def joined(graphs: Sequence[NeuriteGraph]) -> NeuriteGraph:
    """Several graphs as one, without new edges; nodes keep their order, graph after graph.

    Node n of graph k becomes node `sum(len(g) for g in graphs[:k]) + n`. No graphs give an empty
    one.
    """
    first = np.cumsum([0, *(len(graph) for graph in graphs)])
    empty = NeuriteGraph(np.empty((0, 3)), np.empty((0, 2), dtype=np.int64))
    parts = [empty, *graphs]
    return NeuriteGraph(
        np.concatenate([graph.positions for graph in parts]),
        np.concatenate([empty.edges, *(g.edges + n for g, n in zip(graphs, first, strict=False))]),
        np.concatenate([graph.radii for graph in parts]),
        np.concatenate([graph.kinds for graph in parts]),
    )
