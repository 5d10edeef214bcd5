"""A neurite graph: nodes in space (µm) and straight edges between them, as frozen arrays."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

if TYPE_CHECKING:
    from networkx import Graph as NetworkxGraph

    from topodelin.graphs.contraction import ContractedGraph
else:  # importing networkx costs more than reading an SWC file, so it waits until it is used
    NetworkxGraph = ContractedGraph = Any


@dataclass(frozen=True, eq=False)
class NeuriteGraph:
    """Nodes and edges of one or more neurites; cycles are allowed.

    Args:
        positions: (N, 3) float64, µm, `(z, y, x)`.
        edges: (E, 2) integers, rows of `positions`; no self-loops.
        radii: (N,) float64, µm; NaN where unknown (the default).
        kinds: (N,) integers, the SWC structure types (0 undefined, 1 soma, 2 axon, 3 basal and
            4 apical dendrite, 5 and above custom); 0 by default.

    The arrays are copied and cannot be written to; every derived array is computed once and cannot
    be written to either. Methods give new graphs. Each stands for a function of this package that
    says more about it; `NeuriteGraph` has them so that they are found.
    """

    positions: np.ndarray
    edges: np.ndarray
    radii: np.ndarray = None  # type: ignore[assignment]
    kinds: np.ndarray = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        positions, edges = _positions(self.positions), _edges(self.edges)
        count = len(positions)
        radii = np.full(count, np.nan) if self.radii is None else self.radii
        kinds = np.zeros(count, np.int64) if self.kinds is None else self.kinds
        radii, kinds = np.array(radii, dtype=np.float64), np.array(kinds, dtype=np.int64)
        if not np.isfinite(positions).all():
            raise ValueError("`positions` must be finite, got NaN or infinity")
        if len(edges) and (edges.min() < 0 or edges.max() >= count):
            wrong = edges.min() if edges.min() < 0 else edges.max()
            raise ValueError(f"`edges` must hold rows of the {count} positions, got {wrong}")
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
            object.__setattr__(self, name, _frozen(array))

    def __len__(self) -> int:
        return len(self.positions)

    def __repr__(self) -> str:
        return f"NeuriteGraph({len(self)} nodes, {len(self.edges)} edges, {self.length:.1f} µm)"

    @cached_property
    def lengths(self) -> np.ndarray:
        """(E,) length of each edge, µm."""
        start, end = self.positions[self.edges[:, 0]], self.positions[self.edges[:, 1]]
        return _frozen(np.linalg.norm(end - start, axis=1))

    @cached_property
    def length(self) -> float:
        """Total length of the edges, µm."""
        return float(self.lengths.sum())

    @cached_property
    def degrees(self) -> np.ndarray:
        """(N,) number of edges at each node."""
        return _frozen(np.bincount(self.edges.ravel(), minlength=len(self)))

    @cached_property
    def tips(self) -> np.ndarray:
        """The nodes with one edge, ascending."""
        return _frozen(np.flatnonzero(self.degrees == 1))

    @cached_property
    def junctions(self) -> np.ndarray:
        """The nodes with three edges or more, ascending."""
        return _frozen(np.flatnonzero(self.degrees > 2))

    @cached_property
    def adjacency(self) -> csr_array:
        """(N, N) symmetric sparse matrix of edge lengths, µm; an edge of length 0 is kept."""
        heads, tails = np.concatenate([self.edges, self.edges[:, ::-1]]).T
        lengths = np.maximum(np.tile(self.lengths, 2), 1e-12)  # a stored 0 would be no edge
        return csr_array((lengths, (heads, tails)), shape=(len(self), len(self)))

    @cached_property
    def components(self) -> np.ndarray:
        """(N,) number of the connected component of each node, from 0."""
        return _frozen(connected_components(self.adjacency, directed=False)[1])

    @cached_property
    def component_count(self) -> int:
        """Number of connected components; a node without edges is one."""
        return int(self.components.max(initial=-1)) + 1

    @cached_property
    def paths(self) -> tuple[np.ndarray, ...]:
        """The branches between nodes of degree other than 2, as arrays of nodes (`branches`)."""
        from topodelin.graphs.branches import branches

        return tuple(_frozen(path) for path in branches(self))

    def contract(self) -> "ContractedGraph":
        """Tips and junctions, and the lengths of the chains between them (`contraction`)."""
        from topodelin.graphs.contraction import contract

        return contract(self)

    def split(self, longest: float) -> "NeuriteGraph":
        """The same lines in edges of at most `longest` µm; nodes stay (`split_long_edges`)."""
        from topodelin.graphs.edge_splitting import split_long_edges

        return split_long_edges(self, longest).graph

    def resample(self, step_um: float) -> "NeuriteGraph":
        """The same branches with nodes at equal distances of at most `step_um` (`resample`)."""
        from topodelin.graphs.branches import resample

        return resample(self, step_um)

    def smooth(
        self, window: int = 6, *, reach: tuple[float, float, float] = (0.0, 0.0, 0.0)
    ) -> "NeuriteGraph":
        """Branches without their short waves; tips and junctions stay (`smooth_branches`)."""
        from topodelin.graphs.branches import smooth_branches

        return smooth_branches(self, window, reach=reach)

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

    @classmethod
    def from_mask(
        cls,
        mask: np.ndarray,
        spacing: Sequence[float],
        *,
        min_branch_um: float = 0.0,
        smoothing: int = 6,
    ) -> "NeuriteGraph":
        """The centrelines of a mask (`graph_from_mask`)."""
        from topodelin.graphs.skeleton import graph_from_mask

        return graph_from_mask(mask, spacing, min_branch_um=min_branch_um, smoothing=smoothing)

    @classmethod
    def from_swc(
        cls,
        path: str | PathLike[str],
        *,
        unit: str = "um",
        spacing: Sequence[float] | None = None,
    ) -> "NeuriteGraph":
        """Read the trees of an SWC file (`read_swc`)."""
        from topodelin.graphs.swc.reading import read_swc

        return read_swc(path, unit=unit, spacing=spacing)

    def to_swc(
        self,
        path: str | PathLike[str],
        *,
        header: Iterable[str] = (),
        radius: float = 0.5,
        roots: Sequence[int] | np.ndarray = (),
    ) -> None:
        """Write the trees as an SWC file, which holds no cycles (`write_swc`)."""
        from topodelin.graphs.swc.writing import write_swc

        write_swc(path, self, header=header, radius=radius, roots=roots)

    @classmethod
    def from_json(cls, path: str | PathLike[str]) -> "NeuriteGraph":
        """Read a graph, cycles and all, from JSON (`read_graph_json`)."""
        from topodelin.graphs.json_files import read_graph_json

        return read_graph_json(path)

    def to_json(self, path: str | PathLike[str]) -> None:
        """Write the graph as JSON, in full precision (`write_graph_json`)."""
        from topodelin.graphs.json_files import write_graph_json

        write_graph_json(path, self)

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
        """From a graph whose nodes carry `pos` in µm: `(z, y, x)`, or all of them `(y, x)`.

        A plane lies at z = 0. `radius` and `kind` are taken where present. Self-loops are dropped.
        """
        number = {node: index for index, node in enumerate(graph.nodes)}
        positions = np.zeros((len(number), 3))
        radii, kinds = np.full(len(number), np.nan), np.zeros(len(number), np.int64)
        flat: dict[bool, Any] = {}  # a node in a plane, and one in space
        for node, index in number.items():
            attributes: dict[str, Any] = graph.nodes[node]
            pos = attributes.get("pos")
            if pos is None or len(pos) not in (2, 3):
                raise ValueError(f"node {node!r} must carry `pos`, (z, y, x) in µm, got {pos!r}")
            flat.setdefault(len(pos) == 2, node)
            if len(flat) == 2:
                raise ValueError(
                    f"the nodes must all carry `pos` (z, y, x) or all (y, x), got 2 numbers at "
                    f"node {flat[True]!r} and 3 at node {flat[False]!r}; add z where it is missing"
                )
            positions[index, -len(pos) :] = pos
            radii[index] = attributes.get("radius", np.nan)
            kinds[index] = attributes.get("kind", 0)
        edges = [(number[a], number[b]) for a, b in graph.edges() if a != b]
        return cls(positions, np.array(edges, dtype=np.int64), radii, kinds)


def _frozen(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def _positions(given: Any) -> np.ndarray:
    positions = np.array(given, dtype=np.float64)
    if positions.size == 0 and positions.ndim < 3:
        return positions.reshape(0, 3)
    if positions.ndim == 2 and positions.shape[1] == 3:
        return positions
    flat = positions.ndim == 2 and positions.shape[1] == 2
    remedy = "; put z = 0 before y and x, np.insert(positions, 0, 0, axis=1)" if flat else ""
    raise ValueError(
        f"`positions` must have a row (z, y, x) for each node, got shape {positions.shape}{remedy}"
    )


def _edges(given: Any) -> np.ndarray:
    edges = np.array(given)
    if edges.size == 0 and edges.ndim < 3:
        return np.zeros((0, 2), dtype=np.int64)
    whole = edges.dtype.kind in "iu" or (edges.dtype.kind == "f" and (edges == edges // 1).all())
    if edges.ndim != 2 or edges.shape[1] != 2 or not whole:
        raise ValueError(
            "`edges` must have a row of two nodes (whole numbers from 0) for each edge, "
            f"got shape {edges.shape} of {edges.dtype}"
        )
    return edges.astype(np.int64)


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
