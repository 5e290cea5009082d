"""A channel whose cell a relay board hands from its source to the impedance analyser and back."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from drivers.simulated.keithley2450 import VirtualKeithley2450
from drivers.simulated.solartron import VirtualSolartron
from drivers.simulated.switches import SwitchedCell, VirtualModbusRelays
from drivers.testing.faults import swallow
from station.readings import ChannelState, RunState
from tests.acceptance.bench import wait_until
from tests.acceptance.conftest import Live, Rig

CELL = "si-half-cell-1"
SMU, EIS = frozenset({1, 2}), frozenset({3, 4})
STEPS = ("rest: {for: 4 s}", "impedance: {from: 1 kHz, to: 10 Hz, amplitude: 10 mV}", "rest: {for: 4 s}")


def protocol(*steps: str) -> str:
    lines = "".join(f"  - {step}\n" for step in steps)
    return f"protocol: Switched\nrecord: {{every: 2 s}}\nlimits: {{voltage: [-0.05 V, 2.9 V]}}\nsteps:\n{lines}"


@dataclass
class Switched:
    """The bench of `rig` with a relay board before the cell of A1."""

    rig: Rig
    board: VirtualModbusRelays
    cell: SwitchedCell

    @property
    def closed(self) -> frozenset[int]:
        return self.board.contacts.closed

    def visited(self) -> list[frozenset[int]]:
        """The whole states that the contacts went through."""
        return [closed for closed in self.board.contacts.history if closed in (SMU, EIS, frozenset())]


@pytest.fixture
def switched(rig: Rig) -> Iterator[Switched]:
    with VirtualModbusRelays(rtu=True) as board:
        rig.bench.servers["matrix"] = board
        true_cell = rig.bench.positions["A1"].cell
        cell = SwitchedCell(true_cell, board.contacts, {"smu": (1, 2), "eis": (3, 4)})
        smu, eis = rig.bench.servers["smu"], rig.bench.servers["eis"]
        assert isinstance(smu, VirtualKeithley2450) and isinstance(eis, VirtualSolartron)
        smu.cell, eis.cell = cell.ports["smu"], cell.ports["eis"]
        lines = rig.config.read_text(encoding="utf-8").splitlines()
        at = lines.index("[channels.A1]") + 1
        lines.insert(at, 'switch = { instrument = "matrix", source_route = "A1-smu", impedance_route = "A1-eis" }')
        lines += [
            "[instruments.matrix]",
            'driver = "modbus-relays"',
            f'address = "{board.address}"',
            "[instruments.matrix.settings]",
            'read_back = "inputs"',
            "settle_s = 0.0",
            "timeout_s = 0.7",
            'routes.A1-smu = { cell = "A1", to = "smu", relays = [1, 2] }',
            'routes.A1-eis = { cell = "A1", to = "eis", relays = [3, 4] }',
        ]
        rig.config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        assert tomllib.loads(rig.config.read_text(encoding="utf-8"))["channels"]["A1"]["switch"]
        yield Switched(rig, board, cell)


def begin(live: Live, *steps: str) -> str:
    return live.client.start("A1", protocol(*steps), CELL, "tester").run_id


def ended(live: Live, run_id: str, within_s: float = 30.0) -> RunState:
    wait_until(lambda: live.client.run(run_id).ended is not None, within_s, f"for the end; {live.channel()}")
    return live.client.run(run_id).state


def test_a_sweep_is_measured_at_the_analyser_and_the_run_goes_on_at_the_source(switched: Switched) -> None:
    with switched.rig.station() as live:
        run_id = begin(live, *STEPS)
        assert ended(live, run_id) is RunState.FINISHED
        spectra = live.station.archive.spectra(run_id)
        columns = live.client.series(run_id, ["voltage_V"]).columns
        assert "matrix" in live.channel().instruments
    o = frozenset()
    deduplicated = [
        one for one, before in zip(switched.visited()[1:], switched.visited(), strict=False) if one != before
    ]
    assert deduplicated == [SMU, o, EIS, o, SMU, o]
    assert switched.cell.together == 0
    assert len(spectra) == 1 and 0 < max(spectra[0].real_ohm) < 1e6, "the cell, and not open terminals"
    assert min(value for value in columns["voltage_V"] if value is not None) > 0.1
    assert switched.closed == frozenset(), "nothing runs: the cell is open"


def test_a_board_that_falls_silent_at_the_hand_over_trips_and_the_cell_is_open_when_it_is_back(
    switched: Switched,
) -> None:
    with switched.rig.station() as live:
        begin(live, "rest: {for: 20 s}", *STEPS[1:])
        wait_until(lambda: switched.closed == SMU, what="for the source")
        switched.rig.proxies["matrix"].spoil = swallow
        view = live.wait_for(ChannelState.TRIPPED, within_s=20.0)
        assert "no answer" in view.reason or "not connected" in view.reason
        assert not switched.rig.source.output_is_on
        switched.rig.proxies["matrix"].spoil = None
        wait_until(lambda: "NOT confirmed" not in live.channel().reason, 40.0, "for the open circuit")
        assert switched.closed == frozenset()
    assert switched.cell.together == 0


def test_a_welded_contact_trips_before_the_analyser_has_the_cell(switched: Switched) -> None:
    with switched.rig.station() as live:
        begin(live, "rest: {for: 20 s}", *STEPS[1:])
        wait_until(lambda: switched.closed == SMU, what="for the source")
        switched.board.contacts.welded = {2}
        reason = live.wait_for(ChannelState.TRIPPED, within_s=20.0).reason
        assert "relay 2 reads back closed" in reason and "NOT confirmed open" in reason
        assert not switched.rig.source.output_is_on
    assert EIS not in switched.visited()
    assert switched.cell.together == 0


def test_an_analyser_that_is_lost_in_a_sweep_trips_and_the_cell_is_off_it(switched: Switched) -> None:
    with switched.rig.station() as live:
        begin(live, STEPS[0], "impedance: {from: 1 kHz, to: 10 mHz, amplitude: 10 mV}")
        wait_until(lambda: switched.closed == EIS, 20.0, "for the analyser")
        switched.rig.proxies["eis"].refuse = True
        switched.rig.proxies["eis"].drop()
        live.wait_for(ChannelState.TRIPPED, within_s=30.0)
        wait_until(lambda: switched.closed == frozenset(), 20.0, "for the open cell")
    assert switched.cell.together == 0


def test_the_switch_opens_the_circuit_of_a_source_that_does_not_answer(switched: Switched) -> None:
    with switched.rig.station() as live:
        begin(live, "discharge: {at: 0.1 C, for: 1 h}")
        wait_until(lambda: switched.rig.current_A() < 0.0, what="for a current")
        switched.rig.proxies["smu"].spoil = swallow
        assert "no sample" in live.wait_for(ChannelState.TRIPPED, within_s=20.0).reason
        wait_until(lambda: switched.closed == frozenset(), 20.0, "for the open cell")
        assert switched.rig.current_A() == 0.0, "whatever the source does"
        assert "NOT confirmed" in live.channel().reason, "and it is not known what that is"


def test_stopped_in_the_middle_of_a_sweep_the_cell_is_open(switched: Switched) -> None:
    with switched.rig.station() as live:
        begin(live, STEPS[0], "impedance: {from: 1 kHz, to: 10 mHz, amplitude: 10 mV}")
        wait_until(lambda: switched.closed == EIS, 20.0, "for the analyser")
        live.client.stop("A1", "tester")
        assert switched.closed == frozenset()
    assert switched.cell.together == 0


def test_a_station_that_comes_back_finds_the_cell_and_brings_it_to_the_source(switched: Switched) -> None:
    with switched.rig.station() as live:
        run_id = begin(live, "rest: {for: 60 s}")
        wait_until(lambda: switched.closed == SMU, what="for the source")
    assert switched.closed == frozenset(), "an orderly stop opens the cell"
    with switched.rig.station() as live:
        wait_until(lambda: switched.closed == SMU, what="for the source again")
        live.wait_for(ChannelState.RUNNING)
        assert ended(live, run_id) is RunState.FINISHED
    assert switched.cell.together == 0
