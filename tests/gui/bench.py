"""A bench that never was: Si‖Li half-cells whose every quantity is a formula of the test time."""

from __future__ import annotations

import datetime
import time
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gui.reduce import thin
from station.readings import (
    CellView,
    ChannelState,
    ChannelView,
    CycleView,
    EventView,
    Level,
    MarkerEvent,
    ProtocolView,
    RunState,
    RunView,
    SeriesView,
    SpectrumView,
    StationView,
)

Array = NDArray[np.float64]
RECORD_EVERY_S = 30.0
REST_S = 600.0
HALF_CYCLE_S = 5 * 3600.0


@dataclass
class Run:
    """Cycles of lithiation (discharge, V falls to 20 mV) and delithiation (charge) with rests between."""

    run_id: str
    channel: str
    cell: str
    protocol: str
    test_time_s: float  # when the bench was made
    capacity_Ah: float = 4.2e-3
    mass_g: float = 1.4e-3
    planned: int = 300
    sensor: bool = True
    live: bool = True
    marked: dict[int, float] = field(default_factory=dict)  # more markers: number and test time
    state: RunState = RunState.RUNNING

    @cached_property
    def capacities(self) -> tuple[Array, Array]:
        """Discharge and charge capacity by cycle, in Ah."""
        n = np.arange(1, 2001)
        discharge = self.capacity_Ah * (0.80 + 0.20 * np.exp(-n / 160.0))
        efficiency = 0.9985 - 0.115 * np.exp(-(n - 1) / 1.2) + 0.0004 * np.sin(n * 1.7)
        return discharge, discharge * efficiency

    @cached_property
    def edges(self) -> Array:
        """Test times at which steps begin: discharge, rest, charge, rest, four to a cycle."""
        discharge, charge = (Q / self.capacity_Ah * HALF_CYCLE_S for Q in self.capacities)
        rests = np.full_like(discharge, REST_S)
        steps = np.stack([discharge, rests, charge, rests], axis=1).ravel()
        return np.concatenate([[0.0], np.cumsum(steps)])

    def at(self, t: Array) -> dict[str, Array]:
        step = np.clip(np.searchsorted(self.edges, t, side="right") - 1, 0, len(self.edges) - 2)
        cycle, kind = step // 4, step % 4
        x = np.clip((t - self.edges[step]) / (self.edges[step + 1] - self.edges[step]), 0, 1)
        down, up = self.capacities
        current = np.select([kind == 0, kind == 2], [-1.0, 1.0], 0.0) * self.capacity_Ah / (HALF_CYCLE_S / 3600)
        wobble = np.sin(t / 7.3) + np.sin(t / 2.9 + 1) + np.sin(t / 41.0)
        falling = 0.02 + 0.20 * (1 - x) ** 1.3 + 0.75 * np.exp(-x / 0.025)
        rising = 0.20 + 0.28 * x**0.8 + 1.52 * np.exp(-(1 - x) / 0.03)
        voltage = np.select(
            [kind == 0, kind == 1, kind == 2], [falling, 0.02 + 0.12 * (1 - np.exp(-6 * x)), rising], 2.0 - 0.9 * x**0.3
        )
        filling = np.select([kind == 0, kind == 1, kind == 2], [x, np.ones_like(x), 1 - x], np.zeros_like(x))
        pressure = 182e3 + 900.0 * cycle**0.8 + 395e3 * filling**1.15 + 900.0 * wobble
        step_Q = np.select([kind == 0, kind == 2], [-x * down[cycle], x * up[cycle]], 0.0)
        net = np.select([kind <= 1, kind == 2], [-filling * down[cycle], step_Q - down[cycle]], up[cycle] - down[cycle])
        gap = np.full_like(t, np.nan) if not self.sensor else pressure
        return {
            "test_time_s": t,
            "voltage_V": voltage + 2e-4 * wobble,
            "current_A": current,
            "step": step + 1.0,
            "cycle": cycle + 1.0,
            "step_time_s": t - self.edges[step],
            "step_capacity_Ah": step_Q,
            "net_capacity_Ah": net,
            "pressure_Pa": gap,
            "pressure_U_Pa": gap * 0.02 + 6e3,
            "resistance_ohm": 2.1e9 / gap,
            "temperature_degC": 25.0 + 0.1 * wobble,
        }

    def series(
        self, now_s: float, columns: list[str], since: float, until: float, cycle: int | None, rows: int
    ) -> SeriesView:
        if cycle is not None:
            since, until = self.edges[4 * (cycle - 1)], self.edges[4 * cycle]
        until = min(until, now_s)
        since = min(max(0.0, since), until)
        count = max(1, min(max(rows, 24_000), int((until - since) / RECORD_EVERY_S) + 1))
        full = self.at(np.linspace(since, until, count))
        wanted = ["test_time_s", *(name for name in columns if name != "test_time_s")]
        values = dict(zip(wanted, thin(*(full[name] for name in wanted), limit=rows), strict=True))
        return SeriesView(
            run_id=self.run_id,
            columns={name: tuple(None if np.isnan(v) else float(v) for v in values[name]) for name in wanted},
        )

    def cycles(self, now_s: float) -> tuple[CycleView, ...]:
        here = int(self.at(np.array([now_s]))["cycle"][0])
        down, up = self.capacities
        views = []
        for n in range(1, here + 1):
            part = 1.0 if n < here else 0.4
            views.append(
                CycleView(
                    cycle=n,
                    discharge_capacity_Ah=down[n - 1] * part,
                    charge_capacity_Ah=up[n - 1] if n < here else 0.0,
                    coulombic_efficiency=up[n - 1] / down[n - 1] if n < here else None,
                    complete=n < here,
                    pressure_min_Pa=182e3 + 900.0 * n**0.8 if self.sensor else None,
                    pressure_max_Pa=577e3 + 900.0 * n**0.8 if self.sensor else None,
                )
            )
        return tuple(views)

    def markers(self, now_s: float, since_s: float = 0.0) -> tuple[MarkerEvent, ...]:
        """At the beginnings of the first, tenth and fortieth cycle."""
        times = {n: float(self.edges[4 * (n - 1)]) for n in (1, 10, 40)} | self.marked
        return tuple(
            MarkerEvent(f"image {n}", 0.0, time_s, 4 * n, "5.1 discharge", n, 0.5, True)
            for n, time_s in times.items()
            if since_s <= time_s <= now_s
        )

    def spectra(self, now_s: float) -> tuple[SpectrumView, ...]:
        return tuple(
            _spectrum(number, cycle, self.edges[4 * (cycle - 1)])
            for number, cycle in enumerate(range(1, 2000, 10), start=1)
            if self.edges[4 * (cycle - 1)] <= now_s
        )


def _spectrum(number: int, cycle: int, test_time_s: float) -> SpectrumView:
    """A series resistance, an interface and a charge transfer with constant-phase elements, a Warburg tail."""
    f = np.logspace(6, -1, 71)
    s = 2j * np.pi * f
    ageing = 1 + 0.25 * np.log(cycle)
    Z = 4.0 + 22 * ageing / (1 + (s * 2e-5) ** 0.85) + 48 * ageing / (1 + (s * 4e-2) ** 0.8) + 9 / np.sqrt(s)
    return SpectrumView(
        number=number,
        time=time.time(),
        test_time_s=test_time_s,
        cycle=cycle,
        frequency_Hz=tuple(f.tolist()),
        real_ohm=tuple(Z.real.tolist()),
        imaginary_ohm=tuple(Z.imag.tolist()),
    )


PROTOCOLS = (
    ProtocolView(
        name="si-half-cell-long-term",
        title="Li | µm-Si half-cell, long-term cycling with pressure",
        source="Nature Communications 15 (2024) 2263",
        summary=(
            "1. Rest for 4 h",
            "2. Impedance from 1 MHz to 0.1 Hz, 10 mV",
            "3. Discharge at 0.1 C until the voltage falls to 20 mV",
            "4. Charge at 0.1 C until the voltage rises to 2 V",
            "5. 300 times: discharge at 0.2 C to 50 mV, charge at 0.2 C to 2 V, impedance every 10 cycles",
            "Limits: voltage −50 mV … 2.2 V, pressure below 1.5 MPa",
        ),
    ),
    ProtocolView(name="formation", title="Formation, three cycles at 0.05 C", summary=("1. Rest for 12 h", "2. …")),
    ProtocolView(
        name="rate-test",
        title="Rate capability, 0.1 C to 5 C",
        summary=("1. Rest for 1 h", "2. {cycles} times at {rate}"),
        parameters={"cycles": 5, "rate": "0.1 C"},
    ),
)
CELLS = (
    CellView(name="Si-031", chemistry="µm-Si ‖ Li", description="1.40 mg, 1.13 cm², elastic electrolyte"),
    CellView(name="Si-032", chemistry="µm-Si ‖ Li", description="1.38 mg, 1.13 cm², elastic electrolyte"),
    CellView(name="NMC-007", chemistry="NMC811 ‖ Li", description="12.1 mg, 1.13 cm²"),
)
TRIP = "pressure sensor MFSR-12 on daq6510-1 gave no reading for 30 s (overload); the circuit was opened"
OFFLINE = "keithley-3 at TCPIP::10.0.0.23::5025::SOCKET does not answer for 41 s"


@dataclass
class Bench:
    """Channels in every state, on a clock that runs `speed` times as fast as the wall's."""

    count: int = 8
    speed: float = 60.0
    simulated: bool = True
    store: str = "ok"
    test_time_s: float = 48.4 * 10 * 3600
    made: float = field(default_factory=time.time)
    events: list[EventView] = field(default_factory=list)
    questions: dict[str, str] = field(default_factory=dict)  # by channel
    calibration_warnings: dict[str, str] = field(default_factory=dict)  # by channel

    def __post_init__(self) -> None:
        S = ChannelState
        pattern = [S.RUNNING, S.RUNNING, S.PAUSED, S.TRIPPED, S.IDLE, S.RUNNING, S.OFFLINE, S.RUNNING]
        if self.count > len(pattern):
            pattern = [S.RUNNING if s is S.TRIPPED else s for s in pattern]
        self.names = [f"{chr(ord('A') + i // 8)}{i % 8 + 1}" for i in range(self.count)]
        self.states = {name: pattern[i % 8] for i, name in enumerate(self.names)}
        if self.count > 12:
            self.states[self.names[11]] = S.TRIPPED
        self.runs = {
            name: Run(
                run_id=f"2026-03-1{i % 10}-{name}",
                channel=name,
                cell=f"Si-{i + 11:03d}",
                protocol="si-half-cell-long-term",
                test_time_s=self.test_time_s * (1 - 0.11 * (i % 8)) + 5000 * i,
                sensor=i % 8 != 5,
            )
            for i, name in enumerate(self.names)
            if self.states[name] is not S.IDLE
        }
        self.first_states, self.first_runs = dict(self.states), dict(self.runs)
        self._say("started: Li | µm-Si half-cell, long-term cycling with pressure on cell Si-011", "A1", who="m.kato")
        self._say("spectrum 49 measured, 71 points", "A1")
        self._say("pressure sensor MFSR-03 drifts by 3.1 kPa/h at rest", "A2", Level.WARNING)
        self._say("paused by hand", "A3", who="m.kato")
        self._say("keithley-3 does not answer; trying again with back-off", "A7", Level.WARNING)
        for name, state in self.states.items():
            if state is S.TRIPPED:
                self._say(TRIP, name, Level.ALARM)

    def _say(self, text: str, channel: str, level: Level = Level.INFO, who: str = "station") -> EventView:
        number = len(self.events) + 1
        at = self.made - 3600 + 600 * number if number < 7 else time.time()
        run = self.runs.get(channel)
        event = EventView(
            number=number, time=at, level=level, text=text, channel=channel, run_id=run.run_id if run else None, who=who
        )
        self.events.append(event)
        return event

    say = _say

    def elapsed_s(self) -> float:
        return (time.time() - self.made) * self.speed

    def now_s(self, run: Run) -> float:
        return run.test_time_s + (self.elapsed_s() if self.states[run.channel] is ChannelState.RUNNING else 0.0)

    def station(self) -> StationView:
        return StationView(
            name="bench-2",
            version="0.1.0",
            simulated=self.simulated,
            speed=self.speed,
            time=self.made + self.elapsed_s(),
            store=self.store,
            channels=tuple(self.channel(name) for name in self.names),
        )

    def channel(self, name: str) -> ChannelView:
        state, run = self.states[name], self.runs.get(name)
        instruments = ("keithley-1", "daq6510-1")
        if run is None or not run.live:
            return ChannelView(
                name=name,
                state=state,
                voltage_V=2.7143,
                current_A=0.0,
                instruments=instruments,
                sensor=f"mfsr-{name}",
                calibration=f"mfsr-{name} v3",
                calibration_warning=self.calibration_warnings.get(name, ""),
            )
        t = self.now_s(run)
        here = {key: float(value[0]) for key, value in run.at(np.array([t])).items()}
        kind = int(here["step"] - 1) % 4
        reason = {ChannelState.TRIPPED: TRIP, ChannelState.OFFLINE: OFFLINE}.get(state, "")
        gone = state is ChannelState.OFFLINE
        sensor = run.sensor and state not in (ChannelState.OFFLINE, ChannelState.TRIPPED)
        flowing = state is ChannelState.RUNNING
        return ChannelView(
            name=name,
            state=state,
            reason=reason,
            cell=run.cell,
            protocol=run.protocol,
            run_id=run.run_id,
            step_name=f"5.{kind + 1} {('discharge', 'rest', 'charge', 'rest')[kind]}",
            cycle=int(here["cycle"]),
            cycles_planned=run.planned,
            time=self.made + self.elapsed_s(),
            test_time_s=t,
            step_time_s=here["step_time_s"],
            voltage_V=None if gone else here["voltage_V"],
            current_A=None if gone else here["current_A"] if flowing else 0.0,
            step_capacity_Ah=here["step_capacity_Ah"],
            specific_capacity_mAh_g=abs(here["step_capacity_Ah"]) * 1e3 / run.mass_g,
            resistance_ohm=here["resistance_ohm"] if sensor else None,
            pressure_Pa=here["pressure_Pa"] if sensor else None,
            pressure_U_Pa=here["pressure_U_Pa"] if sensor else None,
            temperature_degC=here["temperature_degC"],
            question=self.questions.get(name) if flowing else None,
            instruments=instruments,
            calibration=f"mfsr-{name} v3" if run.sensor else None,
            calibration_expires=datetime.date(2027, 1, 31) if run.sensor else None,
            calibration_warning=self.calibration_warnings.get(name, ""),
        )

    def run_view(self, run: Run) -> RunView:
        t = self.now_s(run)
        return RunView(
            run_id=run.run_id,
            channel=run.channel,
            cell=run.cell,
            protocol=run.protocol,
            state=run.state,
            started=self.made - run.test_time_s,
            simulated=self.simulated,
            active_mass_g=run.mass_g,
            readings=int(t / RECORD_EVERY_S),
            cycles=len(run.cycles(t)),
        )

    def find(self, run_id: str) -> Run | None:
        return next((run for run in self.runs.values() if run.run_id == run_id), None)
