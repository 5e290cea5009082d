"""Maccor: MacNet's bytes, stored procedures, and direct mode with its watchdog."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from drivers.interface import (
    Activity,
    BadReply,
    Current,
    CyclerState,
    InstrumentTimeout,
    NotSafe,
    OutOfRange,
    Protection,
    Refused,
    Voltage,
    WrongInstrument,
)
from drivers.maccor import MaccorMacNet
from drivers.maccor_direct import MaccorDirect
from drivers.macnet import Function, MacNet, Stat
from drivers.simulated.clock import ManualClock, ScaledClock
from drivers.simulated.maccor import Ranges, VirtualMaccor
from drivers.simulated.stored_procedure import State
from drivers.testing import FaultProxy
from tests.drivers.cases_cyclers import LIMITS, PROCEDURES, QuickMaccor, steady_cell
from tests.drivers.neware_bench import CapacitorCell

WIDE = Protection(1.0, 4.2, 0.02)

MANUAL = (
    b'{"jsonrpc":"2.0","result":{"FClass":4,"FNum":7,"Chan":3,"RF1":31,"RF2":193,"Stat":4,"LastRecNum":18,"Cycle":0,'
    b'"Step":2,"TestTime":15,"StepTime":10,"Capacity":0,"Energy":0,"Current":0,"Voltage":0.0062561989761889,'
    b'"TesterTime":"2016-11-14T09:24:08"},"id":1}'
)
"""The maker's example, with the first id."""


def net_that_hears(reply: bytes, monkeypatch: pytest.MonkeyPatch) -> tuple[MacNet, list[bytes]]:
    sent: list[bytes] = []
    net = MacNet("127.0.0.1", instrument="Maccor", timeout_s=1.0)
    monkeypatch.setattr(net._link, "exchange", lambda request: sent.append(request) or reply)
    return net, sent


def test_the_makers_example_is_asked_for_and_read(monkeypatch):
    net, sent = net_that_hears(MANUAL, monkeypatch)
    readings = net.readings("4")
    assert sent == [b'{"jsonrpc": "2.0", "method": "MacNet", "params": {"FClass": 4, "FNum": 7, "Chan": 3}, "id": 1}']
    assert (readings.stat, readings.doing, readings.why, readings.step) == (Stat.COMPLETED, 31, 193, 2)
    assert (readings.voltage_V, readings.current_A) == (0.0062561989761889, 0.0)
    assert (readings.test_time_s, readings.step_time_s) == (15.0, 10.0)
    assert readings.reason == "normal end"


@pytest.mark.parametrize(
    ("asked", "keys", "items"),
    [
        ({"FNum": 1, "Chan": 0, "Len": 2}, "Len Status", ("Status", [{"RF1": 0, "RF2": 0, "Stat": 0}] * 2)),
        ({"FNum": 2, "Chan": 1, "Len": 1}, "Len Voltage", ("Voltage", [3.0])),
        ({"FNum": 3, "Chan": 0, "Len": 2}, "Len Current", ("Current", [0.0, 0.0])),
        ({"FNum": 4, "Chan": 1}, "Len AuxValues", ("AuxValues", [])),
        ({"FNum": 8, "Chan": 1}, "GlobFlags VARs", ("VARs", [0.0, 0.0, -1.25, *[0.0] * 12])),
        ({"FNum": 9, "Chan": 0, "Len": 2}, "Len TestTimes", ("TestTimes", [0.0, 0.0])),
        ({"FNum": 1, "Chan": 1, "Len": 2}, "", "Illegal value"),
    ],
)
def test_the_virtual_tester_answers_what_public_clients_ask(asked, keys, items):
    clock = ManualClock(1e6)
    tester = VirtualMaccor((steady_cell(clock), steady_cell(clock)), clock)
    try:
        head = {"jsonrpc": "2.0", "method": "MacNet", "id": 1987}
        variable = {"FClass": 6, "FNum": 9, "Chan": 1, "VarNum": 3, "Value": -1.25}
        assert tester.answer({**head, "params": variable})["result"]["Result"] == "OK"
        reply = tester.answer({**head, "params": {"FClass": 4, **asked}})
    finally:
        tester.stop()
    if not keys:
        assert reply["error"]["message"] == items
        return
    assert list(reply["result"]) == ["FClass", "FNum", "Chan", *keys.split()]
    assert reply["result"][items[0]] == items[1]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"id":1}', b'"id":2}'),
        (b'"Chan":3', b'"Chan":2'),
        (b'"FNum":7', b'"FNum":6'),
        (b'"Stat":4', b'"Stat":44'),
        (b'"Stat":4', b'"Stat":true'),
        (b'"Voltage":0.0062561989761889', b'"Voltage":NaN'),
        (b'"Voltage":0.0062561989761889', b'"Voltage":"0.006"'),
        (b'"Voltage"', b'"voltage"'),
        (b'"result":{', b'"result":['),
        (b'"2.0"', b'"1.0"'),
    ],
)
def test_an_answer_of_another_shape_is_no_reading(old, new, monkeypatch):
    net, _ = net_that_hears(MANUAL.replace(old, new), monkeypatch)
    with pytest.raises(BadReply):
        net.readings("4")


def test_an_error_of_the_tester_is_told(monkeypatch):
    reply = b'{"jsonrpc":"2.0","error":{"code":-32602,"message":"Illegal value"},"id":1}'
    net, _ = net_that_hears(reply, monkeypatch)
    with pytest.raises(Refused, match="Illegal value"):
        net.readings("4")


def test_limits_are_those_that_the_tester_echoes_in_single_precision(monkeypatch):
    """The maker's example: 0.1 comes back as 0.100000001490116."""
    reply = (
        b'{"jsonrpc":"2.0","result":{"FClass":6,"FNum":10,"Chan":3,"VSafeMax":5,"VSafeMin":0.100000001490116,'
        b'"ISafeChg":2.5,"ISafeDis":2.5,"PBatSafeChg":12.5,"PBatSafeDis":12.5},"id":1}'
    )
    net, sent = net_that_hears(reply, monkeypatch)
    net.set_safety("4", Protection(0.1, 5.0, 2.5))
    assert json.loads(sent[0])["params"] == {
        "FClass": 6, "FNum": 10, "Chan": 3, "VSafeMax": 5.0, "VSafeMin": 0.1, "ISafeChg": 2.5, "ISafeDis": 2.5,
        "PBatSafeChg": 12.5, "PBatSafeDis": 12.5,
    }  # fmt: skip
    net, _ = net_that_hears(reply.replace(b'"VSafeMax":5', b'"VSafeMax":10'), monkeypatch)
    with pytest.raises(NotSafe, match="VSafeMax was set to 5, and the tester says 10"):
        net.set_safety("4", Protection(0.1, 5.0, 2.5))


# --- stored procedures


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_000_000.0)


@pytest.fixture
def tester(clock: ManualClock) -> Iterator[VirtualMaccor]:
    cells = tuple(CapacitorCell(clock, capacitance_F=1.0) for _ in range(4))
    with VirtualMaccor(cells, clock, procedures=PROCEDURES) as tester:
        yield tester


@pytest.fixture
def maccor(tester: VirtualMaccor) -> Iterator[MaccorMacNet]:
    with QuickMaccor(tester.address, timeout_s=1.0) as driver:
        yield driver


def functions(tester: VirtualMaccor) -> list[tuple[int, int]]:
    return [(asked["params"]["FClass"], asked["params"]["FNum"]) for asked in tester.requests]


def test_it_says_what_it_is(maccor):
    assert maccor.identify() == "Maccor Virtual, MacTest32 3.2.18, 4 channels"


def test_a_start_sets_the_limits_first_and_is_sent_once_with_the_makers_fields(tester, maccor):
    tester.requests.clear()
    maccor.start_procedure("4", "cycle", "cell-7_run", LIMITS)
    sent = functions(tester)
    assert sent.index(Function.CHECK_START) < sent.index(Function.SET_SAFETY) < sent.index(Function.START_TEST)
    assert sent.count(Function.START_TEST) == 1
    params = next(asked["params"] for asked in tester.requests if asked["params"]["FNum"] == 2)
    assert list(params) == [
        "FClass", "FNum", "Chan", "TestName", "ProcName", "Comment", "Crate", "ChamberNum", "StartCycle", "TotCycles",
        "Mass", "VGain", "AbsTRepAlign", "ParallelR", "VDivHiR", "VDivLoR", "CANpos", "CANprof", "RegimeName",
    ]  # fmt: skip
    assert (params["Chan"], params["TestName"], params["ProcName"], params["Crate"]) == (3, "cell-7_run", "cycle", 1)
    safety = tester.channels[3].safety
    assert (safety.voltage_min_V, safety.voltage_max_V) == pytest.approx((1.0, 4.2))
    assert safety.charge_A == safety.discharge_A == pytest.approx(0.01)


def test_a_procedure_is_followed_to_its_end(clock, maccor):
    maccor.start_procedure("1", "cycle", "run", WIDE)
    clock.sleep(10.0)
    status = maccor.procedure_status(["1"])["1"]
    assert (status.state, status.label, status.procedure, status.step) == (CyclerState.RUNNING, "run", "cycle", "1")
    assert status.activity is Activity.CHARGE
    assert status.measurement.current_A == pytest.approx(0.01)
    assert status.measurement.voltage_V == pytest.approx(3.0 + 0.1 + 0.1)  # a tenth each of the 10 Ω and the charge
    assert status.counted_Ah == pytest.approx(0.1 / 3600, rel=1e-4)
    assert status.test_time_s == pytest.approx(10.0)
    clock.sleep(60.0)
    status = maccor.procedure_status(["1"])["1"]
    assert (status.activity, status.step) == (Activity.DISCHARGE, "3")
    assert status.measurement.current_A == pytest.approx(-0.01)
    clock.sleep(1000.0)
    status = maccor.procedure_status(["1"])["1"]
    assert (status.state, status.measurement.current_A, status.reason) == (CyclerState.FINISHED, 0.0, "normal end")


def test_a_completed_test_is_put_away_by_the_next_start(clock, maccor):
    maccor.start_procedure("1", "cycle", "one", WIDE)
    clock.sleep(1000.0)
    maccor.start_procedure("1", "rest", "two", LIMITS)
    assert maccor.procedure_status(["1"])["1"].label == "two"


def test_what_the_tester_does_not_know_is_refused_before_a_start(tester, maccor):
    tester.requests.clear()
    with pytest.raises(Refused, match=r"there is no procedure 'wombat'.*Procedur, without \.000"):
        maccor.start_procedure("1", "wombat", "run", LIMITS)
    tester.archive.add("old")
    with pytest.raises(Refused, match="a test of this name is in the archive"):
        maccor.start_procedure("1", "rest", "old", LIMITS)
    maccor.start_procedure("2", "rest", "one", LIMITS)
    with pytest.raises(Refused, match="ACTIVE, not available"):
        maccor.start_procedure("2", "rest", "two", LIMITS)
    assert functions(tester).count(Function.START_TEST) == 1


@pytest.mark.parametrize(
    "limits", [Protection(-9.0, 4.2, 0.01), Protection(1.0, 11.0, 0.01), Protection(1.0, 4.2, 6.0)]
)
def test_limits_beyond_the_channel_are_an_error_not_clipped(limits, tester, maccor):
    tester.requests.clear()
    with pytest.raises(OutOfRange, match="channel 1: "):
        maccor.start_procedure("1", "rest", "run", limits)
    assert Function.SET_SAFETY not in functions(tester)


@pytest.mark.parametrize("does", [True, False])
def test_a_lost_answer_to_a_start_is_decided_by_what_the_channel_shows(does, tester, monkeypatch):
    """Started or not: the command is never sent again."""
    with FaultProxy(tester.port) as proxy, QuickMaccor(proxy.address(tester.resource), timeout_s=0.3) as driver:
        real = tester._start

        def start(channel, params):
            proxy.spoil = lambda chunk: heal() or b""
            return real(channel, params) if does else 5

        def heal() -> None:
            proxy.spoil = None

        monkeypatch.setattr(tester, "_start", start)
        if does:
            driver.start_procedure("1", "rest", "run", LIMITS)
            assert tester.channels[0].show().state is State.RUNNING
        else:
            with pytest.raises(Refused, match="did not start, and was not sent again"):
                driver.start_procedure("1", "rest", "run", LIMITS)
        assert functions(tester).count(Function.START_TEST) == 1


def test_a_refusal_by_number_is_told_at_once(tester, maccor, monkeypatch):
    monkeypatch.setattr(tester, "_start", lambda *_: 21)
    with pytest.raises(Refused, match="result 21"):
        maccor.start_procedure("1", "rest", "run", LIMITS)


def test_stop_suspends_then_resets_and_is_confirmed(clock, tester, maccor):
    maccor.start_procedure("1", "charge", "run", LIMITS)
    clock.sleep(5.0)
    tester.requests.clear()
    maccor.stop("1")
    sent = functions(tester)
    assert sent.index(Function.SUSPEND) < sent.index(Function.RESET)
    assert tester.channels[0].cell.terminals()[1] == 0.0
    assert maccor.procedure_status(["1"])["1"].state is CyclerState.STOPPED


def test_a_stop_that_does_not_show_is_an_error(tester, maccor, monkeypatch):
    maccor.start_procedure("1", "charge", "run", LIMITS)
    monkeypatch.setattr(tester.channels[0], "suspend", lambda: True)
    with pytest.raises(InstrumentTimeout, match="channel 1 is not suspended: it is ACTIVE, the answer was 'OK'"):
        maccor.stop("1")


def test_a_test_suspended_at_the_tester_is_paused_and_goes_on(clock, tester, maccor):
    maccor.start_procedure("1", "charge", "run", LIMITS)
    tester.channels[0].suspend()
    assert maccor.procedure_status(["1"])["1"].state is CyclerState.PAUSED
    clock.sleep(100.0)
    maccor.proceed("1")
    assert maccor.procedure_status(["1"])["1"].state is CyclerState.RUNNING
    with pytest.raises(Refused, match="ACTIVE, not suspended"):
        maccor.proceed("1")


def test_the_testers_own_safety_shows_as_protected(clock, maccor):
    maccor.start_procedure("1", "charge", "run", Protection(1.0, 3.1, 0.01))
    clock.sleep(1000.0)
    status = maccor.procedure_status(["1"])["1"]
    assert (status.state, status.reason) == (CyclerState.PROTECTED, "safety voltage")
    assert status.measurement.current_A == 0.0


def test_a_state_that_nobody_knows_is_never_taken_for_idle(tester, maccor, monkeypatch):
    monkeypatch.setattr("drivers.simulated.maccor.STATS", dict.fromkeys(State, 13))
    assert maccor.procedure_status(["1"])["1"].state is CyclerState.UNKNOWN
    with pytest.raises(Refused, match="BLOCKED"):
        maccor.start_procedure("1", "rest", "run", LIMITS)


# --- direct mode


@pytest.fixture
def lab() -> Iterator[VirtualMaccor]:
    clock = ScaledClock()
    with VirtualMaccor(
        (steady_cell(clock), steady_cell(clock)), clock, procedures=PROCEDURES, watchdog_s=0.6
    ) as tester:
        yield tester


def direct(tester: VirtualMaccor, watchdog_s: float = 1.0) -> MaccorDirect:
    return MaccorDirect(tester.address, channel=2, watchdog_s=watchdog_s, timeout_s=1.0)


def outputs(tester: VirtualMaccor) -> list[dict[str, object]]:
    names = ("Current", "Voltage", "Power", "Resistance", "CurrentRange", "ChMode")
    params = [asked["params"] for asked in tester.requests]
    params = [each for each in params if each["FClass"] == 6 and each["FNum"] in (7, 8)]
    return [{name: each[name] for name in names if name in each} for each in params]


def test_a_current_is_limited_by_the_voltage_in_the_smallest_range_that_has_it(lab):
    with direct(lab) as source:
        lab.requests.clear()
        source.apply(Current(1e-3), LIMITS)
        begun, set_to = outputs(lab)
        ignored = {"Power": 65536.0, "Resistance": 0}
        assert set_to == {"Current": 1e-3, "Voltage": 4.2, "CurrentRange": 2, "ChMode": "C", **ignored}
        assert begun == {**set_to, "Current": 0.0}, "begun without current, the voltage active"
        safety = lab.channels[1].safety
        assert (safety.voltage_min_V, safety.voltage_max_V) == pytest.approx((0.99, 4.21)), (
            "just beyond what it regulates"
        )
        assert safety.charge_A == pytest.approx(0.0102)
        sent = functions(lab)
        assert sent.index(Function.SET_SAFETY) < sent.index(Function.START_DIRECT) < sent.index(Function.SET_DIRECT)
        source.apply(Current(-1e-4), LIMITS)
        assert outputs(lab)[-1] == {"Current": 1e-4, "Voltage": 1.0, "CurrentRange": 1, "ChMode": "D", **ignored}
        assert source.measure().current_A == pytest.approx(-1e-4)
        assert functions(lab).count(Function.START_DIRECT) == 1


def test_a_voltage_is_held_from_the_side_that_the_cell_is_on(lab):
    with direct(lab) as source:
        source.apply(Voltage(3.05), LIMITS)
        assert outputs(lab)[-1]["ChMode"] == "C"
        held = source.measure()
        assert (held.voltage_V, held.current_A) == pytest.approx((3.05, 5e-3), rel=1e-3)
        assert not held.in_compliance
        source.off()
        source.apply(Voltage(2.95), LIMITS)
        assert outputs(lab)[-1]["ChMode"] == "D"
        assert source.measure().current_A == pytest.approx(-5e-3, rel=1e-3)


def test_a_limit_that_holds_back_the_set_point_shows(lab):
    with direct(lab) as source:
        source.apply(Current(9e-3), Protection(1.0, 3.05, 0.01))
        measured = source.measure()
        assert measured.in_compliance and measured.current_A == pytest.approx(5e-3, rel=1e-3)
        source.apply(Voltage(4.0), LIMITS)
        assert source.measure().in_compliance, "10 Ω want 100 mA, and 10 mA is the limit"


def test_the_watchdog_is_kept_content_by_measuring_and_acts_on_silence(lab):
    with direct(lab) as source:
        source.watchdog_s = 0.5
        source.apply(Current(1e-3), LIMITS)
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            assert source.measure().current_A == pytest.approx(1e-3, rel=0.01)
            time.sleep(0.05)
        time.sleep(0.7)
        with pytest.raises(Refused, match="direct mode has ended: the channel is SUSPENDED"):
            source.measure()
        assert not source.output_is_on()
        source.off()
        assert source.measure().current_A == 0.0


def test_the_watchdog_can_be_proved_without_current(lab):
    with direct(lab) as source:
        source.watchdog_s = 0.6
        assert source.prove_watchdog() == pytest.approx(0.5, abs=0.4)
        assert all(abs(drive.current_A) == 0.0 for drive in lab.channels[1].cell.drives if hasattr(drive, "current_A"))
        lab.watchdog_s = 0.0
        with pytest.raises(NotSafe, match="MacNetDirectModeWD"):
            source.prove_watchdog()
        assert not source.output_is_on()


def test_somebody_elses_test_is_not_touched(lab):
    lab.channels[1].start("theirs", "charge", PROCEDURES["charge"])
    source = direct(lab)
    assert source.output_is_on()
    with pytest.raises(Refused, match="was not started from here"):
        source.apply(Current(0.0), LIMITS)
    source.close()
    shown = lab.channels[1].show()
    assert (shown.state, shown.test_name) == (State.RUNNING, "theirs")
    assert Function.SET_SAFETY not in functions(lab)


def test_direct_mode_wants_a_lab_system():
    clock = ScaledClock()
    with (
        VirtualMaccor((steady_cell(clock),), clock, system_type=3) as tester,
        pytest.raises(WrongInstrument, match="a system of type 3"),
    ):
        MaccorDirect(tester.address, channel=1, watchdog_s=0.0)


@pytest.mark.parametrize(
    "settings",
    [{"channel": 3, "watchdog_s": 0.0}, {"channel": 0, "watchdog_s": 0.0}, {"channel": 1, "watchdog_s": 1e5}],
)
def test_a_wrong_setting_is_told(lab, settings):
    with pytest.raises(OutOfRange):
        MaccorDirect(lab.address, **settings)


def test_a_channel_that_cannot_be_protected_is_not_switched_on(lab, monkeypatch):
    real = lab._set_safety
    monkeypatch.setattr(lab, "_set_safety", lambda *a: {**real(*a), "VSafeMax": 10.0})
    with direct(lab) as source:
        with pytest.raises(NotSafe):
            source.apply(Current(1e-3), LIMITS)
        assert functions(lab).count(Function.START_DIRECT) == 0
        assert not source.output_is_on()


def test_a_channel_of_positive_voltages_alone_refuses_limits_below():
    clock = ScaledClock()
    ranges = Ranges(voltage_min_V=0.0)
    with (
        VirtualMaccor((steady_cell(clock),), clock, ranges=ranges) as tester,
        MaccorDirect(tester.address, channel=1, watchdog_s=0.0) as source,
        pytest.raises(OutOfRange, match="within 0 … 10 V"),
    ):
        source.check(Current(0.0), Protection(-0.1, 4.2, 0.01))
