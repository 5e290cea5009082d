"""The notation of circuits, and the impedance and derivatives of elements."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from station.analysis.errors import AnalysisError
from station.analysis.impedance import NAMED, CircuitError, circuit_of, parse_circuit
from station.analysis.impedance.elements import ELEMENTS, Frequencies
from station.analysis.impedance.grammar import Group, Named, Tree, parse

FREQUENCY = np.logspace(5, -2, 15)
OMEGA = 2 * np.pi * FREQUENCY


def shape(tree: Tree) -> object:
    """Without places: 'R1', or ('series', …)."""
    if isinstance(tree, Named):
        return tree.symbol + tree.number
    return ("series" if tree.series else "parallel", *map(shape, tree.parts))


RANDLES = ("series", "R1", ("parallel", "Q2", ("series", "R2", "W2")))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("R1-(Q2(R2-W2))", RANDLES),
        ("R1-(Q2(R2W2))", RANDLES),
        ("R1(Q2[R2W2])", RANDLES),
        ("R1-p(Q2,R2-W2)", RANDLES),
        ("R1+Q2/(R2+W2)", RANDLES),
        (" R1 - ( Q2 ( R2 - W2 ) ) ", RANDLES),
        ("((Q2R2)-W2)", ("series", ("parallel", "Q2", "R2"), "W2")),
        ("R1-(Q2(R2(C3R3)))", ("series", "R1", ("parallel", "Q2", ("series", "R2", ("parallel", "C3", "R3"))))),
        (
            "R0-p(R1,C1)-p(R2-Wo1,C2)",
            ("series", "R0", ("parallel", "R1", "C1"), ("parallel", ("series", "R2", "Wo1"), "C2")),
        ),
        ("(R1)", "R1"),
    ],
)
def test_notations_of_one_circuit_are_read_alike(text: str, wanted: object) -> None:
    assert shape(parse(text)) == wanted


def test_parameters_are_called_as_in_papers() -> None:
    assert parse_circuit("L-R1-(Q2R2)-Wo3").names == ("L", "R1", "Q2", "n2", "R2", "Wo3.Z0", "Wo3.tau")
    assert parse_circuit("LR(QR)(QR)Q").names == ("L", "R1", "Q1", "n1", "R2", "Q2", "n2", "R3", "Q3", "n3")
    assert parse_circuit("R_0-CPE_1").names == ("R_0", "CPE_1", "n_1")


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("", 1, "no circuit"),
        ("R1-", 4, "missing at the end"),
        ("R1-(Q2R2", 4, "never closed"),
        ("R1-X2", 4, "no element begins with 'X'"),
        ("R1)", 3, "closes nothing"),
        ("(Q2-R2W2)", 7, "mixed"),
        ("R1--R2", 4, "an element is wanted"),
        ("p(R1,)", 6, "an element is wanted"),
        ("R1-C1-R1", 7, "'R1' occurs twice"),
        ("Q1-CPE1", 4, "'n1' occurs twice"),
        ("R1,R2", 3, "does not belong"),
        ("(" * 200 + "R1" + ")" * 200, 41, "brackets"),
        ("__import__('os')", 1, "an element is wanted"),
    ],
)
def test_a_mistake_is_told_with_its_column(text: str, column: int, words: str) -> None:
    with pytest.raises(CircuitError, match=words) as caught:
        parse_circuit(text)
    assert caught.value.column == column
    *_, shown, mark = str(caught.value).splitlines()
    assert shown.removeprefix("  ") == text
    assert mark.index("^") == column + 1


@given(st.text(alphabet="RCLQWsoGTMPE()[]p,-+/ 0123_é", max_size=30))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    try:
        circuit = parse_circuit(text)
    except CircuitError as error:
        assert 1 <= error.column <= len(text) + 1
    else:
        assert len(set(circuit.names)) == len(circuit.names)


leaves = st.sampled_from(sorted(ELEMENTS)).map(lambda symbol: ("leaf", symbol))
trees = st.recursive(
    leaves, lambda inner: st.tuples(st.sampled_from(["series", "parallel"]), st.lists(inner, min_size=2, max_size=3))
)


@given(trees)
@settings(max_examples=60, deadline=None)
def test_a_written_tree_is_read_back_and_its_derivatives_are_right(tree: tuple) -> None:  # type: ignore[type-arg]
    count = iter(range(1000))

    def written(part: tuple) -> str:  # type: ignore[type-arg]
        kind, content = part
        if kind == "leaf":
            return f"{content}{next(count)}"
        inner = [written(each) for each in content]
        return "[" + "-".join(inner) + "]" if kind == "series" else "p(" + ",".join(inner) + ")"

    circuit = parse_circuit(written(tree))
    rng = np.random.default_rng(len(circuit.names))
    values = np.array([rng.uniform(0.6, 0.95) if p.is_exponent else rng.uniform(0.2, 3.0) for p in circuit.parameters])
    f = Frequencies(np.logspace(2, -2, 9))
    z, slopes = circuit.root.evaluate(f, values.tolist())
    step = 1e-6
    for index, slope in enumerate(slopes()):
        up, down = values.copy(), values.copy()
        up[index] *= np.exp(step)
        down[index] *= np.exp(-step)
        high, low = circuit.root.evaluate(f, up.tolist())[0], circuit.root.evaluate(f, down.tolist())[0]
        np.testing.assert_allclose(slope, (high - low) / (2 * step), atol=2e-7 * np.abs(z).max(), rtol=1e-5)


@pytest.mark.parametrize(
    ("circuit", "values", "wanted"),
    [
        ("R1", [5.0], 5.0 + 0 * OMEGA),
        ("L1", [1e-6], 1j * OMEGA * 1e-6),
        ("C1", [1e-3], 1 / (1j * OMEGA * 1e-3)),
        ("Q1", [1e-3, 0.7], 1 / (1e-3 * (1j * OMEGA) ** 0.7)),
        ("W1", [4.0], 4.0 * (1 - 1j) / np.sqrt(OMEGA)),
        ("Ws1", [4.0, 2.0], 4.0 * np.tanh(np.sqrt(2j * OMEGA)) / np.sqrt(2j * OMEGA)),
        ("Wo1", [4.0, 2.0], 4.0 / (np.tanh(np.sqrt(2j * OMEGA)) * np.sqrt(2j * OMEGA))),
        ("G1", [4.0, 2.0], 4.0 / np.sqrt(1 + 2j * OMEGA)),
        ("(R1C1)", [5.0, 1e-3], 5.0 / (1 + 5e-3j * OMEGA)),
        ("(R1Q1)-R2", [5.0, 1e-3, 0.8, 2.0], 2 + 5.0 / (1 + 5e-3 * (1j * OMEGA) ** 0.8)),
    ],
)
def test_elements_have_their_formulas(circuit: str, values: list[float], wanted: np.ndarray) -> None:
    np.testing.assert_allclose(parse_circuit(circuit).impedance(FREQUENCY, values), wanted, rtol=1e-12)


def test_pores_end_as_a_third_of_their_resistance_and_begin_at_45_degrees() -> None:
    slow = parse_circuit("TLMQ1").impedance(1e-5, {"TLMQ1.R_ion": 30.0, "TLMQ1.Q": 1e-3, "TLMQ1.n": 1.0})[0]
    assert slow.real == pytest.approx(10.0, rel=1e-4)
    fast = parse_circuit("TLMQ1").impedance(1e6, {"TLMQ1.R_ion": 30.0, "TLMQ1.Q": 1e-3, "TLMQ1.n": 1.0})[0]
    assert np.angle(fast, deg=True) == pytest.approx(-45.0)
    reacting = {"TLMR1.R_ion": 30.0, "TLMR1.R_ct": 0.3, "TLMR1.Q": 1e-3, "TLMR1.n": 0.9}
    assert parse_circuit("TLMR1").impedance(1e-6, reacting)[0] == pytest.approx(np.sqrt(9.0) / np.tanh(10.0), rel=1e-4)


def test_a_large_argument_does_not_overflow() -> None:
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        z = parse_circuit("Wo1-Ws1-TLMQ1").impedance([1e-6, 1e9], [1.0, 1e9, 1.0, 1e9, 1e6, 1e3, 0.9])
    assert np.all(np.isfinite(z))


def test_named_circuits_are_read_and_a_wrong_name_finds_a_close_one() -> None:
    assert len(NAMED) >= 12
    for each in NAMED:
        assert circuit_of(each.name).text == each.circuit
    with pytest.raises(AnalysisError, match="did you mean 'half-cell'"):
        circuit_of("halfcell")


def test_the_documentation_lists_every_circuit_and_element() -> None:
    text = (Path(__file__).parents[4] / "docs" / "impedance.md").read_text(encoding="utf-8")
    for each in NAMED:
        assert f"| `{each.name}` | `{each.circuit}` |" in text
    for symbol in ELEMENTS:
        assert f"`{symbol}`" in text


def test_values_are_checked_by_name() -> None:
    circuit = parse_circuit("R1-C1")
    with pytest.raises(AnalysisError, match="no parameter 'R2'"):
        circuit.impedance(1.0, {"R1": 1.0, "C1": 1.0, "R2": 1.0})
    with pytest.raises(AnalysisError, match="no value for C1"):
        circuit.impedance(1.0, {"R1": 1.0})
    with pytest.raises(AnalysisError, match="R1 must be a positive number"):
        circuit.impedance(1.0, [0.0, 1.0])
    with pytest.raises(AnalysisError, match="2 parameters"):
        circuit.impedance(1.0, [1.0])


def test_a_group_of_one_is_that_one() -> None:
    assert isinstance(parse("[R1]"), Named)
    assert isinstance(parse("[R1-R2]-R3"), Group)
    assert shape(parse("[R1-R2]-R3")) == ("series", "R1", "R2", "R3")
