"""Runs on cyclers that keep their procedures: a Maccor and an Arbin, wired to simulated cells, over sockets."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from calibration.record import Calibration
from drivers.interface import Protection
from drivers.maccor import MaccorMacNet
from drivers.simulated.arbin import VirtualArbin
from drivers.simulated.cell import Format, SensorParameters, SimulatedCell, silicon_lfp_cell
from drivers.simulated.clock import ScaledClock
from drivers.simulated.keithley_daq6510 import VirtualKeithleyDaq6510
from drivers.simulated.maccor import VirtualMaccor
from drivers.simulated.solartron import VirtualSolartron
from drivers.simulated.stored_procedure import Mode, State, StoredProcedure, StoredStep
from drivers.simulated.switches import SharedPort, SwitchedCell, VirtualModbusRelays
from drivers.testing import FaultProxy
from protocols.limits import Limits
from station import procedure_channel
from station.client import Client, ClientError
from station.config import read_config
from station.readings import ChannelState, RunState
from station.service import listen, serve
from station.station import Station
from tests.acceptance.bench import TOKEN, change_checkpoint, wait_until
from tests.acceptance.conftest import Live
from tests.calibration_records import made_record, write_record

SPEED = 40.0
CURRENT_A = 2e-3
CYCLE = StoredProcedure(
    (
        StoredStep(Mode.REST, time_s=10.0),
        StoredStep(Mode.CHARGE, CURRENT_A, time_s=60.0),
        StoredStep(Mode.REST, time_s=10.0),
        StoredStep(Mode.DISCHARGE, CURRENT_A, time_s=30.0),
    )
)
PROCEDURES = {"cycle": CYCLE, "long": StoredProcedure((StoredStep(Mode.CHARGE, CURRENT_A, time_s=1e5),))}
CHANNELS = {
    "M1": 'cycler = { instrument = "maccor", channel = "1" }',
    "R1": 'cycler = { instrument = "arbin", channel = "1" }',
}
ROUTES = {"M1": (1, 2), "R1": (3, 4)}  # relays to the cycler and to the impedance analyser
CELL = (
    "cell: {}\nformat: coin\nactive_mass: 1 mg\nnominal_capacity: 4 mAh\n"
    "limits: {{voltage: [0 V, 4.2 V], current: 20 mA}}\n"
)


@dataclass
class Bench:
    """The cells are those of channels M1 and R1 (stored procedures) and D2 (direct mode)."""

    folder: Path
    cells: dict[str, SimulatedCell]
    maccor: VirtualMaccor
    arbin: VirtualArbin
    proxies: dict[str, FaultProxy]
    switched: dict[str, SwitchedCell]
    board: VirtualModbusRelays
    config: Path

    def tester(self, channel: str) -> State:
        return (self.maccor if channel == "M1" else self.arbin).channels[0].show().state

    def current_A(self, channel: str) -> float:
        return self.cells[channel].state().current_A

    @contextlib.contextmanager
    def station(self) -> Iterator[Live]:
        listener = listen("127.0.0.1", 0)
        station = Station(read_config(self.config))
        thread = threading.Thread(target=serve, args=(station, listener, TOKEN), daemon=True)
        thread.start()
        with Client(f"http://127.0.0.1:{listener.getsockname()[1]}", TOKEN) as client:
            live = Live(station, client, thread)
            wait_until(lambda: live.channel("R1").resistance_ohm is not None, what="for the bench")
            try:
                yield live
            finally:
                if thread.is_alive():
                    live.shut_down()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    epoch = time.time()
    clock, parameters = ScaledClock(SPEED, epoch), silicon_lfp_cell(Format.COIN)
    cells = {name: SimulatedCell(parameters, clock, seed) for seed, name in enumerate(("M1", "R1", "D2"))}
    sensors = {101: cells["M1"], 102: cells["R1"]}
    board = VirtualModbusRelays(relay_count=4)
    switched = {
        name: SwitchedCell(cells[name], board.contacts, {"cycler": (one,), "eis": (other,)})
        for name, (one, other) in ROUTES.items()
    }
    at_maccor, at_arbin = (switched[name].ports["cycler"] for name in ROUTES)
    shared = SharedPort([one.ports["eis"] for one in switched.values()])
    with (
        board,
        VirtualMaccor((at_maccor, cells["D2"]), clock, procedures=PROCEDURES, watchdog_s=60.0 * SPEED) as maccor,
        VirtualArbin((at_arbin,), clock, schedules=PROCEDURES, user="me", password="it") as arbin,
        VirtualKeithleyDaq6510(sensors, clock=clock) as scanner,
        VirtualSolartron(shared, clock) as eis,
        FaultProxy(maccor.port) as to_maccor,
        FaultProxy(arbin.port) as to_arbin,
    ):
        proxies = {"M1": to_maccor, "R1": to_arbin}
        for name in ("cells", "protocols", "calibrations"):
            (tmp_path / name).mkdir()
        for name in cells:
            (tmp_path / "cells" / f"cell-{name}.yaml").write_text(CELL.format(f"cell-{name}"), encoding="utf-8")
        for name in proxies:
            write_record(tmp_path / "calibrations", calibration(name, parameters.sensor))
        config = tmp_path / "station.toml"
        config.write_text(
            "\n".join(
                (
                    '[station]\npoll = "0.2 s"\nlost_after = "5 s"\nport = 0',
                    f"[simulation]\nspeed = {SPEED}\nepoch = {epoch!r}",
                    _instrument("maccor", "maccor-macnet", to_maccor.address(maccor.resource), timeout_s=1.0),
                    _instrument("direct", "maccor-direct", maccor.address, channel=2, watchdog_s=60.0),
                    _instrument("arbin", "arbin-cti", to_arbin.address(arbin.resource), user="me", password="it"),
                    _instrument("scanner", "keithley-daq6510", scanner.address),
                    _instrument("eis", "solartron-1260-1287", eis.address, speed=SPEED, write_wait_s=0.0),
                    _instrument("matrix", "modbus-relays", board.address, relay_count=4, settle_s=0.0),
                    *_routes(),
                    *_channels(),
                    '[channels.D2]\nsource = "direct"',
                )
            ),
            encoding="utf-8",
        )
        yield Bench(tmp_path, cells, maccor, arbin, proxies, switched, board, config)


def calibration(name: str, sensor: SensorParameters) -> Calibration:
    """The sensor's true response."""
    return made_record(
        f"mfsr-{name}",
        a=sensor.anchor_ohm * (sensor.anchor_Pa * sensor.area_m2) ** sensor.exponent,
        b=sensor.exponent,
        area_m2=sensor.area_m2,
        force_N=(1.0, 400.0),
    )


def _instrument(name: str, driver: str, address: str, **settings: object) -> str:
    lines = [f'[instruments.{name}]\ndriver = "{driver}"\naddress = "{address}"', f"[instruments.{name}.settings]"]
    return "\n".join((*lines, *(f"{key} = {json.dumps(value)}" for key, value in settings.items())))


def _routes() -> Iterator[str]:
    for name, (one, other) in ROUTES.items():
        yield f'routes.{name}-cycler = {{ cell = "{name}", to = "place {name}", relays = [{one}] }}'
        yield f'routes.{name}-eis = {{ cell = "{name}", to = "eis", relays = [{other}] }}'


def _channels() -> Iterator[str]:
    for number, (name, cycler) in enumerate(CHANNELS.items(), start=101):
        routes = f'source_route = "{name}-cycler", impedance_route = "{name}-eis"'
        yield f'[channels.{name}]\n{cycler}\nimpedance = "eis"\nswitch = {{ instrument = "matrix", {routes} }}'
        yield f'sensor = {{ meter = "scanner", channel = {number}, name = "mfsr-{name}" }}'


def protocol(procedure: str, limits: str = "") -> str:
    watched = f"limits: {{{limits}}}\n" if limits else ""
    return f"protocol: Stored\nrecord: {{every: 2 s}}\n{watched}steps:\n  - procedure: {procedure}\n"


def begin(live: Live, channel: str, text: str) -> str:
    return live.client.start(channel, text, f"cell-{channel}", "tester").run_id


def test_stored_procedures_become_runs_with_steps_charge_and_pressure(bench: Bench) -> None:
    before_C = {name: bench.cells[name].state().charge_passed_C for name in CHANNELS}
    with bench.station() as live:
        runs = {name: begin(live, name, protocol("cycle")) for name in CHANNELS}
        for name, run_id in runs.items():
            wait_until(lambda: live.client.run(run_id).ended is not None, 20.0, f"for the end of {name}")  # noqa: B023
        archive = live.station.archive
        found = {name: (archive.run(run), archive.steps(run), archive.frame(run)) for name, run in runs.items()}
    charge_Ah = CURRENT_A * 60.0 / 3600
    for name, (run, steps, frame) in found.items():
        assert (run.state, run.cell) == (RunState.FINISHED, f"cell-{name}")
        assert [step.kind for step in steps] == ["rest", "charge", "rest", "discharge"]
        assert [step.end_time - step.start_time for step in steps] == pytest.approx([10.0, 60.0, 10.0, 30.0], abs=10.0)
        capacities_Ah = [step.capacity_Ah for step in steps]
        assert capacities_Ah == pytest.approx([0.0, charge_Ah, 0.0, -charge_Ah / 2], abs=charge_Ah / 6)
        passed_Ah = (bench.cells[name].state().charge_passed_C - before_C[name]) / 3600
        assert frame["net_capacity_Ah"].iloc[-1] == pytest.approx(passed_Ah, abs=charge_Ah / 6)
        assert frame["sequence"].tolist() == list(range(1, len(frame) + 1))
        assert frame["test_time_s"].is_monotonic_increasing and frame["test_time_s"].is_unique
        assert frame["pressure_Pa"].notna().mean() > 0.9
        assert frame["step_name"].iloc[-1] == ("4 discharge" if name == "M1" else "[1] 4: Step_D, Discharge")


def test_between_two_procedures_the_cell_is_measured_at_the_analyser(bench: Bench) -> None:
    before_C = {name: bench.cells[name].state().charge_passed_C for name in CHANNELS}
    text = "".join(
        f"  - {step}\n"
        for step in ("procedure: cycle", "impedance: {from: 1 kHz, to: 10 Hz, amplitude: 10 mV}", "procedure: cycle")
    )
    with bench.station() as live:
        head = "protocol: Stored\nrecord: {every: 2 s}\nsteps:\n"
        runs = {name: begin(live, name, head + text) for name in CHANNELS}
        for name, run_id in runs.items():
            wait_until(lambda: live.client.run(run_id).ended is not None, 40.0, f"for {name}; {live.channel(name)}")  # noqa: B023
        archive = live.station.archive
        found = {name: (archive.run(run), archive.steps(run), archive.frame(run)) for name, run in runs.items()}
        spectra = {name: archive.spectra(run) for name, run in runs.items()}
    for name, (run, steps, frame) in found.items():
        assert run.state is RunState.FINISHED, run.reason
        driven = [(step.kind, step.cycle) for step in steps if step.kind != "rest"]  # a busy machine misses short rests
        first, second = [("charge", 1), ("discharge", 1)], [("charge", 2), ("discharge", 2)]
        assert driven == [*first, ("impedance", 1), *second], "cycles go on over the sweep"
        (sweep,) = [step.step for step in steps if step.kind == "impedance"]
        assert len(spectra[name]) == 1 and all(0.0 < ohm < 1e4 for ohm in spectra[name][0].real_ohm)
        assert frame["sequence"].tolist() == list(range(1, len(frame) + 1))
        assert frame["test_time_s"].is_monotonic_increasing and frame["test_time_s"].is_unique
        blank = frame["voltage_V"].isna()
        assert set(frame[blank]["step"]) <= {sweep} and frame[blank]["pressure_Pa"].notna().all()
        passed_Ah = (bench.cells[name].state().charge_passed_C - before_C[name]) / 3600
        assert frame["net_capacity_Ah"].iloc[-1] == pytest.approx(passed_Ah, abs=CURRENT_A * 60.0 / 3600 / 2)
        assert bench.switched[name].together == 0
    assert bench.maccor.channels[0].starts == bench.arbin.channels[0].starts == 2


@pytest.mark.parametrize("channel", ["M1", "R1"])
def test_a_limit_of_pressure_stops_the_cycler_alone(bench: Bench, channel: str) -> None:
    with bench.station() as live:
        wait_until(lambda: live.channel(channel).pressure_Pa is not None, what="for a pressure")
        run_id = begin(live, channel, protocol("long", "pressure: {above: 100 MPa}"))
        wait_until(lambda: bench.current_A(channel) > 1e-3, what="for a current")
        watched = live.station.channels[channel]
        watched.limits = watched.limits.narrowed_by(Limits(pressure_max_Pa=1e3), "the test")
        assert "pressure" in live.wait_for(ChannelState.TRIPPED, channel).reason
        wait_until(lambda: bench.current_A(channel) == 0.0, what="for the circuit to open")
        live.client.clear_trip(channel, "tester")
        assert live.client.run(run_id).state is RunState.TRIPPED


@pytest.mark.parametrize("channel", ["M1", "R1"])
def test_a_station_that_is_gone_for_a_while_goes_on_with_the_run(bench: Bench, channel: str) -> None:
    with bench.station() as live:
        run_id = begin(live, channel, protocol("long"))
        wait_until(lambda: bench.current_A(channel) > 1e-3, what="for a current")
        live.shut_down()
    assert bench.tester(channel) is State.RUNNING, "it goes on alone"
    time.sleep(3.0)
    with bench.station() as live:
        wait_until(lambda: live.channel(channel).state is ChannelState.RUNNING)
        known = live.client.run(run_id).readings
        wait_until(lambda: live.client.run(run_id).readings > known + 3, what="for readings")
        live.client.stop(channel, "tester")
        assert bench.current_A(channel) == 0.0
        frame = live.station.archive.frame(run_id)
    passed_Ah = bench.cells[channel].state().charge_passed_C / 3600
    unseen_Ah = CURRENT_A * SPEED * 1.0 / 3600  # between the last look and the end of a stop, on a busy machine
    assert frame["net_capacity_Ah"].iloc[-1] == pytest.approx(passed_Ah, abs=unseen_Ah), "what was passed meanwhile too"
    assert bench.tester(channel) is not State.RUNNING
    tester = bench.maccor if channel == "M1" else bench.arbin
    assert tester.channels[0].starts == 1


@pytest.mark.parametrize(("channel", "has_started"), [("M1", False), ("M1", True), ("R1", False)])
def test_a_station_that_died_at_the_start_of_the_second_procedure_finds_what_became_of_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, channel: str, has_started: bool
) -> None:
    monkeypatch.setattr(procedure_channel, "LONGEST_START_S", 1.5)
    sweep = "impedance: {from: 1 Hz, to: 1 mHz, amplitude: 10 mV}"
    text = f"protocol: Stored\nrecord: {{every: 2 s}}\nsteps: [procedure: cycle, {sweep}, procedure: cycle]\n"
    with bench.station() as live:
        run_id = begin(live, channel, text)
        wait_until(lambda: bench.switched[channel].reaches("eis"), 30.0, "for the sweep")
    label = f"cell-{channel}_{run_id}_3"
    change_checkpoint(bench.folder, run_id, doing="starting", part=2, label=label, begun=False)
    if has_started:
        bench.board._switch(ROUTES[channel][0] - 1, True)
        with MaccorMacNet(bench.maccor.address) as maccor:
            maccor.start_procedure("1", "cycle", label, Protection(0.0, 4.2, 0.02))
    with bench.station() as live:
        wait_until(lambda: live.client.run(run_id).ended is not None, 40.0, f"for the end; {live.channel(channel)}")
        assert live.client.run(run_id).state is RunState.FINISHED
        assert live.said(f"the cycler has test '{label}'" if has_started else "the next part: it is started now")
    tester = bench.maccor if channel == "M1" else bench.arbin
    assert tester.channels[0].starts == 2, "not once more"
    assert bench.switched[channel].together == 0


def test_what_cannot_start_is_told_with_its_line_and_nothing_is_started(bench: Bench) -> None:
    with bench.station() as live:
        with pytest.raises(ClientError, match=r"protocol:4:5: .*there is no procedure 'wombat'"):
            begin(live, "M1", protocol("wombat"))
        with pytest.raises(ClientError, match="0x13: there is no schedule of this name"):
            begin(live, "R1", protocol("wombat"))
        with pytest.raises(ClientError, match="this channel's cycler runs procedures that are stored on it"):
            begin(live, "M1", protocol("cycle").replace("procedure: cycle", "rest: {for: 1 h}"))
        with pytest.raises(ClientError, match="no cycler that runs stored procedures"):
            begin(live, "D2", protocol("cycle"))
        bench.arbin.window_open = True
        with pytest.raises(ClientError, match="someone has the start or resume window open"):
            begin(live, "R1", protocol("cycle"))
        assert bench.tester("M1") is bench.tester("R1") is State.IDLE
        assert live.channel("R1").state is ChannelState.IDLE


@pytest.mark.parametrize("channel", ["M1", "R1"])
def test_a_silent_cycler_ends_nothing_and_one_stopped_by_hand_ends_the_run(bench: Bench, channel: str) -> None:
    with bench.station() as live:
        run_id = begin(live, channel, protocol("long"))
        wait_until(lambda: bench.current_A(channel) > 1e-3, what="for a current")
        bench.proxies[channel].refuse = True
        bench.proxies[channel].drop()
        wait_until(lambda: live.said("a running test goes on alone"))
        bench.proxies[channel].refuse = False
        wait_until(lambda: live.said("the cycler answers again"))
        assert live.channel(channel).state is ChannelState.RUNNING
        tester = (bench.maccor if channel == "M1" else bench.arbin).channels[0]
        tester.suspend()
        live.wait_for(ChannelState.PAUSED, channel)
        live.client.resume(channel, "tester")
        live.wait_for(ChannelState.RUNNING, channel)
        tester.suspend()
        tester.clear()
        wait_until(lambda: live.client.run(run_id).state is RunState.STOPPED)
        assert "stopped at the cycler" in live.client.run(run_id).reason


def test_direct_mode_runs_a_protocol_that_the_station_steps(bench: Bench) -> None:
    text = (
        "protocol: Direct\nrecord: {every: 5 s}\nsteps:\n"
        "  - charge: {at: 2 mA, for: 60 s}\n  - discharge: {at: 2 mA, for: 30 s}\n  - rest: {for: 10 s}\n"
    )
    with bench.station() as live:
        run_id = begin(live, "D2", text)
        wait_until(lambda: live.client.run(run_id).ended is not None, 20.0, f"for the end; {live.channel('D2')}")
        steps = live.station.archive.steps(run_id)
        assert live.client.run(run_id).state is RunState.FINISHED, live.client.run(run_id).reason
    assert [step.kind for step in steps] == ["charge", "discharge", "rest"]
    passed_Ah = bench.cells["D2"].state().charge_passed_C / 3600
    assert sum(step.capacity_Ah for step in steps) == pytest.approx(passed_Ah, abs=CURRENT_A * 10.0 / 3600)
    assert steps[0].capacity_Ah > -steps[1].capacity_Ah > 0.0
    assert bench.current_A("D2") == 0.0
    assert bench.maccor.channels[1].show().state is State.SUSPENDED
