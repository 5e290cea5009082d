"""An orderly stop: a chamber with a safe temperature is taken there, and nothing goes on in it unasked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from station.readings import ChannelState
from station.store import Archive
from tests.acceptance.bench import wait_until
from tests.acceptance.conftest import Live, Rig

CELL, FULL_CELL = "si-half-cell-1", "si-lfp-coin-1"
HOT = (
    "protocol: Hot\nlimits: {voltage: [-0.05 V, 2.9 V]}\n"
    "steps:\n  - temperature: {set: 45 degC}\n  - rest: {for: 10 h}\n"
)
CYCLED = "protocol: Alone\nlimits: {voltage: [0 V, 4 V]}\nsteps:\n  - charge: {at: 0.01 C, for: 10 h}\n"


@contextmanager
def station(rig: Rig, safe: str = "safe_temperature_degC = 20.0") -> Iterator[Live]:
    text = rig.config.read_text(encoding="utf-8")
    if safe not in text:
        text = text.replace("temperature_max_degC = 60.0", f"temperature_max_degC = 60.0\n{safe}")
        rig.config.write_text(text, encoding="utf-8")
    with rig.station() as live:
        yield live


def begin_hot(rig: Rig, live: Live) -> str:
    run_id = live.client.start("A1", HOT, CELL, "tester").run_id
    wait_until(lambda: (rig.chamber.set_point_degC, rig.chamber.manual) == (45.0, True), what="for the set point")
    return run_id


def events(rig: Rig) -> list[str]:
    archive = Archive(rig.settings().station.database)
    return [event.text for event in archive.events(limit=100)]


def test_the_chamber_goes_to_its_safe_temperature_and_the_run_waits_for_a_person(rig: Rig) -> None:
    with station(rig) as live:
        begin_hot(rig, live)
        live.shut_down()
    assert (rig.chamber.set_point_degC, rig.chamber.manual) == (20.0, True)
    assert not rig.source.output_is_on
    assert "chamber goes to its safe temperature, 20 °C" in events(rig)
    with station(rig) as live:
        view = live.wait_for(ChannelState.PAUSED)
        assert view.cell == CELL, "the run is there, and does not go on at another temperature by itself"
        assert live.said("the station's stop takes chamber to 20 °C: set it again before you resume")
        live.client.stop("A1", "tester")


def test_without_a_safe_temperature_the_chamber_stays_as_it_is(rig: Rig) -> None:
    with rig.station() as live:
        begin_hot(rig, live)
        live.shut_down()
    assert (rig.chamber.set_point_degC, rig.chamber.manual) == (45.0, True)


def test_a_cycler_that_goes_on_alone_keeps_its_temperature(rig: Rig) -> None:
    with station(rig) as live:
        live.client.start("B1", CYCLED, FULL_CELL, "tester")
        wait_until(lambda: rig.current_A("B1") > 0, what="for a current")
        begin_hot(rig, live)
        live.shut_down()
    assert rig.chamber.set_point_degC == 45.0
    assert "chamber is left as it is: the cyclers of B1 go on in it" in events(rig)


def test_a_chamber_that_cannot_be_taken_there_is_an_alarm_and_holds_nothing_up(rig: Rig) -> None:
    with station(rig) as live:
        begin_hot(rig, live)
        rig.chamber.alarm = True
        live.shut_down()
    assert any("could not be taken to its safe temperature, 20 °C" in text for text in events(rig))
    assert not rig.source.output_is_on


def test_a_safe_temperature_beyond_the_limits_is_refused_when_the_chamber_is_opened(rig: Rig) -> None:
    with station(rig, "safe_temperature_degC = 80.0") as live:
        wait_until(lambda: live.said("setting safe_temperature_degC 80: within -20 … 60 °C"), what="for the words")
        assert live.channel().temperature_degC is None


@pytest.fixture(autouse=True)
def quick_chamber(rig: Rig) -> None:
    rig.chamber.start_s = 0.0
