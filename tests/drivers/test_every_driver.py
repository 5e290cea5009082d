"""What is asked of each driver's file, whatever it drives."""

import inspect
from pathlib import Path

import pytest
from typer.testing import CliRunner

from drivers.interface import Instrument
from drivers.registry import BUILT_IN, DRIVERS, SettingsError, open_instrument
from drivers.testing.statics import faults_of
from station.cli import app
from tests.drivers.collect import all_cases

DOCS = Path(__file__).parents[2] / "docs" / "instruments"

every_driver = pytest.mark.parametrize(("name", "driver"), DRIVERS.items(), ids=DRIVERS)


@every_driver
def test_it_is_documented(name: str, driver: type[Instrument]):
    assert driver.__doc__, "a docstring that says what it drives, within which limits"
    assert inspect.getmodule(driver).__doc__
    page = DOCS / f"{name}.md"
    assert page.exists(), f"wants a page {page}"
    text = page.read_text(encoding="utf-8").lower()
    for subject in ("connection", "safe state", "sources", "hardware"):
        assert subject in text, f"{page.name} says nothing of {subject!r}"


@every_driver
def test_it_states_what_a_person_must_know(name: str, driver: type[Instrument]):
    assert not faults_of(driver)


@every_driver
def test_it_is_in_the_contract_suites(name: str, driver: type[Instrument]):
    assert name in [case.name for case in all_cases()], "wants a Case of that name in tests/drivers/cases_*.py"


def test_the_table_of_instruments_is_as_the_drivers_state_it():
    said = CliRunner().invoke(app, ["instruments", "list", "--markdown"]).stdout
    assert said in DOCS.with_suffix(".md").read_text(encoding="utf-8"), (
        "docs/instruments.md: put the output of 'cellstation instruments list --markdown' in place of its table"
    )


# --- the registry


@pytest.mark.parametrize(
    ("driver", "settings", "message"),
    [
        ("keithly-2450", {}, r"there is no driver 'keithly-2450'; did you mean keithley-2450"),
        ("wombat", {}, r"there is no driver 'wombat'; there are .*keithley-2450, "),
        ("keithley-2450", {"nplcs": 1.0}, r"keithley-2450 has no setting 'nplcs'; did you mean nplc\?"),
        ("keithley-2450", {"nplc": "1"}, r"keithley-2450: setting 'nplc' should be a number, not '1'"),
        ("keithley-2450", {"nplc": True}, r"should be a number, not True"),
        ("keithley-2700", {"four_wire": "yes"}, r"should be true or false, not 'yes'"),
        ("keithley-2700", {"card_channels": 20.5}, r"should be a whole number, not 20\.5"),
    ],
)
def test_a_wrong_name_or_setting_is_told_before_anything_is_opened(driver, settings, message):
    with pytest.raises(SettingsError, match=message):
        open_instrument(driver, "TCPIP::192.0.2.1::5025::SOCKET", settings)


class Chamber:
    """Has a setting that must be given."""

    def __init__(self, address: str, *, limit_degC: float) -> None:
        self.address, self.limit_degC = address, limit_degC


def test_a_missing_setting_is_told_and_a_given_one_arrives(monkeypatch):
    monkeypatch.setitem(BUILT_IN, "chamber", f"{__name__}:Chamber")
    with pytest.raises(SettingsError, match="chamber needs the setting 'limit_degC'"):
        open_instrument("chamber", "x", {})
    opened = open_instrument("chamber", "x", {"limit_degC": 60})
    assert isinstance(opened, Chamber)
    assert (opened.address, opened.limit_degC) == ("x", 60)
