"""What answers on a line, and which driver fits; nothing is searched that was not asked for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from drivers import finding
from drivers.finding import FindingError, addresses_of, ask_serial, look_at, scan_network, scan_serial, visa_resources
from drivers.simulated.clock import ManualClock
from drivers.simulated.server import LineInstrument, VirtualInstrument
from drivers.testing import Case
from tests.drivers.collect import all_cases

ON_A_NETWORK = {name for name, probe in finding.probes() if probe.baud is None}
RECOGNISED = [case for case in all_cases() if case.name in ON_A_NETWORK]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "REPLY_S", 0.3)


@pytest.mark.parametrize("case", RECOGNISED, ids=lambda case: case.name)
def test_each_virtual_instrument_is_recognised_at_its_address(case: Case) -> None:
    with case.virtual() as virtual:
        found = look_at(virtual.address)
        assert found is not None
        assert case.name in [candidate.driver for candidate in found.candidates], found


@pytest.mark.parametrize("case", RECOGNISED, ids=lambda case: case.name)
def test_each_is_found_at_its_port_and_what_is_pasted_opens_it(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    with case.virtual() as virtual:
        moved = [
            (name, _at(probe, virtual.port)) for name, probe in finding.probes() if name == case.name and probe.tcp_port
        ]
        monkeypatch.setattr(finding, "probes", lambda: moved)
        (found,) = scan_network(["127.0.0.1"])
        (candidate,) = found.candidates
        assert candidate.driver == case.name
        assert candidate.address == virtual.address
        assert f'driver = "{case.name}"' in candidate.lines("x")
        case.open(candidate.address).close()


def _at(probe: finding.Probe, port: int) -> finding.Probe:
    return finding.Probe(probe.question, probe.answer, probe.address, port, None, probe.ends_with)


def test_settings_that_a_driver_needs_are_said() -> None:
    lines = finding.Candidate("simserv", "10.0.0.1:2049").lines("chamber")
    assert lines.splitlines()[-1] == "# settings = { temperature_min_degC = …, temperature_max_degC = … }"


class Mute(LineInstrument):
    def answer(self, line: str) -> None:
        return None


class Unknown(LineInstrument):
    def answer(self, line: str) -> str:
        return "ACME,MODEL 1,0,0"


def test_what_does_not_answer_or_is_not_known() -> None:
    with Mute() as mute:
        (found,) = scan_network(["127.0.0.1"], [mute.port])
        assert (found.said, found.candidates) == ("", ())
    with Unknown() as unknown:
        look = look_at(unknown.address)
        assert look is None or look.candidates == ()
    assert scan_network(["127.0.0.1"], [unknown.port]) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("192.168.0.0/16", "has 65536 addresses: at most 256"),
        ("8.8.8.0/28", "is not within a private subnet that this computer is in"),
        ("10.255.255.0/28", "is not within a private subnet"),
        ("fritz", "is no range of addresses such as 192.168.1.0/28"),
        ("fe80::/120", "is no range of addresses"),
    ],
)
def test_ranges_that_are_not_searched(text: str, message: str) -> None:
    with pytest.raises(FindingError, match=message):
        addresses_of(text)


def test_a_range_of_an_own_interface() -> None:
    assert addresses_of("127.0.0.8/30") == ["127.0.0.9", "127.0.0.10"]
    assert addresses_of("127.0.0.1/32") == ["127.0.0.1"]


def test_serial_ports_are_listed_and_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    class Port:
        device, description = "COM3", "USB Serial Device"

        def __lt__(self, other: object) -> bool:
            return False

    monkeypatch.setattr(finding.list_ports, "comports", lambda: [Port()])
    monkeypatch.setattr(finding.serial, "serial_for_url", lambda *_, **__: pytest.fail("opened"))
    assert scan_serial(ask=False) == [finding.Found("COM3", "USB Serial Device", "", ())]


def test_a_serial_port_that_is_asked(virtual_2700: Callable[[], VirtualInstrument]) -> None:
    with virtual_2700() as virtual:
        found = ask_serial(f"socket://127.0.0.1:{virtual.port}")
    assert "MODEL 2700" in found.said
    assert [candidate.driver for candidate in found.candidates] == ["keithley-2700"]


@pytest.fixture
def virtual_2700() -> Callable[[], VirtualInstrument]:
    from drivers.simulated.keithley2700 import VirtualKeithley2700

    return lambda: VirtualKeithley2700({}, clock=ManualClock())


def test_a_serial_port_that_is_not_there() -> None:
    assert ask_serial("socket://127.0.0.1:1").said == ""


def test_visa_is_asked_for_its_buses_not_for_the_network() -> None:
    assert not [name for name in visa_resources() if name.startswith(("TCPIP", "ASRL"))]
