"""Arcs: the order of those that could be exchanged, their time constants and effective capacitances."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from station.analysis.estimate import Estimate
from station.analysis.impedance.circuit import Circuit, Leaf, Node, Parallel, Series
from station.analysis.impedance.elements import Floats


@dataclass(frozen=True, slots=True)
class Arc:
    """A resistance in parallel with a constant-phase element or a capacitance.

    τ = (RQ)^(1/n), f = 1/(2πτ). The effective capacitance of a distribution of time constants along the surface is
    Brug's, C = Q^(1/n)·(1/R_s + 1/R)^((n−1)/n), with R_s all resistances in series (None where there are none); of one
    normal to the surface, through a film, it is Hsu and Mansfeld's, C = Q^(1/n)·R^((1−n)/n) (G. J. Brug et al.,
    J. Electroanal. Chem. 176 (1984) 275; C. H. Hsu and F. Mansfeld, Corrosion 57 (2001) 747).
    """

    resistor: str
    capacitor: str
    resistance_ohm: Estimate
    exponent: float
    time_constant_s: Estimate
    frequency_Hz: Estimate
    capacitance_brug_F: Estimate | None
    capacitance_hsu_mansfeld_F: Estimate


def arcs(circuit: Circuit, values: Floats, covariance: Floats) -> tuple[Arc, ...]:
    """All arcs, by rising time constant. `covariance` is that of the logarithms of `values`."""
    found = [_arc(circuit, pair, values, covariance) for pair in _pairs(circuit.root)]
    return tuple(sorted(found, key=lambda arc: arc.time_constant_s.value))


def ordered(circuit: Circuit, values: Floats, held: frozenset[int]) -> Floats:
    """`values` with those of like parts exchanged so that their time constants rise in the order of the string.

    Parts in series, or in parallel, that are built alike can be exchanged without any change of the impedance: a fit
    would name them at random. Those with a parameter in `held` (with bounds or a value of its own) stay.
    """
    result = values.copy()
    _order(circuit.root, result, held)
    return result


def exchanges(circuit: Circuit, values: Floats) -> Iterator[Floats]:
    """`values` with two arcs exchanged that are not built alike: what is in one of them may belong into the other."""
    for first, second in itertools.combinations(_pairs(circuit.root), 2):
        alike = _signature(first.within) == _signature(second.within)
        if not alike and first.capacitor.kind is second.capacitor.kind:
            one = [*first.resistor.indices, *first.capacitor.indices]
            other = [*second.resistor.indices, *second.capacitor.indices]
            exchanged = values.copy()
            exchanged[one], exchanged[other] = values[other], values[one]
            yield exchanged


def _order(node: Node, values: Floats, held: frozenset[int]) -> None:
    if isinstance(node, Leaf):
        return
    for part in node.parts:
        _order(part, values, held)
    alike: dict[object, list[Node]] = {}
    for part in node.parts:
        alike.setdefault(_signature(part), []).append(part)
    for parts in alike.values():
        times = [_time_constant(part, values) for part in parts]
        indices = [_canonical(part) for part in parts]
        if len(parts) == 1 or None in times or any(held.intersection(each) for each in indices):
            continue
        by_time = sorted(range(len(parts)), key=lambda number: times[number] or 0.0)
        contents = [values[indices[number]].copy() for number in by_time]
        for index, content in zip(indices, contents, strict=True):
            values[index] = content


def _signature(node: Node) -> tuple[object, ...]:
    if isinstance(node, Leaf):
        return ("leaf", node.kind.symbol)
    return (type(node).__name__, *sorted(map(_signature, node.parts), key=repr))


def _canonical(node: Node) -> list[int]:
    """The indices of a part, in an order that is the same for all parts that are alike."""
    if isinstance(node, Leaf):
        return list(node.indices)
    return [index for part in sorted(node.parts, key=lambda each: repr(_signature(each))) for index in _canonical(part)]


def _time_constant(node: Node, values: Floats) -> float | None:
    if isinstance(node, Leaf):
        if node.kind.symbol in ("Ws", "Wo", "G"):
            return float(values[node.first + 1])
        return None
    for pair in _pairs(node):
        return float(_tau(pair, values))
    return None


@dataclass(frozen=True, slots=True)
class _Pair:
    within: Parallel
    resistor: Leaf
    capacitor: Leaf

    def exponent(self, values: Floats) -> float:
        return float(values[self.capacitor.first + 1]) if self.capacitor.kind.symbol == "Q" else 1.0


def _pairs(node: Node) -> Iterator[_Pair]:
    """Each capacitive element with what is the first resistance beside it; inner ones after outer ones."""
    if isinstance(node, Leaf):
        return
    if isinstance(node, Parallel):
        capacitors = [part for part in node.parts if isinstance(part, Leaf) and part.kind.symbol in ("Q", "C")]
        resistors = [leaf for part in node.parts if (leaf := _first_resistor(part)) is not None]
        if len(capacitors) == 1 and resistors:
            yield _Pair(node, resistors[0], capacitors[0])
    for part in node.parts:
        yield from _pairs(part)


def _first_resistor(node: Node) -> Leaf | None:
    if isinstance(node, Leaf):
        return node if node.kind.symbol == "R" else None
    if isinstance(node, Series):
        return next((part for part in node.parts if isinstance(part, Leaf) and part.kind.symbol == "R"), None)
    return None


def _tau(pair: _Pair, values: Floats) -> float:
    return float((values[pair.resistor.first] * values[pair.capacitor.first]) ** (1 / pair.exponent(values)))


def _arc(circuit: Circuit, pair: _Pair, values: Floats, covariance: Floats) -> Arc:
    ohmic = [part.first for part in circuit.blocks if isinstance(part, Leaf) and part.kind.symbol == "R"]

    def brug(at: Floats) -> float:
        n, r = pair.exponent(at), at[pair.resistor.first]
        conductance = 1 / at[ohmic].sum() + 1 / r
        return float(at[pair.capacitor.first] ** (1 / n) * conductance ** ((n - 1) / n))

    def estimate(quantity: Callable[[Floats], float]) -> Estimate:
        return propagated(quantity, values, covariance)

    return Arc(
        pair.resistor.name,
        pair.capacitor.name,
        estimate(lambda at: float(at[pair.resistor.first])),
        pair.exponent(values),
        estimate(lambda at: _tau(pair, at)),
        estimate(lambda at: 1 / (2 * np.pi * _tau(pair, at))),
        estimate(brug) if ohmic else None,
        estimate(lambda at: _tau(pair, at) / float(at[pair.resistor.first])),
    )


def propagated(quantity: Callable[[Floats], float], values: Floats, covariance: Floats) -> Estimate:
    """A positive function of parameters, with the uncertainty that follows from their covariance (of logarithms)."""
    step = 1e-5
    slopes = np.empty(values.size)
    for index in range(values.size):
        up, down = values.copy(), values.copy()
        up[index] *= np.exp(step)
        down[index] *= np.exp(-step)
        slopes[index] = (np.log(quantity(up)) - np.log(quantity(down))) / (2 * step)
    value = quantity(values)
    return Estimate(value, value * math.sqrt(max(0.0, float(slopes @ covariance @ slopes))))
