"""Contract cases: potentiostats."""

from __future__ import annotations

from drivers.gateway.backends.fake import FakeBackend
from drivers.gateway.driver import Gateway
from drivers.interface import (
    Current,
    CyclerProgram,
    CyclerStep,
    ImpedanceSource,
    Instrument,
    ProgramCycler,
    Protection,
    Source,
    StepKind,
)
from drivers.palmsens import PalmSens
from drivers.simulated.clock import ManualClock, ScaledClock
from drivers.simulated.gateway import VirtualGateway
from drivers.simulated.palmsens import VirtualPalmSens
from drivers.simulated.solartron import VirtualSolartron
from drivers.simulated.wiring import FixedCell
from drivers.solartron1287_source import Solartron1287Source
from drivers.testing import Case, Start, hexadecimal_without_checksum, text_of_fixed_width
from tests.drivers.neware_bench import CapacitorCell

SPEED = 2.0


def resting_voltage(source: Instrument) -> object:
    assert isinstance(source, Source)
    return source.measure().voltage_V


def charge(source: Instrument) -> object:
    assert isinstance(source, Source)
    source.apply(Current(1e-3), Protection(1.0, 4.2, 0.01))
    return None


def virtual_1287() -> VirtualSolartron:
    virtual = VirtualSolartron(FixedCell(), ScaledClock())
    virtual.resource = "prologix://{host}:{port}/6"
    return virtual


CHARGE = CyclerProgram(
    "charge",
    (CyclerStep(StepKind.CC, current_A=0.005, end_voltage_V=4.0),),
    Protection(0.0, 4.5, 0.02),
    capacity_max_Ah=0.01,
    record_time_s=10.0,
)


def start_program(driver: Instrument) -> object:
    assert isinstance(driver, ProgramCycler)
    return driver.start("1", CHARGE, "cell 7")


def virtual_cycler() -> VirtualGateway:
    clock = ManualClock(1_000_000.0)
    return VirtualGateway(FakeBackend({"1": CapacitorCell(clock)}, clock))


CASES = [
    Case(
        name="gateway",
        virtual=lambda: VirtualGateway(FakeBackend({"1": FixedCell()}, ManualClock())),
        open=lambda address: Gateway(address, token="token", channel="1", timeout_s=0.3),
        exchange=resting_voltage,
        roles=(Instrument, Source, ImpedanceSource),
        start=Start(charge, rb'"verb":"apply"'),
    ),
    Case(
        name="gateway, cycler",
        virtual=virtual_cycler,
        open=lambda address: Gateway(address, token="token", timeout_s=0.3),
        exchange=lambda driver: driver.identify(),
        roles=(Instrument, ProgramCycler),
        start=Start(start_program, rb'"verb":"start"'),
    ),
    Case(
        name="solartron-1287",
        virtual=virtual_1287,
        open=lambda address: Solartron1287Source(
            address, host_limits_voltage=True, write_wait_s=0.0, timeout_s=0.3, patience_s=2.0
        ),
        exchange=resting_voltage,
        roles=(Instrument, Source),
        start=Start(charge, rb"PW1"),
        undetectable=text_of_fixed_width,
    ),
    Case(
        name="palmsens",
        virtual=lambda: VirtualPalmSens(FixedCell(), ScaledClock(speed=SPEED)),
        open=lambda address: PalmSens(address, interval_s=0.02, timeout_s=0.3),
        exchange=resting_voltage,
        roles=(Instrument, Source, ImpedanceSource),
        start=Start(charge, rb"set_i goal\ncell_on"),
        undetectable=hexadecimal_without_checksum,
    ),
]
