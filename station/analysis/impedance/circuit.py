"""A circuit: what its string says, its parameters, its impedance and derivatives."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from station.analysis.errors import AnalysisError
from station.analysis.impedance.elements import Complexes, Element, Floats, Frequencies, ParameterKind, Value
from station.analysis.impedance.grammar import CircuitError, Group, Named, Tree, parse

Slopes: TypeAlias = Callable[[], list[Complexes]]  # ∂Z/∂ln p of each parameter, computed when asked for


@dataclass(frozen=True, slots=True)
class Leaf:
    """An element with a name; its parameters begin at `first` in the circuit's."""

    name: str
    kind: type[Element]
    first: int

    @property
    def indices(self) -> tuple[int, ...]:
        return tuple(range(self.first, self.first + len(self.kind.parameters)))

    def evaluate(self, f: Frequencies, p: Sequence[Value]) -> tuple[Complexes, Slopes]:
        own = p[self.first : self.first + len(self.kind.parameters)]
        z = self.kind.impedance(f, own)
        return z, lambda: list(self.kind.derivatives(f, own, z))


@dataclass(frozen=True, slots=True)
class Series:
    """Impedances add."""

    parts: tuple[Node, ...]

    @property
    def indices(self) -> tuple[int, ...]:
        return tuple(index for part in self.parts for index in part.indices)

    def evaluate(self, f: Frequencies, p: Sequence[Value]) -> tuple[Complexes, Slopes]:
        parts = [part.evaluate(f, p) for part in self.parts]
        total = _sum([z for z, _ in parts])
        return total, lambda: [slope for _, slopes in parts for slope in slopes()]


@dataclass(frozen=True, slots=True)
class Parallel:
    """Admittances add."""

    parts: tuple[Node, ...]

    @property
    def indices(self) -> tuple[int, ...]:
        return tuple(index for part in self.parts for index in part.indices)

    def evaluate(self, f: Frequencies, p: Sequence[Value]) -> tuple[Complexes, Slopes]:
        parts = [part.evaluate(f, p) for part in self.parts]
        total: Complexes = 1 / _sum([1 / z for z, _ in parts])

        def slopes() -> list[Complexes]:
            result: list[Complexes] = []
            for z, inner in parts:
                share = total / z
                share *= share
                result.extend(share * slope for slope in inner())
            return result

        return total, slopes


def _sum(parts: list[Complexes]) -> Complexes:
    total = parts[0] + parts[1]
    for part in parts[2:]:
        total = total + part
    return total


Node: TypeAlias = Leaf | Series | Parallel


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a circuit: 'R1', 'Q2', 'n2', 'Wo1.tau'."""

    name: str
    unit: str
    element: str
    kind: ParameterKind

    @property
    def is_exponent(self) -> bool:
        return self.kind.name == "n"


@dataclass(frozen=True, slots=True)
class Circuit:
    """A parsed circuit. `impedance` takes parameters in the order of `parameters`, or by name."""

    text: str
    root: Node
    parameters: tuple[Parameter, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def blocks(self) -> tuple[Node, ...]:
        """What stands in series at the top."""
        return self.root.parts if isinstance(self.root, Series) else (self.root,)

    def vector(self, values: Mapping[str, float] | ArrayLike) -> Floats:
        """Values in the order of `parameters`; raises `AnalysisError` where one is missing, unknown or not positive."""
        if isinstance(values, Mapping):
            self.check_names(values)
            if missing := [name for name in self.names if name not in values]:
                raise AnalysisError(f"{self.text}: no value for {', '.join(missing)}")
            values = [values[name] for name in self.names]
        vector = np.asarray(values, dtype=float)
        if vector.shape != (len(self.parameters),):
            raise AnalysisError(
                f"{self.text} has {len(self.parameters)} parameters ({', '.join(self.names)}), not {vector.size}"
            )
        if not np.all((vector > 0) & np.isfinite(vector)):
            wrong = self.names[int(np.argmin((vector > 0) & np.isfinite(vector)))]
            raise AnalysisError(f"{self.text}: {wrong} must be a positive number")
        return vector

    def check_names(self, given: Mapping[str, object]) -> None:
        """Raise `AnalysisError` where a name is none of the circuit's."""
        if unknown := [name for name in given if name not in self.names]:
            raise AnalysisError(f"{self.text} has no parameter '{unknown[0]}'; it has {', '.join(self.names)}")

    def impedance(self, frequency_Hz: ArrayLike, values: Mapping[str, float] | ArrayLike) -> Complexes:
        """Z in Ω at each frequency."""
        frequency = np.atleast_1d(np.asarray(frequency_Hz, dtype=float))
        if not np.all((frequency > 0) & np.isfinite(frequency)):
            raise AnalysisError("frequencies must be positive numbers, in Hz")
        return self.root.evaluate(Frequencies(frequency), self.vector(values).tolist())[0]


def parse_circuit(text: str) -> Circuit:
    """The circuit that `text` says; `docs/impedance.md` has the notation.

    Raises `CircuitError`, an `AnalysisError`, that shows the place of a mistake.
    """
    return _built(text.strip())


@functools.lru_cache(maxsize=256)
def _built(text: str) -> Circuit:
    tree = parse(text)
    unnumbered = _Numbers(tree)
    parameters: list[Parameter] = []

    def build(part: Tree) -> Node:
        if isinstance(part, Group):
            parts = tuple(build(each) for each in part.parts)
            return Series(parts) if part.series else Parallel(parts)
        name, first = unnumbered.name(part), len(parameters)
        for kind in part.kind.parameters:
            parameter = Parameter(_parameter_name(name, part, kind), kind.unit, name, kind)
            if any(parameter.name == each.name for each in parameters):
                raise CircuitError(text, part.at, f"'{parameter.name}' occurs twice: number the elements apart")
            parameters.append(parameter)
        return Leaf(name, part.kind, first)

    root = build(tree)
    return Circuit(text, root, tuple(parameters))


def _parameter_name(element: str, part: Named, kind: ParameterKind) -> str:
    if not kind.name:
        return element
    if kind.name == "n" and len(part.kind.parameters) == 2:  # of a constant-phase element: Q2 and n2
        return f"n{element[len(part.symbol) :]}"
    return f"{element}.{kind.name}"


class _Numbers:
    """Numbers the elements of strings such as LR(QR)(QR)Q; a single one keeps its bare symbol."""

    def __init__(self, tree: Tree) -> None:
        bare = Counter(leaf.symbol for leaf in _leaves(tree) if not leaf.number)
        self._several = {symbol for symbol, times in bare.items() if times > 1}
        self._given: Counter[str] = Counter()

    def name(self, leaf: Named) -> str:
        if leaf.number or leaf.symbol not in self._several:
            return leaf.symbol + leaf.number
        self._given[leaf.symbol] += 1
        return f"{leaf.symbol}{self._given[leaf.symbol]}"


def _leaves(tree: Tree) -> tuple[Named, ...]:
    return (tree,) if isinstance(tree, Named) else tuple(leaf for part in tree.parts for leaf in _leaves(part))
