r"""Gaps in neurites, bridged along the cheapest path of the distance map.

From the tip of a piece the cheapest way to every other piece nearby is looked for. A step costs its
length, times how sure the distance map is that it leads through background:

    $$C = \int \epsilon + u(s)\, ds, \qquad
      u = \min\bigl(1, \max(0, (d - t) / (d_{max} - t))\bigr),$$

with $d$ the distance map, $t$ the threshold and $\epsilon$ = `GROUND`, so $C$ is close to the
micrometres of plain background that the bridge leads through. A way that keeps to where the network
half saw a neurite is cheap, even when it is longer.

The confidence of a bridge is

    $$p = s\, e^{-C / C_0} \prod_{tips} \tfrac12 (1 + \cos \alpha),$$

with $C_0$ the cost limit and $\alpha$ the angle between the way a tip points and the straight line
to the bridge's other end, begun two voxels back so that a short gap is not judged by its last
voxel. A bridge to the side of a neurite has one tip and $s$ = `SIDE`, one between two tips has two
and $s = 1$.

Bridges are made in the order of their confidence. None closes a cycle, no tip is used twice, and no
two pieces that both hold a cell body are joined.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from skimage.graph import MCP_Geometric

from topodelin.delineation.lattice import Lattice
from topodelin.delineation.tracing.fragments import voxel_keys
from topodelin.delineation.tracing.piece_store import PieceStore
from topodelin.delineation.tracing.stored_distances import StoredDistances
from topodelin.delineation.tracing.tree_rule import TreeRule
from topodelin.delineation.tracing.union_find import UnionFind
from topodelin.volumes import Box, Index, Spacing

GROUND = 0.05  # cost of a micrometre of neurite
BACK_UM = 5.0  # way back from a tip over which its direction is measured
DETOUR_UM = 2.0  # beyond the tip and what lies near it, a path may go that far out of its way
SETBACK = 2.0  # finest voxels behind the tip from which a bridge is looked at
SIDE = 0.75  # how much less sure a bridge is whose other end has no direction
MISSED = 0.5  # share of the least confidence from which a bridge not made is worth a look

NONE: frozenset[int] = frozenset()

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Tips:
    """The ends of all pieces.

    Args:
        voxels: (T, 3) int64.
        directions: (T, 3) unit vectors in µm space, outwards.
        pieces: (T,) the piece of each.
    """

    voxels: np.ndarray
    directions: np.ndarray
    pieces: np.ndarray


@dataclass(frozen=True, eq=False)
class Bridge:
    """A way from a tip to another piece.

    Args:
        pieces: the one whose tip it starts from, and the other.
        path: (P, 3) voxels from the tip to a node of the other, both included.
        distances: (P,) float32, the distance map along it.
        length_um: of the path.
        cost: µm of plain background.
        confidence: from 0 to 1.
        tips: numbers of the tips it ends at, one or two.
        refused: why it was not made; empty for one that was.
    """

    pieces: tuple[int, int]
    path: np.ndarray
    distances: np.ndarray
    length_um: float
    cost: float
    confidence: float
    tips: tuple[int, ...]
    refused: str = ""


@dataclass(frozen=True)
class Gap:
    """What a tip needs to find its way.

    Args:
        threshold, d_max: of the distance map, finest voxel edges.
        spacing: µm per voxel `(z, y, x)`.
        rule: how far and at what cost.
    """

    threshold: float
    d_max: float
    spacing: Spacing
    rule: TreeRule

    def price(self, distance: np.ndarray) -> np.ndarray:
        """Cost of a micrometre at a distance."""
        background = (distance - self.threshold) / max(self.d_max - self.threshold, 1e-6)
        return GROUND + np.clip(background, 0.0, 1.0)


def tips_of(voxels: np.ndarray, paths: Iterable[np.ndarray], spacing: Spacing) -> np.ndarray:
    """(T, 4) node and direction `(z, y, x)` of each end of the paths of a piece that is a tip."""
    step = np.asarray(spacing)
    ends = np.array([end for path in paths for end in (path[0], path[-1])], dtype=np.int64)
    degrees = dict(zip(*np.unique(ends, return_counts=True), strict=True))
    rows = []
    for path in paths:
        for inwards in (path, path[::-1]):
            if degrees[inwards[0]] == 1:
                points = voxels[inwards] * step
                arc = np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))
                back = points[min(int(np.searchsorted(arc, BACK_UM)) + 1, len(points) - 1)]
                outwards = points[0] - back
                rows.append([inwards[0], *(outwards / np.linalg.norm(outwards))])
    return np.array(rows, dtype=np.float64).reshape(-1, 4)


def find_bridges(
    tips: Tips,
    pieces: PieceStore,
    distances: StoredDistances,
    lattice: Lattice,
    gap: Gap,
    progress: Progress | None = None,
) -> list[Bridge]:
    """The cheapest way from each tip to each other piece nearby, of those worth a look.

    Only a box around a tip is read at a time. Tips are visited cube by cube, so that neighbours are
    read together; the order of the answer is that of the tips.
    """
    by_cube = np.lexsort((tips.voxels // np.array(lattice.cube)).T[::-1])
    at_voxel = {
        (int(piece), int(key)): number
        for number, (piece, key) in enumerate(
            zip(tips.pieces, voxel_keys(tips.voxels, lattice.shape), strict=True)
        )
    }
    found: dict[int, list[Bridge]] = {}
    for done, tip in enumerate(by_cube.tolist(), 1):
        ways = _ways(tip, tips, at_voxel, pieces, distances, lattice, gap)
        if ways:
            found[tip] = ways
        if progress is not None:
            progress(done, len(by_cube))
    return [bridge for tip in sorted(found) for bridge in found[tip]]


def choose(
    bridges: Iterable[Bridge], pieces: int, somas: dict[int, set[int]], rule: TreeRule
) -> tuple[list[Bridge], list[Bridge]]:
    """The bridges to make, and the near misses: at most one for two neurons.

    Args:
        bridges: from `find_bridges`, in a fixed order.
        pieces: how many there are.
        somas: the cell bodies that a piece holds, by their numbers; two that hold the same one
            may be joined.
        rule: its cost limit and its least confidence.
    """
    groups, used, made, refused = UnionFind(pieces), set[int](), [], []
    held = {piece: frozenset(numbers) for piece, numbers in somas.items()}
    for bridge in sorted(bridges, key=lambda one: -one.confidence):
        one, two = (groups.find(piece) for piece in bridge.pieces)
        if one == two:
            continue
        bodies = held.get(one, NONE) | held.get(two, NONE)
        if bridge.confidence < rule.min_confidence:
            refused.append((bridge, "little confidence"))
        elif bridge.cost > rule.bridge_cost:
            refused.append((bridge, "costs too much"))
        elif len(bodies) > 1 and held.get(one) and held.get(two):
            refused.append((bridge, "both neurons hold a cell body"))
        elif used & set(bridge.tips):
            refused.append((bridge, "its end is bridged elsewhere"))
        else:
            groups.join(one, two)
            used.update(bridge.tips)
            made.append(bridge)
            held[groups.find(one)] = bodies
    missed: dict[tuple[int, int], Bridge] = {}
    for bridge, why in refused:
        one, two = sorted(groups.find(piece) for piece in bridge.pieces)
        if one != two and (one, two) not in missed:
            missed[one, two] = Bridge(**{**vars(bridge), "refused": why})
    return made, list(missed.values())


def _ways(
    tip: int,
    tips: Tips,
    at_voxel: dict[tuple[int, int], int],
    pieces: PieceStore,
    distances: StoredDistances,
    lattice: Lattice,
    gap: Gap,
) -> list[Bridge]:
    """The bridges from one tip, at most one to each other piece."""
    step, start, own = np.array(gap.spacing), tips.voxels[tip], int(tips.pieces[tip])
    reach = _index(np.ceil(gap.rule.bridge_um / step))
    box = Box(_index(start), _index(start + 1)).grow(reach).clip(lattice.shape)
    voxels, owners = pieces.within(box)
    offsets = (voxels - start) * step
    ahead = offsets + SETBACK * step.min() * tips.directions[tip]
    apart = np.linalg.norm(offsets, axis=1)
    cosines = (ahead @ tips.directions[tip]) / np.maximum(np.linalg.norm(ahead, axis=1), 1e-12)
    factors = (1 + np.clip(cosines, -1, 1)) / 2
    least = MISSED * gap.rule.min_confidence
    possible = (owners != own) & (apart <= gap.rule.bridge_um)
    possible &= factors * np.exp(-GROUND * apart / gap.rule.bridge_cost) >= least
    if not possible.any():
        return []
    mine_there = voxels[owners == own]
    voxels, owners, factors = voxels[possible], owners[possible], factors[possible]
    around = np.concatenate([start[None], voxels])
    detour = _index(np.ceil(DETOUR_UM / step))
    box = Box(_index(around.min(axis=0)), _index(around.max(axis=0) + 1)).grow(detour)
    box = box.clip(lattice.shape)
    values = distances.read(box)
    finder = MCP_Geometric(gap.price(values), sampling=gap.spacing)
    inside = voxels - np.array(box.begin)
    costs, _ = finder.find_costs([tuple(start - box.begin)])
    reached = costs[tuple(inside.T)]
    confidence = np.exp(-reached / gap.rule.bridge_cost) * factors
    ways = []
    for piece in np.unique(owners[np.isfinite(reached)]).tolist():
        mine = np.flatnonzero((owners == piece) & np.isfinite(reached))
        best = int(mine[np.argmax(confidence[mine])])
        path = np.array(finder.traceback(tuple(inside[best])), dtype=np.int64)
        key = int(voxel_keys(voxels[best : best + 1], lattice.shape)[0])
        other = at_voxel.get((piece, key))
        sure = float(confidence[best])
        if other is None:
            sure *= SIDE
        else:
            back = -offsets_between(start, voxels[best], step)
            back = back + SETBACK * step.min() * tips.directions[other]
            cosine = float(back @ tips.directions[other]) / max(float(np.linalg.norm(back)), 1e-12)
            sure *= (1 + min(1.0, max(-1.0, cosine))) / 2
        if sure >= least:
            whole = _between(path + np.array(box.begin), mine_there, voxels[owners == piece], step)
            ways.append(
                Bridge(
                    (own, piece),
                    whole,
                    values[tuple((whole - np.array(box.begin)).T)],
                    float(np.linalg.norm(np.diff(whole * step, axis=0), axis=1).sum()),
                    float(reached[best]),
                    min(1.0, sure),
                    (tip,) if other is None else (tip, other),
                )
            )
    return ways


def _between(path: np.ndarray, own: np.ndarray, other: np.ndarray, step: np.ndarray) -> np.ndarray:
    """The part of a path from where it leaves one piece to where it first touches the other.

    It begins and ends with a node of either, so that a bridge never runs beside a neurite.
    """
    beside_own = np.flatnonzero(_apart(path, own).min(axis=1) <= 1)
    first = int(beside_own[-1])
    last = first + int(np.flatnonzero(_apart(path[first:], other).min(axis=1) <= 1)[0])
    ends = [
        nodes[np.linalg.norm((nodes - path[at]) * step, axis=1).argmin()]
        for nodes, at in ((own, first), (other, last))
    ]
    whole = np.concatenate([ends[:1], path[first : last + 1], ends[1:]])
    repeated = np.concatenate([[False], (whole[1:] == whole[:-1]).all(axis=1)])
    return whole[~repeated]


def _apart(voxels: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(V, O) steps between voxels that go along an edge, a face or a corner."""
    return np.abs(voxels[:, None, :] - others[None, :, :]).max(axis=2)


def offsets_between(start: np.ndarray, end: np.ndarray, step: np.ndarray) -> np.ndarray:
    """The way from one voxel to another, µm."""
    return (end - start) * step


def _index(voxel: np.ndarray) -> Index:
    z, y, x = (int(value) for value in voxel)
    return z, y, x
