"""NEWARE step files, both ways. `golden/unicycler.xml` is what unicycler 0.4.6 makes of `cycling.json`, which ran on
BTS 8.0 hardware; the reading of CCCV steps and of rate type 105 follows files that BTS Client 8.0.1 saved."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

from protocols import interop
from protocols.compile import parse_protocol
from protocols.document import DocumentError
from tests.protocols.interop.helpers import CELL, CREATED, GOLDEN, read_back, remarks, written


def _read(*steps: str, head: str = '<RateType Value="103" />', whole: str = "") -> interop.Converted:
    body = "".join(
        f'<Step{n} Step_ID="{n}" {step.partition("|")[0]}>{step.partition("|")[2]}</Step{n}>\n'
        for n, step in enumerate(steps, start=1)
    )
    text = (
        f'<?xml version="1.0" encoding="utf-8"?>\n<root><config type="Step File" version="18"><Head_Info>{head}'
        f"</Head_Info><Whole_Prt>{whole}</Whole_Prt>\n<Step_Info>\n{body}</Step_Info></config></root>"
    )
    return interop.read(text, "neware", "theirs.xml")


def _step(kind: int, **main: float) -> str:
    values = "".join(f'<{name} Value="{value}" />' for name, value in main.items())
    return f'Step_Type="{kind}"|<Limit><Main>{values}</Main></Limit>'


def _loop(start: float, count: float) -> str:
    other = f'<Start_Step Value="{start}" /><Cycle_Count Value="{count}" />'
    return f'Step_Type="5"|<Limit><Other>{other}</Other></Limit>'


def _steps(converted: interop.Converted) -> list[str]:
    lines = converted.text.split("steps:\n", 1)[1].splitlines()
    return [line.split("  #")[0] for line in lines]


REST, END = _step(4, Time=180000), 'Step_Type="6"|'


def test_the_same_file_as_unicycler_writes() -> None:
    """But for C-rates beside the currents, which mA mode does not need, and for an empty limit of capacity."""
    theirs = json.loads((GOLDEN / "cycling.json").read_text())
    theirs["method"] = [step for step in theirs["method"] if step["step"] != "impedance_spectroscopy"]
    theirs["method"][10]["loop_to"] = 8  # the step that was the ninth
    theirs["safety"].pop("max_capacity_mAh")
    converted = interop.read(json.dumps(theirs), "unicycler", "cycling.json")
    ours = interop.write(parse_protocol(converted.text), "neware", CELL, created=CREATED)
    expected = ET.fromstring((GOLDEN / "unicycler.xml").read_bytes()).find("config/Step_Info")
    found = ET.fromstring(ours.text).find("config/Step_Info")
    assert expected is not None and found is not None
    assert [_canonical(step) for step in found] == [_canonical(step) for step in expected]


def _canonical(step: ET.Element) -> list[tuple[str, dict[str, float]]]:
    rates = ("Rate", "Stop_Rate")
    return [(e.tag, {k: float(v) for k, v in e.attrib.items()}) for e in step.iter() if e.tag not in rates]


def test_units_and_layout() -> None:
    text = written(
        "- rest: {for: 1.5 s}\n- charge: {at: 0.5 C, hold: 4.2 V, until: {current: C/20}}",
        "neware",
        head="limits: {voltage: [2.4 V, 4.3 V], current: 50 mA}\nrecord: {every: 10 s, change: [5 mV]}\n",
    ).text
    config = ET.fromstring(text)[0]
    value = {path: config.find(path) for path in (
        "Head_Info/MultCap", "Head_Info/RateType", "Whole_Prt/Protect/Main/Volt/Upper",
        "Whole_Prt/Protect/Main/Volt/Lower", "Whole_Prt/Protect/Main/Curr/Lower", "Whole_Prt/Record/Main/Time",
        "Whole_Prt/Record/Main/Volt", "Step_Info/Step1/Limit/Main/Time", "Step_Info/Step2/Limit/Main/Curr",
        "Step_Info/Step2/Limit/Main/Stop_Volt", "Step_Info/Step3/Limit/Main/Volt",
        "Step_Info/Step3/Limit/Main/Stop_Curr", "Step_Info/Step3/Limit/Main/Curr",
    )}  # fmt: skip
    assert [float(e.get("Value", "nan")) if e is not None else None for e in value.values()] == [
        45 * 3600, 103, 43000, 24000, -50, 10000, 50, 1500, 22.5, 42000, 42000, 2.25, 22.5
    ]  # fmt: skip
    info = config.find("Step_Info")
    assert info is not None and info.get("Num") == "4"
    assert [step.get("Step_Type") for step in info] == ["4", "1", "3", "6"]
    assert config.get("date") == "20260101000000"


def test_the_same_protocol_gives_the_same_file() -> None:
    steps = "- rest: {for: 1 h}"
    assert written(steps, "neware").text == written(steps, "neware").text
    assert written(steps, "neware").text != written("- rest: {for: 2 h}", "neware").text


class TestHolds:
    def test_the_direction_follows_from_the_voltages(self) -> None:
        steps = """
- charge: {at: 9 mA, until: {voltage: 4.2 V}}
- hold: {at: 4.0 V, limit: 9 mA, for: 1 h}
- hold: {at: 4.1 V, limit: 9 mA, for: 1 h}
"""
        info = ET.fromstring(written(steps, "neware").text).find("config/Step_Info")
        assert info is not None and [step.get("Step_Type") for step in info] == ["1", "19", "3", "6"]

    def test_without_one_it_is_refused(self) -> None:
        with pytest.raises(DocumentError, match="charges or discharges, and which of both cannot be told"):
            written("- hold: {at: 4.0 V, limit: 9 mA, for: 1 h}", "neware")

    def test_without_a_largest_current_it_is_refused(self) -> None:
        with pytest.raises(DocumentError, match=r"ours\.yaml:4:1: .* needs a largest current"):
            written("- charge: {at: 9 mA, until: {voltage: 4.2 V}}\n- hold: {at: 4.0 V, for: 1 h}", "neware")


def test_what_the_files_decimals_cannot_say_is_told() -> None:
    step = "  - charge: {at: 0.1 mA, hold: 4.2 V, until: {current: 0.3125 uA}}\n"
    converted = interop.write(parse_protocol(f"protocol: p\nsteps:\n{step}", "p.yaml"), "neware", CELL)
    (loss,) = map(str, converted.losses)
    assert loss.startswith("p.yaml:3: approximated: step 1 charge 0.1 mA: ")
    assert loss.endswith("0.3125 µA is written as 0.312 µA: the file resolves 1 nA")
    assert '<Stop_Curr Value="0.000312" />' in converted.text


def test_rates_need_a_cell() -> None:
    with pytest.raises(DocumentError, match=r"ours\.yaml:3:1: .*neware wants currents in mA: give a cell"):
        written("- charge: {at: 0.5 C, until: {voltage: 4.2 V}}", "neware", cell=None)
    assert written("- charge: {at: 5 mA, until: {voltage: 4.2 V}}", "neware", cell=None)


def test_a_file_of_the_client_with_cccv_steps_and_rates() -> None:
    converted = _read(
        REST,
        _step(7, Curr=0.9, Rate=0.02, Volt=42000, Stop_Curr=0.45, Stop_Rate=0.01),
        _step(2, Curr=0.9, Rate=0.02, Stop_Volt=30000),
        _step(7, Curr=22.5, Rate=0.5, Volt=42000, Stop_Curr=0.9, Stop_Rate=0.02),
        _step(2, Curr=22.5, Rate=0.5, Stop_Volt=50),
        _loop(4, 3),
        END,
        head='<RateType Value="105" /><SCQ Value="1" /><MultCap Value="162000" />',
        whole='<Protect><Main><Volt><Upper Value="50000" /><Lower Value="-500" /></Volt></Main></Protect>'
        '<Record><Main><Time Value="30000" /></Main></Record>',
    )
    assert _steps(converted) == [
        "  - rest: {for: 3 min}",
        "  - charge: {at: C/50, hold: 4.2 V, until: {current: C/100}}",
        "  - discharge: {at: C/50, until: {voltage: 3 V}}",
        "  - repeat: 3",
        "    steps:",
        "      - charge: {at: C/2, hold: 4.2 V, until: {current: C/50}}",
        "      - discharge: {at: C/2, until: {voltage: 0.005 V}}",
    ]
    assert "record: {every: 30 s}\nlimits: {voltage: [-0.05 V, 5 V]}\n" in converted.text
    assert 'notes: "The file gives its cell a capacity of 45 mAh."' in converted.text
    assert not converted.report


def test_in_mA_mode_the_currents_count() -> None:
    step = _step(2, Curr=0.9, Rate=0.02, Stop_Volt=30000)
    assert "discharge: {at: 0.9 mA" in _read(step, END).text
    assert "discharge: {at: C/50" in _read(step, END, head='<RateType Value="105" />').text


def test_a_cccv_discharge_and_one_with_a_time() -> None:
    converted = _read(_step(20, Curr=10, Volt=25000, Time=3600000, Stop_Curr=1), END)
    assert _steps(converted) == [
        "  - discharge: {at: 10 mA, for: 1 h, until: {voltage: 2.5 V}}",
        "  - hold: {at: 2.5 V, limit: 10 mA, for: 1 h, until: {current: 1 mA}}",
    ]
    assert len(converted.losses) == 1


def test_a_loop_counts_steps_of_the_file() -> None:
    """Where a CCCV before it became two steps of ours."""
    converted = _read(_step(7, Curr=10, Volt=42000, Stop_Curr=1, Time=1000), REST, _loop(2, 5), END)
    assert _steps(converted)[2:] == ["  - repeat: 5", "    steps:", "      - rest: {for: 3 min}"]


def test_what_a_step_of_ours_does_not_have_is_said() -> None:
    step = (
        'Step_Type="1"|<Record><Main><Time Value="1000" /><Volt Value="10" /></Main></Record><Limit><Main>'
        '<Curr Value="1" /><Time Value="1000" /><Cap Value="3600" /></Main>'
        "<Other><Cnd1 /></Other></Limit><Protect><Main><Volt><Upper Value='1' /></Volt></Main></Protect>"
    )
    converted = _read(step, END)
    assert "charge: {at: 1 mA, for: 1 s}" in converted.text and "record: {every: 1 s}" in converted.text
    assert remarks(converted) == [
        "4: left out: its 'Cap'",
        "4: left out: its 'Cnd1'",
        "4: left out: the step's own protection",
        "4: left out: the step's own recording by 'Volt'",
    ]


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (_step(3, Volt=42000), "it would hold for ever"),
        (_step(3, Volt=42000, Stop_Curr=0), "it would hold for ever"),
        (_step(3, Stop_Curr=1), r"needs a voltage \('Volt'\)"),
        (_step(1, Curr=1), "has no end that can be read"),
        (_step(1, Stop_Volt=42000), "needs a current"),
        (_step(7, Volt=42000, Stop_Curr=1), "needs a current"),
        (_step(4), "a rest needs a time"),
        (_step(9, Time=1), r"Step_Type '9' \(constant power, charge\) cannot be read"),
        (_step(99), "Step_Type '99' cannot be read"),
        ('Step_Type="x"|', "Step_Type 'x' cannot be read"),
        (_loop(2, 3), "Start_Step is 2"),
        (_loop(0, 3), "Start_Step is 0"),
        (_loop(1, 0), "a Cycle_Count of 1 or more"),
        ('Step_Type="5"|', "a loop needs a Start_Step"),
        ('Step_Type="25"|', "only a scan with one slope"),
        ('Step_Type="4"|<Limit><Main><Time Value="soon" /></Main></Limit>', "'Time' has the value 'soon'"),
        ('Step_Type="4"|<Limit><Main><Time Value="inf" /></Main></Limit>', "'Time' has the value 'inf'"),
    ],
)
def test_mistakes_name_their_line(step: str, said: str) -> None:
    with pytest.raises(DocumentError, match=rf"theirs\.xml:5:\d+: .*{said}"):
        _read(REST, step, END)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not XML"),
        ("<root><config></root>", "theirs.xml:1:17: is not XML: mismatched tag"),
        ("<root />", "is no NEWARE step file"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><root />', "has a document type"),
        ("<root><config><Step_Info /></config></root>", "has no steps"),
    ],
)
def test_files_that_are_no_step_files(text: str, said: str) -> None:
    with pytest.raises(DocumentError) as raised:
        interop.read(text, "neware", "theirs.xml")
    assert said in str(raised.value)


def test_other_encodings() -> None:
    step = "<Step1 Step_Type='4'><Limit><Main><Time Value='1000'/></Main></Limit></Step1>"
    head = "<Head_Info><Remark Value='循环'/></Head_Info>"
    body = f"<root><config>{head}<Step_Info>{step}<Step2 Step_Type='6'/></Step_Info></config></root>"
    for data in (
        f'<?xml version="1.0" encoding="gb2312"?>{body}'.encode("gb2312"),
        body.encode("utf-8-sig"),
        body.encode("utf-16"),
    ):
        assert 'protocol: "循环"' in interop.read(data, "neware", "theirs.xml").text
    with pytest.raises(DocumentError, match="in an encoding that is not known, 'klingon'"):
        interop.read(b'<?xml version="1.0" encoding="klingon"?><root/>', "neware", "theirs.xml")


def test_there_and_back() -> None:
    steps = """
- rest: {for: 10 min}
- repeat: 3
  steps:
    - charge: {at: 9 mA, hold: 4.2 V, until: {current: 1 mA}}
    - discharge: {at: 9 mA, for: 3 h, until: {voltage: 2.5 V}}
- linear_sweep: {from: 2.5 V, to: 4.2 V, rate: 0.1 mV/s}
"""
    back = read_back(written(steps, "neware"), "neware")
    assert [step.technique for step in back.content.steps] == ["rest", "steps", "linear_sweep"]
    assert back.content.steps[1].repeat == 3
