"""The station: puts the configured parts together and keeps them going."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import difflib
import importlib.metadata
import itertools
import logging
import platform
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from calibration.record import Calibration
from calibration.registry import Registry
from drivers.interface import (
    Chamber,
    ImpedanceSource,
    Instrument,
    NoReading,
    PressureFrame,
    ProcedureCycler,
    ProgramCycler,
    ResistanceMeter,
    Source,
    Switch,
    Thermometer,
    TriggerOutput,
)
from drivers.registry import DRIVERS, open_instrument
from drivers.simulated.clock import Clock, ScaledClock, SteadyClock
from protocols import library
from protocols.cell import read_cell
from protocols.compile import Protocol, read_protocol
from protocols.document import DocumentError
from protocols.program import ChamberTemperature, Kind
from station import cautions
from station.calibrating import Desk
from station.cell_events import in_words, loaded_since
from station.cell_orders import CellEventOrder, make_event
from station.channel import Channel, ChannelError, Surroundings
from station.config import (
    ChannelSection,
    CyclerSection,
    InstrumentSection,
    StationConfig,
    SwitchBinding,
    has_capability,
)
from station.conversion import Conversion
from station.cycler_channel import CyclerChannel
from station.cycler_feed import CyclerFeed, feed_period_s, read_procedures, read_programs
from station.environment import Environment, Gauge, watch
from station.handover import Handover
from station.host_channel import HostChannel
from station.journal import Journal
from station.leaving import ChamberToLeave, hold_runs, leave
from station.procedure_channel import ProcedureChannel
from station.readings import (
    CellEvent,
    CellEventKind,
    CellView,
    ChannelState,
    Level,
    ProtocolView,
    RunState,
    RunView,
    StationView,
)
from station.run import Request, Run, prepare, revive, snapshot
from station.safety import LimitsInForce
from station.sensors import Sensor, scan
from station.store import Archive, Batch, StoreError, Writer, upgrade
from station.watched_folder import WatchedChannel
from station.workers import Worker

log = logging.getLogger(__name__)
VERSION = importlib.metadata.version("cellstation")
LONGEST_SILENT_START_S = 5.0  # then the service answers, and says what it waits for
MOST_IN_MEMORY = 20_000  # batches that wait because neither database nor spool can be written
I = TypeVar("I", bound=Instrument)  # noqa: E741


class Station:
    """One bench. Build it, `await open()`, and `await close()` it in the end."""

    def __init__(self, config: StationConfig) -> None:
        self.config = config
        self.clock = _clock(config)
        section = config.station
        upgrade(section.database)
        self.writer = Writer(section.database, section.spool)
        self.archive = Archive(section.database)
        self.journal = Journal(self.writer, self.clock)
        self._workers = {
            name: Worker(name, _opener(name, instrument)) for name, instrument in config.instruments.items()
        }
        self._feeds: dict[str, CyclerFeed[Any, Any]] = {}
        self.calibrations = Registry(section.calibrations)
        self._sensors: list[Sensor] = []
        self._thermometers: dict[str, Gauge] = {}
        self._frames: dict[str, Gauge] = {}
        self._around = Surroundings(
            self.clock,
            self.writer,
            self.journal,
            section.poll,
            section.lost_after,
            LimitsInForce().narrowed_by(section.limits.limits(), "the station"),
            section.lend_within,
        )
        self.channels = {name: self._channel(name, channel) for name, channel in config.channels.items()}
        self.calibrating = Desk(
            config, self.clock, self.journal, self._workers, self.channels, self.calibrations, self.calibrated
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._run_ids: set[str] = set()  # given out by this process
        self._ready = False

    # --- life

    async def open(self) -> None:
        """Take up the runs that were on, and start sampling; goes on alone where the database lets it wait."""
        beginning = self._keep_going(self._begin(), "begin")
        await asyncio.wait({beginning}, timeout=LONGEST_SILENT_START_S)

    async def _begin(self) -> None:
        """Wait for the database: it knows what was running, and a run that begins must be written down."""
        said = False
        while self.writer.trouble is not None or self.writer.backlog:
            if not said:
                log.error("waiting for the database before anything is touched: %s", self.writer.trouble or "writing")
            said = True
            await asyncio.sleep(0.5)
        await asyncio.to_thread(self._take_up)
        for meter in {sensor.meter for sensor in self._sensors}:
            sensors = [sensor for sensor in self._sensors if sensor.meter == meter]
            worker = self._worker(meter, ResistanceMeter)  # type: ignore[type-abstract]
            self._keep_going(scan(worker, sensors, self.clock, self.config.station.poll, self.journal), f"scan {meter}")
        self._watch_surroundings()
        for name, feed in self._feeds.items():
            vendor_s = float(getattr(DRIVERS[self.config.instruments[name].driver], "poll_period_s", 1.0))
            self._keep_going(feed.loop(feed_period_s(vendor_s, self.clock.speed)), f"feed {name}")
        for channel in self.channels.values():
            self._keep_going(channel.loop(), f"channel {channel.name}")
        self._keep_going(self._watch_store(), "watch over the store")
        self.journal.say(Level.INFO, f"station '{self.config.station.name}' is up, version {VERSION}")
        self._ready = True

    def _watch_surroundings(self) -> None:
        period_s = self.config.station.poll
        for name, gauge in self._thermometers.items():
            thermometer = self._worker(name, Thermometer)  # type: ignore[type-abstract]
            reading = watch(thermometer, _temperature_degC, gauge, self.clock, period_s, self.journal)
            self._keep_going(reading, f"temperature of {name}")
        for name, gauge in self._frames.items():
            frame = self._worker(name, PressureFrame)  # type: ignore[type-abstract]
            reading = watch(frame, _pressure_Pa, gauge, self.clock, period_s, self.journal)
            self._keep_going(reading, f"pressure of {name}")

    async def close(self) -> None:
        """An orderly end: sources are opened and confirmed, runs stay to be taken up, chambers go where it is safe."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.calibrating.close()
        chambers = self._chambers_to_leave() if self._ready else []
        await hold_runs(chambers)
        await asyncio.gather(*(channel.shut_down() for channel in self.channels.values()), return_exceptions=True)
        await leave(chambers, self.journal)
        self.journal.say(Level.INFO, "the station is shut down")
        await asyncio.gather(*(worker.close() for worker in self._workers.values()), return_exceptions=True)
        await asyncio.to_thread(self.writer.flush, 5.0)
        await asyncio.to_thread(self.writer.close)

    def _chambers_to_leave(self) -> list[ChamberToLeave]:
        """Those whose settings state a safe temperature, and that some channel is in."""
        found: list[ChamberToLeave] = []
        for name in dict.fromkeys(section.chamber for section in self.config.channels.values() if section.chamber):
            safe_degC = self.config.instruments[name].settings.get("safe_temperature_degC")
            if safe_degC is not None:
                sections = self.config.channels.items()
                inside = tuple(self.channels[channel] for channel, section in sections if section.chamber == name)
                worker = self._worker(name, Chamber)  # type: ignore[type-abstract]
                found.append(ChamberToLeave(worker, float(safe_degC), inside))
        return found

    async def _watch_store(self) -> None:
        """Where data can be kept nowhere but in memory for long, nothing more is measured that could be lost."""
        while True:
            await asyncio.sleep(1.0)
            if self.writer.in_memory < MOST_IN_MEMORY:
                continue
            for channel in self.channels.values():
                if channel.state is ChannelState.RUNNING:
                    with contextlib.suppress(ChannelError):  # a cycler that runs alone keeps its own data
                        await channel.pause("the station: its data cannot be stored")

    def _take_up(self) -> None:
        for stored, checkpoint in self.archive.open_runs():
            channel = self.channels.get(stored.channel)
            if channel is None:
                self.journal.say(
                    Level.ALARM,
                    f"run {stored.run_id} was on in channel {stored.channel}, which is not configured any more",
                    run_id=stored.run_id,
                )
                continue
            if isinstance(channel, WatchedChannel):
                continue  # an import that the station died in: it is done again from its file
            try:
                channel.restore(revive(stored), checkpoint)
            except DocumentError as error:
                self.journal.say(
                    Level.ALARM, f"run {stored.run_id} cannot be taken up: {error}", channel=stored.channel
                )

    def _keep_going(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._ended)
        self._tasks.append(task)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A loop never ends by itself: what ended it is a mistake of ours, and the channel says so loudly."""
        if task.cancelled() or (error := task.exception()) is None:
            return
        log.error("%s ended", task.get_name(), exc_info=error)
        self.journal.say(Level.ALARM, f"internal error in {task.get_name()}: {error!r}; stop the run and restart")
        name = task.get_name().removeprefix("channel ")
        if name in self.channels:
            rescue = asyncio.create_task(self.channels[name].rescue(f"internal error: {error!r}"))
            self._tasks.append(rescue)

    # --- runs

    async def start(self, channel_name: str, request: Request, who: str) -> RunView:
        """Check everything, write the snapshot, then begin; raises before anything is touched."""
        channel = self.channel(channel_name)
        if not self._ready:
            raise ChannelError(
                f"the station is starting and waits for its database: {self.writer.trouble or 'writing'}"
            )
        channel.require_idle()
        self.calibrating.require_out_of_press(channel)
        now = self.clock.now()
        run = await asyncio.to_thread(prepare, self._new_run_id(now, channel_name), channel_name, request, now)
        channel.check(run)
        await channel.check_ranges(run)
        run = await asyncio.to_thread(self._with_sensor, channel, run)
        run = replace(run, warnings=(*run.warnings, *self._shared_chamber(channel, run)))
        await channel.start(run, snapshot(run, self.simulated, self._depends_on(channel_name)), who)
        if self.writer.trouble is None:  # whoever asks for the run next shall find it
            await asyncio.to_thread(self.writer.flush, 2.0)
        return _run_view(run, self.simulated)

    def request(
        self,
        protocol: str,
        cell: str,
        protocol_file: str,
        cell_file: str,
        parameters: dict[str, int | float | str],
        files: dict[str, str],
    ) -> Request:
        """Texts from names: a library protocol, or a file in the station's folders. A text stays what it is.

        `files` are what a protocol text draws on; those of a name are read beside it.
        """
        if "\n" not in protocol:
            path = self._protocol_path(protocol)
            files = dict(read_protocol(path, parameters).files)
            protocol, protocol_file = path.read_text(encoding="utf-8"), str(path)
        if "\n" not in cell:
            path = self._cell_path(cell)
            cell, cell_file = path.read_text(encoding="utf-8"), str(path)
        return Request(protocol, protocol_file, cell, cell_file, parameters, files)

    def channel(self, name: str) -> Channel:
        if name not in self.channels:
            raise KeyError(f"no channel '{name}'{_meant(name, self.channels)}")
        return self.channels[name]

    @property
    def simulated(self) -> bool:
        return self.config.simulation is not None

    def _with_sensor(self, channel: Channel, run: Run) -> Run:
        """With the newest calibration of its sensor, the cell's assembly, and what is to be said of them."""
        sensor = channel.sensor
        if sensor is None:
            return run
        calibration = self.calibrated(sensor.name)
        conversion = Conversion(calibration, self._assembled(run), run.started)
        today, temperatures_degC = cautions.day(run.started), _temperatures_degC(channel, run)
        warnings = cautions.before_run(sensor.name, conversion, run.cell.cell, today, temperatures_degC)
        return replace(run, conversion=conversion, warnings=warnings)

    def _assembled(self, run: Run) -> float | None:
        """A database that is away stops no run: what cannot be read is not known."""
        try:
            return loaded_since(self.archive.cell_events(run.cell.cell), run.started)
        except StoreError as error:
            self.journal.say(Level.WARNING, f"what was done to cell {run.cell.cell} is not known: {error}")
            return None

    async def record_cell_event(self, cell: str, order: CellEventOrder) -> CellEvent:
        """Read the channel's sensor and keep what was done to the cell. Raises `ChannelError`, `CalibrationError`."""
        channel, now = self.channel(order.channel), self.clock.now()
        calibration = None
        if channel.sensor is not None:
            calibration = await asyncio.to_thread(self.calibrated, channel.sensor.name)
        event = make_event(self.cell_name(cell), order, channel, calibration, now)
        self.writer.submit(Batch(cell_events=(event,)))
        channel.say(Level.INFO, in_words(event), event.who)
        if order.kind is CellEventKind.ZERO and event.pressure_Pa is not None:
            channel.say(Level.WARNING, f"without load, sensor {event.sensor} shows {event.pressure_Pa / 1e3:.3g} kPa")
        if self.writer.trouble is None:
            await asyncio.to_thread(self.writer.flush, 2.0)
        return event

    def cell_name(self, given: str) -> str:
        """What a cell calls itself, where it is asked for by the name of its file in the station's folder."""
        path = self.config.station.cells / f"{given}.yaml"
        return read_cell(path).cell if not set(given) & set("/\\") and path.is_file() else given

    def calibrated(self, sensor_name: str) -> Calibration | None:
        """Read the newest calibration of a sensor anew: a run that is on keeps its own.

        Raises `CalibrationError` where its file cannot be used.
        """
        calibration = self.calibrations.newest(sensor_name)
        for sensor in self._sensors:
            if sensor.name == sensor_name:
                sensor.calibrated(calibration)
        return calibration

    # --- what clients see

    def view(self) -> StationView:
        return StationView(
            name=self.config.station.name,
            version=VERSION,
            simulated=self.simulated,
            speed=self.clock.speed,
            time=self.clock.now(),
            store=self.writer.trouble or "ok",
            channels=tuple(channel.view() for channel in self.channels.values()),
        )

    def protocols(self) -> tuple[ProtocolView, ...]:
        """Those of the station's folder and the library; a broken file is left out here, 'protocol check' names it."""
        own = sorted(self.config.station.protocols.glob("*.yaml"))
        found: list[ProtocolView] = []
        for path in (*own, *(library.path(name) for name in library.names())):
            try:
                protocol = read_protocol(path)
            except DocumentError as error:
                log.warning("%s", error)
                continue
            found.append(_protocol_view(path.stem, protocol))
        return tuple(found)

    def protocol(self, name: str, parameters: dict[str, int | float | str]) -> ProtocolView:
        """One of them, in words with these parameters. Raises `DocumentError` where they do not fit, `KeyError`."""
        return _protocol_view(name, read_protocol(self._protocol_path(name), parameters))

    def cells(self) -> tuple[CellView, ...]:
        found: list[CellView] = []
        for path in sorted(self.config.station.cells.glob("*.yaml")):
            try:
                cell = read_cell(path)
            except DocumentError as error:
                log.warning("%s", error)
                continue
            found.append(CellView(name=path.stem, chemistry=cell.chemistry, description=cell.description))
        return tuple(found)

    # --- building

    def _channel(self, name: str, section: ChannelSection) -> Channel:
        limits = section.limits.limits()
        environment = self._environment(section)
        sensor = self._sensor(name, section, environment.temperature)
        if section.cycler is not None:
            return self._cycler_channel(name, section, section.cycler, sensor, environment)
        if section.exports is not None:
            return WatchedChannel(
                name,
                self._around,
                sensor,
                section.exports,
                self.archive,
                self.config.station.cells,
                lambda: self._depends_on(name),
                simulated=self.simulated,
            )
        assert section.source is not None
        source = self._worker(section.source, Source)  # type: ignore[type-abstract]
        impedance, handover = self._impedance(section.impedance), self._handover(section.switch)
        return HostChannel(name, self._around, limits, sensor, source, impedance, environment, handover)

    def _impedance(self, name: str | None) -> Worker[ImpedanceSource] | None:
        return self._worker(name, ImpedanceSource) if name else None  # type: ignore[type-abstract]

    def _handover(self, bound: SwitchBinding | None) -> Handover | None:
        if bound is None:
            return None
        switch = self._worker(bound.instrument, Switch)  # type: ignore[type-abstract]
        return Handover(switch, bound.source_route, bound.impedance_route)

    def _cycler_channel(
        self,
        name: str,
        section: ChannelSection,
        cycler: CyclerSection,
        sensor: Sensor | None,
        environment: Environment,
    ) -> Channel:
        """A cycler is sent whole programs, or told which of its own to run."""
        instrument, position, around = cycler.instrument, cycler.channel, self._around
        limits = section.limits.limits()
        driver = DRIVERS.get(self.config.instruments[instrument].driver)
        if driver is None or not has_capability(driver, ProcedureCycler):
            if instrument not in self._feeds:
                worker = self._worker(instrument, ProgramCycler)  # type: ignore[type-abstract]
                self._feeds[instrument] = CyclerFeed(worker, read_programs)
            impedance, handover = self._impedance(section.impedance), self._handover(section.switch)
            return CyclerChannel(
                name, around, limits, sensor, self._feeds[instrument], position, environment, impedance, handover
            )
        if instrument not in self._feeds:
            self._feeds[instrument] = CyclerFeed(self._worker(instrument, ProcedureCycler), read_procedures)
        feed, holds = self._feeds[instrument], bool(getattr(driver, "holds_protection", False))
        return ProcedureChannel(name, around, limits, sensor, feed, position, environment, holds_protection=holds)

    def _environment(self, section: ChannelSection) -> Environment:
        """The thermometer at the cell, or else the chamber's own; each instrument is read once for all channels."""
        lost_after_s, thermometer = self.config.station.lost_after, section.thermometer or section.chamber
        temperature = pressure = None
        if thermometer is not None:
            new = Gauge("temperature", thermometer, lost_after_s)
            temperature = self._thermometers.setdefault(thermometer, new)
        if section.frame is not None:
            pressure = self._frames.setdefault(section.frame, Gauge("pressure", section.frame, lost_after_s))
        return Environment(
            temperature,
            pressure,
            self._worker(section.chamber, Chamber) if section.chamber else None,  # type: ignore[type-abstract]
            self._worker(section.frame, PressureFrame) if section.frame else None,  # type: ignore[type-abstract]
            self._worker(section.trigger, TriggerOutput) if section.trigger else None,  # type: ignore[type-abstract]
        )

    def _sensor(self, channel_name: str, section: ChannelSection, thermometer: Gauge | None) -> Sensor | None:
        if section.sensor is None:
            return None
        bound = section.sensor
        self._worker(bound.meter, ResistanceMeter)  # type: ignore[type-abstract]
        sensor = Sensor(
            bound.name,
            bound.meter,
            bound.channel,
            self.calibrations.newest(bound.name),
            self.config.station.lost_after,
            thermometer,
            lambda level, text: self.channels[channel_name].say(level, text),
        )
        self._sensors.append(sensor)
        return sensor

    def _worker(self, name: str, capability: type[I]) -> Worker[I]:
        """The instrument's worker; raises where its driver does not have the capability that a channel wants."""
        driver = DRIVERS.get(self.config.instruments[name].driver)
        if driver is not None and not has_capability(driver, capability):
            raise ChannelError(
                f"instrument '{name}': driver '{self.config.instruments[name].driver}' is no {capability.__name__}"
            )
        return self._workers[name]  # type: ignore[return-value]

    def _new_run_id(self, now: float, channel_name: str) -> str:
        stem = f"{datetime.datetime.fromtimestamp(now, datetime.UTC):%Y%m%dT%H%M%S}-{channel_name}"
        numbered = (stem if number == 1 else f"{stem}-{number}" for number in itertools.count(1))
        run_id = next(name for name in numbered if name not in self._run_ids)
        self._run_ids.add(run_id)
        return run_id

    def _protocol_path(self, name: str) -> Path:
        if set(name) & set("/\\"):
            raise KeyError(f"'{name}' is no name of a protocol: those of the station are in one folder")
        own = self.config.station.protocols / f"{name}.yaml"
        if own.is_file():
            return own
        return library.path(name)

    def _cell_path(self, name: str) -> Path:
        path = self.config.station.cells / f"{name}.yaml"
        if not path.is_file():
            known = [p.stem for p in self.config.station.cells.glob("*.yaml")]
            raise KeyError(f"no cell '{name}' in {self.config.station.cells}{_meant(name, known)}")
        return path

    def _shared_chamber(self, channel: Channel, run: Run) -> tuple[str, ...]:
        """A chamber is set for every cell in it."""
        chamber = self.config.channels[channel.name].chamber
        if chamber is None or not any(step.kind is Kind.TEMPERATURE for step in run.program.steps()):
            return ()
        others = [
            name
            for name, section in self.config.channels.items()
            if name != channel.name and section.chamber == chamber and self.channels[name].run is not None
        ]
        return (f"this run sets {chamber}, which the cells of {', '.join(others)} are in too",) if others else ()

    def _depends_on(self, channel_name: str) -> dict[str, object]:
        """What the snapshot keeps beside cell and protocol."""
        return {
            "station": self.config.model_dump(mode="json"),
            "channel": self.config.channels[channel_name].model_dump(mode="json"),
            "versions": {"cellstation": VERSION, "python": platform.python_version(), "system": platform.platform()},
        }


def _opener(name: str, section: InstrumentSection) -> Callable[[], Instrument]:
    return lambda: open_instrument(section.driver, section.address, section.settings, name=name, trace=section.trace)


def _clock(config: StationConfig) -> Clock:
    if config.simulation is None:
        return SteadyClock()
    return ScaledClock(config.simulation.speed, config.simulation.epoch)


def _temperature_degC(instrument: Thermometer) -> float | NoReading:
    return instrument.read_temperature_degC()


def _pressure_Pa(instrument: PressureFrame) -> float | NoReading:
    return instrument.read_pressure_Pa()


def _temperatures_degC(channel: Channel, run: Run) -> list[float]:
    """The cell's now, where there is a thermometer, and those that the run sets."""
    gauge = channel.environment.temperature
    now_degC = gauge.newest if gauge else None
    setpoints = (step.setpoint for step in run.program.steps())
    planned = [setpoint.temperature_degC for setpoint in setpoints if isinstance(setpoint, ChamberTemperature)]
    return planned if now_degC is None else [now_degC, *planned]


def _protocol_view(name: str, protocol: Protocol) -> ProtocolView:
    content = protocol.content
    return ProtocolView(
        name=name,
        title=content.protocol,
        source=content.source,
        summary=protocol.summary(),
        parameters=content.parameters,
    )


def _run_view(run: Run, simulated: bool) -> RunView:
    return RunView(
        run_id=run.run_id,
        channel=run.channel,
        cell=run.cell.cell,
        protocol=run.protocol_name,
        state=RunState.RUNNING,
        started=run.started,
        simulated=simulated,
        active_mass_g=run.cell.active_mass,
        electrode_area_cm2=run.cell.electrode_area,
        warnings=run.warnings,
    )


def _meant(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean '{close[0]}'?" if close else f"; there are: {', '.join(known) or 'none'}"
