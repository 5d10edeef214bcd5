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

import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

from topodelin.delineation.crews.workers import HERE, Workers
from topodelin.delineation.run_folder import RunFolder, write_whole
from topodelin.delineation.tracing.bridging import Bridge
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
from topodelin.delineation.tracing.tree_files import COLUMNS, TreeFiles, as_written, table, tree_row
from topodelin.delineation.tracing.tree_radii import tree_radii
from topodelin.delineation.tracing.tree_rule import TreeRule
from topodelin.graphs import write_swc

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
    shutil.rmtree(folder.trees_in_work, ignore_errors=True)
    folder.trees_in_work.mkdir()
    ends = {bridge: bridge_marks(bridge, shape) for bridge in (*made, *missed)}
    wanted: dict[int, list[int]] = defaultdict(list)
    for piece, key in [
        *(mark for pair in ends.values() for mark in pair),
        *(mark for _, marks in pieces.crossings for mark in marks),
    ]:
        wanted[piece].append(key)
    stored = pieces.stored
    radii = tree_radii(source, rule, stored)
    on_tree: dict[Mark, int] = {}
    rows: list[tuple[float, list[str], bool]] = []
    spots: list[Spot] = []
    for done, (chosen, bridges) in enumerate(neurons(store.count, made), 1):
        for grown in grow(
            chosen, bridges, store, shape, spacing, source.seeds, pieces.held, wanted, rule,
            threshold=source.threshold,
            report_seeds=source.seeds_given,
            radii=radii,
        ):  # fmt: skip
            tree = replace(grown.tree, graph=as_written(grown.tree.graph))
            number = len(rows)
            write_swc(
                folder.trees_in_work / f"grown_{number}.swc",
                tree.graph,
                header=header,
                roots=[tree.root],
            )
            rows.append((tree.graph.length, tree_row(tree), tree.holds_seed))
            on_tree |= dict.fromkeys(grown.marks, number)
            seen = [*grown.spots, *end_spots(tree, source, stored)]
            spots += [replace(spot, trees=(number,)) for spot in seen]
        tell("writing", done, store.count - len(made))
    order = sorted(
        range(len(rows)), key=lambda n: (-rows[n][0], [float(v) for v in rows[n][1][4:]])
    )
    rank = {number: place for place, number in enumerate(order, 1)}
    digits = max(4, len(str(len(rows))))
    names = [f"tree_{place:0{digits}d}" for place in range(1, len(rows) + 1)]
    for number, name in zip(order, names, strict=True):
        path = folder.trees_in_work / f"grown_{number}.swc"
        os.replace(path, path.with_name(f"{name}.swc"))

    def trees_of(marks: Sequence[Mark]) -> tuple[int, ...]:
        return tuple(sorted({rank[on_tree[mark]] for mark in marks if mark in on_tree}))

    spots = [replace(spot, trees=tuple(rank[n] for n in spot.trees)) for spot in spots]
    spots += [replace(spot, trees=trees_of(marks)) for spot, marks in pieces.crossings]
    for bridge in (*made, *missed):
        if bridge.refused or bridge.confidence < WEAK:
            spots.append(bridge_spot(bridge, spacing, trees_of(ends[bridge])))
    spots += failed_spots(source)
    lines = [bridge_row(bridge, spacing, trees_of(ends[bridge])) for bridge in made]
    if folder.trees.exists():
        shutil.rmtree(folder.trees)
    os.replace(folder.trees_in_work, folder.trees)
    chosen_rows = [rows[number] for number in order]
    write_spots(folder.spots, ranked(spot for spot in spots if spot.trees or spot.size_um))
    write_whole(folder.bridges, table(lines, BRIDGE_COLUMNS))
    cells = [[name, *row] for name, (_, row, _) in zip(names, chosen_rows, strict=True)]
    write_whole(folder.table, table(cells, COLUMNS))
    lengths, seeded = [row[0] for row in chosen_rows], [row[2] for row in chosen_rows]
    return TreeFiles(folder, names, lengths, seeded)


def _stage(tell: Progress, what: str) -> Callable[[int, int], None]:
    return lambda done, total: tell(what, done, total)


def _silent(what: str, done: int, total: int) -> None:
    pass
