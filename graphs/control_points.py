"""Control points: the places of one graph between which paths are compared with another graph."""

from dataclasses import dataclass

import numpy as np

from topodelin.graphs.contraction import ContractedGraph


@dataclass(frozen=True, eq=False, slots=True)
class ControlPoints:
    """Places on a graph.

    Args:
        edges: (K,) rows of `graph.edges`.
        fractions: (K,) place on that edge, 0 to 1.
    """

    edges: np.ndarray
    fractions: np.ndarray

    def __len__(self) -> int:
        return len(self.edges)


def control_points(contracted: ContractedGraph, interval: float | None) -> ControlPoints:
    """Points along the chains at an interval in µm, or the nodes where that is None."""
    if interval is None:
        return nodes_as_points(contracted)
    return points_along_chains(contracted, interval)


def nodes_as_points(contracted: ContractedGraph) -> ControlPoints:
    """Every node that has an edge, in the order of the nodes."""
    edges = contracted.graph.edges
    _, first = np.unique(edges.T.ravel(), return_index=True)
    return ControlPoints(first % max(len(edges), 1), (first >= len(edges)).astype(np.float64))


def points_along_chains(contracted: ContractedGraph, interval: float) -> ControlPoints:
    """Junctions, endpoints, and points at equal distances along each chain between them.

    A chain of length L has ceil(L / interval) - 1 points inside, one if L is between three
    quarters of the interval and the interval, none if it is shorter.
    """
    lengths = contracted.lengths
    inside = np.ceil(lengths / interval).astype(np.int64) - 1
    inside = np.where(lengths <= interval, (lengths >= 0.75 * interval).astype(np.int64), inside)
    chain = np.repeat(np.arange(len(lengths)), inside)
    rank = np.arange(len(chain)) - np.repeat(np.cumsum(inside) - inside, inside)
    way = lengths[chain] * (rank + 1) / (inside[chain] + 1)
    _, first = np.unique(contracted.ends.T.ravel(), return_index=True)
    end_chain, at_end = first % max(len(lengths), 1), first >= len(lengths)
    chain = np.concatenate([end_chain, chain])
    way = np.concatenate([np.where(at_end, lengths[end_chain], 0.0), way])
    return ControlPoints(*contracted.on_edges(chain, way))
