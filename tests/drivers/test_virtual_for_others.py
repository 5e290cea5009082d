"""Virtual instruments as other people's programs use them: settings, buffers, sweeps, counters, blocks."""

import socket

import pytest

from drivers.simulated.clock import ManualClock
from drivers.simulated.ea import VirtualEa
from drivers.simulated.itech import VirtualItech
from drivers.simulated.keithley2000 import VirtualKeithley2000
from drivers.simulated.keithley2400 import VirtualKeithley2400
from drivers.simulated.keithley2450 import VirtualKeithley2450
from drivers.simulated.keithley2600b import VirtualKeithley2600B
from drivers.simulated.keithley2700 import VirtualKeithley2700
from drivers.simulated.keithley_daq6510 import VirtualKeithleyDaq6510
from drivers.simulated.keithley_dmm6500 import VirtualKeithleyDmm6500
from drivers.simulated.keysight3446x import VirtualKeysight3446x
from drivers.simulated.keysight34970a import VirtualKeysight34970A
from drivers.simulated.solartron import VirtualSolartron
from drivers.simulated.supply import PowerStage
from drivers.simulated.wiring import FixedCell

SENSORS = {channel: (lambda channel=channel: float(channel)) for channel in (*range(1, 11), *range(101, 121))}


@pytest.fixture
def virtual():
    """Made from the test's own lambda, and stopped."""
    made = []

    def make(kind, *args, **options):
        made.append(kind(*args, clock=ManualClock(), **options))
        return made[-1]

    yield make
    for instrument in made:
        instrument.stop()


def ask(instrument, *lines):
    """The answers to those of `lines` that have one."""
    return [reply for line in lines if (reply := instrument.answer(line)) is not None]


def test_event_register_tells_what_went_wrong_once(virtual):
    meter = virtual(VirtualKeithley2000, SENSORS)
    assert ask(meter, "*ESR?", "*ESR?") == ["128", "0"]  # it was switched on
    assert ask(meter, "FOO", ":SENS:RES:NPLC 99", "*STB?", "*ESR?") == ["4", "48"]
    assert ask(meter, "*CLS;*OPC;*ESR?;*STB?", "*ESE 60", "*ESE?") == ["1;0", "60"]


def test_what_is_no_number_is_a_data_type_error(virtual):
    daq = virtual(VirtualKeithleyDaq6510, SENSORS)
    assert ask(daq, ":SENS:RES:NPLC often", ':TRAC:DATA? one,two,"defbuffer1"', ":SYST:ERR:COUN?") == ["2"]


def test_2400_as_its_manual_has_it_after_reset(virtual):
    smu = virtual(VirtualKeithley2400, FixedCell())
    smu.answer(":SENS:CURR:RANG 1;:SENS:AVER ON;:SOUR:VOLT 3;:OUTP:SMOD HIMP;*RST")
    settings = {
        ":OUTP?": 0,
        ":SENS:CURR:RANG?": 1.05e-4,
        ":SENS:CURR:PROT?": 1.05e-4,
        ":SENS:VOLT:RANG?": 21,
        ":SENS:RES:RANG?": 2.1e5,
        ":SENS:AVER?": 0,
        ":SENS:AVER:COUN?": 10,
        ":SOUR:DEL:AUTO?": 1,
        ":SOUR:VOLT?": 0,
        ":SYST:AZER?": 1,
    }
    assert {query: float(ask(smu, query)[0]) for query in settings} == settings
    assert ask(smu, ":OUTP:SMOD?", ":SENS:AVER:TCON?", ":SYST:AZER ONCE", ":SYST:AZER?") == ["NORM", "REP", "0"]


def test_2400_takes_as_many_readings_as_it_is_told_along_a_sweep_and_keeps_them(virtual):
    smu = virtual(VirtualKeithley2400, FixedCell(emf_V=0.0, resistance_ohm=100.0), noise=0.0)
    smu.answer(":FORM:ELEM VOLT,CURR;:SENS:FUNC:ALL;:SENS:CURR:PROT 0.1;:SOUR:VOLT:STAR 0;STOP 2;STEP 1;MODE SWE")
    smu.answer(":TRIG:COUN 3;:TRAC:POIN 3;FEED SENS;FEED:CONT NEXT;:OUTP ON")
    told = "+0.000000E+00,+0.000000E+00,+1.000000E+00,+1.000000E-02,+2.000000E+00,+2.000000E-02"
    assert ask(smu, ":READ?", ":TRAC:DATA?", ":FETC?", ":TRAC:FEED:CONT?", ":SYST:ERR?") == [
        *[told] * 3,
        "NEV",
        '0,"No error"',
    ]
    assert ask(smu, ":SOUR:LIST:VOLT 1,0.5", ":SOUR:VOLT:MODE LIST", ":TRIG:COUN 2", ":READ?") == [
        "+1.000000E+00,+1.000000E-02,+5.000000E-01,+5.000000E-03"
    ]


def test_2450_sweeps_into_a_buffer_and_switches_itself_off(virtual):
    smu = virtual(VirtualKeithley2450, FixedCell(emf_V=0.0, resistance_ohm=100.0), noise=0.0)
    smu.answer(":SOUR:VOLT:ILIM 0.1;:SENS:FUNC 'CURR';:TRAC:MAKE 'mine',10")
    smu.answer(":SOUR:SWE:VOLT:LIN 0,1,3,0,1,AUTO,ON,OFF,'mine'")
    assert ask(smu, ":INIT", ":TRAC:ACT? 'mine'", ":TRAC:DATA? 1,3,'mine',SOUR,READ", ":OUTP?") == [
        "3",
        "+0.000000E+00,+0.000000E+00,+5.000000E-01,+5.000000E-03,+1.000000E+00,+1.000000E-02",
        "0",
    ]
    assert ask(smu, ":TRAC:STAT:AVER? 'mine'", ":TRAC:STAT:MAX? 'mine'") == ["+5.000000E-03", "+1.000000E-02"]


def test_a_range_that_is_set_is_the_least_that_holds_it_and_ends_autorange(virtual):
    meter = virtual(VirtualKeithleyDmm6500, SENSORS)
    assert ask(meter, "VOLT:DC:RANG:AUTO?;UPP 3;UPP?;AUTO?") == ["1;10;0"]
    assert ask(meter, "VOLT:RANG MIN;RANG?", "VOLT:RANG MAX;RANG?") == ["0.1", "1000"]
    assert ask(meter, "VOLT:RANG 2000", "SYST:ERR?")[0].startswith("-222")


@pytest.mark.parametrize(("line_Hz", "highest", "aperture"), [(50, "12", "0.02"), (60, "15", "0.0166667")])
def test_dmm6500_aperture_is_its_integration_in_seconds(virtual, line_Hz, highest, aperture):
    meter = virtual(VirtualKeithleyDmm6500, SENSORS, line_Hz=line_Hz)
    assert ask(meter, ":SYST:LFR?", "RES:NPLC? MAX", "RES:NPLC 1;APER?", "RES:APER 0.04;NPLC?") == [
        str(line_Hz),
        highest,
        aperture,
        f"{0.04 * line_Hz:g}",
    ]


def test_settings_of_a_scanner_are_its_channels_own(virtual):
    daq = virtual(VirtualKeithleyDaq6510, SENSORS)
    daq.answer("SENS:FUNC 'FRES',(@101:102);:FRES:NPLC 5,(@102);OCOM ON,(@101:102)")
    assert ask(daq, "SENS:FUNC? (@101:103)", "FRES:NPLC? (@101,102)", "FRES:NPLC?", "FRES:OCOM? (@101)") == [
        '"FRES","FRES","VOLT:DC"',
        "1,5",
        "1",
        "ON",
    ]
    assert ask(daq, "FRES:NPLC 1,(@121)", "SYST:ERR?")[0].startswith("-222")


def test_2700_closes_channels_outside_a_scan(virtual):
    meter = virtual(VirtualKeithley2700, SENSORS, noise=0.0)
    meter.answer("FORM:ELEM READ;:CONF:RES;:ROUT:MULT:CLOS (@103,105);:ROUT:OPEN (@103)")
    assert ask(meter, "ROUT:CLOS?", "ROUT:MULT:CLOS:STAT? (@103,105)", "READ?") == ["(@105)", "0,1", "+1.05000000E+02"]


def test_34972a_counts_without_end_and_hands_readings_out_in_blocks(virtual):
    meter = virtual(VirtualKeysight34970A, SENSORS, noise=0.0)
    meter.answer("CONF:RES AUTO,DEF,(@101,102)")
    assert ask(meter, "TRIG:COUN INF", "TRIG:COUN?", "TRIG:COUN 1", "INIT", "DATA:POIN?", "R? 1", "DATA:REM? 1") == [
        "+9.90000200E+37",
        "+2",
        "#215+1.01000000E+02",
        "+1.02000000E+02",
    ]
    assert ask(meter, "FETC?", "SYST:ERR?") == ['-230,"Data stale"']


def test_34461a_tells_its_function_and_resolution(virtual):
    meter = virtual(VirtualKeysight3446x, lambda: 1000.0, model="34461A", noise=0.0)
    assert ask(meter, 'FUNC "FRES"', "FUNC?", "FRES:RANG 1000", "FRES:NPLC 1", "FRES:RES?", "ZERO?") == [
        '"FRES"',
        "+3.00000000E-04",
    ]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("print(localnode.model, errorqueue.count)", "2602B\t0.00000e+00"),
        ("print(smua.source.func) print(1)", None),  # two statements want a semicolon or a line of their own
        ("smub.source.leveli=0.5; print(smub.source.leveli)", "5.00000e-01"),
        ("reading = smua.measure.v(); print(reading)", "0.00000e+00"),
        ("smua.source.rangev = 6; print(smua.source.autorangev, smua.source.rangev)", "0.00000e+00\t6.00000e+00"),
        ("print(smua.OUTPUT_HIGH_Z, smua.nothing, true)", "2.00000e+00\tnil\ttrue"),
        ("format.asciiprecision = 10; print(smua.source.limitv)", "2.000000000e+01"),
        ("i, v = smua.measure.iv(); print(i, v)", "0.00000e+00\t0.00000e+00"),
        (
            "smua.nvbuffer1.clear(); smua.measure.count = 2; smua.measure.i(smua.nvbuffer1); print(smua.nvbuffer1.n); "
            "printbuffer(1, smua.nvbuffer1.n, smua.nvbuffer1.readings)",
            "2.00000e+00\n0.00000e+00, 0.00000e+00",
        ),
        ("localnode.autolinefreq = true; print(localnode.autolinefreq)", "1.00000e+00"),
        ("print(next(smua, nil))", "source\ttable: 0x1"),
        ("print(next(smua.source, 'func'))", "output\t0.00000e+00"),
        ("print(next(errorqueue, 'count'))", "nil"),
        ("print(type(smua.measure.iv), type(smua.sense), type(localnode.model))", "function\tnumber\tstring"),
        ("mt = getmetatable(smua); print(mt)", "nil"),
        ("*OPC?", "1"),
        ("display.clear(); beeper.beep(1, 400); waitcomplete()", None),
    ],
)
def test_2602b_statements(virtual, line, told):
    smu = virtual(VirtualKeithley2600B, {"a": FixedCell(), "b": FixedCell()}, noise=0.0)
    assert smu.answer(line) == told


def test_2602b_runs_a_script_that_it_was_given(virtual):
    smu = virtual(VirtualKeithley2600B, {"a": FixedCell()}, noise=0.0)
    given = ("loadscript hold", "smua.source.leveli = 0.25", "print(smua.source.leveli)", "endscript")
    assert ask(smu, *given) == []
    assert ask(smu, "print(smua.source.leveli)", "hold.run()", "print(errorqueue.count)") == [
        "0.00000e+00",
        "2.50000e-01",
        "0.00000e+00",
    ]


@pytest.mark.parametrize(("line", "code"), [("while true", "-2.85000e+02"), ("smuc.reset()", "-2.86000e+02")])
def test_2602b_errors_wait_in_the_queue(virtual, line, code):
    smu = virtual(VirtualKeithley2600B, {"a": FixedCell()})
    assert smu.answer(line) is None
    assert smu.answer("print(errorqueue.next())").split("\t")[0] == code


def test_ea_reads_each_joined_command_from_the_root_and_refuses_beyond_its_limits(virtual):
    supply = virtual(VirtualEa, PowerStage(FixedCell()))
    supply.answer("SYST:LOCK ON")
    supply.answer("VOLT 4.20 V;CURR 2.00 A;SINK:CURR 1.00 A;POW 100.00 W;SINK:POW 90.00 W")
    assert ask(supply, "VOLT?;CURR?;SINK:CURR?;POW?;SINK:POW?") == ["4.20 V;2.00 A;1.00 A;100 W;90 W"]
    assert ask(supply, "SOUR:VOLT:LIM:HIGH 5", "VOLT:LIM:HIGH?", "VOLT 6", "SYST:ERR:ALL?", "VOLT?") == [
        "5.00 V",
        '-222,"Data out of range"',
        "4.20 V",
    ]


def test_itech_fetches_all_at_once(virtual):
    supply = virtual(VirtualItech, PowerStage(FixedCell(emf_V=3.0), volts=60.0, amperes=30.0))
    supply.answer("FUNC VOLT;:CURR:LIM:POS 1;:VOLT 3.5;:OUTP 1")
    assert ask(supply, "FETC?", "FETC:CURR?") == ["3.5000,0.0500,0.1750,0.0000,0.0000", "0.0500"]


def test_1260_alone_measures_by_its_own_current_input():
    """The dialog of a public program for the 1260 (vtipy)."""
    with (
        VirtualSolartron(FixedCell(resistance_ohm=50.0), analyser_alone=True, noise=0.0) as bus,
        socket.create_connection((bus.host, bus.port), timeout=2) as link,
    ):
        for line in ("++auto 0", "++addr 4", "CZ 1", "OP 2,1", "VA 0.01", "IS 0.01", "FR 1.0E3", "SI", "SO 1,3"):
            link.sendall(line.encode() + b"\n")
        link.sendall(b"DO\n++read eoi\n")
        assert link.recv(64) == b"+1.0000000E+03,+5.0000E+01,+0.0000E+00,0,00\r\n"


@pytest.mark.parametrize(
    "line", ["print(next(smua, 'nothing'))", "printbuffer(1)", "print(smua.measure.iv(smua.nvbuffer9))"]
)
def test_2602b_given_what_it_cannot_use_says_so(virtual, line):
    smu = virtual(VirtualKeithley2600B, {"a": FixedCell()})
    assert ask(smu, line, "print(errorqueue.count)") == ["1.00000e+00"]
