"""station.toml: every mistake is named with file, line and key, and a good file comes back absolute."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest

from drivers.registry import BUILT_IN
from station import examples
from station.config import ConfigError, StationConfig, absolute_url, read_config

GOOD = """\
[station]
name = "Bench 1"
poll = "500 ms"
lost_after = "5 s"
limits = { current = "1 A" }

[instruments.smu]
driver = "keithley-2450"
address = "TCPIP::192.168.1.20::5025::SOCKET"

[instruments.scanner]
driver = "keithley-daq6510"
address = "TCPIP::192.168.1.21::5025::SOCKET"

[instruments.eis]
driver = "solartron-1260-1287"
address = "TCPIP::192.168.1.22::1234::SOCKET"
settings = { write_wait_s = 0.1 }

[instruments.neware]
driver = "neware-bts"
address = "192.168.1.23:502"

[instruments.neware.settings]
step_file_folder = "steps"

[channels.A1]
source = "smu"
impedance = "eis"
sensor = { meter = "scanner", channel = 101, name = "mfsr-1" }

[channels.A1.limits]
voltage = ["-0.1 V", "4.3 V"]
pressure = { above = "2 MPa" }

[channels.B1]
cycler = { instrument = "neware", channel = "27-21-1-1-0" }
sensor = { meter = "scanner", channel = 102, name = "mfsr-2" }
"""


def read(text: str | bytes, folder: Path) -> StationConfig:
    path = folder / "station.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_config(path)


def problems(text: str | bytes, folder: Path) -> list[str]:
    """Each as 'LINE: key: what'."""
    with pytest.raises(ConfigError) as caught:
        read(text, folder)
    lines = str(caught.value).splitlines()
    start = f"{folder / 'station.toml'}:"
    assert all(line.startswith(start) for line in lines), lines
    return [line.removeprefix(start) for line in lines]


def test_a_good_file(tmp_path: Path) -> None:
    config = read(GOOD, tmp_path)
    assert config.station.poll == 0.5
    assert config.station.limits.limits().current_max_A == 1.0
    assert config.channels["A1"].limits.limits().pressure_max_Pa == 2e6
    assert config.channels["B1"].cycler is not None
    assert config.instruments["neware"].settings == {"step_file_folder": "steps"}


def test_the_example_and_an_empty_file_are_good(tmp_path: Path) -> None:
    assert read(examples.STATION, tmp_path).channels.keys() == {"A1"}
    assert read("", tmp_path).channels == {}


@pytest.mark.parametrize(
    ("replaced", "by", "said"),
    [
        ('poll = "500 ms"', "poll = 0.5", "3: station.poll: 0.5 has no unit; write it like '0.5 s'"),
        ('poll = "500 ms"', 'poll = "500 mV"', "3: station.poll: '500 mV' is not a time; a unit like s is wanted"),
        ('poll = "500 ms"', 'poll = "0 s"', "3: station.poll: 'poll': input should be greater than 0"),
        ('poll = "500 ms"', 'poll = "10 s"', "4: station.lost_after: is not longer than 'poll'"),
        ("poll =", "pol =", "3: station.pol: 'pol' is not known here; did you mean 'poll'?"),
        ("poll =", "'poll ' =", "3: station.poll : 'poll ' is not known here; did you mean 'poll'?"),
        ('name = "Bench 1"', "name = 1", "2: station.name: 'name': input should be a valid string, not 1"),
        ('name = "Bench 1"', "port = 99999", "2: station.port: 'port': input should be less than or equal to 65535"),
        ('current = "1 A"', 'current = "1 V"', "5: station.limits.current: '1 V' is not a current"),
        ('current = "1 A"', 'curent = "1 A"', "5: station.limits.curent: 'curent' is not known here; did you mean"),
        ("[station]", "[statoin]", "1: statoin: 'statoin' is not known here; did you mean 'station'?"),
        ('"keithley-2450"', '"keithly-2450"', "8: instruments.smu.driver: there is no driver 'keithly-2450'; did you"),
        ('driver = "keithley-2450"\n', "", "7: instruments.smu.driver: 'driver' is missing"),
        (
            "write_wait_s = 0.1",
            "wait_s = 0.1",
            "18: instruments.eis.settings: solartron-1260-1287 has no setting 'wait_s'",
        ),
        (
            "write_wait_s = 0.1",
            'write_wait_s = "0.1"',
            "18: instruments.eis.settings: solartron-1260-1287: setting 'write",
        ),
        (
            'step_file_folder = "steps"',
            "",
            "24: instruments.neware.settings: neware-bts needs the setting 'step_file_f",
        ),
        ("1.21::", "1.20::", "13: instruments.scanner.address: is that of instrument 'smu' already"),
        ("[channels.A1]", "[channels.'A 1']", "27: channels.A 1.[key]: a name is made of letters, digits"),
        ('source = "smu"', 'source = "sum"', "28: channels.A1.source: there is no instrument 'sum'; there are: smu, "),
        ('source = "smu"', 'source = "scanner"', "28: channels.A1.source: instrument 'scanner' (keithley-daq6510) ca"),
        ('source = "smu"\n', "", "27: channels.A1: a channel has either a 'source' or a 'cycler'"),
        (
            'impedance = "eis"',
            'impedance = "smu"',
            "29: channels.A1.impedance: instrument 'smu' (keithley-2450) cannot",
        ),
        (
            'meter = "scanner", channel = 101',
            'meter = "eis", channel = 101',
            "30: channels.A1.sensor: instrument 'eis' (sol",
        ),
        (
            "channel = 101",
            'channel = "x"',
            "30: channels.A1.sensor.channel: 'channel': input should be a valid integer",
        ),
        ('"-0.1 V", "4.3 V"', '"4.3 V", "-0.1 V"', "32: channels.A1.limits: the voltage limits are in the wrong order"),
        ('"-0.1 V", "4.3 V"', '"-0.1 V"', "32: channels.A1.limits: voltage limits are a pair"),
        ('"-0.1 V", "4.3 V"', '"-0.1 V", 4.3', "33: channels.A1.limits.voltage.1: 4.3 has no unit"),
        (
            'above = "2 MPa"',
            'over = "2 MPa"',
            "34: channels.A1.limits.pressure.over: 'over' is not known here; did you mean",
        ),
        ("cycler = {", 'source = "smu"\ncycler = {', "36: channels.B1: a channel has either a 'source' or a 'cycler'"),
        ("channel = 102", "channel = 101", "38: channels.B1.sensor: 'scanner' is used by channel A1 already"),
        ("mfsr-2", "mfsr-1", "38: channels.B1.sensor: 'mfsr-1' is used by channel A1 already"),
        ('name = "Bench 1"', 'name = "Bench 1', "2: Illegal character"),
        ("[channels.B1]", "[channels.A1]", "36: Cannot declare"),
        ('name = "Bench 1"', 'name = "B"\nname = "C"', "3: Cannot overwrite a value"),
    ],
)
def test_each_mistake_is_named_where_it_stands(replaced: str, by: str, said: str, tmp_path: Path) -> None:
    assert GOOD.count(replaced) >= 1
    found = problems(GOOD.replace(replaced, by, 1), tmp_path)
    assert any(line.startswith(said) for line in found), found


def test_a_simulated_bench_polls_by_its_own_clock(tmp_path: Path) -> None:
    slow = GOOD.replace('poll = "500 ms"', 'poll = "10 s"')
    assert read(slow + "\n[simulation]\nspeed = 100\nepoch = 1.79e9\n", tmp_path).station.poll == 10.0
    assert problems(slow + "\n[simulation]\nspeed = 2\nepoch = 1.79e9\n", tmp_path) == [
        "4: station.lost_after: is not longer than 'poll': every channel would trip between two samples"
    ]


CHAMBER = """
[instruments.chamber]
driver = "simserv"
address = "192.168.1.24"
settings = { temperature_min_degC = 0, temperature_max_degC = 60 }
"""


def test_a_chamber_may_be_named_by_several_channels_and_a_frame_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = 'chamber = "chamber"\n'
    around = GOOD.replace('source = "smu"\n', f'source = "smu"\n{line}') + line + CHAMBER
    config = read(around, tmp_path)
    assert [channel.chamber for channel in config.channels.values()] == ["chamber", "chamber"]
    monkeypatch.setitem(BUILT_IN, "frame-1", "tests.acceptance.frame:Frame")
    framed = around.replace(line, 'frame = "press"\ntrigger = "press"\n')
    framed += '[instruments.press]\ndriver = "frame-1"\naddress = "192.168.1.25"\n'
    assert problems(framed, tmp_path) == ["41: channels.B1.frame: 'press' is used by channel A1 already"]


@pytest.mark.parametrize(
    ("key", "capability"),
    [("chamber", "Chamber"), ("thermometer", "Thermometer"), ("frame", "PressureFrame"), ("trigger", "TriggerOutput")],
)
def test_what_is_around_a_cell_must_be_able_to_do_it(key: str, capability: str, tmp_path: Path) -> None:
    (found,) = problems(GOOD.replace('source = "smu"\n', f'source = "smu"\n{key} = "scanner"\n'), tmp_path)
    assert found == (
        f"29: channels.A1.{key}: instrument 'scanner' (keithley-daq6510) cannot be used as this: it is no {capability}"
    )


def test_an_instrument_used_twice(tmp_path: Path) -> None:
    second = '\n[channels.C1]\nsource = "smu"\n'
    assert problems(GOOD + second, tmp_path) == ["41: channels.C1.source: 'smu' is used by channel A1 already"]
    second = '\n[channels.C1]\ncycler = { instrument = "neware", channel = "27-21-1-1-0" }\n'
    assert problems(GOOD + second, tmp_path) == ["41: channels.C1.cycler: 'neware' is used by channel B1 already"]
    assert read(GOOD + second.replace("1-1-0", "1-2-0"), tmp_path).channels.keys() == {"A1", "B1", "C1"}


def test_one_address_with_different_settings_is_not_twice_the_same(tmp_path: Path) -> None:
    common = 'driver = "modbus-load-cell"\naddress = "COM3"\n'
    form = 'dtype = "float32"\nregister = 0\ncapacity_N = 100.0\nunit_id = '
    text = f"[instruments.a]\n{common}[instruments.a.settings]\n{form}1\n"
    assert read(text + text.replace(".a", ".b").replace("unit_id = 1", "unit_id = 2"), tmp_path).instruments
    assert problems(text + text.replace(".a", ".b"), tmp_path) == [
        "11: instruments.b.address: is that of instrument 'a' already"
    ]


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace('poll = "500 ms"', "poll = 1").replace("channel = 101", "chanel = 101")
    assert [line.split(":")[0] for line in problems(text, tmp_path)] == ["3", "30", "30"]
    text = GOOD.replace('"neware-bts"', '"neware"').replace('source = "smu"', 'source = "x"')
    assert [line.split(":")[0] for line in problems(text, tmp_path)] == ["21", "28"]


def test_keys_may_be_dotted_quoted_and_spaced(tmp_path: Path) -> None:
    text = GOOD.replace("[station]\n", "").replace('name = "Bench 1"', "\nstation . 'port' = -1")
    text = text.split("poll")[0] + "[instruments]\n"
    assert problems(text, tmp_path) == ["2: station.port: 'port': input should be greater than or equal to 0, not -1"]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read.*'cellstation init DIR' writes an example"):
        read_config(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_config(tmp_path)
    with pytest.raises(ConfigError, match=r"is not UTF-8 text \(byte 28\)"):
        read('[station]\nname = "Prüfstand für"'.encode("latin-1")[:19] + b"456789 12\xff", tmp_path)


def test_a_file_saved_by_an_editor_of_windows(tmp_path: Path) -> None:
    text = b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode()
    assert read(text, tmp_path).station.name == "Bench 1"
    assert problems(text.replace(b'"500 ms"', b"1"), tmp_path) == [
        "3: station.poll: 1 has no unit; write it like '1 s'"
    ]


# --- folders


def test_folders_are_relative_to_the_file_and_come_back_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bench = tmp_path / "bench"
    bench.mkdir()
    elsewhere = tmp_path / "elsewhere"
    (bench / "station.toml").write_text(f"[station]\ncells = {str(elsewhere)!r}\nspool = '../spool'\n")
    section = read_config(Path("bench/station.toml")).station
    assert section.database == f"sqlite:///{bench.as_posix()}/cellstation.db"
    assert section.cells == elsewhere
    assert section.protocols == bench / "protocols"
    assert section.spool.resolve() == tmp_path / "spool"
    for folder in (section.spool, section.cells, section.protocols, section.calibrations):
        assert folder.is_absolute()


@pytest.mark.parametrize(
    ("database", "on_posix", "on_windows"),
    [
        ("sqlite:///a.db", "sqlite:////bench/a.db", "sqlite:///D:/bench/a.db"),
        ("sqlite:///data/a.db", "sqlite:////bench/data/a.db", "sqlite:///D:/bench/data/a.db"),
        ("sqlite+pysqlite:///a.db", "sqlite+pysqlite:////bench/a.db", "sqlite+pysqlite:///D:/bench/a.db"),
        ("sqlite:////data/a.db", "sqlite:////data/a.db", "sqlite:////data/a.db"),
        ("sqlite:///C:/data/a.db", None, "sqlite:///C:/data/a.db"),
        ("sqlite:///C:\\data\\a.db", None, "sqlite:///C:/data/a.db"),
        ("sqlite:///data\\a.db", None, "sqlite:///D:/bench/data/a.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:", "sqlite:///:memory:"),
        ("sqlite://", "sqlite://", "sqlite://"),
        ("postgresql+psycopg://u@h/n", "postgresql+psycopg://u@h/n", "postgresql+psycopg://u@h/n"),
    ],
)
def test_where_the_database_is(database: str, on_posix: str | None, on_windows: str) -> None:
    if on_posix is not None:
        assert absolute_url(database, PurePosixPath("/bench")) == on_posix
    assert absolute_url(database, PureWindowsPath("D:\\bench")) == on_windows


SWITCHED = """\
[instruments.smu]
driver = "keithley-2450"
address = "TCPIP::192.0.2.1::5025::SOCKET"
[instruments.eis]
driver = "solartron-1260-1287"
address = "TCPIP::192.0.2.2::1234::SOCKET"
[instruments.matrix]
driver = "modbus-relays"
address = "tcp://192.0.2.3"
[instruments.matrix.settings.routes]
A1-smu = { cell = "A1", to = "smu", relays = [1, 2] }
A1-eis = { cell = "A1", to = "eis", relays = [3, 4] }
A2-eis = { cell = "A2", to = "eis", relays = [5, 6] }
[channels.A1]
source = "smu"
impedance = "eis"
switch = { instrument = "matrix", source_route = "A1-smu", impedance_route = "A1-eis" }
"""


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('"A1-eis" }', '"A1-eis" }', ""),
        ('impedance_route = "A1-eis" }', 'impedance_route = "A3-eis" }', "'matrix' has no route 'A3-eis'"),
        (
            'impedance_route = "A1-eis" }',
            'impedance_route = "A2-eis" }',
            "its routes must be two, and of the same cell",
        ),
        (
            'impedance_route = "A1-eis" }',
            'impedance_route = "A1-smu" }',
            "its routes must be two, and of the same cell",
        ),
        ('impedance = "eis"\n', "", "a 'switch' hands the cell from its 'source' or 'cycler' to an 'imped"),
        ('instrument = "matrix"', 'instrument = "smu"', r"instrument 'smu' \(keithley-2450\) cannot be used as this"),
    ],
)
def test_a_switch_needs_two_routes_of_one_cell_and_both_instruments(tmp_path, before, after, message):
    path = tmp_path / "station.toml"
    assert before in SWITCHED
    path.write_text(SWITCHED.replace(before, after), encoding="utf-8")
    if not message:
        switch = read_config(path).channels["A1"].switch
        assert switch is not None and switch.impedance_route == "A1-eis"
        return
    with pytest.raises(ConfigError, match=message):
        read_config(path)
