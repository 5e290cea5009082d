"""A virtual bench that tests can look into: what is true inside a cell, and what was said on a source's wire."""

from __future__ import annotations

import bisect
import contextlib
import json
import random
import re
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import create_engine, select, update

from drivers.simulated.cell import SimulatedCell
from drivers.simulated.wiring import Drive
from station.store.schema import checkpoints

TOKEN = "a token for tests"


def free_port() -> int:
    """Of those that systems give to nobody who asks for just any port, as all virtual instruments do."""
    chance = random.SystemRandom()
    while True:
        port = chance.randrange(15_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def wait_until(condition: Callable[[], object], within_s: float = 30.0, what: str = "") -> None:
    until = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until, f"waited in vain {what}"
        time.sleep(0.05)


@dataclass(frozen=True, slots=True)
class Look:
    """The truth at a moment when an instrument looked at the cell."""

    time_s: float
    charge_C: float
    current_A: float


class Ledger:
    """Keeps the true charge of a cell at each look and at each change of its drive; between them it is interpolated."""

    def __init__(self, cell: SimulatedCell) -> None:
        self.looks: list[Look] = []
        self._lock = threading.Lock()
        self._cell, look, drive = cell, cell.terminals, cell.drive

        def terminals() -> tuple[float, float]:
            with self._lock:
                point = look()
                self._keep()
            return point

        def changed(new: Drive) -> None:
            with self._lock:
                self._keep()
                drive(new)
                self._keep()

        cell.terminals, cell.drive = terminals, changed  # type: ignore[method-assign]

    def _keep(self) -> None:
        state = self._cell.state()
        self.looks.append(Look(state.time_s, state.charge_passed_C, state.current_A))

    def charge_C(self, time_s: float) -> float:
        """At `time_s`, which lies between two looks."""
        index = bisect.bisect_right(self.looks, time_s, key=lambda look: look.time_s)
        before, after = self.looks[max(0, index - 1)], self.looks[min(index, len(self.looks) - 1)]
        if after.time_s <= before.time_s:
            return before.charge_C
        share = (time_s - before.time_s) / (after.time_s - before.time_s)
        return before.charge_C + share * (after.charge_C - before.charge_C)


# --- the source's wire

_SET = re.compile(r":?(?P<header>[A-Z:]+) (?P<value>[^ ]+)$")
LIMIT_OF = {"CURR": "SOUR:CURR:VLIM", "VOLT": "SOUR:VOLT:ILIM"}
LEVEL_OF = {"CURR": "SOUR:CURR", "VOLT": "SOUR:VOLT"}


@dataclass
class SourceWatch:
    """Follows what a Keithley 2450 was told, line by line, and says where its output was on unprotected.

    Protected means: the limit of the function that is sourced was set and read back before the output
    went on, and again after each change; and a current that charges flows only below `voltage_max_V`.
    """

    voltage_max_V: float
    current_max_A: float

    def faults(self, received: Sequence[str]) -> list[str]:
        settings: dict[str, str] = {}
        read_back: set[str] = set()
        on, found = False, []
        for number, line in enumerate(received):
            header = line.lstrip(":").split(" ")[0]
            if header.endswith("?"):
                read_back.add(header.removesuffix("?"))
            elif (command := _SET.match(line)) is not None:
                settings[header] = command["value"]
                read_back.discard(header)
                if header == "OUTP":
                    on = command["value"] == "ON"
                elif header in ("SOUR:FUNC", "SENS:VOLT:RSEN", "SENS:CURR:RSEN"):
                    on = False  # the instrument does this by itself
                elif header == "SENS:FUNC":
                    pass
            if on and (fault := self._fault(settings, read_back, header)):
                found.append(f"line {number}: {line}: {fault}")
        return found

    def _fault(self, settings: dict[str, str], read_back: set[str], header: str) -> str | None:
        function = settings.get("SOUR:FUNC", "")
        limit, level = LIMIT_OF.get(function), LEVEL_OF.get(function)
        if limit is None or level is None or limit not in settings:
            return f"the output is on, and no limit was ever set for the function {function!r}"
        if limit not in read_back and header != limit:
            return f"the output is on, and {limit} was not read back"
        amperes, volts = float(settings[level]), float(settings[limit])
        if function == "CURR" and amperes > 0 and volts > self.voltage_max_V:
            return f"{amperes} A flow below no more than {volts} V"
        if function == "CURR" and amperes < 0:
            return "a current source discharges: its limit would not stop it"
        if function == "VOLT" and volts > self.current_max_A:
            return f"the current is limited to no more than {volts} A"
        return None


# --- a run's checkpoint


def change_checkpoint(folder: Path, run_id: str, **state: object) -> None:
    """In the database of a station that is down: as if it had died elsewhere."""
    engine = create_engine(f"sqlite:///{(folder / 'cellstation.db').as_posix()}")
    this = checkpoints.c.run_id == run_id
    with engine.begin() as connection:
        kept = json.loads(connection.execute(select(checkpoints.c.document).where(this)).scalar_one())
        kept["state"] |= state
        connection.execute(update(checkpoints).where(this).values(document=json.dumps(kept)))
    engine.dispose()
