"""CHI macros: their bytes, the sign of the current, and what they cannot say."""

from __future__ import annotations

import pytest

from protocols.document import DocumentError
from tests.protocols.interop.helpers import remarks, written

STEPS = """
- rest: {for: 10 min}
- repeat: 2
  steps:
    - charge: {at: 9 mA, until: {voltage: 4.2 V}}
    - hold: {at: 4.2 V, for: 1 h}
    - discharge: {at: 9 mA, for: 6 h, until: {voltage: 2.5 V}}
- impedance: {from: 100 kHz, to: 0.1 Hz, amplitude: 10 mV}
"""


def test_a_macro() -> None:
    data = written(STEPS, "chi").data
    assert data[:5] == b"\x63\x02\x00\x00\x0a"
    lines = data[5:].decode("cp1252").split("\n")
    charge = lines[lines.index("tech=cp") :][:11]
    assert charge[1] == "ic=-0.009"  # cathodic is positive there, and charge is anodic
    assert {"eh=4.2", "tc=100000", "cl=1", "prioe"} <= set(charge)
    discharge = lines[lines.index("ic=0.009") :]
    assert {"el=2.5", "tc=21600"} <= set(discharge[:6])
    assert [line for line in lines if line.startswith("tech=")] == [
        "tech=ocpt",
        *("tech=cp", "tech=i-t", "tech=cp") * 2,
        "tech=imp",
    ]
    assert lines.count("run") == 8
    assert lines[lines.index("tech=i-t") :].index("autosens") < lines[lines.index("tech=i-t") :].index("run")
    assert lines[-4:] == ["run", "tsave:step0008", "forcequit: yesiamsure", ""]
    assert lines[lines.index("tech=imp") + 1 :][:4] == ["eio", "fl=0.1", "fh=100000", "amp=0.0141421"]


@pytest.mark.parametrize(
    ("step", "why"),
    [
        ("- hold: {at: 4.2 V, until: {current: 1 mA}}", "cannot end a hold at a current"),
        ("- charge: {power: 10 mW, until: {voltage: 4.2 V}}", "no constant power or resistance"),
        ("- impedance: {from: 1 kHz, to: 1 Hz, amplitude: 1 mA}", r"no sweep of current \(GEIS\)"),
        ("- repeat: 3000\n  steps:\n    - rest: {for: 1 min}", "more than 2000 steps"),
    ],
)
def test_what_would_be_something_else_is_refused(step: str, why: str) -> None:
    with pytest.raises(DocumentError, match=why):
        written(step, "chi")


def test_what_is_left_out_is_said() -> None:
    said = " ".join(map(str, remarks(written("- hold: {at: 4.2 V, for: 1 h, until: {current: 1 mA}}", "chi"))))
    assert "the current that ends the hold: only its time does" in said
