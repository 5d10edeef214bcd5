r"""What holds a snake together: its internal forces and the implicit step that obeys them.

The internal energy of positions $s$ on a graph is

$$\frac{\alpha}{2} \sum_{uv \in E} |s_u - s_v|^2
  + \frac{\beta}{2} \sum_{v:\, \deg v = 2} |s_u - 2 s_v + s_w|^2 = \frac12 s^\top A\, s,$$

with $u, w$ the neighbours of $v$: springs along the edges and bending at the nodes of degree two;
junctions and ends do not bend. $A$ is sparse, symmetric, and the same for every coordinate.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from scipy.sparse import csc_array, eye_array
from scipy.sparse.linalg import splu
from torch import Tensor

SOLVERS = ("auto", "fixed-point", "factorised")
CONTRACTION = 0.5  # "auto" iterates below this bound on the spectral radius of one iteration

Solve = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class InternalForces:
    """The matrix $A$ as `values` at `(rows, columns)`, and a bound on its largest eigenvalue."""

    rows: Int64[Tensor, " entries"]
    columns: Int64[Tensor, " entries"]
    values: Float[Tensor, " entries"]
    largest_eigenvalue: float

    def __call__(self, positions: Float[Tensor, "nodes dims"]) -> Float[Tensor, "nodes dims"]:
        """$A s$, in the type of the positions."""
        moved = self.values.to(positions)[:, None] * positions[self.columns]
        return torch.zeros_like(positions).index_add(0, self.rows, moved)

    def to(self, device: torch.device | str) -> "InternalForces":
        entries = (self.rows.to(device), self.columns.to(device), self.values.to(device))
        return InternalForces(*entries, self.largest_eigenvalue)


def internal_forces(edges: np.ndarray, nodes: int, alpha: float, beta: float) -> InternalForces:
    r"""Assemble $A = \alpha\,\mathrm{Lap} + \beta \sum_{\deg v = 2} c_v c_v^\top$.

    $c_v$ holds -2 at $v$ and 1 at its two neighbours. The bound on the largest eigenvalue is
    $2 \alpha\, d + 4 \beta \max(4, d)$ with $d$ the largest degree, from the absolute row sums.

    Args:
        edges: (E, 2) integers; an edge that is given twice counts once, a loop not at all.
        nodes: how many nodes there are.
        alpha, beta: strengths of springs and bending, 0 or more.
    """
    pairs = np.unique(np.sort(edges[edges[:, 0] != edges[:, 1]], axis=1), axis=0)
    tails, heads = np.concatenate([pairs, pairs[:, ::-1]]).T
    degrees = np.bincount(tails, minlength=nodes)
    every = np.arange(nodes)
    laplacian = csc_array(
        (
            np.concatenate([degrees, -np.ones(len(tails))]),
            (np.concatenate([every, tails]), np.concatenate([every, heads])),
        ),
        shape=(nodes, nodes),
    )
    # At a node of degree two, the row of -Lap is its c.
    bends = csc_array((degrees == 2).astype(np.float64)[:, None] * laplacian)
    matrix = (alpha * laplacian + beta * (bends.T @ bends)).tocoo()
    most = int(degrees.max(initial=0))
    return InternalForces(
        torch.from_numpy(matrix.row.astype(np.int64)),
        torch.from_numpy(matrix.col.astype(np.int64)),
        torch.from_numpy(matrix.data),
        2 * alpha * most + 4 * beta * max(4, most) if most else 0.0,
    )


@dataclass(frozen=True, eq=False)
class ImplicitStep:
    r"""The map $b \mapsto (I + \tau F_j A)^{-1} b_j$ of each coordinate $j$, and its adjoint.

    $F_j$ is 0 where a coordinate is frozen. The frozen unknowns are eliminated: they keep their
    value, $s_X = b_X$, and the free ones solve the symmetric system

    $$(I + \tau A_{FF})\, s_F = b_F - \tau A_{FX}\, b_X.$$

    Args:
        forces: $A$.
        free: (nodes, dims) bool, what may move.
        step_size: $\tau$.
        solver: "fixed-point" repeats $y \leftarrow b - \tau A_{FF}\, y$ on any device until single
            (double) precision is reached, for which $\tau$ times the bound on $A$ has to be below
            1. "factorised" solves by a sparse LU decomposition on the host, in double precision.
            "auto" takes the first where that product is below 0.5.
    """

    forces: InternalForces
    free: Bool[Tensor, "nodes dims"]
    step_size: float
    solver: str = "auto"

    def __post_init__(self) -> None:
        if self.solver not in SOLVERS:
            raise ValueError(f"`solver` must be one of {', '.join(SOLVERS)}, got {self.solver!r}")
        if self.solver == "fixed-point" and self.contraction >= 1:
            raise ValueError(
                "`solver` 'fixed-point' needs step_size * (2 alpha deg + 4 beta max(4, deg)) below "
                f"1, got {self.contraction:g}; take 'factorised' or a smaller `step_size`"
            )

    @property
    def contraction(self) -> float:
        """Bound on the factor by which one iteration shrinks the error."""
        return self.step_size * self.forces.largest_eigenvalue

    def __call__(self, given: Float[Tensor, "nodes dims"]) -> Float[Tensor, "nodes dims"]:
        held = given * ~self.free
        right = (given - self.step_size * self.forces(held)) * self.free
        return held + self.solve_free(right)

    def adjoint(self, gradient: Float[Tensor, "nodes dims"]) -> Float[Tensor, "nodes dims"]:
        """From the derivative with respect to the result, that with respect to $b$."""
        pulled = self.solve_free(gradient * self.free)
        return pulled + (gradient - self.step_size * self.forces(pulled)) * ~self.free

    @cached_property
    def solve_free(self) -> Solve:
        """Solve the system of the free unknowns; the right side is 0 on the frozen ones."""
        weak = self.contraction < CONTRACTION
        if self.solver == "fixed-point" or (self.solver == "auto" and weak):
            return self._iterate
        return factorised(self.forces, self.free, self.step_size)

    def _iterate(self, right: Float[Tensor, "nodes dims"]) -> Float[Tensor, "nodes dims"]:
        result = right
        for _ in range(iterations(self.contraction, torch.finfo(right.dtype).eps)):
            result = right - self.step_size * self.forces(result) * self.free
        return result


def iterations(contraction: float, precision: float) -> int:
    """How many times an error has to shrink by a factor below 1 to fall below a precision."""
    return math.ceil(math.log(precision) / math.log(contraction)) if contraction > 0 else 0


def factorised(forces: InternalForces, free: Bool[Tensor, "nodes dims"], step_size: float) -> Solve:
    """A solver by sparse LU, one decomposition for all coordinates with the same free nodes."""
    nodes, dims = free.shape
    places = (forces.rows.cpu().numpy(), forces.columns.cpu().numpy())
    matrix = csc_array((forces.values.cpu().numpy(), places), shape=(nodes, nodes))
    system = eye_array(nodes) + step_size * matrix
    patterns: dict[bytes, list[int]] = {}
    allowed = free.cpu().numpy()
    for axis in range(dims):
        patterns.setdefault(allowed[:, axis].tobytes(), []).append(axis)
    parts = [
        (rows, axes, splu(csc_array(system.tocsr()[rows][:, rows])))
        for axes in patterns.values()
        if len(rows := np.flatnonzero(allowed[:, axes[0]]))
    ]

    def solve(right: Tensor) -> Tensor:
        given = right.detach().cpu().double().numpy()
        result = np.zeros_like(given)
        for rows, axes, decomposition in parts:
            block = np.ix_(rows, np.array(axes))
            result[block] = decomposition.solve(given[block])
        return torch.from_numpy(result).to(right)

    return solve
