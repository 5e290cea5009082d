"""Builds the virtual laboratory from its tables: the cells, and then each instrument around them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from drivers.gateway.backends.fake import FakeBackend
from drivers.simulated.arbin import VirtualArbin
from drivers.simulated.ascii2 import VirtualAscii2
from drivers.simulated.bench import CHAMBER_degC, add_press, solartron_settings
from drivers.simulated.binder import VirtualBinderMb1, VirtualBinderMb2
from drivers.simulated.cell import SimulatedCell
from drivers.simulated.clock import Clock
from drivers.simulated.ea import VirtualEa, VirtualEaModbusTcp
from drivers.simulated.espec import VirtualEspec
from drivers.simulated.force_lines import (
    GRAVITY_m_s2,
    VirtualLineStream,
    VirtualMantracourt,
    VirtualMtSics,
    VirtualSerialAdc,
)
from drivers.simulated.gateway import VirtualGateway
from drivers.simulated.itech import VirtualItech
from drivers.simulated.keithley2000 import VirtualKeithley2000
from drivers.simulated.keithley2400 import VirtualKeithley2400
from drivers.simulated.keithley2450 import VirtualKeithley2450, VirtualKeithley2460
from drivers.simulated.keithley2600b import VirtualKeithley2600B
from drivers.simulated.keithley2700 import VirtualKeithley2700
from drivers.simulated.keithley_daq6510 import VirtualKeithleyDaq6510
from drivers.simulated.keithley_dmm6500 import VirtualKeithleyDmm6500
from drivers.simulated.keysight34970a import VirtualKeysight34970A
from drivers.simulated.laboratory.places import (
    CLAMPS,
    LAND,
    MINUTE_CHECK,
    PLACES,
    PROTOCOLS,
    STORED,
    as_found,
    board_relays,
    matrix_relays,
)
from drivers.simulated.land import VirtualLand
from drivers.simulated.maccor import VirtualMaccor
from drivers.simulated.memmert import VirtualMemmert
from drivers.simulated.modbus_load_cell import LoadCellMap, VirtualModbusLoadCell
from drivers.simulated.neware_bts import VirtualNeware
from drivers.simulated.palmsens import VirtualPalmSens
from drivers.simulated.positions import Bench, Position, assembled
from drivers.simulated.simserv import VirtualSimServ
from drivers.simulated.solartron import VirtualSolartron
from drivers.simulated.supply import PowerStage
from drivers.simulated.switches import SharedPort, SwitchedCell, VirtualModbusRelays, VirtualScpiSwitch
from drivers.simulated.wiring import WiredCell

WATCHDOG_S = 60.0  # of the wall's clock, as the driver counts it


class Laboratory(Bench):
    """Each driver of the registry at an instrument of its own, or at a channel of one."""

    title = "Virtual laboratory"
    sensor_batch = "virtual-laboratory"

    def __init__(self, clock: Clock, folder: Path, seed: int = 1) -> None:
        super().__init__(clock, folder)
        self.exports = folder / "exports"
        self.step_files = folder / "step-files"
        for made in (self.exports, self.step_files):
            made.mkdir(parents=True, exist_ok=True)
        self.protocols = dict(PROTOCOLS)
        self.cells = {name: assembled(as_found(name), clock, seed + number) for number, name in enumerate(PLACES)}
        self.switched: dict[str, SwitchedCell] = {}
        self.positions = {name: self._position(name) for name in PLACES}
        self._add_switches()
        self._add_sources()
        self._add_analysers()
        self._add_cyclers()
        self._add_meters()
        self._add_chambers()
        self._add_force_gauges()
        self.press = add_press(self, seed + len(PLACES))

    # --- the tables, from each instrument's side

    def _position(self, name: str) -> Position:
        place = PLACES[name]
        by = {"source": place.by} if isinstance(place.by, str) else {"cycler": place.by}
        driven: dict[str, Any] = {"exports": self.exports} if place.by == LAND else by
        meter, channel = place.meter
        switch = (place.switch, f"{name}-source", f"{name}-impedance") if place.switch else None
        return Position(
            self.cells[name],
            place.sample,
            f"{place.sample.stem}-{name}",
            meter,
            channel,
            chamber=place.chamber,
            impedance=place.impedance,
            switch=switch,
            **driven,
        )

    def _driven(self, place: str) -> WiredCell:
        """The cell of a place as its source or cycler has it, behind a switch where there is one."""
        return self.switched[place].ports["source"] if place in self.switched else self.cells[place]

    def _at_source(self, source: str) -> WiredCell:
        (name,) = (name for name, place in PLACES.items() if place.by == source)
        return self._driven(name)

    def _at_analyser(self, analyser: str) -> WiredCell:
        shared = [self.switched[name] for name, place in PLACES.items() if place.switch and place.impedance == analyser]
        return SharedPort([cell.ports["impedance"] for cell in shared])

    def _on_cycler(self, cycler: str) -> dict[str, WiredCell]:
        return {place.by[1]: self._driven(name) for name, place in PLACES.items() if place.by[0] == cycler}

    def _at_meter(self, meter: str) -> dict[int, SimulatedCell]:
        return {place.meter[1]: self.cells[name] for name, place in PLACES.items() if place.meter[0] == meter}

    def _in_chamber(self, chamber: str) -> tuple[Callable[[float], None], ...]:
        inside = (self.cells[name] for name, place in PLACES.items() if place.chamber == chamber)
        return tuple(cell.set_temperature_degC for cell in inside)

    # --- the instruments

    def _add_switches(self) -> None:
        board = VirtualModbusRelays(relay_count=16, rtu=True)
        routes = self._switch("relay-board", board, board_relays)
        self.add("relay-board", "modbus-relays", board, relay_count=16, read_back="inputs", routes=routes)
        keysight, other = VirtualScpiSwitch(), VirtualScpiSwitch()
        routes = self._switch("keysight-matrix", keysight, matrix_relays)
        self.add("keysight-matrix", "keysight-34970a-switch", keysight, routes=routes)
        routes = self._switch("scpi-matrix", other, matrix_relays)
        self.add("scpi-matrix", "scpi-switch", other, identity="HEWLETT-PACKARD,34970A", routes=routes)

    def _switch(
        self,
        name: str,
        server: VirtualModbusRelays | VirtualScpiSwitch,
        relays_of: Callable[[int], tuple[tuple[int, int], tuple[int, int]]],
    ) -> dict[str, Mapping[str, Any]]:
        """Put the cells of a switch behind its contacts; returns the routes, as the driver's setting."""
        routes: dict[str, Mapping[str, Any]] = {}
        for index, place in enumerate(place for place, wired in PLACES.items() if wired.switch == name):
            source, impedance = relays_of(index)
            contacts = {"source": source, "impedance": impedance}
            self.switched[place] = SwitchedCell(self.cells[place], server.contacts, contacts)
            by = PLACES[place].by
            ends = {"source": by if isinstance(by, str) else " ".join(by), "impedance": PLACES[place].impedance}
            routes |= {
                f"{place}-{end}": {"cell": place, "to": ends[end], "relays": list(contacts[end])} for end in contacts
            }
        return routes

    def _add_sources(self) -> None:
        clock, at = self.clock, self._at_source
        self.add("keithley-2400", "keithley-2400", VirtualKeithley2400(at("keithley-2400"), clock=clock))
        self.add("keithley-2450", "keithley-2450", VirtualKeithley2450(at("keithley-2450"), clock=clock))
        self.add("keithley-2460", "keithley-2460", VirtualKeithley2460(at("keithley-2460"), clock=clock))
        both = VirtualKeithley2600B({"a": at("keithley-2602b-a"), "b": at("keithley-2602b-b")}, clock=clock)
        for channel in ("a", "b"):
            self.add(f"keithley-2602b-{channel}", "keithley-2600b", both, channel=channel)
        by_text = VirtualEa(PowerStage(at("ea-psb-scpi")), clock=clock)
        self.add("ea-psb-scpi", "ea-scpi", by_text, pause_s=0.01 / clock.speed)
        self.add("ea-psb-modbus", "ea-modbus", VirtualEaModbusTcp(PowerStage(at("ea-psb-modbus"))))
        itech = VirtualItech(PowerStage(at("itech-m3412"), volts=60.0, amperes=30.0), clock=clock)
        self.add("itech-m3412", "itech-bidirectional", itech, rated_voltage_V=60.0, rated_current_A=30.0)
        self.add("emstat4", "palmsens", VirtualPalmSens(at("emstat4"), clock), **self._palmsens_settings())
        alone = VirtualSolartron(at("solartron-1287"), clock)
        alone.resource = "prologix://{host}:{port}/6"
        self.add("solartron-1287", "solartron-1287", alone, host_limits_voltage=True)
        gateway = VirtualGateway(FakeBackend({"1": at("potentiostat-pc")}, clock), token="virtual")
        self.add("potentiostat-pc", "gateway", gateway, token="virtual", channel="1")

    def _add_analysers(self) -> None:
        solartron = VirtualSolartron(self._at_analyser("solartron"), self.clock)
        self.add("solartron", "solartron-1260-1287", solartron, **solartron_settings(self.clock))
        pico = VirtualPalmSens(self._at_analyser("emstat-pico"), self.clock, device="espico")
        self.add("emstat-pico", "palmsens", pico, **self._palmsens_settings())

    def _palmsens_settings(self) -> dict[str, float]:
        """Some packages a second of the wall's clock, by which the driver waits for two of them when it is opened."""
        return {"interval_s": min(max(0.2, 0.02 * self.clock.speed), 2.0)} if self.scaled else {}

    def _add_cyclers(self) -> None:
        clock, cells = self.clock, self._on_cycler
        neware = VirtualNeware(cells("neware"), clock)
        self.add("neware", "neware-bts", neware, step_file_folder=str(self.step_files))
        maccor = VirtualMaccor(
            (cells("maccor")["1"], self._at_source("maccor-direct")),
            clock,
            procedures=STORED,
            watchdog_s=WATCHDOG_S * clock.speed,
        )
        self.add("maccor", "maccor-macnet", maccor)
        self.add("maccor-direct", "maccor-direct", maccor, channel=2, watchdog_s=WATCHDOG_S)
        arbin = VirtualArbin((cells("arbin")["1"],), clock, schedules=STORED, user="virtual", password="virtual")
        self.add("arbin", "arbin-cti", arbin, user="virtual", password="virtual")
        gateway = VirtualGateway(FakeBackend(cells("cycler-pc"), clock), token="virtual")
        self.add("cycler-pc", "gateway", gateway, token="virtual")
        self.land = VirtualLand(self._at_source(LAND), clock, self.exports, MINUTE_CHECK)
        self.companions.append(self.land)

    def _add_meters(self) -> None:
        clock, at = self.clock, self._at_meter
        self.add("daq6510", "keithley-daq6510", VirtualKeithleyDaq6510(at("daq6510"), clock=clock))
        self.add("keithley-2700", "keithley-2700", VirtualKeithley2700(at("keithley-2700"), clock=clock))
        self.add("keysight-34972a", "keysight-34970a", VirtualKeysight34970A(at("keysight-34972a"), clock=clock))
        self.add("dmm6500", "keithley-dmm6500", VirtualKeithleyDmm6500(at("dmm6500"), clock=clock), scanner_card=True)
        card = VirtualKeithley2000(at("keithley-2000"), clock=clock)
        self.add("keithley-2000", "keithley-2000", card, scanner_card=True)
        self.add("adc-board", "serial-adc", VirtualSerialAdc(at("adc-board")), reference_ohm=100e3)

    def _add_chambers(self) -> None:
        clock, inside = self.clock, self._in_chamber
        limits: dict[str, float] = {**CHAMBER_degC, "safe_temperature_degC": 25.0}
        wait_s = 1.0 / clock.speed
        self.add("votsch", "simserv", VirtualSimServ(clock, inside("votsch")), **limits, start_wait_s=wait_s)
        limits["wait_s"] = wait_s
        self.add("binder-kbw", "binder-mb1", VirtualBinderMb1(clock, inside("binder-kbw")), **limits)
        self.add("binder-mk", "binder-mb2", VirtualBinderMb2(clock, inside("binder-mk")), **limits)
        self.add("espec", "espec", VirtualEspec(clock, inside("espec")), **limits)
        self.add("memmert", "memmert-atmoweb", VirtualMemmert(clock, inside("memmert")), **limits)
        ascii2 = VirtualAscii2(clock, inside("ascii2-chamber"))
        self.add("ascii2-chamber", "ascii2", ascii2, **limits, start_digit=1)

    def _add_force_gauges(self) -> None:
        forces = dict(self._clamp_forces())
        dscusb = VirtualMantracourt({1: forces["dscusb"]})
        self.add("dscusb", "mantracourt-ascii", dscusb, capacity_N=500.0)
        self.add("balance", "mt-sics", VirtualMtSics(forces["balance"], capacity_g=6100.0))
        self.add("hx711", "line-stream", VirtualLineStream(forces["hx711"]), capacity_N=500.0)
        kilograms = LoadCellMap(
            value=0x2000, dtype="float32", counts_per_N=1.0 / GRAVITY_m_s2, status=None, command=None, size=0x2010
        )
        eagle = VirtualModbusLoadCell(forces["eagle-indicator"], kilograms)
        self.add("eagle-indicator", "modbus-load-cell-profile", eagle, profile="eagle-ei-1000", capacity_N=500.0)

    def _clamp_forces(self) -> Iterator[tuple[str, Callable[[], float]]]:
        """On the load cell beneath a clamp: what the stack presses with."""
        for gauge, name in CLAMPS.items():
            cell, area_m2 = self.cells[name], PLACES[name].sample.parameters.casing.area_m2
            yield gauge, lambda cell=cell, area_m2=area_m2: cell.pressure_Pa() * area_m2  # type: ignore[misc]
