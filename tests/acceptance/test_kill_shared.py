"""kill -9 of the service while two cells share an analyser: both runs end, each test was started once, and nobody's
cell was on two instruments.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from station.readings import RunState
from station.store import Archive, check
from tests.acceptance.bench import free_port, wait_until
from tests.acceptance.full_house import House, full_house
from tests.acceptance.service_process import Service

PROTOCOL = """\
protocol: Shared
record: {every: 5 s}
limits: {voltage: [-0.05 V, 4.1 V]}
steps:
  - charge: {at: 0.2 C, for: 1 min}
  - impedance: {from: 1 kHz, to: 500 mHz, amplitude: 10 mV}
  - discharge: {at: 0.2 C, for: 1 min}
"""


def measured(house: House) -> list[int]:
    """The cells that are at the analyser now."""
    return [n for n in range(house.cell_count) if house.visited(n)[-1] == "analyser"]


@pytest.mark.parametrize("moment", ["in a sweep", "in the last test"])
def test_two_cells_that_share_an_analyser_end_their_runs_whenever_the_service_is_killed(
    tmp_path: Path, moment: str
) -> None:
    port = free_port()
    with full_house(tmp_path, 40.0, cell_count=2, sensor_count=3) as house:
        config = house.write()
        config.write_text(config.read_text(encoding="utf-8").replace("port = 0", f"port = {port}"), encoding="utf-8")
        service = Service(config, port)
        client = service.client
        try:
            service.start()
            service.wait_until_up()
            wait_until(lambda: all(one.resistance_ohm for one in client.status().channels), 30.0, "for the sensors")
            runs = [client.start(name, PROTOCOL, f"cell-{name}", "tester").run_id for name in house.names]
            wait_until(lambda: measured(house), 30.0, "for a sweep")
            if moment == "in the last test":
                wait_until(lambda: any(len(house.tester(n).tests) == 2 for n in range(2)), 30.0, "for a last test")
            service.kill()
            service.start()
            service.wait_until_up()
            wait_until(lambda: all(client.run(run_id).ended for run_id in runs), 60.0, "for the ends")
            assert [client.run(run_id).state for run_id in runs] == [RunState.FINISHED] * 2
            service.shut_down()
        finally:
            service.end()
        assert [len(house.tester(n).tests) for n in range(2)] == [2, 2], "no test was started twice"
        assert house.together == 0
        assert [house.visited(n)[-1] for n in range(2)] == ["open", "open"]
    database = f"sqlite:///{(tmp_path / 'cellstation.db').as_posix()}"
    assert check(database) == []
    archive = Archive(database)
    for run_id in runs:
        assert [step.kind for step in archive.steps(run_id)] == ["charge", "impedance", "discharge"]
        assert len(archive.spectra(run_id)) == 1
        frame = archive.frame(run_id)
        assert list(frame["sequence"]) == list(range(1, len(frame) + 1))
        assert (frame["test_time_s"].diff().dropna() > 0.0).all()
