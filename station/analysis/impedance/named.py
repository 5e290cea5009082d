"""Circuits by name, with what they are for."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from station.analysis.errors import AnalysisError
from station.analysis.impedance.circuit import Circuit, parse_circuit


@dataclass(frozen=True, slots=True)
class NamedCircuit:
    name: str
    circuit: str
    purpose: str


NAMED: tuple[NamedCircuit, ...] = (
    NamedCircuit("half-cell", "L-R1-(Q2R2)-(Q3R3)-Q4", "electrode against lithium: electrolyte, film, charge transfer"),
    NamedCircuit("one-arc", "L-R1-(Q2R2)", "one interface, no diffusion: symmetric Li|Li cells at high frequency"),
    NamedCircuit("two-arcs", "L-R1-(Q2R2)-(Q3R3)", "symmetric cells with solid electrolyte: grain boundary, interface"),
    NamedCircuit("three-arcs", "L-R1-(Q2R2)-(Q3R3)-(Q4R4)", "full cells that show two films and a charge transfer"),
    NamedCircuit("one-arc-tail", "L-R1-(Q2R2)-Q3", "one interface and a tail: fresh electrodes, interdigitated cells"),
    NamedCircuit(
        "full-cell", "L-R1-(Q2R2)-(Q3R3)-(Q4R4)-Q5", "full cells down to diffusion: film and both charge transfers"
    ),
    NamedCircuit("randles", "R1-(Q2(R2-W2))", "charge transfer with semi-infinite diffusion"),
    NamedCircuit("randles-film", "L-R1-(Q2R2)-(Q3(R3-W3))", "film, then charge transfer with semi-infinite diffusion"),
    NamedCircuit(
        "randles-bounded", "L-R1-(Q2R2)-(Q3(R3-Wo3))", "film, then charge transfer with diffusion into particles"
    ),
    NamedCircuit(
        "diffusion-to-reservoir", "R1-(Q2R2)-Ws3", "polymer electrolytes between lithium: interface, salt diffusion"
    ),
    NamedCircuit("blocking-bulk", "(C1R1)-Q2", "solid electrolyte between blocking metals: bulk arc and blocking tail"),
    NamedCircuit(
        "blocking-grains", "(Q1R1)-(Q2R2)-Q3", "ceramic between blocking metals: bulk, grain boundaries, tail"
    ),
    NamedCircuit("blocking-liquid", "L-R1-Q2", "liquid or gel electrolyte between blocking metals: only R1 counts"),
    NamedCircuit("pores-blocking", "L-R1-TLMQ2", "symmetric cell of empty electrodes: ionic resistance in pores"),
    NamedCircuit("pores-reacting", "L-R1-TLMR2", "porous electrode with charge transfer in its pores"),
    NamedCircuit("gerischer", "L-R1-(Q2R2)-G3", "mixed conductors, diffusion with side reaction"),
)


def circuit_of(text: str) -> Circuit:
    """A named circuit or a circuit string; raises `AnalysisError` with a close name, or the place of the mistake."""
    names = {each.name: each.circuit for each in NAMED}
    if text in names:
        return parse_circuit(names[text])
    if text[:1].islower() and not text.startswith("p"):
        close = difflib.get_close_matches(text, names, 1)
        hint = f"did you mean '{close[0]}'? " if close else ""
        raise AnalysisError(f"there is no circuit '{text}'; {hint}There are {', '.join(names)}")
    return parse_circuit(text)
