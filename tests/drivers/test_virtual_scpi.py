"""The virtual SCPI instruments, as any client sees them; replies as the manuals and recordings have them."""

import pytest

from drivers.simulated.clock import ManualClock
from drivers.simulated.keithley2450 import VirtualKeithley2450
from drivers.simulated.keithley2700 import VirtualKeithley2700
from drivers.simulated.keithley_daq6510 import VirtualKeithleyDaq6510
from drivers.simulated.keysight3446x import VirtualKeysight3446x
from drivers.simulated.scpi import header_pattern, matches, split_outside
from drivers.simulated.wiring import DriveCurrent, DriveVoltage, FixedCell, OpenCircuit


@pytest.fixture
def cell():
    return FixedCell(emf_V=3.0, resistance_ohm=10.0)


@pytest.fixture
def smu(cell):
    instrument = VirtualKeithley2450(cell, clock=ManualClock(), noise=0.0)
    yield instrument
    instrument.stop()


@pytest.fixture
def scanner():
    sensors = {channel: (lambda channel=channel: 1000.0 + channel) for channel in range(101, 121)}
    instrument = VirtualKeithley2700(sensors, clock=ManualClock(), noise=0.0)
    yield instrument
    instrument.stop()


def ask(instrument, *lines):
    """The answers to those of `lines` that have one."""
    return [reply for line in lines if (reply := instrument.answer(line)) is not None]


@pytest.mark.parametrize(
    "header",
    [
        ":SOUR:CURR:VLIM",
        "SOUR:CURR:VLIM",
        ":source1:current:vlimit:level",
        ":CURR:VLIM",
        "Source:Curr:VLimit",
    ],
)
def test_headers_long_short_and_in_any_case(smu, header):
    assert ask(smu, f"{header} 4.2", f"{header}?", "SYST:ERR?") == ["4.2", '0,"No error;0,0,0"']


@pytest.mark.parametrize("header", [":SOUR:CURRE:VLIM", ":SOUR:CURR:VLIMI", ":SOUR2:CURR:VLIM", ":SOURCURR:VLIM"])
def test_other_headers_are_undefined(smu, header):
    assert ask(smu, f"{header} 4.2", "SYST:ERR?") == ['-113,"Undefined header;1;2015/05/06 12:57:04.484"']


def test_joined_commands_go_on_from_the_last_header_or_from_the_root(smu):
    assert ask(smu, ":SOUR:CURR:VLIM 4.2;RANG:AUTO OFF;:OUTP?;:SOUR:CURR:VLIM?;RANG:AUTO?;*OPC?") == ["0;4.2;0;1"]
    assert ask(smu, ":SYST:ERR?") == ['0,"No error;0,0,0"']


def test_errors_are_kept_in_order_and_read_one_by_one(smu):
    smu.answer(":SOUR:CURR 2")
    smu.answer(":FOO?")
    smu.answer(":OUTP MAYBE")
    smu.answer(":SOUR:CURR")
    told = [reply.partition(";")[0] for reply in ask(smu, *[":SYST:ERR?"] * 5)]
    assert told == [
        '-222,"Data out of range',
        '-113,"Undefined header',
        '-224,"Illegal parameter value',
        '-109,"Missing parameter',
        '0,"No error',
    ]
    for _ in range(30):
        smu.answer(":FOO")
    assert ask(smu, ":SYST:ERR:COUN?") == ["20"]
    assert ask(smu, "*CLS", ":SYST:ERR:COUN?") == ["0"]


def test_limits_are_told(smu):
    assert ask(smu, ":SOUR:CURR:VLIM? MAX", ":SOUR:CURR:VLIM? MIN", ":SOUR:CURR:VLIM MAX", ":SOUR:CURR:VLIM?") == [
        "210",
        "0.02",
        "210",
    ]


def test_2450_golden_reading(smu, cell):
    cell.emf_V, cell.resistance_ohm = 3.2, 5.0
    smu.answer(':SOUR:FUNC CURR;:SENS:FUNC "VOLT";:SOUR:CURR:VLIM 4.2;:SOUR:CURR 0.1;:OUTP ON')
    assert ask(smu, ':READ? "defbuffer1",SOUR,READ') == ["+1.000000E-01,+3.700000E+00"]
    assert ask(smu, ":READ?") == ["+3.700000E+00"]
    assert ask(smu, ':TRAC:ACT? "defbuffer1"', ":TRAC:DATA? 1,2,'defbuffer1',READ,SOUR") == [
        "2",
        "+3.700000E+00,+1.000000E-01,+3.700000E+00,+1.000000E-01",
    ]
    smu.answer(":SOUR:CURR:READ:BACK OFF")
    cell.emf_V = 4.0  # the limit: what is sourced is not the level any more
    assert ask(smu, ':READ? "defbuffer1",SOUR,READ', ":SOUR:CURR:VLIM:TRIP?") == ["+1.000000E-01,+4.200000E+00", "1"]


@pytest.mark.parametrize(
    ("setup", "drive"),
    [
        ("", DriveVoltage(0.0, 1e-5)),
        (":SOUR:FUNC CURR;:SOUR:CURR 1", DriveVoltage(0.0, 0.1)),
        (":OUTP:SMOD ZERO;:SOUR:FUNC CURR;:SOUR:CURR 0.1", DriveVoltage(0.0, 0.1)),
        (":OUTP:SMOD GUAR;:SOUR:FUNC CURR;:SOUR:CURR:VLIM 20", DriveCurrent(0.0, -2.0, 2.0)),
        (":OUTP:SMOD HIMP", OpenCircuit()),
        (":OUTP:CURR:SMOD HIMPedance", DriveVoltage(0.0, 1e-5)),  # it is a voltage source at the time
        (":OUTP:CURR:SMOD HIMP;:SOUR:FUNC CURR", OpenCircuit()),
    ],
)
def test_2450_off_is_what_its_off_state_says(smu, cell, setup, drive):
    if setup:
        smu.answer(setup)
    assert cell._drive == drive


@pytest.mark.parametrize("change", [":SOUR:FUNC CURR", ":SENS:CURR:RSEN ON", ":ROUT:TERM REAR", "*RST"])
def test_2450_output_goes_off_by_itself(smu, change):
    smu.answer(":OUTP ON")
    assert ask(smu, ":OUTP?", change, ":OUTP?") == ["1", "0"]


def test_2450_sees_no_cell_with_its_relay_open(smu):
    smu.answer(':OUTP:SMOD HIMP;:SENS:FUNC "VOLT"')
    assert ask(smu, ":READ?") == ["+0.000000E+00"]


def test_2450_a_voltage_limit_below_the_cell_draws_current(smu, cell):
    smu.answer(":SOUR:FUNC CURR;:SENS:FUNC 'VOLT';:SOUR:CURR 0;:SOUR:CURR:VLIM 2;:OUTP ON")
    assert cell.terminals() == (2.0, pytest.approx(-0.1))
    assert ask(smu, ":SOUR:CURR:VLIM:TRIP?") == ["1"]


def test_2450_a_level_beyond_a_fixed_range_is_refused(smu):
    smu.answer(":SOUR:VOLT:RANG 2")
    assert ask(smu, ":SOUR:VOLT 3", ":SOUR:VOLT?", ":SYST:ERR:COUN?") == ["0", "1"]
    assert ask(smu, ":SOUR:VOLT:RANG:AUTO ON", ":SOUR:VOLT 3", ":SOUR:VOLT?") == ["3"]


def test_2450_noise_is_small_and_the_same_in_each_run(cell):
    readings = []
    for _ in range(2):
        smu = VirtualKeithley2450(cell, clock=ManualClock())
        smu.answer(':SOUR:FUNC CURR;:SENS:FUNC "VOLT";:SOUR:CURR 0.1;:OUTP ON')
        readings.append(ask(smu, *[":READ?"] * 5))
        smu.stop()
    assert readings[0] == readings[1]
    assert len(set(readings[0])) > 1
    assert all(abs(float(reading) - 4.0) < 1e-3 for reading in readings[0])


def test_a_reading_takes_its_time(cell):
    clock = ManualClock()
    smu = VirtualKeithley2450(cell, clock=clock)
    ask(smu, ":SENS:CURR:NPLC 10", ":READ?")
    smu.stop()
    assert clock.now() == pytest.approx(0.4)


def test_2700_scans_in_the_manuals_order_of_commands(scanner):
    assert ask(
        scanner,
        "*RST",
        "TRAC:CLE",
        "INIT:CONT OFF",
        "TRIG:SOUR IMM",
        "TRIG:COUN 1",
        "SAMP:COUN 3",
        "SENS:FUNC 'FRES',(@101:103)",
        "SENS:FRES:NPLC 1,(@101:103)",
        "ROUT:SCAN (@101:103)",
        "ROUT:SCAN:TSO IMM",
        "ROUT:SCAN:LSEL INT",
        "FORM:ELEM READ",
        "READ?",
    ) == ["+1.10100000E+03,+1.10200000E+03,+1.10300000E+03"]
    assert ask(scanner, "SYST:ERR?") == ['0,"No error"']


def test_2700_pairs_four_wire_channels(scanner):
    scanner.answer("SENS:FUNC 'FRES',(@101:120);:ROUT:SCAN (@101:120)")
    assert ask(scanner, "ROUT:SCAN?") == ["(@101:110)"]


def test_2700_gives_three_fields_to_a_reading_unless_told_otherwise(scanner):
    scanner.answer("SENS:FUNC 'RES',(@101);:ROUT:SCAN (@101);:ROUT:SCAN:LSEL INT")
    assert ask(scanner, "READ?") == ["+1.10100000E+03OHM,+0.040SECS,+00000RDNG#"]


def test_2700_does_not_read_while_it_measures_continuously(scanner):
    assert ask(scanner, "INIT:CONT ON", "READ?", "SYST:ERR?") == ['-213,"Init ignored"']


def test_2700_channels_that_do_not_exist(scanner):
    assert ask(scanner, "ROUT:SCAN (@121)", "SYST:ERR?") == ['-222,"Data out of range"']


def test_daq6510_scans_into_its_buffer():
    daq = VirtualKeithleyDaq6510({101: lambda: 100.0, 205: lambda: 200.0}, clock=ManualClock(), noise=0.0)
    daq.answer(':SENS:FUNC "RES", (@101,205);:ROUT:SCAN:CRE (@205,101);:ROUT:SCAN:COUN:SCAN 2')
    assert ask(daq, ":ROUT:SCAN:CRE?", ":INIT", "*OPC?", ":TRAC:ACT:END?") == ["(@205,101)", "1", "4"]
    assert ask(daq, ':TRAC:DATA? 1,2,"defbuffer1",READ,CHAN') == ["2.000000E+02,205,1.000000E+02,101"]
    assert ask(daq, ':TRAC:DATA? 1,5,"defbuffer1",READ', ":SYST:ERR:COUN?") == ["1"]
    daq.stop()


def test_3446x_as_its_guide_has_it():
    meter = VirtualKeysight3446x(lambda: 1045.3, clock=ManualClock(), noise=0.0)
    assert ask(meter, "CONF:FRES", "SAMP:COUN 2", "READ?") == ["+1.04530000E+03,+1.04530000E+03"]
    assert ask(meter, "FETC?", "SYST:ERR?") == ['-230,"Data stale"']  # READ? keeps nothing in memory
    assert ask(meter, "INIT", "FETC?", "FETC?") == ["+1.04530000E+03,+1.04530000E+03"] * 2
    assert ask(meter, "CONF:RES AUTO,0.001", "SYST:ERR?", "SYST:ERR?") == ['-221,"Settings conflict"', '+0,"No error"']
    assert ask(meter, "SENS:FRES:NPLC 10", "SENS:RES:NPLC?") == ["10"]
    assert ask(meter, "SENS:FRES:NPLC 3", "SYST:ERR?") == ['-222,"Data out of range"']
    meter.stop()


def test_notation():
    assert matches("HIMPedance", "'himp'")
    assert not matches("HIMPedance", "HIMPED")
    assert header_pattern("*IDN?").replace("\\", "").endswith("?")
    assert split_outside("'a;b',(@1,2),c", ",") == ["'a;b'", "(@1,2)", "c"]
    assert split_outside(":A 'x;y';:B", ";") == [":A 'x;y'", ":B"]
