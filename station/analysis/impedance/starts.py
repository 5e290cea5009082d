"""Start values without a person.

What stands in series at the top of a circuit adds: Z = Σ k_j·z_j, and each scale k_j ≥ 0 follows from the data by
linear least squares once the shapes z_j are given. So only shapes are guessed: time constants over the measured
frequencies and a few exponents, in all combinations (or many of them), and for each the scales are solved. The best
combinations that differ are where descents begin. G. H. Golub and V. Pereyra, SIAM J. Numer. Anal. 10 (1973) 413, is
the principle (variable projection).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from station.analysis.impedance.circuit import Circuit, Leaf, Node, Parallel, Parameter
from station.analysis.impedance.elements import Complexes, Floats, Frequencies

ARC_EXPONENT = 0.82  # between a depressed and a perfect arc
TAIL_EXPONENTS = (0.5, 0.7, 0.9)
SAMPLES = 120  # shapes of a block with more inside than one arc
COMBINATIONS = 4000
APART = 1.0  # of a logarithm: how far the shapes of two starts are from each other


@dataclass(frozen=True, slots=True)
class Shapes:
    """Guesses for one block: a row of logarithms of its parameters for each, and the impedance there."""

    node: Node
    values: Floats
    impedance: Complexes


def starts(
    circuit: Circuit,
    f: Frequencies,
    impedance: Complexes,
    weights: Floats,
    rng: np.random.Generator,
    held: frozenset[int] = frozenset(),
) -> Iterator[Floats]:
    """Vectors of logarithms of all parameters, the most promising first.

    Parts that are alike come in one order only, but for those with a parameter in `held`.
    """
    blocks = [_shapes(circuit, node, f, impedance, rng) for node in circuit.blocks]
    chosen = _combinations(blocks, held, rng)
    scales, sums = _scales(blocks, chosen, impedance, weights)
    internal = np.concatenate([block.values[chosen[:, column]] for column, block in enumerate(blocks)], axis=1)
    given: list[Floats] = []
    for row in np.argsort(sums):
        if any(np.max(np.abs(internal[row] - other)) < APART for other in given):
            continue
        given.append(internal[row])
        yield _vector(circuit, blocks, chosen[row], scales[row])


def _shapes(circuit: Circuit, node: Node, f: Frequencies, impedance: Complexes, rng: np.random.Generator) -> Shapes:
    parameters = [circuit.parameters[index] for index in node.indices]
    fastest, slowest = -f.log_omega.max(), -f.log_omega.min()
    if isinstance(node, Leaf) and len(parameters) == 1:
        values = np.zeros((1, 1))
    elif isinstance(node, Leaf) and node.kind.symbol == "Q":
        values = np.array([[0.0, np.log(n)] for n in TAIL_EXPONENTS])
    elif isinstance(node, Leaf) and len(parameters) == 2:  # a scale and a time constant
        tau = np.linspace(fastest + 0.5, slowest + 3.0, 14)
        values = np.stack([np.zeros(tau.size), tau], axis=1)
    elif _is_arc(node):
        count = int(np.clip(2.2 * (slowest - fastest) / np.log(10), 4, 18))
        tau = np.linspace(fastest + 0.5, slowest, count)
        n = ARC_EXPONENT if any(each.is_exponent for each in parameters) else 1.0
        values = np.stack([_of_arc(each, tau, n) for each in parameters], axis=1)
    else:
        values = _sampled(parameters, fastest, slowest, rng)
    z = _evaluated(circuit, node, f, values)
    return Shapes(node, values, z)


def is_simple(node: Node) -> bool:
    """Whether its shapes are on a grid that leaves none out."""
    return _is_arc(node) or (isinstance(node, Leaf) and len(node.kind.parameters) <= 2)


def _is_arc(node: Node) -> bool:
    kinds = (
        sorted(part.kind.symbol for part in node.parts if isinstance(part, Leaf)) if isinstance(node, Parallel) else []
    )
    return isinstance(node, Parallel) and len(node.parts) == 2 and kinds in (["C", "R"], ["Q", "R"])


def _of_arc(parameter: Parameter, tau: Floats, n: float) -> Floats:
    """For R = 1 Ω."""
    if parameter.is_exponent:
        return np.full(tau.size, np.log(n))
    return n * tau if parameter.kind.scaling < 0 else np.zeros(tau.size)


def _sampled(parameters: list[Parameter], fastest: float, slowest: float, rng: np.random.Generator) -> Floats:
    """Random shapes: resistances of 0.1 to 10, time constants over the frequencies, exponents of 0.5 to 1."""
    values = np.empty((SAMPLES, len(parameters)))
    tau = rng.uniform(fastest, slowest, (SAMPLES, len(parameters)))
    n = np.ones(SAMPLES)
    for column in range(len(parameters) - 1, -1, -1):  # an exponent comes after the Q that it belongs to
        parameter = parameters[column]
        if parameter.is_exponent:
            n = rng.uniform(0.5, 1.0, SAMPLES)
            values[:, column] = np.log(n)
        elif parameter.kind.scaling < 0:
            values[:, column] = n * tau[:, column] - rng.uniform(-2.3, 2.3, SAMPLES)
            n = np.ones(SAMPLES)
        elif parameter.kind.scaling > 0:
            middle = 0.25 * (-fastest - slowest) if parameter.kind.unit == "ohm s^-0.5" else 0.0
            values[:, column] = middle + rng.uniform(-2.3, 2.3, SAMPLES)
        else:
            values[:, column] = tau[:, column] + rng.uniform(0.0, 3.0, SAMPLES)
    return values


def _evaluated(circuit: Circuit, node: Node, f: Frequencies, values: Floats) -> Complexes:
    columns: list[Floats] = [np.ones((values.shape[0], 1))] * len(circuit.parameters)
    for column, index in enumerate(node.indices):
        columns[index] = np.exp(values[:, column])[:, None]
    with np.errstate(all="ignore"):
        z, _ = node.evaluate(f, columns)
    return np.nan_to_num(np.broadcast_to(z, (values.shape[0], f.omega.size)), nan=0.0, posinf=0.0, neginf=0.0)


def _combinations(blocks: list[Shapes], held: frozenset[int], rng: np.random.Generator) -> np.ndarray:
    """Rows of one shape for each block: all, or a random choice of them; equal blocks in one order only."""
    counts = [len(block.values) for block in blocks]
    if np.prod(counts, dtype=float) <= 5 * COMBINATIONS:
        rows = np.array(list(itertools.product(*map(range, counts))))
    else:
        rows = np.stack([rng.integers(0, count, 5 * COMBINATIONS) for count in counts], axis=1)
    free = [not held.intersection(block.node.indices) for block in blocks]
    arcs = [column for column, block in enumerate(blocks) if _is_arc(block.node) and free[column]]
    for first, second in itertools.pairwise(arcs):
        if blocks[first].impedance.shape == blocks[second].impedance.shape:
            rows = rows[rows[:, first] < rows[:, second]]
    return rng.permutation(rows)[:COMBINATIONS] if len(rows) > COMBINATIONS else rows


def _scales(blocks: list[Shapes], chosen: np.ndarray, impedance: Complexes, weights: Floats) -> tuple[Floats, Floats]:
    """The scale of each block for each combination, not negative, and the weighted sum of squares that is left."""
    dictionary = np.concatenate([block.impedance for block in blocks]) * weights
    columns = np.concatenate([dictionary.real, dictionary.imag], axis=1)
    norm = np.linalg.norm(columns, axis=1) + 1e-300
    columns /= norm[:, None]
    data = np.concatenate([(impedance * weights).real, (impedance * weights).imag])
    gram, projection = columns @ columns.T, columns @ data
    offsets = np.cumsum([0] + [len(block.values) for block in blocks[:-1]])
    index = chosen + offsets
    normal = gram[index[:, :, None], index[:, None, :]]
    right = projection[index]
    ridge = 1e-9 * np.eye(len(blocks))
    solved = np.maximum(np.linalg.solve(normal + ridge, right[:, :, None])[:, :, 0], 0.0)
    for _ in range(6):  # coordinate descent, for where a scale was cut at zero
        for column in range(len(blocks)):
            slope = right[:, column] - np.einsum("ij,ij->i", normal[:, column], solved)
            solved[:, column] = np.maximum(0.0, solved[:, column] + slope)
    left = data @ data - 2 * np.einsum("ij,ij->i", solved, right) + np.einsum("ij,ijk,ik->i", solved, normal, solved)
    smallest = 3e-3 * np.linalg.norm(data)
    return np.maximum(solved, smallest) / norm[index], left


def _vector(circuit: Circuit, blocks: list[Shapes], chosen: np.ndarray, scales: Floats) -> Floats:
    vector = np.zeros(len(circuit.parameters))
    for block, row, scale in zip(blocks, chosen, scales, strict=True):
        for value, index in zip(block.values[row], block.node.indices, strict=True):
            vector[index] = value + circuit.parameters[index].kind.scaling * np.log(scale)
    return vector
