"""Whatever is wrong with a file: a line for each problem, with the place, and never a traceback."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from protocols.cell import parse_cell
from protocols.compile import parse_protocol
from protocols.document import DocumentError
from station import cli
from tests.protocols.broken import ALL, CELL, FILES, HEAD, PROTOCOL, Broken

IDS = [str(number) for number in range(len(ALL))]


@dataclass(frozen=True)
class Desk:
    """A folder with all the files that a broken one may name, and a shell in it."""

    folder: Path
    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch

    def __call__(self, *arguments: str | Path) -> tuple[int, str, str]:
        self.monkeypatch.chdir(self.folder)
        self.monkeypatch.setattr(sys, "argv", ["cellstation", *map(str, arguments)])
        self.capsys.readouterr()
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        return (code, *self.capsys.readouterr())

    def check(self, text: str | bytes, cell: str = CELL, *more: str) -> tuple[int, str, str]:
        (self.folder / "p.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
        (self.folder / "c.yaml").write_text(cell, encoding="utf-8")
        return self("protocol", "check", "p.yaml", "--cell", "c.yaml", *more)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("broken")
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def desk(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(folder, capsys, monkeypatch)


def test_the_corpus_is_large_and_its_unbroken_files_are_fine() -> None:
    assert len(ALL) >= 200
    assert len({(one.text, one.cell) for one in ALL}) == len(ALL)
    assert parse_protocol(PROTOCOL, "p.yaml", files=FILES).compile_for(parse_cell(CELL)).steps()
    profile = f"{HEAD}  - profile: {{file: good.csv}}\n  - include: formation.yaml\n"
    assert parse_protocol(profile, files=FILES).compile_for(parse_cell(CELL)).steps()


@pytest.mark.parametrize("broken", ALL, ids=IDS)
def test_a_broken_file_is_refused_where_it_is_broken(broken: Broken) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_protocol(broken.plain, "p.yaml", files=dict(FILES)).compile_for(parse_cell(broken.cell))
    first = str(caught.value.problems[0])
    assert first.startswith(f"{broken.place('p.yaml')}: "), first
    assert any(broken.said in problem.message for problem in caught.value.problems), caught.value
    for problem in caught.value.problems:
        assert problem.line >= 1
        assert problem.column >= 1
        assert problem.message == problem.message.strip() != ""


@pytest.mark.parametrize("broken", ALL, ids=IDS)
def test_on_the_command_line_it_is_a_line_for_each_problem(desk: Desk, broken: Broken) -> None:
    code, out, err = desk.check(broken.plain, broken.cell)
    assert (code, out) == (1, "")
    assert "Traceback" not in err
    lines = err.splitlines()
    assert lines[0].startswith(f"{broken.place('p.yaml')}: ")
    assert broken.said in err
    assert all(line.count(":") >= 3 for line in lines)


@pytest.mark.parametrize("broken", ALL[::15], ids=IDS[::15])
def test_as_json_it_is_a_list_of_the_same(desk: Desk, broken: Broken) -> None:
    lines = desk.check(broken.plain, broken.cell)[2].splitlines()
    code, out, err = desk.check(broken.plain, broken.cell, "--json")
    assert (code, err) == (1, "")
    problems = json.loads(out)
    assert [f"{p['file']}:{p['line']}:{p['column']}: {p['message']}" for p in problems] == lines
    assert {p["severity"] for p in problems} == {"error"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (bytes(range(256)), "is not UTF-8 text"),
        (b"\x7fELF\x02\x01\x01" + bytes(64), "does not allow"),
        (b"PK\x03\x04" + bytes(30) + b"\xff\xfe", "is not UTF-8 text"),
        ("protocol: Zelle für Tests\n".encode("latin-1"), "is not UTF-8 text"),
        ("protocol: x\nsteps: []\n".encode("utf-16"), "is not UTF-8 text"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"protocol: x\r\nsteps:\r\n  - rest: {for: 1 zz}\r\n", "p.yaml:3:12: 'zz' in '1 zz' is not a unit"),
        (b"protocol: x\rsteps:\r  - rest: {for: 1 zz}\r", "'zz' in '1 zz' is not a unit"),
    ],
)
def test_what_is_no_text_file(desk: Desk, content: bytes, said: str) -> None:
    code, out, err = desk.check(content)
    assert (code, out) == (1, "")
    assert said in err
    assert err.startswith("p.yaml:")
    assert err.count("\n") == 1


def test_a_folder_and_a_file_that_is_not_there(desk: Desk, folder: Path) -> None:
    (folder / "folder.yaml").mkdir(exist_ok=True)
    for name in ("absent.yaml", "folder.yaml"):
        code, _, err = desk("protocol", "check", name)
        assert code == 1
        assert err.startswith(f"{name}:1:1: cannot be read")


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("", "c.yaml:1:1: is empty"),
        ("cell: x\nactive_mass: 1 V\n", "c.yaml:2:1: '1 V' is not a mass"),
        ("cell: x\nmass: 1 g\n", "c.yaml:2:1: 'mass' is not known here"),
        ("cell: x\nspecific_capacity: 1 Ah/g\n", "c.yaml:1:1: 'specific_capacity' needs 'active_mass'"),
        ("cell: x\nreference: SHE\n", "c.yaml:2:1: 'SHE' is none of Li, Li-In"),
        ("cell: x\nstate_of_charge: 150 %\n", "c.yaml:2:1: 'state_of_charge'"),
        ("cell: x\nlimits: {voltage: [4 V, 2 V]}\n", "c.yaml:2:1: the voltage limits are in the wrong order"),
        ("cell: x\ncells_in_series: 0\n", "c.yaml:2:1: 'cells_in_series'"),
        ("active_mass: 1 g\n", "c.yaml:1:1: 'cell' is missing"),
    ],
)
def test_a_broken_cell(desk: Desk, cell: str, said: str) -> None:
    code, _, err = desk.check(f"{HEAD}  - rest: {{for: 1 h}}\n", cell)
    assert code == 1
    assert err.startswith(said)
    assert err.count("\n") == 1


def test_a_parameter_on_the_command_line_that_does_not_fit(desk: Desk) -> None:
    for given, said in (
        ("cycles=many", "p.yaml:9:5: 'repeat': input should be a valid integer"),
        ("cycles=0", "p.yaml:9:5: 'repeat': input should be greater than or equal to 1"),
        ("rate=fast", "p.yaml:12:21: 'fast' is not a current"),
        ("nights=3", "p.yaml:3:1: no parameter 'nights' here; there are: cycles, rate"),
        ("cycles=nan", "p.yaml:9:5: 'repeat'"),
    ):
        code, _, err = desk.check(PROTOCOL, CELL, "--set", given)
        assert code == 1
        assert err.startswith(said)
