"""What `topodelin swc convert` does: read, cut cycles, prune, smooth, resample, write."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from topodelin.cli.swc_files import (
    FLAVOURS,
    TRACINGS,
    Unit,
    in_flavour,
    merged,
    read_tracing,
    refuse_to_replace,
    tracing_files,
    unit_to_write,
    write_tracing,
)
from topodelin.graphs import (
    NeuriteGraph,
    joined,
    prune_branches,
    resample,
    separated,
    smooth_branches,
    spanning_forest,
)
from topodelin.graphs.roots import nearest_node, one_root_each
from topodelin.graphs.spacing import Spacing


@dataclass(frozen=True, slots=True)
class ConvertRule:
    """What is done on the way.

    Args:
        unit, to: of the files read and written; None for what their comments and names say.
        spacing: µm per voxel `(z, y, x)`.
        cut_cycles: whether cycles are cut at their longest edge.
        min_branch_um: shorter side branches are pruned; 0 for none.
        smooth: window of `smooth_branches`, nodes; 1 for none.
        step_um: distance of the new nodes; None keeps those that are.
        split: whether each tree gets a file of its own.
        overwrite: whether files that stand there already are replaced.
    """

    unit: str | None = None
    to: str | None = None
    spacing: Spacing | None = None
    cut_cycles: bool = False
    min_branch_um: float = 0.0
    smooth: int = 1
    step_um: float | None = None
    split: bool = False
    overwrite: bool = False

    @property
    def moves_nodes(self) -> bool:
        """Whether nodes come, go or move."""
        return self.min_branch_um > 0 or self.smooth > 1 or self.step_um is not None


def convert(source: Path, target: Path, rule: ConvertRule, suffix: str | None = None) -> list[Path]:
    """Convert a file or a folder, and give what was written.

    A folder becomes one file with all its trees, or where `target` is no file of a known format a
    folder of files with the same names; each has the `suffix`, or keeps its own.
    """
    files = tracing_files([source])
    one_file = target.suffix.lower() in TRACINGS and not target.is_dir()
    if one_file and rule.split:
        raise ValueError(f"`--split` writes several files; name a folder, got {target}")
    if one_file:
        return _write(files, target.parent, target.name, rule)
    if source.is_dir():
        names = [file.relative_to(source) for file in files]
    else:
        names = [Path(file.name) for file in files]
    names = [in_flavour(name, rule.to) for name in names]
    if suffix:
        names = [name.with_suffix(suffix) for name in names]
    if len(set(names)) < len(names):
        raise ValueError(f"{source}: holds files that get the same name; convert them one by one")
    written = []
    for file, name in zip(files, names, strict=True):
        written += _write([file], target / name.parent, name.name, rule)
    return written


def suffix_of(format: str | None) -> str | None:
    """`"swc"` as `".swc"`; None stays None."""
    if format is not None and f".{format}" not in TRACINGS:
        known = ", ".join(suffix.lstrip(".") for suffix in TRACINGS)
        raise ValueError(f"`--as` must be one of {known}, got {format!r}")
    return format and f".{format}"


def _write(files: Sequence[Path], folder: Path, name: str, rule: ConvertRule) -> list[Path]:
    unit = unit_to_write(Path(name), rule.to, rule.spacing)
    tracings = [read_tracing(file, rule.unit, rule.spacing) for file in files]
    graph, roots, comments = merged(tracings)
    if rule.cut_cycles:
        graph = spanning_forest(graph)
    if rule.moves_nodes:
        graph, roots = _reshaped(graph, roots, rule)
    if not rule.split:
        return [_write_one(folder / name, graph, unit, roots, comments, rule, files)]
    trees = separated(graph)
    digits = max(4, len(str(len(trees))))
    stem, suffix = _stem_and_suffix(name)
    return [
        _write_one(
            folder / f"{stem}_{number:0{digits}}{suffix}",
            tree,
            unit,
            np.searchsorted(nodes, np.intersect1d(nodes, roots)),
            comments,
            rule,
            files,
        )
        for number, (tree, nodes) in enumerate(trees, 1)
    ]


def _write_one(
    path: Path,
    graph: NeuriteGraph,
    unit: Unit,
    roots: np.ndarray,
    comments: Sequence[str],
    rule: ConvertRule,
    sources: Sequence[Path],
) -> Path:
    refuse_to_replace(path, rule.overwrite, sources)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_tracing(path, graph, unit, roots=roots, comments=comments)
    return path


def _reshaped(
    graph: NeuriteGraph, roots: np.ndarray, rule: ConvertRule
) -> tuple[NeuriteGraph, np.ndarray]:
    """The graph with other nodes; the root of each tree is the node nearest to where it was."""
    trees, new_roots, count = [], [], 0
    root_of = {int(graph.components[root]): root for root in one_root_each(graph, roots)}
    for number, (tree, nodes) in enumerate(separated(graph)):
        root = int(np.searchsorted(nodes, root_of[number]))
        place = tree.positions[root]
        tree = _pruned(tree, root, rule.min_branch_um)
        if rule.smooth > 1:
            tree = smooth_branches(tree, rule.smooth)
        if rule.step_um is not None:
            tree = resample(tree, rule.step_um)
        new_roots.append(count + nearest_node(tree, place))
        trees.append(tree)
        count += len(tree)
    return joined(trees), np.array(new_roots, dtype=np.int64)


def _pruned(tree: NeuriteGraph, root: int, min_branch_um: float) -> NeuriteGraph:
    """The tree without short side branches; one that ends at the root stays, however short.

    Such a branch is led on by an edge that makes it long enough, and loses that afterwards.
    """
    if min_branch_um <= 0 or tree.degrees[root] != 1:
        return prune_branches(tree, min_branch_um)
    beyond = tree.positions[root] + (min_branch_um, 0.0, 0.0)
    longer = NeuriteGraph(
        np.concatenate([tree.positions, beyond[None]]),
        np.concatenate([tree.edges, [(root, len(tree))]]),
        np.append(tree.radii, np.nan),
        np.append(tree.kinds, 0),
    )
    pruned = prune_branches(longer, min_branch_um)
    return pruned.select(np.arange(len(pruned)) < len(pruned) - 1)


def _stem_and_suffix(name: str) -> tuple[str, str]:
    """`a.vox.swc` as `a` and `.vox.swc`, so that the flavour stays at the end."""
    stem = Path(name).stem
    end = next((end for end in FLAVOURS if stem.lower().endswith(end)), "")
    stem = stem[: len(stem) - len(end)]
    return stem, name[len(stem) :]
