r"""The size and the shape of trees: lengths, counts, orders, radii.

A tree is seen from its root. Its *tips* are the nodes without children, its *junctions* the nodes
with three edges or more, and its *branches* the stretches between root, junctions and tips (the
"sections" of NeuroM, the branches of L-Measure).

* *Strahler order*: 1 for a branch with a tip; where branches meet, the greatest order $k$ of those
  below, or $k + 1$ if two of them have it. That of a tree is the order at its root.
* *Path distance*: the way along the cable from the root; *radial distance*: the straight line.
* *Tortuosity* of a branch: its length over the distance between its ends (L-Measure reports the
  inverse as contraction). Branches that end where they begin are left out.
* *Partition asymmetry* of a junction other than the root with two children, of which $a$ and $b$
  tips lie below: $|a - b| / (a + b - 2)$, and 0 for $a = b = 1$.
* *Surface* and *volume*: each edge of length $h$ with radii $r, s$ is a cone cut off at both ends,
  $\pi (r + s) \sqrt{h^2 + (r - s)^2}$ and $\frac{\pi h}{3} (r^2 + r s + s^2)$. Edges with an end
  whose radius is unknown have none.

References:
    R. Scorcioni, S. Polavaram, G. A. Ascoli. L-Measure: a web-accessible tool for the analysis,
    comparison and search of digital reconstructions of neuronal morphologies. Nature Protocols
    2008. J. van Pelt, H. B. M. Uylings, R. W. H. Verwer, R. J. Pentney, M. J. Woldenberg. Tree
    asymmetry: a sensitive and practical measure for binary topological trees. Bulletin of
    Mathematical Biology 1992. A. N. Strahler. Quantitative analysis of watershed geomorphology.
    Transactions of the American Geophysical Union 1957.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from topodelin.graphs.checks import json_ready, ratio
from topodelin.graphs.forest import refuse_cycles
from topodelin.graphs.neurite_graph import NetworkxGraph, NeuriteGraph, as_neurite_graph
from topodelin.graphs.roots import one_root_each
from topodelin.graphs.trees_from_roots import TreesFromRoots, trees_from_roots

Point = tuple[float, float, float]
Columns = dict[str, Any]
GREATEST = ("strahler", "max_path", "max_radial")  # of several trees; the rest are sums
SMALLEST = 1e-9  # µm between the ends of a branch that has a tortuosity


@dataclass(frozen=True, slots=True)
class Morphometry:
    """One tree, or several together.

    Args:
        trees, nodes: numbers of them.
        length: of the cable, µm.
        tips, junctions, branches, stems: numbers; a stem is an edge that leaves a root.
        strahler: order at the root, the greatest of several trees.
        max_path: greatest path distance from a node to its root, µm.
        max_radial: greatest radial distance from a node to its root, µm.
        low, high: corners of the box around the nodes, µm `(z, y, x)`; NaN without nodes.
        known_length: cable whose radius is known at both ends of each edge, µm.
        radius_length: its mean radius times its length, µm².
        surface: µm², of that cable.
        volume: µm³, of that cable.
        winding: sum of the tortuosities of `straight` branches.
        asymmetry: sum of the partition asymmetries of `bifurcations` junctions.
    """

    trees: int
    nodes: int
    length: float
    tips: int
    junctions: int
    branches: int
    stems: int
    strahler: int
    max_path: float
    max_radial: float
    low: Point
    high: Point
    known_length: float
    radius_length: float
    surface: float
    volume: float
    straight: int
    winding: float
    bifurcations: int
    asymmetry: float

    @property
    def extent(self) -> Point:
        """Sides of the box around the nodes, µm `(z, y, x)`; NaN without nodes."""
        z, y, x = (high - low for low, high in zip(self.low, self.high, strict=True))
        return z, y, x

    @property
    def mean_radius(self) -> float:
        """µm, of the cable whose radius is known; NaN where none is."""
        return ratio(self.radius_length, self.known_length)

    @property
    def known_share(self) -> float:
        """Share of the cable whose radius is known, 0 to 1; NaN without cable."""
        return ratio(self.known_length, self.length)

    @property
    def tortuosity(self) -> float:
        """Mean over the branches, from 1 up; NaN without any."""
        return ratio(self.winding, self.straight)

    @property
    def partition_asymmetry(self) -> float:
        """Mean over the junctions with two children, 0 to 1; NaN without any."""
        return ratio(self.asymmetry, self.bifurcations)

    @property
    def mean_branch(self) -> float:
        """Mean length of the branches, µm; NaN without any."""
        return ratio(self.length, self.branches)

    def as_dict(self) -> dict[str, float | None]:
        """Every number by name, ready for JSON: None where one is undefined."""
        known = self.known_length > 0
        z, y, x = self.extent
        return json_ready(
            {
                "trees": self.trees,
                "nodes": self.nodes,
                "length_um": self.length,
                "tips": self.tips,
                "junctions": self.junctions,
                "branches": self.branches,
                "stems": self.stems,
                "strahler_order": self.strahler,
                "max_path_distance_um": self.max_path,
                "max_radial_distance_um": self.max_radial,
                "extent_z_um": z,
                "extent_y_um": y,
                "extent_x_um": x,
                "mean_branch_length_um": self.mean_branch,
                "tortuosity": self.tortuosity,
                "partition_asymmetry": self.partition_asymmetry,
                "mean_radius_um": self.mean_radius,
                "radius_known_share": self.known_share,
                "surface_um2": self.surface if known else float("nan"),
                "volume_um3": self.volume if known else float("nan"),
            }
        )


def morphometry(
    graph: NeuriteGraph | NetworkxGraph, *, roots: Sequence[int] | np.ndarray = ()
) -> tuple[Morphometry, ...]:
    """Measure every tree of a graph, in the order of their lowest numbered nodes.

    Args:
        graph: one or more trees, µm; a node without edges is a tree of Strahler order 1.
        roots: nodes that trees are seen from, at most one in each; elsewhere the lowest numbered.

    Counts, lengths, extent, surface and volume hardly depend on the root: a root within a branch
    cuts it in two, and a root at an end is no tip. Strahler orders, path distances and asymmetries
    are those of trees that hang from it. `total` adds trees up.

    Raises:
        ValueError: the graph holds a cycle; break it with `spanning_forest`.
    """
    graph = as_neurite_graph(graph)
    refuse_cycles(graph)
    starts = np.array(one_root_each(graph, roots), dtype=np.int64)
    starts = starts[np.argsort(graph.components[starts])]
    rows = trees_from_roots(graph, starts)
    columns = {
        "trees": [1] * len(starts),
        **_counts(graph, rows, starts),
        **_distances(graph, rows, starts),
        **_shapes(graph, rows, len(starts)),
        **_thickness(graph, len(starts)),
    }
    return tuple(
        Morphometry(**dict(zip(columns, values, strict=True)))
        for values in zip(*columns.values(), strict=True)
    )


def total(trees: Iterable[Morphometry]) -> Morphometry:
    """Several trees together: sums, the greatest distances and order, the box around all."""
    trees = list(trees)
    nowhere = [(float("nan"),) * 3]
    values: Columns = {
        "low": tuple(np.min([tree.low for tree in trees] or nowhere, axis=0).tolist()),
        "high": tuple(np.max([tree.high for tree in trees] or nowhere, axis=0).tolist()),
    }
    for field in fields(Morphometry):
        if field.name not in values:
            numbers = [getattr(tree, field.name) for tree in trees]
            greatest = field.name in GREATEST
            values[field.name] = max(numbers, default=0) if greatest else sum(numbers)
    return Morphometry(**values)


def _counts(graph: NeuriteGraph, rows: TreesFromRoots, starts: np.ndarray) -> Columns:
    count, tree = len(starts), graph.components
    return {
        "nodes": _sums(count, tree),
        "tips": rows.tips[:count].tolist(),
        "junctions": _sums(count, tree[graph.junctions]),
        "branches": _sums(count, rows.tree[rows.below_roots]),
        "stems": graph.degrees[starts].tolist(),
        "strahler": _strahler(rows)[:count],
    }


def _distances(graph: NeuriteGraph, rows: TreesFromRoots, starts: np.ndarray) -> Columns:
    """Lengths, the greatest distances, and the corners of the boxes."""
    count, tree, places = len(starts), graph.components, graph.positions
    low, high = np.full((count, 3), np.inf), np.full((count, 3), -np.inf)
    np.minimum.at(low, tree, places)
    np.maximum.at(high, tree, places)
    path, radial = np.zeros(count), np.zeros(count)
    np.maximum.at(path, rows.tree, rows.depths)
    np.maximum.at(radial, tree, np.linalg.norm(places - places[starts][tree], axis=1))
    return {
        "length": _sums(count, tree[graph.edges[:, 0]], graph.lengths),
        "max_path": path.tolist(),
        "max_radial": radial.tolist(),
        "low": list(map(tuple, low.tolist())),
        "high": list(map(tuple, high.tolist())),
    }


def _shapes(graph: NeuriteGraph, rows: TreesFromRoots, count: int) -> Columns:
    """Sums of tortuosities and of asymmetries, and how many they are of."""
    below = np.flatnonzero(rows.below_roots)
    above = rows.parents[below]
    places = graph.positions[rows.nodes]
    chords = np.linalg.norm(places[below] - places[above], axis=1)
    apart = chords > SMALLEST
    own = rows.tree[below[apart]]
    junctions, asymmetries = _asymmetries(rows)
    return {
        "straight": _sums(count, own),
        "winding": _sums(
            count, own, (rows.depths[below] - rows.depths[above])[apart] / chords[apart]
        ),
        "bifurcations": _sums(count, rows.tree[junctions]),
        "asymmetry": _sums(count, rows.tree[junctions], asymmetries),
    }


def _thickness(graph: NeuriteGraph, count: int) -> Columns:
    """Length, radius times length, surface and volume of the edges whose radii are known."""
    one, two = graph.radii[graph.edges].T
    known = np.flatnonzero(np.isfinite(one) & np.isfinite(two))
    h, r, s = graph.lengths[known], one[known], two[known]
    sums = {
        "known_length": h,
        "radius_length": h * (r + s) / 2,
        "surface": np.pi * (r + s) * np.hypot(h, r - s),
        "volume": np.pi * h / 3 * (r**2 + r * s + s**2),
    }
    owner = graph.components[graph.edges[known, 0]]
    return {name: _sums(count, owner, values) for name, values in sums.items()}


def _strahler(rows: TreesFromRoots) -> list[int]:
    """The order at each root, junction and tip."""
    count, up = len(rows), rows.parents.tolist()
    order, best = [1] * count, [0] * count  # `best`: the greatest order below
    twice = [False] * count  # whether two of those below have it
    for row in reversed(range(count)):
        order[row] = max(1, best[row] + twice[row])
        parent = up[row]
        if parent >= 0:
            if order[row] >= best[parent]:
                twice[parent] = order[row] == best[parent]
                best[parent] = order[row]
    return order


def _asymmetries(rows: TreesFromRoots) -> tuple[np.ndarray, np.ndarray]:
    """The rows of junctions with two children that are no roots, and the asymmetry of each."""
    below = np.flatnonzero(rows.below_roots)
    parents = rows.parents[below]
    two = (np.bincount(parents, minlength=len(rows)) == 2) & rows.below_roots
    inside = two[parents]
    least = np.full(len(rows), np.inf)
    np.minimum.at(least, parents[inside], rows.tips[below[inside]])
    junctions = np.flatnonzero(two)
    tips = rows.tips[junctions]
    difference = tips - 2 * least[junctions]
    return junctions, difference / np.maximum(tips - 2, 1)


def _sums(count: int, owners: np.ndarray, values: np.ndarray | None = None) -> list[Any]:
    """How many there are of each owner, or the sum of their values."""
    if values is None:
        return np.bincount(owners, minlength=count).tolist()
    return np.bincount(owners, weights=values, minlength=count).astype(np.float64).tolist()
