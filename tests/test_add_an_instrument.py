"""The guide 'Add an instrument' works: its example runs, and what it shows is the example's text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from drivers.interface import BadReply, InstrumentTimeout, NoReading, OutOfRange, WrongInstrument
from drivers.testing import DriverConformance, FaultProxy, cut_after, garble, swallow
from examples.add_an_instrument.arbor_fg50 import ArborFg50
from examples.add_an_instrument.case import CASES
from examples.add_an_instrument.virtual_arbor_fg50 import VirtualArborFg50

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs" / "add-an-instrument.md").read_text(encoding="utf-8")


def test_the_guide_shows_the_example_as_it_is() -> None:
    shown = re.findall(r"`(examples/[^`]+\.py)`:\n\n```python\n(.*?)```", GUIDE, flags=re.DOTALL)
    assert [path for path, _ in shown] == [
        "examples/add_an_instrument/arbor_fg50.py",
        "examples/add_an_instrument/virtual_arbor_fg50.py",
        "examples/add_an_instrument/case.py",
    ]
    for path, text in shown:
        assert text == (ROOT / path).read_text(encoding="utf-8"), f"the guide's {path} is out of date"


def test_the_files_that_the_guide_names_exist() -> None:
    for path in set(re.findall(r"`((?:drivers|tests|docs|examples)/[\w./-]+\.(?:py|md))`", GUIDE)):
        to_be_written = {"docs/instruments/arbor-fg50.md", "drivers/arbor_fg50.py"}
        if path not in to_be_written:
            assert (ROOT / path).exists(), path


class TestTheExample(DriverConformance):
    cases = CASES


def test_forces_and_overload() -> None:
    force = 12.345
    with VirtualArborFg50(lambda: force) as virtual, ArborFg50(virtual.address, rate_Hz=100) as gauge:
        assert gauge.read_force() == pytest.approx(12.345)
        assert virtual.rate_Hz == "100"
        force = -54.9
        assert gauge.read_force() == pytest.approx(-54.9)
        force = 56.0
        assert gauge.read_force() is NoReading.OVERLOAD


def test_a_rate_that_it_has_not() -> None:
    with pytest.raises(OutOfRange):
        ArborFg50("TCPIP::127.0.0.1::1::SOCKET", rate_Hz=50)


def test_another_instrument_at_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VirtualArborFg50, "answer", lambda self, line: "ACME,SCALE,1,1")
    with VirtualArborFg50(lambda: 0.0) as virtual, pytest.raises(WrongInstrument, match="ACME"):
        ArborFg50(virtual.address)


def test_a_spoiled_line_is_a_typed_error() -> None:
    with VirtualArborFg50(lambda: 1.0) as virtual:
        proxy = FaultProxy(virtual.port)
        with ArborFg50(proxy.address(virtual.resource), timeout_s=0.5) as gauge:
            for spoil, error in ((swallow, InstrumentTimeout), (garble, BadReply), (cut_after(3), Exception)):
                proxy.spoil = spoil
                with pytest.raises(error):
                    gauge.read_force()
            proxy.spoil = None
        proxy.close()
