"""From the stored distance maps to SWC files, one neuron in memory at a time.

1. Every cube's fragment of the skeleton is made and stored (`fragmenting`).
2. Union-find tells which fragments belong together (`linking`).
3. One skeleton after the other is cleaned, told apart from those it crosses, and stored (`pieces`).
4. Gaps between pieces are bridged (`bridging`).
5. One neuron after the other is smoothed, split between cell bodies, given radii and written
   (`neurons`); at the end files are numbered, the longest first, and appear all at once.

Memory is that of the largest neuron, a few cubes, and some numbers for each cube and each tip. A
run that was killed makes no fragment twice; the rest is done again. The result depends on neither.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

from topodelin.delineation.crews.workers import HERE, Workers
from topodelin.delineation.run_folder import RunFolder, write_whole
from topodelin.delineation.tracing.bridging import Bridge
from topodelin.delineation.tracing.forest_files import ForestFiles
from topodelin.delineation.tracing.fragment_store import FragmentStore
from topodelin.delineation.tracing.fragmenting import make_fragments
from topodelin.delineation.tracing.linking import link, skeletons
from topodelin.delineation.tracing.neurons import Mark, grow, neurons
from topodelin.delineation.tracing.piece_store import PieceStore
from topodelin.delineation.tracing.pieces import Pieces
from topodelin.delineation.tracing.spots import Spot, ranked, write_spots
from topodelin.delineation.tracing.stored_distances import CACHE_BYTES
from topodelin.delineation.tracing.suspicious import (
    BRIDGE_COLUMNS,
    WEAK,
    bridge_marks,
    bridge_row,
    bridge_spot,
    end_spots,
    failed_spots,
)
from topodelin.delineation.tracing.trace_source import TraceSource
from topodelin.delineation.tracing.tree_files import TreeFiles, table
from topodelin.delineation.tracing.tree_radii import tree_radii
from topodelin.delineation.tracing.tree_rule import TreeRule

__all__ = ["CACHE_BYTES", "TraceSource", "trace"]

Progress = Callable[[str, int, int], None]


def trace(
    source: TraceSource,
    rule: TreeRule,
    folder: RunFolder,
    *,
    header: Sequence[str] = (),
    workers: Workers = HERE,
    progress: Progress | None = None,
) -> TreeFiles:
    """Trace the neurons of a distance map into `trees/`, `trees.csv`, `bridges.csv`, `spots.csv`.

    Args:
        source: the distance map and what is known beside it.
        rule: how its skeleton becomes trees.
        folder: of the run; what an earlier run wrote there is replaced once all is written.
        header: comment lines of every SWC file.
        workers: who thins the cubes.
        progress: told `(what is done, how many, of how many)`.

    Returns:
        The trees, longest first; each is read from its file when asked for.
    """
    tell = progress or _silent
    folder.tracing.mkdir(exist_ok=True)
    pieces = Pieces(source, rule)
    with FragmentStore(folder.tracing / "fragments.sqlite") as fragments:
        make_fragments(source, fragments, workers=workers, progress=_stage(tell, "thinning"))
        grid = source.lattice, source.distance_map.spacing
        links = link(fragments, *grid, _stage(tell, "linking"))
        with PieceStore(folder.tracing / "pieces.sqlite", source.lattice) as store:
            for skeleton in skeletons(fragments, links, source.lattice.shape, pieces.least):
                pieces.take(skeleton, store)
            store.finish()
            made, missed = pieces.bridged(store, _stage(tell, "bridging"))
            return _write(source, rule, folder, header, pieces, store, made, missed, tell)


def _write(
    source: TraceSource,
    rule: TreeRule,
    folder: RunFolder,
    header: Sequence[str],
    pieces: Pieces,
    store: PieceStore,
    made: Sequence[Bridge],
    missed: Sequence[Bridge],
    tell: Progress,
) -> TreeFiles:
    """Write every neuron, then the tables, and let them take the place of what was there."""
    shape, spacing = source.lattice.shape, source.distance_map.spacing
    forest = ForestFiles(folder, header)
    ends = {bridge: bridge_marks(bridge, shape) for bridge in (*made, *missed)}
    seen = _grow_all(source, rule, pieces, store, made, [*ends.values()], forest, tell)
    forest.number()
    spots = [forest.numbered(spot) for spot in seen]
    spots += [replace(spot, trees=forest.trees_of(marks)) for spot, marks in pieces.crossings]
    spots += [
        bridge_spot(bridge, spacing, forest.trees_of(marks))
        for bridge, marks in ends.items()
        if bridge.refused or bridge.confidence < WEAK
    ]
    spots += failed_spots(source)
    lines = [bridge_row(bridge, spacing, forest.trees_of(ends[bridge])) for bridge in made]
    forest.put_in_place()
    write_spots(folder.spots, ranked(spot for spot in spots if spot.trees or spot.size_um))
    write_whole(folder.bridges, table(lines, BRIDGE_COLUMNS))
    forest.write_table()
    return forest.read_back()


def _grow_all(
    source: TraceSource,
    rule: TreeRule,
    pieces: Pieces,
    store: PieceStore,
    bridges: Sequence[Bridge],
    ends: Sequence[Sequence[Mark]],
    forest: ForestFiles,
    tell: Progress,
) -> list[Spot]:
    """Grow and write one neuron after the other; the spots that were seen on their trees."""
    wanted: dict[int, list[int]] = defaultdict(list)
    for marks in [*ends, *(marks for _, marks in pieces.crossings)]:
        for piece, key in marks:
            wanted[piece].append(key)
    radii = tree_radii(source, rule, pieces.stored)
    spots: list[Spot] = []
    for done, (chosen, between) in enumerate(neurons(store.count, bridges), 1):
        for grown in grow(
            chosen, between, store, source.lattice.shape, source.distance_map.spacing,
            source.seeds, pieces.held, wanted, rule,
            threshold=source.threshold,
            report_seeds=source.seeds_given,
            radii=radii,
        ):  # fmt: skip
            tree, number = forest.add(grown.tree, grown.marks)
            seen = [*grown.spots, *end_spots(tree, source, pieces.stored)]
            spots += [replace(spot, trees=(number,)) for spot in seen]
        tell("writing", done, store.count - len(bridges))
    return spots


def _stage(tell: Progress, what: str) -> Callable[[int, int], None]:
    return lambda done, total: tell(what, done, total)


def _silent(what: str, done: int, total: int) -> None:
    pass
