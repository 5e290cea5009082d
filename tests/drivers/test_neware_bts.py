"""The NEWARE driver: its transcript, whole runs on a virtual tester, and faults on the wire."""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from drivers.interface import (
    BadReply,
    CyclerProgram,
    CyclerRecord,
    CyclerState,
    CyclerStep,
    InstrumentError,
    InstrumentTimeout,
    Measurement,
    OutOfRange,
    ProgramCycler,
    Protection,
    Refused,
    StepKind,
    Unreachable,
    WrongInstrument,
)
from drivers.neware_bts import NewareBts, ReplacedTest
from drivers.simulated.clock import ManualClock, ScaledClock
from drivers.simulated.neware_bts import Quirks, VirtualNeware
from drivers.simulated.wiring import OpenCircuit
from drivers.testing.faults import FaultProxy, Spoil, cut_after, double, dribble, garble, swallow
from tests.drivers.neware_bench import CHANNEL, OTHER, CapacitorCell, QuickNeware, ScriptedTester

REST = CyclerStep(StepKind.REST, end_time_s=60.0)
CHARGE = CyclerStep(StepKind.CC, current_A=0.005, end_voltage_V=4.0)
DISCHARGE = CyclerStep(StepKind.CC, current_A=-0.005, end_voltage_V=3.0)
CCCV = CyclerStep(StepKind.CCCV, current_A=0.005, voltage_V=4.0, end_current_A=0.0005)


def program(*steps: CyclerStep, record_time_s: float | None = 10.0, capacity_max_Ah: float = 0.01) -> CyclerProgram:
    return CyclerProgram("test", steps, Protection(0.0, 4.5, 0.02), capacity_max_Ah, record_time_s)


def loop(to: int, count: int) -> CyclerStep:
    return CyclerStep(StepKind.LOOP, loop_to=to, loop_count=count)


# --- the transcript: bytes out, replies recorded from BTS 8.0 in (EmpaEconversion/aurora-neware)


DEVICES = """<?xml version="1.0" encoding="UTF-8"?>
<bts version="1.0">
  <cmd>getdevinfo_resp</cmd>
  <serverip count="1">
    <server ip="127.0.0.1" port="3306" />
  </serverip>
  <middle count="3">
    <channel ip="127.0.0.1" devtype="27" devid="21" subdevid="1" Channelid="1">true</channel>
    <channel ip="127.0.0.1" devtype="27" devid="21" subdevid="1" Channelid="2">false</channel>
    <channel ip="127.0.0.1" devtype="27" devid="21" subdevid="1" Channelid="4">true</channel>
</middle>
</bts>"""

VOLUMES = """<?xml version="1.0" encoding="UTF-8"?>
<bts version="1.0">
  <cmd>inquiredf_resp</cmd>
  <list count="2">
    <chl devtype="27" devid="21" subdevid="1" chlid="1" testid="143" count="219585">true</chl>
    <chl devtype="27" devid="21" subdevid="1" chlid="2" testid="144" count="320850">false</chl>
  </list>
</bts>"""

LIVE = """<?xml version="1.0" encoding="UTF-8"?>
<bts version="1.0">
  <cmd>inquire_resp</cmd>
  <list count="1">
    <inquire dev="27-21-1-1-0" cycle_id="1" step_type="--" workstatus="finish" barcode="251203_kigr_gen17_01" \
current="0" voltage="3.8834" capacity="0" energy="0" totaltime="0" relativetime="0" open_or_close="0" log_code="0" />
    <inquire dev="27-21-1-2-0" cycle_id="44" step_id="4" step_type="dc" workstatus="working" \
barcode="251203_kigr_gen17_02" current="-0.0003" voltage="4.6947" capacity="0.001" energy="0.0047" \
totaltime="3189199.3" relativetime="12319" open_or_close="0" log_code="102000" />
  </list>
</bts>"""

STATES = """<?xml version="1.0" encoding="UTF-8"?>
<bts version="1.0">
  <cmd>getchlstatus_resp</cmd>
  <list count="2">
    <status ip="127.0.0.1" devtype="27" devid="21" subdevid="1" chlid="1" reservepause="1">finish</status>
    <status ip="127.0.0.1" devtype="27" devid="21" subdevid="1" chlid="2" reservepause="1">working</status>
  </list>
</bts>"""

VOLUME = """<?xml version="1.0" encoding="UTF-8"?>
<bts version="1.0">
  <cmd>inquiredf_resp</cmd>
  <list count="1">
    <chl devtype="27" devid="21" subdevid="1" chlid="1" testid="143" count="219585">true</chl>
  </list>
</bts>"""

RECORDS = """<?xml version="1.0" encoding="UTF-8"?>
<bts version="1.0">
  <cmd>donwload_resp</cmd>
  <download devtype="27" devid="21" subdevid="1" chlid="1" testid="143" startpos="219584" count="1000" auxid="0" />
  <list count="10">
    <data seqid="219584" stepid="24" cycleid="29" steptype="dc" testtime="36130000" atime="2025-12-28 22:30:05" \
volt="3.52100968360901" curr="-0.000295051228022203" cap="0.00296120182611048" eng="0.013578899204731" />
    <data seqid="219585" stepid="24" cycleid="29" steptype="dc" testtime="36136400" atime="2025-12-28 22:30:11" \
volt="3.49995565414429" curr="-0.000295051460852847" cap="0.00296172639355063" eng="0.013580740429461" />
  </list>
</bts>"""

STOPPED = """<?xml version="1.0" encoding="UTF-8"?>
<bts version="1.0">
  <cmd>stop_resp</cmd>
  <list count="1">
    <stop ip="127.0.0.1" devtype="27" devid="21" subdevid="1" chlid="1">ok</stop>
  </list>
</bts>"""

STARTED = STOPPED.replace("stop", "start")
FINISHED = """<?xml version="1.0" encoding="UTF-8"?>
<bts version="1.0">
  <cmd>getchlstatus_resp</cmd>
  <list count="1">
    <status ip="127.0.0.1" devtype="27" devid="21" subdevid="1" chlid="1" reservepause="1">finish</status>
  </list>
</bts>"""
WORKING = FINISHED.replace("finish", "working")
NEW_VOLUME = VOLUME.replace("143", "150").replace("219585", "1").replace("true", "false")
RUNNING = """<?xml version="1.0" encoding="UTF-8"?>
<bts version="1.0">
  <cmd>inquire_resp</cmd>
  <list count="1">
    <inquire dev="27-21-1-1-0" cycle_id="1" step_id="1" step_type="rest" workstatus="working" barcode="cell &lt;7&gt;" \
current="0" voltage="3.8834" capacity="0" energy="0" totaltime="0" relativetime="0" open_or_close="0" log_code="0" />
  </list>
</bts>"""


def request(body: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8" ?><bts version="1.0">{body}</bts>\n\n#\r\n'


DEV_1 = 'devtype="27" devid="21" subdevid="1" chlid="1"'
DEV_2 = 'devtype="27" devid="21" subdevid="1" chlid="2"'
IP_1, IP_2 = f'ip="127.0.0.1" {DEV_1}', f'ip="127.0.0.1" {DEV_2}'
ASK_DEVICES = request("<cmd>getdevinfo</cmd>")
ASK_STATE = request(f'<cmd>getchlstatus</cmd><list count = "1"><status {IP_1}>true</status></list>')
ASK_VOLUME = request(f'<cmd>inquiredf</cmd><list count = "1"><chl {DEV_1} testid="0" /></list>')
ASK_LIVE = request(f'<cmd>inquire</cmd><list count = "1"><inquire {IP_1} aux="0" barcode="1">true</inquire></list>')


@pytest.fixture
def script(tmp_path: Path) -> Iterator[tuple[ScriptedTester, QuickNeware]]:
    with (
        ScriptedTester(DEVICES) as tester,
        QuickNeware(tester.address, step_file_folder=tmp_path, step_file_folder_on_client="C:\\jobs") as driver,
    ):
        tester.requests.clear()
        yield tester, driver


def test_opening_asks_for_the_devices(tmp_path: Path) -> None:
    with ScriptedTester(DEVICES, DEVICES) as tester:
        driver = QuickNeware(tester.address, step_file_folder=tmp_path)
        assert driver.channels == ("27-21-1-1", "27-21-1-2", "27-21-1-4")
        assert driver.identify() == "BTS Client, 3 channels"
        driver.close()
        driver.close()
        assert tester.requests == [ASK_DEVICES] * 2
        assert isinstance(driver, ProgramCycler)


def test_a_newer_clients_richer_answer_is_understood(tmp_path: Path) -> None:
    richer = DEVICES.replace(
        '    <server ip="127.0.0.1" port="3306" />',
        '<server ip="127.0.0.1" port="3306" version="8.0.4.546"><dev ip="192.168.1.188"><xwj id="1" /></dev></server>',
    ).replace("  <serverip", '  <client version="BTS Client 2025.11.24(R3) (64)" />\n  <serverip')
    with ScriptedTester(richer, richer) as tester, QuickNeware(tester.address, step_file_folder=tmp_path) as driver:
        assert driver.identify() == "BTS Client 2025.11.24(R3) (64), 3 channels"


def test_a_login_is_made_once_a_connection(tmp_path: Path) -> None:
    welcome = '<bts version="1.0">\n  <cmd>connect_resp</cmd>\n  <result>ok</result>\n</bts>'
    with (
        ScriptedTester(welcome, DEVICES, DEVICES) as tester,
        QuickNeware(tester.address, step_file_folder=tmp_path, login=("admin", "neware")) as driver,
    ):
        driver.identify()
        assert tester.requests[0] == request(
            "<cmd>connect</cmd><username>admin</username><password>neware</password><type>bfgs</type>"
        )
        assert tester.requests[1:] == [ASK_DEVICES] * 2


@pytest.mark.parametrize(
    "answer",
    [
        DEVICES.replace('middle count="3"', "middle").replace("channel ", "other ").replace("/channel", "/other"),
        DEVICES.replace("getdevinfo_resp", "start_resp"),
        "<html>not found</html>",
        "plain text",
    ],
)
def test_something_else_at_the_address_is_no_tester(answer: str, tmp_path: Path) -> None:
    with ScriptedTester(answer) as tester, pytest.raises(WrongInstrument, match=tester.address):
        QuickNeware(tester.address, step_file_folder=tmp_path)


def test_status_of_many_channels_takes_three_requests(script: tuple[ScriptedTester, QuickNeware]) -> None:
    tester, driver = script
    tester.replies += [VOLUMES, LIVE, STATES]
    status = driver.status(["27-21-1-1", "27-21-1-2"])
    assert tester.requests == [
        request(f'<cmd>inquiredf</cmd><list count = "2"><chl {DEV_1} testid="0" /><chl {DEV_2} testid="0" /></list>'),
        request(
            f'<cmd>inquire</cmd><list count = "2"><inquire {IP_1} aux="0" barcode="1">true</inquire>'
            f'<inquire {IP_2} aux="0" barcode="1">true</inquire></list>'
        ),
        request(
            f'<cmd>getchlstatus</cmd><list count = "2"><status {IP_1}>true</status><status {IP_2}>true</status></list>'
        ),
    ]
    idle, busy = status["27-21-1-1"], status["27-21-1-2"]
    assert (idle.state, idle.test_id, idle.label) == (CyclerState.FINISHED, 143, "251203_kigr_gen17_01")
    assert (idle.step, idle.cycle, idle.measurement) == (None, None, Measurement(3.8834, 0.0))
    assert (busy.state, busy.test_id, busy.label) == (CyclerState.RUNNING, 144, "251203_kigr_gen17_02")
    assert (busy.step, busy.cycle, busy.measurement) == (4, 44, Measurement(4.6947, -0.0003))


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("working", CyclerState.RUNNING),
        ("pause", CyclerState.PAUSED),
        ("finish", CyclerState.FINISHED),
        ("stop", CyclerState.STOPPED),
        ("protect", CyclerState.PROTECTED),
        ("waitStart", CyclerState.UNKNOWN),
        ("ligth", CyclerState.UNKNOWN),
        ("", CyclerState.UNKNOWN),
    ],
)
def test_a_state_that_is_not_known_is_never_idle(
    text: str, state: CyclerState, script: tuple[ScriptedTester, QuickNeware]
) -> None:
    tester, driver = script
    tester.replies += [VOLUME, RUNNING, FINISHED.replace("finish", text)]
    assert driver.status(["27-21-1-1"])["27-21-1-1"].state is state


def test_an_answer_for_another_channel_is_unknown_but_a_wrong_subdevid_is_forgiven(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    devices = DEVICES.replace('subdevid="1" Channelid="2"', 'subdevid="5" Channelid="2"')
    with ScriptedTester(devices) as tester, QuickNeware(tester.address, step_file_folder=tmp_path) as driver:
        tester.replies += [VOLUMES, LIVE.replace("27-21-1-1-0", "27-21-1-9-0"), STATES] * 2
        for _ in range(2):
            status = driver.status(["27-21-1-1", "27-21-5-2"])
            assert status["27-21-1-1"].state is CyclerState.UNKNOWN
            assert status["27-21-1-1"].measurement is None
            assert status["27-21-5-2"].state is CyclerState.RUNNING
    warned = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert sum("the answer names 27-21-1-9" in text for text in warned) == 1
    assert sum("asked getchlstatus of channel 27-21-5-2, the answer names 27-21-1-2" in text for text in warned) == 1


def test_records_are_asked_for_by_test_and_number(script: tuple[ScriptedTester, QuickNeware]) -> None:
    tester, driver = script
    tester.replies += [VOLUME, RECORDS]
    first, last = driver.records("27-21-1-1", 143, after=219583)
    assert tester.requests == [
        request(f'<cmd>inquiredf</cmd><list count = "1"><chl {DEV_1} testid="143" /></list>'),
        request(f'<cmd>download</cmd><download {DEV_1} auxid="0" testid="143" startpos="219584" count="1000"/>'),
    ]
    assert first.sequence == 219584
    assert last == CyclerRecord(
        sequence=219585,
        step=24,
        cycle=29,
        kind="dc",
        step_time_s=36136.4,
        wall_time="2025-12-28 22:30:11",
        voltage_V=3.49995565414429,
        current_A=-0.000295051460852847,
        step_capacity_Ah=0.00296172639355063,
        step_energy_Wh=0.013580740429461,
    )
    assert last.step_capacity_Ah == pytest.approx(0.000295051 * 36136.4 / 3600, rel=1e-4)  # A, ms and Ah agree


def test_both_spellings_of_download_are_read(script: tuple[ScriptedTester, QuickNeware]) -> None:
    tester, driver = script
    tester.replies += [VOLUME, RECORDS.replace("donwload_resp", "download_resp")]
    assert len(driver.records("27-21-1-1", 143, after=219583)) == 2


@pytest.mark.parametrize(
    ("volume", "records", "error"),
    [
        (VOLUME.replace("143", "144"), RECORDS, ReplacedTest),
        (VOLUME, RECORDS.replace('testid="143"', 'testid="144"'), ReplacedTest),
        (VOLUME, RECORDS.replace('seqid="219584"', 'seqid="219583"'), BadReply),
        (VOLUME, RECORDS.replace('chlid="1"', 'chlid="2"'), BadReply),
        (VOLUME, RECORDS.replace('volt="3.52100968360901"', 'volt="1.#INF"'), BadReply),
        (VOLUME, RECORDS.replace('volt="3.52100968360901"', ""), BadReply),
        (VOLUME, RECORDS.replace('stepid="24"', 'stepid="x"'), BadReply),
        (VOLUME.replace("219585", "12"), RECORDS, BadReply),
    ],
)
def test_records_that_cannot_be_right_are_errors(
    volume: str, records: str, error: type, script: tuple[ScriptedTester, QuickNeware]
) -> None:
    tester, driver = script
    tester.replies += [volume, records]
    with pytest.raises(error):
        driver.records("27-21-1-1", 143, after=219583)


def test_a_page_ends_before_a_gap(script: tuple[ScriptedTester, QuickNeware]) -> None:
    tester, driver = script
    tester.replies += [VOLUME, RECORDS.replace('seqid="219585"', 'seqid="219586"')]
    assert [record.sequence for record in driver.records("27-21-1-1", 143, after=219583)] == [219584]


def test_nothing_is_downloaded_where_nothing_is_new(script: tuple[ScriptedTester, QuickNeware]) -> None:
    tester, driver = script
    tester.replies += [VOLUME]
    assert driver.records("27-21-1-1", 143, after=219585) == ()
    assert len(tester.requests) == 1


def test_start_sends_a_step_file_once_and_waits_until_it_runs(
    script: tuple[ScriptedTester, QuickNeware], tmp_path: Path
) -> None:
    tester, driver = script
    label = "cell <7>"
    tester.replies += [FINISHED, VOLUME, STARTED]
    tester.replies += [VOLUME, RUNNING.replace("cell", "last"), FINISHED]  # the status is seconds old
    tester.replies += [NEW_VOLUME, RUNNING, FINISHED]
    tester.replies += [NEW_VOLUME, RUNNING, WORKING]
    assert driver.start("27-21-1-1", program(REST), label) == 150
    (file,) = tmp_path.glob("*.xml")
    assert re.fullmatch(r"27-21-1-1_\d{8}-\d{6}_[0-9a-f]{6}_cell-7-\.xml", file.name)
    assert '<Remark Value="cell &lt;7&gt;" />' in file.read_text(encoding="utf-8")
    assert tester.requests == [
        ASK_STATE,
        ASK_VOLUME,
        request(
            f'<cmd>start</cmd><list count = "1"><start {IP_1} barcode="cell &lt;7&gt;">C:\\jobs\\{file.name}</start>'
            '<backup backupdir="C:\\jobs" remotedir="" filenametype="0" customfilename="" addtimewhenrepeat="0" '
            'createdirbydate="0" filetype="0" backupontime="1" backupontimeinterval="720" backupfree="1" /></list>'
        ),
        *[ASK_VOLUME, ASK_LIVE, ASK_STATE] * 3,
    ]


@pytest.mark.parametrize("state", ["working", "pause", "waitStart", "false"])
def test_a_channel_that_is_not_idle_is_not_started(
    state: str, script: tuple[ScriptedTester, QuickNeware], tmp_path: Path
) -> None:
    tester, driver = script
    tester.replies += [FINISHED.replace("finish", state)]
    with pytest.raises(Refused, match="nothing was started"):
        driver.start("27-21-1-1", program(REST), "cell 7")
    assert tester.requests == [ASK_STATE]
    assert list(tmp_path.iterdir()) == []


def test_a_refused_start_is_told(script: tuple[ScriptedTester, QuickNeware]) -> None:
    tester, driver = script
    tester.replies += [FINISHED, VOLUME, STARTED.replace("ok", "false")]
    with pytest.raises(Refused, match=r"did not take C:\\jobs"):
        driver.start("27-21-1-1", program(REST), "cell 7")


def test_a_refusal_in_another_channels_name_is_decided_from_the_status(
    script: tuple[ScriptedTester, QuickNeware],
) -> None:
    tester, driver = script
    tester.replies += [FINISHED, VOLUME, STARTED.replace("ok", "false").replace('chlid="1"', 'chlid="2"')]
    tester.replies += [VOLUME, RUNNING, FINISHED] * 50
    with pytest.raises(Refused, match="did not start; it was not sent again"):
        driver.start("27-21-1-1", program(REST), "cell 7")
    assert sum("<cmd>start</cmd>" in text for text in tester.requests) == 1


@pytest.mark.parametrize(
    "status",
    [
        [NEW_VOLUME, RUNNING.replace("cell", "other"), WORKING] * 50,  # someone else was quicker
        [VOLUME, RUNNING, FINISHED],  # old news, and then the link is gone
        [VOLUME, RUNNING, WORKING] * 50,  # runs, but under the old test id
        [NEW_VOLUME, RUNNING, FINISHED.replace("finish", "waitStart")] * 50,
    ],
)
def test_where_a_start_is_not_certain_a_person_must_look(
    status: list[str], script: tuple[ScriptedTester, QuickNeware]
) -> None:
    tester, driver = script
    tester.replies += [FINISHED, VOLUME, STARTED.replace('chlid="1"', 'chlid="2"'), *status]
    with pytest.raises(InstrumentTimeout, match="whether it runs is not known; it was not sent again"):
        driver.start("27-21-1-1", program(REST), "cell 7")
    assert sum("<cmd>start</cmd>" in text for text in tester.requests) == 1


def test_what_was_never_sent_needs_no_tester(script: tuple[ScriptedTester, QuickNeware]) -> None:
    tester, driver = script
    with pytest.raises(OutOfRange, match="27-21-1-1, 27-21-1-2, 27-21-1-4"):
        driver.start("27-21-9-1", program(REST), "cell 7")
    with pytest.raises(OutOfRange, match="label"):
        driver.start("27-21-1-1", program(REST), "cell\n7")
    with pytest.raises(Refused, match="step 1"):
        driver.check_program(program(CyclerStep(StepKind.REST)))
    assert driver.status([]) == {}
    assert tester.requests == []


def test_stop_returns_when_the_status_says_so(script: tuple[ScriptedTester, QuickNeware]) -> None:
    tester, driver = script
    tester.replies += [STOPPED, VOLUME, RUNNING, WORKING, VOLUME, RUNNING, FINISHED.replace("finish", "stop")]
    driver.stop("27-21-1-1")
    assert tester.requests == [
        request(f'<cmd>stop</cmd><list count = "1"><stop {IP_1}>true</stop></list>'),
        *[ASK_VOLUME, ASK_LIVE, ASK_STATE] * 2,
    ]


def test_a_refused_stop_trusts_no_status_older_than_itself(script: tuple[ScriptedTester, QuickNeware]) -> None:
    tester, driver = script
    tester.replies += [STOPPED.replace("ok", "false"), VOLUME, RUNNING, FINISHED, VOLUME, RUNNING, WORKING]
    tester.replies += [STOPPED, VOLUME, RUNNING, FINISHED.replace("finish", "stop")]
    driver.stop("27-21-1-1")
    assert tester.replies == []


def test_a_stop_that_is_not_seen_is_an_error(script: tuple[ScriptedTester, QuickNeware]) -> None:
    tester, driver = script
    tester.replies += [STOPPED, *[VOLUME, RUNNING, WORKING] * 50]
    with pytest.raises(InstrumentTimeout, match=r"is not stopped.*running"):
        driver.stop("27-21-1-1")


def test_proceed_and_go_to_step(script: tuple[ScriptedTester, QuickNeware]) -> None:
    tester, driver = script
    ok = STOPPED.replace("stop", "continue")
    tester.replies += [FINISHED.replace("finish", "pause"), ok, WORKING, VOLUME, STOPPED.replace("stop", "goto")]
    driver.proceed("27-21-1-1")
    driver.go_to_step("27-21-1-1", 3)  # started by hand: the file's own number
    assert tester.requests[1] == request(
        f'<cmd>continue</cmd><list count = "1"><continue {IP_1}>true</continue></list>'
    )
    assert tester.requests[4] == request(f'<cmd>goto</cmd><list count = "1"><goto {IP_1} step="3">true</goto></list>')
    tester.replies += [WORKING, FINISHED]
    with pytest.raises(Refused, match="running, not paused"):
        driver.proceed("27-21-1-1")
    with pytest.raises(Refused, match="finished, not running"):
        driver.go_to_step("27-21-1-1", 3)


# --- whole runs


class Bench:
    """A virtual tester with two capacitor cells of 1 F behind 10 Ω, a clock and a driver."""

    def __init__(self, folder: Path, clock: ManualClock | ScaledClock | None = None) -> None:
        self.clock = clock or ManualClock(1_760_000_000.0)
        self.folder = folder
        self.quirks = Quirks()
        self.cells = {name: CapacitorCell(self.clock) for name in (CHANNEL, OTHER)}
        self.tester = VirtualNeware(
            self.cells, self.clock, folders={"C:\\jobs": folder}, quirks=self.quirks, first_test_id=143
        ).start()
        self.proxy = FaultProxy(self.tester.port)
        self.driver = self.open()

    def open(self, timeout_s: float = 0.5) -> QuickNeware:
        address = self.proxy.address(self.tester.resource)
        return QuickNeware(
            address, step_file_folder=self.folder, step_file_folder_on_client="C:\\jobs", timeout_s=timeout_s
        )

    def close(self) -> None:
        self.driver.close()
        self.proxy.close()
        self.tester.stop()

    def state(self, channel: str = CHANNEL) -> CyclerState:
        return self.driver.status([channel])[channel].state

    def all_records(self, test_id: int, channel: str = CHANNEL) -> list[CyclerRecord]:
        records: list[CyclerRecord] = []
        while page := self.driver.records(channel, test_id, len(records)):
            records += page
        assert [record.sequence for record in records] == list(range(1, len(records) + 1))
        return records

    def sent(self, command: str) -> int:
        return b"".join(self.proxy.sent).count(f"<cmd>{command}</cmd>".encode())


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


def test_a_whole_test_runs_by_itself(bench: Bench) -> None:
    steps = (REST, CHARGE, DISCHARGE, loop(2, 3), REST)
    test_id = bench.driver.start(CHANNEL, program(*steps), "cell 7")
    assert test_id == 143
    bench.clock.sleep(30)
    status = bench.driver.status([CHANNEL, OTHER])
    assert (status[CHANNEL].state, status[CHANNEL].step, status[CHANNEL].label) == (CyclerState.RUNNING, 1, "cell 7")
    assert (status[OTHER].state, status[OTHER].test_id) == (CyclerState.STOPPED, None)
    bench.driver.close()  # nobody watches
    bench.clock.sleep(3600)
    bench.driver = bench.open()
    assert bench.state() is CyclerState.FINISHED
    records = bench.all_records(test_id)
    by_step = [(step, list(rows)) for step, rows in itertools.groupby(records, lambda record: record.step)]
    assert [step for step, _ in by_step] == [1, 2, 3, 2, 3, 2, 3, 5]
    assert [rows[0].cycle for _, rows in by_step] == [1, 1, 1, 2, 2, 3, 3, 3]
    first_charge = by_step[1][1][-1]
    # 1 F from 3 V to where the terminals, 10 Ω away, are at 4 V: 0.95 V at 5 mA.
    assert first_charge.voltage_V == pytest.approx(4.0, abs=1e-6)
    assert first_charge.step_time_s == pytest.approx(0.95 / 0.005, abs=1.0)
    assert first_charge.step_capacity_Ah == pytest.approx(0.95 / 3600, rel=5e-3)
    assert first_charge.step_energy_Wh == pytest.approx(0.95 / 3600 * 3.525, rel=5e-3)
    discharge = by_step[2][1]
    assert {record.kind for record in discharge} == {"dc"}
    assert all(record.current_A == pytest.approx(-0.005, rel=0.1) for record in discharge)
    assert discharge[-1].step_capacity_Ah == pytest.approx(0.9 / 3600, rel=5e-3)
    assert bench.cells[CHANNEL].drives[-1] == OpenCircuit()


def test_the_parts_of_a_cccv_are_one_step(bench: Bench) -> None:
    test_id = bench.driver.start(CHANNEL, program(REST, CCCV, DISCHARGE, loop(2, 2), record_time_s=2.0), "cell 7")
    bench.clock.sleep(60 + 195)
    assert bench.driver.status([CHANNEL])[CHANNEL].step == 2  # the CV, step 3 of the file
    bench.clock.sleep(3600)
    records = bench.all_records(test_id)
    cccv = list(itertools.takewhile(lambda r: r.step == 2, itertools.dropwhile(lambda r: r.step == 1, records)))
    assert [kind for kind, _ in itertools.groupby(cccv, lambda record: record.kind)] == ["cc", "cv"]
    for earlier, later in itertools.pairwise(cccv):
        assert later.step_time_s > earlier.step_time_s
        assert later.step_capacity_Ah >= earlier.step_capacity_Ah
        assert later.step_energy_Wh >= earlier.step_energy_Wh
    assert cccv[-1].current_A <= 0.0005
    # The capacitor ends 0.5 mA times 10 Ω below the voltage held; sampled each second.
    assert cccv[-1].step_capacity_Ah == pytest.approx((4.0 - 3.0 - 0.005) / 3600, rel=0.02)
    assert {record.step for record in records} == {1, 2, 3}


def test_another_process_reads_the_same_records(bench: Bench) -> None:
    made = program(REST, CCCV, DISCHARGE, loop(2, 2), record_time_s=2.0)
    test_id = bench.driver.start(CHANNEL, made, "cell 7")
    bench.clock.sleep(3600)
    records = bench.all_records(test_id)
    held = [record.sequence for record in records if record.kind == "cv"]
    assert len(held) > 10
    for after in (1, held[0] - 2, held[0] - 1, held[0], held[3], held[-1] - 1, held[-1], len(records) - 1):
        with bench.open() as later:
            assert list(later.records(CHANNEL, test_id, after)) == records[after : after + 1000]


def test_a_long_hold_is_looked_back_over_many_pages(bench: Bench) -> None:
    hold = CyclerStep(StepKind.CCCV, current_A=0.02, voltage_V=3.25, end_current_A=1e-9)
    test_id = bench.driver.start(CHANNEL, program(hold, record_time_s=0.05), "cell 7")
    bench.clock.sleep(120)
    records = bench.all_records(test_id)
    assert len(records) > 2300
    assert records[60].kind == "cv"
    with bench.open() as later:
        assert list(later.records(CHANNEL, test_id, 2250)) == records[2250:]


def test_records_come_in_pages_while_the_data_grow(bench: Bench) -> None:
    def grow(command: str) -> None:
        if command in ("inquiredf", "download"):
            bench.clock.sleep(40)

    test_id = bench.driver.start(CHANNEL, program(replace(REST, end_time_s=2500.0), record_time_s=1.0), "cell 7")
    bench.clock.sleep(1500)
    bench.quirks.answered = grow
    pages, after = [], 0
    while page := bench.driver.records(CHANNEL, test_id, after):
        pages.append(len(page))
        assert [record.sequence for record in page] == list(range(after + 1, after + len(page) + 1))
        after = page[-1].sequence
    assert pages[0] == 1000
    assert after == 2500


def test_protection_in_the_file_opens_the_circuit(bench: Bench) -> None:
    charge = CyclerStep(StepKind.CC, current_A=0.005, end_time_s=36000.0)
    bench.driver.start(CHANNEL, program(charge), "cell 7")
    bench.clock.sleep(3600)
    assert bench.state() is CyclerState.PROTECTED
    assert bench.cells[CHANNEL].drives[-1] == OpenCircuit()
    assert bench.cells[CHANNEL].terminals()[0] < 4.52  # 4.5 V at the terminals, and 1 s of delay
    bench.driver.start(OTHER, program(charge, capacity_max_Ah=0.0001), "cell 8")
    bench.clock.sleep(3600)
    status = bench.driver.status([OTHER])[OTHER]
    assert status.state is CyclerState.PROTECTED
    assert bench.all_records(status.test_id or 0, OTHER)[-1].step_capacity_Ah == pytest.approx(1e-4, rel=0.05)


def test_stop_pause_and_go_to_step(bench: Bench) -> None:
    test_id = bench.driver.start(CHANNEL, program(CCCV, REST, DISCHARGE, replace(REST, end_time_s=999.0)), "cell 7")
    bench.clock.sleep(20)
    bench.tester.pause_by_hand(CHANNEL)
    assert bench.state() is CyclerState.PAUSED
    assert bench.cells[CHANNEL].terminals()[1] == 0.0
    with pytest.raises(Refused):
        bench.driver.go_to_step(CHANNEL, 4)
    bench.clock.sleep(500)
    bench.driver.proceed(CHANNEL)
    assert bench.state() is CyclerState.RUNNING
    assert bench.cells[CHANNEL].terminals()[1] == pytest.approx(0.005)
    bench.driver.go_to_step(CHANNEL, 4)
    assert bench.driver.status([CHANNEL])[CHANNEL].step == 4
    with pytest.raises(OutOfRange, match="no step 5"):
        bench.driver.go_to_step(CHANNEL, 5)
    bench.clock.sleep(10)
    bench.driver.stop(CHANNEL)
    assert bench.state() is CyclerState.STOPPED
    assert [step for step, _ in itertools.groupby(bench.all_records(test_id), lambda r: r.step)] == [1, 4]
    bench.driver.stop(CHANNEL)  # nothing runs any more


def test_closing_or_making_safe_stops_no_test(bench: Bench) -> None:
    bench.driver.start(CHANNEL, program(CHARGE), "cell 7")
    bench.driver.make_safe()
    bench.driver.close()
    bench.clock.sleep(20)
    assert bench.cells[CHANNEL].terminals()[1] == pytest.approx(0.005)
    assert bench.sent("stop") == 0


def test_a_channel_started_by_hand_is_noticed(bench: Bench, tmp_path: Path) -> None:
    test_id = bench.driver.start(CHANNEL, program(REST, CHARGE), "cell 7")
    bench.clock.sleep(100)
    before = bench.all_records(test_id)
    (file,) = tmp_path.glob("*.xml")
    bench.tester.start_by_hand(CHANNEL, file, "someone else's")
    status = bench.driver.status([CHANNEL])[CHANNEL]
    assert (status.test_id, status.label) == (test_id + 1, "someone else's")
    assert len(bench.all_records(test_id)) >= len(before)  # the old test's data are still there
    bench.quirks.latest_test_only = True
    with pytest.raises(ReplacedTest, match=f"test {test_id + 1}, not of {test_id}"):
        bench.driver.records(CHANNEL, test_id, len(before))


def test_odd_testers_are_understood(bench: Bench) -> None:
    bench.quirks.chunk_bytes = 7
    bench.quirks.wrong_count = True
    bench.quirks.wrong_subdevid = True
    bench.quirks.misspelt_download = False
    driver = bench.open(timeout_s=5.0)
    test_id = driver.start(OTHER, program(REST), "Zelle µ-Ω 7")  # cut within a character, at some point
    bench.clock.sleep(35)
    assert driver.status([OTHER])[OTHER].label == "Zelle µ-Ω 7"
    assert [record.step_time_s for record in driver.records(OTHER, test_id, 0)] == [1.0, 10.0, 20.0, 30.0]
    driver.close()


def test_a_status_that_lags_is_waited_for(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ScaledClock(speed=50.0))
    try:
        bench.quirks.status_lag_s = 5.0
        test_id = bench.driver.start(CHANNEL, program(replace(REST, end_time_s=9999.0)), "cell 7")
        assert (test_id, bench.sent("start")) == (143, 1)
        bench.driver.stop(CHANNEL)
        assert bench.state() is CyclerState.STOPPED
    finally:
        bench.close()


def test_a_short_test_may_be_over_before_it_is_seen(bench: Bench) -> None:
    bench.quirks.answered = lambda command: bench.clock.sleep(100) if command == "start" else None
    assert bench.driver.start(CHANNEL, program(REST), "cell 7") == 143
    assert bench.state() is CyclerState.FINISHED


def test_a_step_file_that_the_client_does_not_see_is_refused(bench: Bench) -> None:
    driver = QuickNeware(bench.tester.address, step_file_folder=bench.folder, step_file_folder_on_client="D:\\wrong")
    with pytest.raises(Refused, match=r"did not take D:\\wrong\\27-21-1-1_"):
        driver.start(CHANNEL, program(REST), "cell 7")
    driver.close()
    with pytest.raises(Refused, match="no step-file folder"):
        QuickNeware(bench.tester.address, step_file_folder=bench.folder / "gone")


# --- faults on the wire


def only(command: str, spoil: Spoil) -> Spoil:
    """Spoil the answers to one command."""
    return lambda chunk: spoil(chunk) if f"<cmd>{command}".encode() in chunk else chunk


START_FAULTS = [swallow, garble, *(cut_after(count) for count in (0, 60, 226))]


@pytest.mark.parametrize("fault", START_FAULTS)
def test_a_lost_answer_to_start_starts_nothing_twice(bench: Bench, fault: Spoil) -> None:
    bench.proxy.spoil = only("start_resp", fault)
    assert bench.driver.start(CHANNEL, program(CHARGE), "cell 7") == 143
    assert bench.sent("start") == 1
    assert bench.tester.channels[CHANNEL].tests.keys() == {143}


def test_a_lost_refusal_of_start_is_found_out(bench: Bench) -> None:
    bench.proxy.spoil = only("start_resp", swallow)
    driver = QuickNeware(
        bench.proxy.address("{host}:{port}"),
        step_file_folder=bench.folder,
        step_file_folder_on_client="D:\\wrong",
        timeout_s=0.3,
    )
    with pytest.raises(Refused, match="did not start; it was not sent again"):
        driver.start(CHANNEL, program(CHARGE), "cell 7")
    assert bench.sent("start") == 1
    driver.close()


def test_a_start_that_stays_in_the_dark_says_so(bench: Bench) -> None:
    def drop(chunk: bytes) -> bytes | None:
        if b"start_resp" not in chunk:
            return chunk
        bench.proxy.refuse = True
        return None

    bench.proxy.spoil = drop
    with pytest.raises(InstrumentTimeout, match="whether it runs is not known; it was not sent again"):
        bench.driver.start(CHANNEL, program(CHARGE), "cell 7")
    assert bench.sent("start") == 1


@pytest.mark.parametrize("fault", START_FAULTS)
def test_a_lost_answer_to_stop_still_stops(bench: Bench, fault: Spoil) -> None:
    bench.driver.start(CHANNEL, program(CHARGE), "cell 7")
    bench.proxy.spoil = only("stop_resp", fault)
    bench.driver.stop(CHANNEL)
    assert bench.tester.channels[CHANNEL].state == "stop"
    assert bench.cells[CHANNEL].drives[-1] == OpenCircuit()


def test_a_stop_without_effect_or_answer_is_sent_again(bench: Bench) -> None:
    bench.driver.start(CHANNEL, program(CHARGE), "cell 7")
    (file,) = bench.folder.glob("*.xml")

    def undo(command: str) -> None:
        if command == "stop" and bench.sent("stop") == 1:
            bench.tester.start_by_hand(CHANNEL, file, "cell 7")

    bench.quirks.answered = undo
    bench.proxy.spoil = only("stop_resp", lambda chunk: b"" if bench.sent("stop") == 1 else chunk)
    bench.driver.stop(CHANNEL)
    assert bench.sent("stop") == 2
    assert bench.tester.channels[CHANNEL].state == "stop"


@pytest.mark.parametrize("count", [0, 1, 200, 400, 700])
def test_a_page_that_is_cut_is_read_again_whole(bench: Bench, count: int) -> None:
    test_id = bench.driver.start(CHANNEL, program(REST), "cell 7")
    bench.clock.sleep(35)
    bench.proxy.spoil = only("donwload_resp", cut_after(count))
    with pytest.raises(Unreachable):
        bench.driver.records(CHANNEL, test_id, 0)
    bench.proxy.spoil = None
    assert len(bench.driver.records(CHANNEL, test_id, 0)) == 4


@pytest.mark.parametrize("count", [0, 1, 37, 38, 39, 120])
def test_a_cut_answer_is_an_error_and_the_next_one_is_right(bench: Bench, count: int) -> None:
    test_id = bench.driver.start(CHANNEL, program(REST), "cell 7")
    bench.clock.sleep(35)
    bench.proxy.spoil = cut_after(count)
    with pytest.raises(Unreachable):
        bench.driver.records(CHANNEL, test_id, 0)
    bench.proxy.spoil = None
    assert [record.step_time_s for record in bench.driver.records(CHANNEL, test_id, 0)] == [1.0, 10.0, 20.0, 30.0]


def test_a_late_answer_is_never_taken_for_the_next(bench: Bench) -> None:
    bench.quirks.reply_delay_s = {"getdevinfo": 0.7}
    with pytest.raises(InstrumentTimeout, match=r"within 0\.5 s"):
        bench.driver.identify()
    bench.quirks.reply_delay_s = {}
    assert bench.driver.status([CHANNEL])[CHANNEL].measurement == Measurement(3.0, 0.0)


def test_a_slow_answer_is_waited_for(bench: Bench) -> None:
    bench.quirks.reply_delay_s = {"getchlstatus": 0.2}
    assert bench.state() is CyclerState.STOPPED


@pytest.mark.parametrize("fault", [double, dribble])
def test_doubled_and_dribbling_answers_are_read_right(bench: Bench, fault: Spoil) -> None:
    with bench.open(timeout_s=5.0) as driver:
        test_id = driver.start(CHANNEL, program(REST), "cell 7")
        bench.clock.sleep(15)
        bench.proxy.spoil = fault
        assert driver.status([CHANNEL])[CHANNEL].state is CyclerState.RUNNING
        assert len(driver.records(CHANNEL, test_id, 0)) == 2


def test_garbled_answers_are_errors(bench: Bench) -> None:
    bench.proxy.spoil = garble
    with pytest.raises(BadReply, match="garbled"):
        bench.driver.identify()
    with pytest.raises(WrongInstrument):
        bench.open()


def test_the_link_is_made_anew_after_a_drop(bench: Bench) -> None:
    bench.driver.identify()
    bench.proxy.drop()
    assert bench.driver.identify() == "BTS Client, 2 channels"
    bench.proxy.refuse = True
    bench.proxy.drop()
    with pytest.raises(Unreachable):
        bench.driver.identify()
    with pytest.raises(Unreachable, match="next attempt in"):
        bench.driver.identify()


@pytest.mark.parametrize("after", [30, 200])
def test_the_tester_breaks_the_link_within_an_answer(bench: Bench, after: int) -> None:
    with QuickNeware(bench.tester.address, step_file_folder=bench.folder) as driver:
        bench.quirks.close_after_bytes = {"inquire": after}
        with pytest.raises(Unreachable, match=f"closed by the instrument after {after} bytes"):
            driver.status([CHANNEL])
        bench.quirks.close_after_bytes = {}
        assert driver.status([CHANNEL])[CHANNEL].state is CyclerState.STOPPED


@pytest.mark.parametrize("address", ["", "host:", "host:x", "host:70000", ":502"])
def test_an_address_is_host_and_port(address: str, tmp_path: Path) -> None:
    with pytest.raises(InstrumentError, match="host:port"):
        NewareBts(address, step_file_folder=tmp_path)
