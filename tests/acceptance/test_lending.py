"""Two channels and one impedance analyser: the second waits its turn, and its run says so."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, select

from drivers.simulated.cell import SimulatedCell, silicon_half_cell
from drivers.simulated.keithley2450 import VirtualKeithley2450
from station.readings import ChannelState
from station.store import Archive
from station.store.schema import spectra
from tests.acceptance.bench import wait_until
from tests.acceptance.conftest import Live, Rig

SWEEP = """\
protocol: Sweep
record: {every: 2 s}
limits: {voltage: [-0.05 V, 2.2 V]}
steps:
  - impedance: {from: 10 Hz, to: LOWEST, amplitude: 10 mV, points_per_decade: 5}
  - rest: {for: 2 s}
"""


@pytest.fixture
def shared(rig: Rig) -> Rig:
    """With a third channel, C1, that has a source of its own and shares A1's analyser."""
    cell = SimulatedCell(silicon_half_cell(), rig.bench.clock, 7)
    server = VirtualKeithley2450(cell, clock=rig.bench.clock)
    rig.bench.servers["smu-C"] = server.start()
    text = rig.config.read_text(encoding="utf-8")
    text += f'[instruments.smu-C]\ndriver = "keithley-2450"\naddress = "{server.address}"\n'
    text += '[channels.C1]\nsource = "smu-C"\nimpedance = "eis"\n'
    text += 'limits = { voltage = ["-0.1 V", "2.5 V"], current = "20 mA", pressure = { above = "2 MPa" } }\n'
    rig.config.write_text(text, encoding="utf-8")
    return rig


def start(live: Live, channel: str, lowest: str) -> str:
    return live.client.start(channel, SWEEP.replace("LOWEST", lowest), "si-half-cell-1", "tester").run_id


def holder(live: Live) -> str | None:
    return live.station._workers["eis"].lender.holder


def test_the_second_waits_its_turn_and_its_run_says_so(shared: Rig) -> None:
    with shared.station() as live:
        first_id = start(live, "A1", "0.5 Hz")
        wait_until(lambda: holder(live) == "A1", what="for the first to have it")
        run_id = start(live, "C1", "5 Hz")
        wait_until(lambda: live.said("waits for 'eis'; before it: A1"), what="for the second to ask")
        for channel in ("A1", "C1"):
            live.wait_for(ChannelState.IDLE, channel, within_s=30.0)
        assert live.said("has 'eis' after a wait of")
        assert live.station.writer.flush(5.0)
    database = f"sqlite:///{shared.folder.as_posix()}/cellstation.db"
    archive = Archive(database)
    assert archive.run(run_id).state == "finished"
    assert any("has 'eis' after a wait of" in event.text for event in archive.run_events(run_id))
    first = next(iter(archive.steps(run_id)))
    assert "points measured after a wait of" in str(first)
    waited, measured = archive.frame(run_id), archive.frame(first_id)
    waited, measured = waited[waited["step"] == 1], measured[measured["step"] == 1]
    assert len(waited) > 2, "it rests at its source, and is recorded"
    assert waited["voltage_V"].notna().all() and waited["current_A"].abs().max() < 1e-6
    with create_engine(database).connect() as connection:
        bias_V = connection.execute(select(spectra.c.bias_V).where(spectra.c.run_id == run_id)).scalar_one()
    assert bias_V == pytest.approx(waited["voltage_V"].iloc[-1], abs=1e-3)
    assert len(measured) > 2 and measured["voltage_V"].isna().all(), "nobody measures it but the analyser"
    assert measured["pressure_Pa"].notna().all()


def test_a_wait_that_is_too_long_trips_and_says_who_has_it(shared: Rig) -> None:
    with shared.station(lend_within="20 s") as live:
        start(live, "A1", "0.01 Hz")
        wait_until(lambda: holder(live) == "A1", what="for the first to have it")
        start(live, "C1", "5 Hz")
        reason = live.wait_for(ChannelState.TRIPPED, "C1", within_s=20.0).reason
        assert "eis: not to be had within" in reason
        assert "channel A1 has had it for" in reason
        live.client.stop("A1", "tester")
        wait_until(lambda: holder(live) is None, what="for it to be given back")
