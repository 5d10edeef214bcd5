"""A graph cut into paths at random: from tip to tip, again and again from what is left."""

import random

from topodelin.graphs.contraction import ContractedGraph


def random_paths(contracted: ContractedGraph, rng: random.Random) -> list[list[tuple[int, bool]]]:
    """Cut a graph into paths, lists of chains and whether each is walked against its direction."""
    ends = contracted.ends.tolist()
    left: list[set[int]] = [set() for _ in contracted.nodes]
    for chain, pair in enumerate(ends):
        for node in pair:
            left[node].add(chain)
    paths = []
    starts = list(range(len(left)))
    rng.shuffle(starts)
    tips = [node for node in starts if _is_tip(node, left, ends)]
    while starts:
        if not tips:  # only closed loops are left
            node = starts[-1]
            if not left[node]:
                starts.pop()
                continue
        else:
            at = rng.randrange(len(tips))
            node, tips[at] = tips[at], tips[-1]
            tips.pop()
            if not _is_tip(node, left, ends):
                continue
        path = _walk(node, left, ends, rng)
        paths.append(path)
        for chain, _ in path:
            for end in ends[chain]:
                left[end].discard(chain)
        touched = {end for chain, _ in path for end in ends[chain]}
        tips += sorted(end for end in touched if _is_tip(end, left, ends))
    return paths


def _is_tip(node: int, left: list[set[int]], ends: list[list[int]]) -> bool:
    if len(left[node]) != 1:
        return False
    (chain,) = left[node]
    return ends[chain][0] != ends[chain][1]


def _walk(
    start: int, left: list[set[int]], ends: list[list[int]], rng: random.Random
) -> list[tuple[int, bool]]:
    """From a node along random branches to an endpoint; where there is none, as far as it goes."""
    seen = {start}
    path: list[tuple[int, bool]] = []
    longest: list[tuple[int, bool]] = []
    stack = [(start, _shuffled(left[start], rng))]
    while stack:
        node, choices = stack[-1]
        if not choices:
            if len(path) > len(longest):
                longest = list(path)
            stack.pop()
            if path:
                path.pop()
            continue
        chain = choices.pop()
        turned = ends[chain][1] == node
        onward = ends[chain][0] if turned else ends[chain][1]
        if onward in seen:
            if not longest:
                longest = [*path, (chain, turned)]
            continue
        seen.add(onward)
        path.append((chain, turned))
        if len(left[onward]) == 1:
            return path
        stack.append((onward, _shuffled(left[onward] - {chain}, rng)))
    return longest


def _shuffled(chains: set[int], rng: random.Random) -> list[int]:
    choices = sorted(chains)
    rng.shuffle(choices)
    return choices
