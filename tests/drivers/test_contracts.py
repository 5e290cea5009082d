"""What every driver does, whatever it drives; and what each role of the interface promises.

Each test runs over all cases in `tests/drivers/cases_*.py`, with the real driver and its virtual
instrument, and between them a proxy that spoils the traffic.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping

import pytest

from drivers.interface import (
    Chamber,
    Current,
    CyclerProgram,
    ForceGauge,
    ImpedanceSource,
    Instrument,
    InstrumentError,
    InstrumentTimeout,
    Measurement,
    NoReading,
    OutOfRange,
    ProgramCycler,
    Protection,
    ResistanceMeter,
    Source,
    Sweep,
    Thermometer,
    Unreachable,
    Voltage,
    WrongInstrument,
)
from drivers.scpi import ScpiInstrument
from drivers.simulated.server import LineInstrument
from tests.drivers.collect import all_cases
from tests.drivers.contract import Case
from tests.drivers.faults import FaultProxy, cut_after, double, dribble, garble, swallow

CASES = all_cases()
LONGEST_S = 6.0  # in which a driver opened with a short timeout must have given up
SAME = 0.02  # relative: two readings of one thing, with the simulators' noise


@dataclasses.dataclass
class Bench:
    """A driver that talks to its virtual instrument through a proxy."""

    case: Case
    proxy: FaultProxy
    driver: Instrument
    address: str

    def exchange(self) -> object:
        return self.case.exchange(self.driver)

    def sends(self, act: Callable[[], object]) -> bytes:
        """What the driver sent while it did `act`."""
        time.sleep(0.03)  # for what is on its way already
        before = len(self.proxy.sent)
        act()
        time.sleep(0.03)
        return b"".join(self.proxy.sent[before:])


def bench_for(case: Case) -> Iterator[Bench]:
    with case.virtual() as virtual:
        proxy = FaultProxy(virtual.port)
        address = proxy.address(virtual.resource)
        driver = case.open(address)
        yield Bench(case, proxy, driver, address)
        proxy.spoil, proxy.refuse = None, False
        try:
            driver.close()
        except InstrumentError:
            pass  # the test may have left it unreachable
        proxy.close()


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def bench(request):
    yield from bench_for(request.param)


def in_role(role: type) -> pytest.MarkDecorator:
    """Only the cases that have this role."""
    cases = [case for case in CASES if role in case.roles]
    return pytest.mark.parametrize("bench", cases, ids=lambda case: case.name, indirect=True)


def same(one: object, other: object) -> bool:
    """Equal up to the noise of a reading."""
    match one, other:
        case bool(), bool():
            return one == other
        case (int() | float() | complex(), int() | float() | complex()):
            return abs(one - other) <= SAME * max(abs(one), abs(other), 1e-6)
        case Mapping(), Mapping():
            return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
        case (list() | tuple(), list() | tuple()):
            return len(one) == len(other) and all(map(same, one, other))
        case _ if dataclasses.is_dataclass(one) and type(one) is type(other):
            return all(same(getattr(one, item.name), getattr(other, item.name)) for item in dataclasses.fields(one))
    return one == other


def until_it_answers(exchange: Callable[[], object], within_s: float = 5.0) -> object:
    """The first answer; until then the driver may say `Unreachable`, or on a busy machine that none came in time."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            return exchange()
        except (Unreachable, InstrumentTimeout):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


# --- every driver


def test_it_has_the_roles_that_its_case_claims(bench):
    assert isinstance(bench.driver, Instrument)
    for role in bench.case.roles:
        assert isinstance(bench.driver, role)


def test_it_says_what_it_is_and_where(bench):
    assert bench.driver.identify().strip()
    assert bench.driver.address == bench.address


def test_it_goes_to_its_safe_state(bench):
    bench.driver.make_safe()
    assert bench.exchange() is not None


def test_it_can_be_closed_twice_and_not_used_after(bench):
    bench.driver.close()
    bench.driver.close()
    with pytest.raises(InstrumentError):
        bench.exchange()


def test_leaving_the_context_closes_it(bench):
    with bench.driver as entered:
        assert entered is bench.driver
    with pytest.raises(InstrumentError):
        bench.exchange()


def test_silence_is_a_time_out_within_its_limit_and_no_answer_comes_late(bench):
    right = until_it_answers(bench.exchange)
    bench.proxy.spoil = swallow
    began = time.monotonic()
    with pytest.raises(InstrumentTimeout) as caught:
        bench.exchange()
    assert time.monotonic() - began < LONGEST_S
    assert bench.address in str(caught.value)
    bench.proxy.spoil = None
    assert same(until_it_answers(bench.exchange), right)


@pytest.mark.parametrize("count", [0, 3])
def test_a_cut_reply_is_an_error_never_a_value(bench, count):
    right = until_it_answers(bench.exchange)
    bench.proxy.spoil = cut_after(count)
    with pytest.raises(InstrumentError):
        bench.exchange()
    bench.proxy.spoil = None
    assert same(until_it_answers(bench.exchange), right)


def test_a_garbled_reply_is_an_error_never_a_value(bench):
    right = until_it_answers(bench.exchange)
    bench.proxy.spoil = garble
    with pytest.raises(InstrumentError):
        bench.exchange()
    bench.proxy.spoil = None
    assert same(until_it_answers(bench.exchange), right)


def test_a_doubled_reply_is_never_taken_for_the_next_answer(bench):
    right = until_it_answers(bench.exchange)
    bench.proxy.spoil = double
    for _ in range(3):
        try:
            assert same(bench.exchange(), right)
        except InstrumentError:
            continue
    bench.proxy.spoil = None
    assert same(until_it_answers(bench.exchange), right)


def test_a_reply_byte_by_byte_is_the_same_reply(bench):
    right = until_it_answers(bench.exchange)
    bench.proxy.spoil = dribble
    assert same(bench.exchange(), right)


def test_a_dropped_link_comes_back_by_itself(bench):
    right = until_it_answers(bench.exchange)
    bench.proxy.drop()
    assert same(until_it_answers(bench.exchange), right)


def test_a_link_that_cannot_be_made_is_unreachable_until_it_can(bench):
    right = until_it_answers(bench.exchange)
    bench.proxy.refuse = True
    bench.proxy.drop()
    with pytest.raises(InstrumentError):
        bench.exchange()
    with pytest.raises(Unreachable):
        bench.exchange()
    bench.proxy.refuse = False
    assert same(until_it_answers(bench.exchange), right)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nobody_at_the_address(case):
    virtual = case.virtual()
    virtual.stop()
    began = time.monotonic()
    with pytest.raises(InstrumentError):
        case.open(virtual.address)
    assert time.monotonic() - began < LONGEST_S


class Stranger(LineInstrument):
    """Says who it is to whatever it is asked."""

    def __init__(self, resource: str) -> None:
        super().__init__()
        self.resource = resource

    def answer(self, line: str) -> str:
        return "ACME,MODEL 1,0,0"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_stranger_at_the_address_is_not_opened(case):
    with case.virtual() as virtual, case.open(virtual.address) as driver:
        has_identity = isinstance(driver, ScpiInstrument)
    began = time.monotonic()
    with Stranger(virtual.resource) as stranger, pytest.raises(WrongInstrument if has_identity else InstrumentError):
        case.open(stranger.address)
    assert time.monotonic() - began < LONGEST_S


# --- sources

LIMITS = Protection(voltage_min_V=1.0, voltage_max_V=4.2, current_max_A=0.01)


@pytest.fixture
def source(bench):
    assert isinstance(bench.driver, Source)
    return bench.driver


@in_role(Source)
def test_a_source_is_off_after_construction(source):
    assert not source.output_is_on()


@in_role(Source)
def test_a_source_that_is_off_measures_the_open_circuit(source):
    measured = source.measure()
    assert measured == Measurement(pytest.approx(3.0, rel=SAME), 0.0, False)


@in_role(Source)
@pytest.mark.parametrize("setpoint", [Current(1e-3), Current(-1e-3), Voltage(3.01), Current(0.0)])
def test_a_source_goes_to_its_set_point_and_off_again(source, setpoint):
    source.apply(setpoint, LIMITS)
    assert source.output_is_on()
    measured = source.measure()
    match setpoint:
        case Current(amperes):
            assert measured.current_A == pytest.approx(amperes, rel=SAME, abs=1e-6)
        case Voltage(volts):
            assert measured.voltage_V == pytest.approx(volts, rel=SAME)
    assert not measured.in_compliance
    source.off()
    assert not source.output_is_on()
    assert source.measure().current_A == 0.0


@in_role(Source)
@pytest.mark.parametrize(
    ("setpoint", "limits"),
    [
        (Current(1e6), Protection(0.0, 5.0, 1e7)),
        (Current(float("nan")), LIMITS),
        (Voltage(1e6), Protection(0.0, 1e7, 0.01)),
        (Voltage(4.3), LIMITS),
        (Current(0.02), LIMITS),
        (Voltage(3.0), Protection(float("nan"), 4.2, 0.01)),
    ],
)
def test_a_source_refuses_what_it_cannot_do_and_sends_nothing(bench, source, setpoint, limits):
    def refuse() -> None:
        for act in (source.check, source.apply):
            with pytest.raises(OutOfRange):
                act(setpoint, limits)

    assert bench.sends(refuse) == b""


@in_role(Source)
@pytest.mark.parametrize("how", ["make_safe", "off", "close"])
def test_a_source_that_is_made_safe_is_off(bench, source, how):
    source.apply(Current(1e-3), LIMITS)
    getattr(source, how)()
    source.close()
    with bench.case.open(bench.address) as again:
        assert not again.output_is_on()


@in_role(Source)
def test_a_source_that_is_left_stays_on_and_is_found_so(bench, source):
    source.apply(Current(1e-3), LIMITS)
    source.leave()
    with bench.case.open(bench.address) as again:
        assert again.output_is_on()
        assert again.measure().current_A == pytest.approx(1e-3, rel=SAME)


@in_role(Source)
def test_a_source_that_cannot_verify_is_not_on(bench, source):
    bench.proxy.spoil = garble
    with pytest.raises(InstrumentError):
        source.apply(Current(1e-3), LIMITS)
    bench.proxy.spoil = None
    assert not until_it_answers(source.output_is_on)


# --- resistance meters


@pytest.fixture
def meter(bench):
    assert isinstance(bench.driver, ResistanceMeter)
    return bench.driver


def channel_of(meter: ResistanceMeter) -> int:
    """One that exists: 1 on a bench meter, 101 on a card."""
    try:
        meter.check_channels([1])
    except OutOfRange:
        meter.check_channels([101])
        return 101
    return 1


@in_role(ResistanceMeter)
def test_a_meter_reads_the_channels_it_was_asked_for(meter):
    channel = channel_of(meter)
    readings = meter.read_resistances([channel])
    assert list(readings) == [channel]
    assert readings[channel] == pytest.approx(288e3, rel=SAME)


@in_role(ResistanceMeter)
@pytest.mark.parametrize("channels", [[99_999], [-1], [0], []])
def test_a_meter_refuses_channels_that_do_not_exist_and_sends_nothing(bench, meter, channels):
    def refuse() -> None:
        for act in (meter.check_channels, meter.read_resistances):
            with pytest.raises(OutOfRange):
                act(channels)

    assert bench.sends(refuse) == b""


# --- force gauges


@in_role(ForceGauge)
def test_a_force_gauge_reads_a_force_or_says_why_not(bench):
    force = bench.driver.read_force()
    assert isinstance(force, NoReading) or abs(force) < 1e6


# --- thermometers and chambers


@in_role(Thermometer)
def test_a_thermometer_reads_a_temperature_or_says_why_not(bench):
    temperature = bench.driver.read_temperature_degC()
    assert isinstance(temperature, NoReading) or -100.0 < temperature < 300.0


@in_role(Chamber)
@pytest.mark.parametrize("temperature_degC", [-300.0, 1e6, float("nan"), float("inf")])
def test_a_chamber_refuses_where_it_cannot_go_and_sends_nothing(bench, temperature_degC):
    def refuse() -> None:
        for act in (bench.driver.check_temperature, bench.driver.set_temperature):
            with pytest.raises(OutOfRange):
                act(temperature_degC)

    assert bench.sends(refuse) == b""


@in_role(Chamber)
def test_a_chamber_keeps_its_set_point_when_it_is_made_safe_and_closed(bench):
    bench.driver.set_temperature(30.0)

    def leave() -> None:
        bench.driver.make_safe()
        bench.driver.close()

    assert bench.sends(leave) == b""


@in_role(Chamber)
def test_a_chamber_that_cannot_verify_says_so(bench):
    bench.proxy.spoil = garble
    with pytest.raises(InstrumentError):
        bench.driver.set_temperature(30.0)


# --- impedance sources


@in_role(ImpedanceSource)
def test_an_impedance_source_measures_each_frequency_in_order(bench):
    frequencies = (1000.0, 100.0)
    points = list(bench.driver.sweep(Sweep(frequencies, amplitude_rms_V=0.01)))
    assert [point.frequency_Hz for point in points] == pytest.approx(frequencies)
    assert all(0 < abs(point.impedance_ohm) < 1e12 for point in points)


@in_role(ImpedanceSource)
@pytest.mark.parametrize(
    "sweep",
    [
        Sweep((1e12,), 0.01),
        Sweep((0.0,), 0.01),
        Sweep((float("nan"),), 0.01),
        Sweep((100.0,), 1e6),
        Sweep((100.0,), float("nan")),
        Sweep((100.0,), 0.01, bias_V=1e6),
        Sweep((100.0,), None),
        Sweep((100.0,), None, amplitude_rms_A=1e6),
        Sweep((100.0,), None, amplitude_rms_A=float("nan")),
    ],
)
def test_an_impedance_source_refuses_what_it_cannot_do_and_sends_nothing(bench, sweep):
    def refuse() -> None:
        with pytest.raises(OutOfRange):
            bench.driver.check_sweep(sweep)
        with pytest.raises(OutOfRange):
            list(bench.driver.sweep(sweep))

    assert bench.sends(refuse) == b""


@in_role(ImpedanceSource)
def test_an_impedance_sweep_can_be_broken_off(bench):
    points = bench.driver.sweep(Sweep((1000.0, 500.0, 100.0), amplitude_rms_V=0.01))
    next(points)
    points.close()
    bench.driver.make_safe()


# --- cyclers


@in_role(ProgramCycler)
def test_a_cycler_checks_a_program_without_a_word(bench):
    empty = CyclerProgram("empty", (), LIMITS, capacity_max_Ah=1.0, record_time_s=1.0)

    def check() -> None:
        with pytest.raises(InstrumentError):
            bench.driver.check_program(empty)

    assert bench.sends(check) == b""
