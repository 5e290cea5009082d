"""`check --wiring`: the instruments behind the proofs of `station.wiring`.

No current is applied. A source whose output is on, a cycler's channel that runs, and a cell that a switch has at the
impedance instrument are left alone.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from drivers.interface import (
    CyclerState,
    CyclerStatus,
    Instrument,
    InstrumentError,
    NoReading,
    OpenCircuitVoltmeter,
    PressureFrame,
    ProcedureCycler,
    ProcedureStatus,
    ProgramCycler,
    Resistance,
    ResistanceMeter,
    Source,
    Switch,
)
from drivers.registry import DRIVERS, open_instrument
from station.config import ChannelSection, StationConfig
from station.wiring import Outcome, Place, TouchTest, Verdict, compare_voltages

I = TypeVar("I")  # noqa: E741
SCAN_PERIOD_S = 0.2
FRAME_STEP_Pa = 20e3
"""How far a frame is moved: 1 N on half a square centimetre, felt by every sensor and by no cell."""
FRAME_SHARE = 0.1  # of the pressure that is on, at the most


@dataclass
class Wiring:
    """Proves the channels' wiring; `say` tells the person at the bench what to do."""

    config: StationConfig
    say: Callable[[str], None]
    seconds: float = 30.0
    move_frames: bool = False
    _open: dict[str, Instrument] = field(default_factory=dict)
    _seen_V: dict[str, float | str] = field(default_factory=dict)  # by channel, at its own source or cycler

    def check(self, names: list[str]) -> Iterator[Verdict]:
        """One channel after the other, each proof that its instruments allow."""
        try:
            for name in names:
                section = self.config.channels[name]
                for proof in (self._sensor, self._impedance):
                    try:
                        verdict = proof(name, section)
                    except InstrumentError as error:
                        verdict = Verdict(name, proof.__name__.strip("_"), Outcome.UNCLEAR, str(error))
                    if verdict is not None:
                        yield verdict
        finally:
            self._close()

    # --- touch

    def _sensor(self, name: str, section: ChannelSection) -> Verdict | None:
        if section.sensor is None:
            return None
        owners = {
            (each.sensor.meter, each.sensor.channel): other
            for other, each in self.config.channels.items()
            if each.sensor is not None
        }
        test = TouchTest(name, (section.sensor.meter, section.sensor.channel), owners)
        places = list(owners)
        while not test.ready:
            test.feed(self._scan(places))
        if self.move_frames and section.frame is not None:
            with self._frame_moved(name, section.frame):
                return self._watched(test, places)
        self.say(f"Channel {name}: press its cell's sensor with a finger and hold it, within {self.seconds:g} s.")
        return self._watched(test, places)

    def _watched(self, test: TouchTest, places: list[Place]) -> Verdict:
        deadline = time.monotonic() + self.seconds
        while time.monotonic() < deadline:
            if (verdict := test.feed(self._scan(places))) is not None:
                return verdict
            time.sleep(SCAN_PERIOD_S)
        return test.give_up()

    def _scan(self, places: list[Place]) -> dict[Place, Resistance]:
        read: dict[Place, Resistance] = {}
        for meter in dict.fromkeys(meter for meter, _ in places):
            channels = sorted(channel for other, channel in places if other == meter)
            readings = self._instrument(meter, ResistanceMeter).read_resistances(channels)  # type: ignore[type-abstract]
            read |= {(meter, channel): reading for channel, reading in readings.items()}
        return read

    @contextlib.contextmanager
    def _frame_moved(self, name: str, frame_name: str) -> Iterator[None]:
        """A little more pressure, within the channel's own limits, and back again whatever happens."""
        frame = self._instrument(frame_name, PressureFrame)  # type: ignore[type-abstract]
        before_Pa = frame.read_pressure_Pa()
        if isinstance(before_Pa, NoReading):
            raise InstrumentError(f"no pressure to start from ({before_Pa.value})", instrument=frame_name)
        step_Pa = min(FRAME_STEP_Pa, FRAME_SHARE * before_Pa)
        most_Pa = self.config.channels[name].limits.limits().pressure_max_Pa
        if not step_Pa > 0 or before_Pa + step_Pa > most_Pa:
            raise InstrumentError(
                f"{before_Pa / 1e3:.4g} kPa leaves no room to move within the channel's limits", instrument=frame_name
            )
        frame.check_pressure(before_Pa + step_Pa)
        self.say(f"Channel {name}: its frame moves from {before_Pa / 1e3:.4g} by {step_Pa / 1e3:.3g} kPa and back.")
        try:
            frame.set_pressure(before_Pa + step_Pa)
            yield
        finally:
            frame.set_pressure(before_Pa)

    # --- voltage

    def _impedance(self, name: str, section: ChannelSection) -> Verdict | None:
        if section.impedance is None:
            return None
        analyser = self._instrument(section.impedance, Instrument)  # type: ignore[type-abstract]
        if not isinstance(analyser, OpenCircuitVoltmeter):
            text = f"'{section.impedance}' cannot look at a cell's voltage without driving it"
            return Verdict(name, "impedance", Outcome.UNCLEAR, text)
        for other, each in self.config.channels.items():
            if other not in self._seen_V:
                self._seen_V[other] = self._at_own_instrument_V(other, each)
        if isinstance(why := self._seen_V[name], str):
            return Verdict(name, "impedance", Outcome.UNCLEAR, why)
        voltages = {other: volts for other, volts in self._seen_V.items() if isinstance(volts, float)}
        if section.switch is None:
            seen_V, sharing = analyser.read_open_circuit_V(), self._lent_to(section.impedance)
        else:
            with self._closed(section.switch.instrument, section.switch.impedance_route):
                seen_V, sharing = analyser.read_open_circuit_V(), []
        return compare_voltages(name, section.impedance, seen_V, voltages, sharing)

    def _lent_to(self, impedance: str) -> list[str]:
        """Without a switch one instrument is at one of the cells, and nobody but a person moves it."""
        return [name for name, section in self.config.channels.items() if section.impedance == impedance]

    def _at_own_instrument_V(self, name: str, section: ChannelSection) -> float | str:
        """Behind a switch, the cell is brought to its source or cycler for it; in words why not."""
        bound = section.switch
        if bound is None:
            return self._open_circuit_V(section)
        connected = self._instrument(bound.instrument, Switch).connected()  # type: ignore[type-abstract]
        if bound.impedance_route in connected:
            return f"its cell is at the impedance instrument by the switch '{bound.instrument}': it is left there"
        if bound.source_route in connected:
            return self._open_circuit_V(section)
        if isinstance(why := self._open_circuit_V(section), str):  # on, or running: relays do not switch currents
            return why
        with self._closed(bound.instrument, bound.source_route):
            if section.cycler is not None:  # what it shows may be as old as this
                driver = DRIVERS[self.config.instruments[section.cycler.instrument].driver]
                time.sleep(float(getattr(driver, "poll_period_s", 0.0)))
            return self._open_circuit_V(section)

    @contextlib.contextmanager
    def _closed(self, switch_name: str, route: str) -> Iterator[None]:
        """The route closed for the block; the switch refuses where that would bring a cell to two instruments."""
        switch = self._instrument(switch_name, Switch)  # type: ignore[type-abstract]
        switch.connect(route)
        try:
            yield
        finally:
            switch.disconnect(route)

    def _open_circuit_V(self, section: ChannelSection) -> float | str:
        """By the channel's own source or cycler; in words why not."""
        if section.source is not None:
            source = self._instrument(section.source, Source)  # type: ignore[type-abstract]
            if source.output_is_on():
                return "its source's output is on: it is left alone"
            return source.measure().voltage_V
        if section.cycler is None:
            return "its tester is not reached from here"
        cycler = self._instrument(section.cycler.instrument, Instrument)  # type: ignore[type-abstract]
        status = _status(cycler, section.cycler.channel)
        if status.state in (CyclerState.RUNNING, CyclerState.PAUSED, CyclerState.UNKNOWN) or status.measurement is None:
            return f"its cycler's channel is {status.state.value}: it is left alone"
        return status.measurement.voltage_V

    # --- instruments

    def _instrument(self, name: str, capability: type[I]) -> I:
        if name not in self._open:
            section = self.config.instruments[name]
            self._open[name] = open_instrument(
                section.driver, section.address, section.settings, name=name, trace=section.trace
            )
        instrument = self._open[name]
        assert isinstance(instrument, capability)  # the configuration was checked
        return instrument

    def _close(self) -> None:
        """A source that was found on stays on."""
        for instrument in self._open.values():
            with contextlib.suppress(InstrumentError):
                getattr(instrument, "leave", instrument.close)()
        self._open.clear()


def _status(cycler: Instrument, channel: str) -> CyclerStatus | ProcedureStatus:
    if isinstance(cycler, ProcedureCycler):
        return cycler.procedure_status([channel])[channel]
    assert isinstance(cycler, ProgramCycler)  # the configuration was checked
    return cycler.status([channel])[channel]
