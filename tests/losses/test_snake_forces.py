"""The internal forces of a snake and its implicit step, against dense algebra."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from topodelin.losses.snakes.forces import ImplicitStep, internal_forces, iterations

PATH = np.array([(0, 1), (1, 2), (2, 3)])
both_solvers = pytest.mark.parametrize("solver", ["fixed-point", "factorised"])


def dense(edges: np.ndarray, nodes: int, alpha: float, beta: float) -> np.ndarray:
    """The matrix, one node and one edge after the other."""
    neighbours: list[set[int]] = [set() for _ in range(nodes)]
    for u, v in edges.tolist():
        if u != v:
            neighbours[u].add(v)
            neighbours[v].add(u)
    matrix = np.zeros((nodes, nodes))
    for v in range(nodes):
        for u in neighbours[v]:
            matrix[v, v] += alpha
            matrix[v, u] -= alpha
        if len(neighbours[v]) == 2:
            bend = np.zeros(nodes)
            bend[v] = -2
            bend[list(neighbours[v])] = 1
            matrix += beta * np.outer(bend, bend)
    return matrix


def as_matrix(edges: np.ndarray, nodes: int, alpha: float, beta: float) -> np.ndarray:
    forces = internal_forces(edges, nodes, alpha, beta)
    return forces(torch.eye(nodes, dtype=torch.float64)).numpy()


def random_graph(seed: int) -> tuple[np.ndarray, int]:
    """Paths, junctions, loops, repeated edges, edges both ways, edges to itself, lone nodes."""
    rng = np.random.default_rng(seed)
    nodes = int(rng.integers(1, 12))
    return rng.integers(0, nodes, (int(rng.integers(0, 2 * nodes)), 2)), nodes


def test_a_path_of_four_by_hand() -> None:
    spring = [[1, -1, 0, 0], [-1, 2, -1, 0], [0, -1, 2, -1], [0, 0, -1, 1]]
    bend = [[1, -2, 1, 0], [-2, 5, -4, 1], [1, -4, 5, -2], [0, 1, -2, 1]]
    assert as_matrix(PATH, 4, 1, 0).tolist() == spring
    assert as_matrix(PATH, 4, 0, 1).tolist() == bend


def test_a_junction_does_not_bend() -> None:
    star = np.array([(0, 1), (0, 2), (0, 3)])
    assert not as_matrix(star, 4, 0, 1).any()


@given(seed=st.integers(0, 2**16))
def test_the_matrix_is_the_definition_and_the_bound_holds(seed: int) -> None:
    edges, nodes = random_graph(seed)
    expected = dense(edges, nodes, 0.3, 0.7)
    np.testing.assert_allclose(as_matrix(edges, nodes, 0.3, 0.7), expected, atol=1e-12)
    largest = np.linalg.eigvalsh(expected).max()
    assert internal_forces(edges, nodes, 0.3, 0.7).largest_eigenvalue >= largest - 1e-9


@both_solvers
@given(seed=st.integers(0, 2**16))
def test_a_step_and_its_adjoint_are_those_of_the_dense_inverse(seed: int, solver: str) -> None:
    edges, nodes = random_graph(seed)
    rng = np.random.default_rng(seed)
    free = torch.from_numpy(rng.random((nodes, 3)) < 0.7)
    step = ImplicitStep(internal_forces(edges, nodes, 0.02, 0.01), free, 0.5, solver)
    given_, gradient = rng.normal(size=(2, nodes, 3))
    found = step(torch.from_numpy(given_)).numpy()
    pulled = step.adjoint(torch.from_numpy(gradient)).numpy()
    for axis in range(3):
        frozen_rows = free[:, axis, None].numpy() * dense(edges, nodes, 0.02, 0.01)
        inverse = np.linalg.inv(np.eye(nodes) + 0.5 * frozen_rows)
        np.testing.assert_allclose(found[:, axis], inverse @ given_[:, axis], atol=1e-9)
        np.testing.assert_allclose(pulled[:, axis], inverse.T @ gradient[:, axis], atol=1e-9)


@both_solvers
def test_frozen_coordinates_keep_their_value_exactly(solver: str) -> None:
    free = torch.tensor([[False, True], [True, True], [True, True], [True, False]])
    given_ = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    step = ImplicitStep(internal_forces(PATH, 4, 0.1, 0.1), free, 0.4, solver)
    assert torch.equal(step(given_)[~free], given_[~free])


def test_stiff_forces_are_factorised_and_weak_ones_iterated() -> None:
    free = torch.ones(4, 2, dtype=torch.bool)
    weak = ImplicitStep(internal_forces(PATH, 4, 1e-4, 0.01), free, 0.1)
    stiff = ImplicitStep(internal_forces(PATH, 4, 0.5, 1.0), free, 1.0)
    assert weak.contraction == pytest.approx(0.1 * (4e-4 + 0.16))
    assert weak.solve_free == weak._iterate
    assert stiff.solve_free != stiff._iterate
    given_ = torch.randn(4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = np.linalg.solve(np.eye(4) + dense(PATH, 4, 0.5, 1.0), given_.numpy())
    np.testing.assert_allclose(stiff(given_), expected, atol=1e-12)


def test_the_published_constants_need_few_iterations() -> None:
    assert iterations(0.1 * (4e-4 + 0.16), torch.finfo(torch.float32).eps) == 4
    assert iterations(0.0, 1e-16) == 0


def test_a_fixed_point_that_may_not_converge_is_refused() -> None:
    free = torch.ones(4, 2, dtype=torch.bool)
    with pytest.raises(ValueError, match="below 1, got 18; take 'factorised'"):
        ImplicitStep(internal_forces(PATH, 4, 0.5, 1.0), free, 1.0, "fixed-point")


def test_another_solver_is_refused() -> None:
    with pytest.raises(ValueError, match="`solver` must be one of auto, fixed-point, factorised"):
        ImplicitStep(internal_forces(PATH, 4, 1, 1), torch.ones(4, 2, dtype=torch.bool), 1, "lu")


@both_solvers
def test_a_graph_without_nodes_or_edges_stays(solver: str) -> None:
    no_edges = np.empty((0, 2), np.int64)
    for nodes in (0, 3):
        given_ = torch.ones(nodes, 3)
        free = torch.ones(nodes, 3, dtype=torch.bool)
        step = ImplicitStep(internal_forces(no_edges, nodes, 1, 1), free, 1.0, solver)
        assert torch.equal(step(given_), given_) and torch.equal(step.adjoint(given_), given_)
