"""The virtual NEWARE tester says, byte for byte, what a BTS 8.0 client said (EmpaEconversion/aurora-neware, tests)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.simulated.clock import ManualClock
from drivers.simulated.neware_bts import Quirks, VirtualNeware
from tests.drivers.neware_bench import CHANNEL, CapacitorCell, recorded

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<bts version="1.0">\n'
KEY = 'devtype="27" devid="21" subdevid="1" chlid="1"'
FULL_KEY = f'ip="127.0.0.1" {KEY}'

TWO_STEPS = """<?xml version="1.0"?>
<root><config type="Step File" version="17">
  <Whole_Prt><Record><Main><Time Value="10000"/></Main></Record></Whole_Prt>
  <Step_Info Num="3">
    <Step1 Step_ID="1" Step_Type="7"><Limit><Main>
      <Curr Value="5"/><Volt Value="40000"/><Stop_Curr Value="0.5"/>
    </Main></Limit></Step1>
    <Step2 Step_ID="2" Step_Type="4"><Limit><Main><Time Value="60000"/></Main></Limit></Step2>
    <Step3 Step_ID="3" Step_Type="6"/>
  </Step_Info>
</config></root>"""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_760_000_000.0)


@pytest.fixture
def tester(clock: ManualClock) -> Iterator[VirtualNeware]:
    made = VirtualNeware({CHANNEL: CapacitorCell(clock, open_V=3.8834)}, clock, first_test_id=143)
    yield made
    made.stop()


def ask(tester: VirtualNeware, body: str) -> bytes:
    return tester.answer(f'<?xml version="1.0" encoding="UTF-8" ?><bts version="1.0">{body}</bts>\n\n'.encode())[1]


def a_list(command: str, element: str) -> str:
    return f'{HEAD}  <cmd>{command}_resp</cmd>\n  <list count="1">\n    {element}\n  </list>\n</bts>'


@pytest.mark.parametrize(
    ("body", "reply"),
    [
        (
            "<cmd>connect</cmd><username>admin</username><password>neware</password><type>bfgs</type>",
            f"{HEAD}  <cmd>connect_resp</cmd>\n  <result>ok</result>\n</bts>",
        ),
        (
            "<cmd>getdevinfo</cmd>",
            f'{HEAD}  <cmd>getdevinfo_resp</cmd>\n  <serverip count="1">\n    <server ip="127.0.0.1" port="3306" />\n'
            '  </serverip>\n  <middle count="1">\n    <channel ip="127.0.0.1" devtype="27" devid="21" subdevid="1" '
            'Channelid="1">true</channel>\n</middle>\n</bts>',
        ),
        (
            f'<cmd>getchlstatus</cmd><list count = "1"><status {FULL_KEY}>true</status></list>',
            a_list("getchlstatus", f'<status {FULL_KEY} reservepause="1">stop</status>'),
        ),
        (
            f'<cmd>inquire</cmd><list count = "1"><inquire {FULL_KEY} aux="0" barcode="1">true</inquire></list>',
            a_list(
                "inquire",
                '<inquire dev="27-21-1-1-0" cycle_id="1" step_type="--" workstatus="stop" barcode="" current="0" '
                'voltage="3.8834" capacity="0" energy="0" totaltime="0" relativetime="0" open_or_close="0" '
                'log_code="0" />',
            ),
        ),
        (
            f'<cmd>stop</cmd><list count = "1"><stop {FULL_KEY}>true</stop></list>',
            a_list("stop", f"<stop {FULL_KEY}>false</stop>"),
        ),
        (
            f'<cmd>light</cmd><list count = "1"><light {FULL_KEY}>true</light></list>',
            a_list("light", f"<light {FULL_KEY}>ok</light>"),
        ),
        (
            f'<cmd>clearflag</cmd><list count = "1"><clearflag {FULL_KEY}>true</clearflag></list>',
            a_list("clearflag", f"<clearflag {FULL_KEY}>false</clearflag>"),
        ),
    ],
)
def test_replies_of_an_idle_channel(tester: VirtualNeware, body: str, reply: str) -> None:
    assert ask(tester, body) == recorded(reply)


def test_replies_of_a_test(tester: VirtualNeware, clock: ManualClock, tmp_path: Path) -> None:
    file = tmp_path / "two steps.xml"
    file.write_text(TWO_STEPS, encoding="utf-8")
    start = f'<cmd>start</cmd><list count = "1"><start {FULL_KEY} barcode="c 1">{file}</start><backup /></list>"'
    assert ask(tester, start) == recorded(a_list("start", f"<start {FULL_KEY}>ok</start>"))
    assert ask(tester, start) == recorded(a_list("start", f"<start {FULL_KEY}>false</start>"))
    clock.sleep(15)
    volume = f'<cmd>inquiredf</cmd><list count = "1"><chl {KEY} testid="0" /></list>'
    assert ask(tester, volume) == recorded(a_list("inquiredf", f'<chl {KEY} testid="143" count="2">false</chl>'))
    none = f'<cmd>download</cmd><download {KEY} auxid="0" testid="0" startpos="0" count="0"/>'
    assert ask(tester, none) == recorded(
        f'{HEAD}  <cmd>donwload_resp</cmd>\n  <download {KEY} testid="143" startpos="0" count="0" auxid="0" />\n'
        '  <list count="0" />\n</bts>'
    )
    page = ask(tester, f'<cmd>download</cmd><download {KEY} auxid="0" testid="0" startpos="2" count="1000"/>').decode()
    assert '<data seqid="2" stepid="1" cycleid="1" steptype="cccv" testtime="10000" atime="' in page
    assert 'curr="0.005" cap="1.38888888888889e-05"' in page
    clock.sleep(3600)  # 13 s of 5 mA, 23 s to a tenth of it with 10 s as time constant; 60 s of rest
    assert ask(tester, volume) == recorded(a_list("inquiredf", f'<chl {KEY} testid="143" count="12">true</chl>'))
    log = ask(tester, f'<cmd>downloadlog</cmd><download {KEY} testid="0"/>').decode()
    assert "<cmd>donwloadlog_resp</cmd>" in log
    assert 'log_code="100000"' in log and 'seqid="12" log_code="100001"' in log
    layers = ask(tester, f"<cmd>downloadStepLayer</cmd><downloadStepLayer {KEY} />").decode()
    assert layers.count("<data ") == 2
    assert (
        'startseqid="6" endseqid="12" stepindex="2" stepid="2" cycleid="1" steptype="rest" steptime="60000"' in layers
    )


@pytest.mark.parametrize("request_", [b"", b"nonsense", b"<bts>", b"\xff\xfe", b"<bts><cmd>dance</cmd></bts>"])
def test_what_it_does_not_understand_it_refuses(tester: VirtualNeware, request_: bytes) -> None:
    assert b"<result>false</result>" in tester.answer(request_)[1]


def test_a_refused_start_may_name_another_channel(tester: VirtualNeware) -> None:
    tester.quirks = Quirks(wrong_chlid_on_refusal=True)
    reply = ask(tester, f'<cmd>start</cmd><list count = "1"><start {FULL_KEY} barcode="">nowhere.xml</start></list>')
    assert b'chlid="2">false</start>' in reply
