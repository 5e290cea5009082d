"""The dialog with a PalmSens device: which it is, a script from its start to its end, and the cell off for certain.

Wire facts: docs/instruments/palmsens.md (evidence: vendor manual, published examples). Not run on hardware yet.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Sequence
from typing import NoReturn

from drivers.interface import (
    BadReply,
    InstrumentError,
    InstrumentTimeout,
    OutOfRange,
    Refused,
    Unreachable,
    WrongInstrument,
)
from drivers.methodscript import LONGEST_LINE, Ended, Failed, Output, Variable, read_error
from drivers.palmsens_scripts import CELL_OFF, DEVICES, Device
from drivers.transports.serial_lines import SerialLines

log = logging.getLogger(__name__)

_VERSION = re.compile(r"t([a-z0-9_]{6})(\d+)#(.+)")
_IGNORES_S = 0.15  # after an error; the device takes no notice of what comes within 0.1 s
_ATTEMPTS = 3


class PalmSensLink:
    """One device at the end of a line. `is_off` only where the device has said that its cell is off."""

    def __init__(self, line: SerialLines, *, patience_s: float) -> None:
        self.line = line
        self.patience_s = patience_s  # for the end of a script that was called off
        self.is_off = False
        self.interrupted = threading.Event()

    # --- scripts

    def begin(self, script: Sequence[str]) -> Output:
        """Send a script and have it acknowledged. Raises `Refused` with the line that the device did not take."""
        if longest := [line for line in script if len(line) > LONGEST_LINE]:
            raise OutOfRange(f"a line too long for the device: {longest[0][:60]}…", **self.where())
        self.line.lines_here()
        self.is_off = False
        self.line.write("\n".join(("e", *script, "", "")).encode("ascii"))
        answer = self.read()
        if (error := read_error(answer)) is not None and error.command == "e":
            time.sleep(_IGNORES_S)
            at = f": {script[error.line - 1]!r}" if error.line and error.line <= len(script) else ""
            raise Refused(f"script refused, {error}{at}", **self.where())
        if answer != "e":
            self.bad(f"a script was answered with {answer[:40]!r}")
        return Output()

    def next_package(self, output: Output, timeout_s: float) -> tuple[Variable, ...] | None:
        """The next package of a script that is followed to its end; None at the end."""
        deadline = time.monotonic() + timeout_s
        while (left_s := deadline - time.monotonic()) > 0:
            if self.interrupted.is_set():
                self.interrupted.clear()
                raise InstrumentError("interrupted", **self.where())
            try:
                line = self.text(self.line.read_line(min(left_s, 0.1)))
            except InstrumentTimeout:
                continue
            try:
                said = output.feed(line)
            except ValueError as error:
                self.bad(str(error))
            match said:
                case Ended():
                    return None
                case Failed():
                    self.stopped_by(said)
                case tuple():
                    return said
        raise InstrumentTimeout(f"nothing more of a script within {timeout_s:.3g} s", **self.where())

    def end_of(self, output: Output) -> None:
        if self.next_package(output, self.line.timeout_s) is not None:
            self.bad("a package more than the script should send")

    def stopped_by(self, failed: Failed) -> NoReturn:
        """After a run-time error nothing switches the cell off but this driver."""
        time.sleep(_IGNORES_S)
        error = Refused(f"the script was stopped by {failed.error}", **self.where())
        self.off_after(error)
        raise error

    # --- off

    def halt(self) -> None:
        """End whatever runs and have the cell off, again and again until the device has said so."""
        if self.is_off:
            self.cell_off()
            return
        failure: InstrumentError | None = None
        for _ in range(_ATTEMPTS):
            try:
                self._call_off()
                self.cell_off()
                return
            except InstrumentError as error:
                log.warning("%s: cell off is not certain yet: %s", self.line.address, error)
                failure = error
                if isinstance(error, Unreachable):
                    break
                time.sleep(_IGNORES_S)
        assert failure is not None
        raise failure

    def _call_off(self) -> None:
        """`Z`, and all that still comes, to the end of the script."""
        self.line.write(b"Z\n")
        deadline = time.monotonic() + self.patience_s
        called_off = False
        while time.monotonic() < deadline:
            line = self.read(max(0.01, deadline - time.monotonic()))
            if (error := read_error(line)) is not None:  # nothing runs, or it has just failed
                time.sleep(_IGNORES_S)
                if error.command == "Z":
                    return
                self.line.write(b"Z\n")
            elif line == "Z":
                called_off = True
            elif line == "" and called_off:
                return
        raise InstrumentTimeout("a script that was called off does not end", **self.where())

    def cell_off(self) -> None:
        output = self.begin(CELL_OFF)
        if self.next_package(output, self.line.timeout_s) is not None:
            self.bad("switching the cell off was answered with a package")
        self.is_off = True

    def off_after(self, error: BaseException) -> None:
        try:
            self.is_off = False
            self.halt()
        except InstrumentError as second:
            error.add_note(f"and the cell could not be confirmed off: {second}")

    # --- on opening

    def identified(self, device: str) -> tuple[str, Device]:
        """What answers to `t`, in two lines; packages of a running script may come between."""
        self.line.lines_here()
        self.line.write(b"t\n")
        first = self._read_past_packages()
        found = _VERSION.fullmatch(first)
        if found is None or found[1] not in DEVICES or device not in ("", found[1]):
            wanted = device or "a device that speaks MethodSCRIPT"
            raise WrongInstrument(
                f"not {wanted}: it says {first[:60]!r}",
                hint="is the port right? a Pico in its bootloader must be switched off and on",
                **self.where(),
            )
        last = self._read_past_packages()
        if not re.fullmatch(r"[A-Za-z0-9 ._-]*\*", last):
            self.bad(f"the device's name ended with {last[:40]!r}")
        return f"{DEVICES[found[1]].name}, firmware {found[2]}, {found[3]}", DEVICES[found[1]]

    def _read_past_packages(self) -> str:
        deadline = time.monotonic() + self.line.timeout_s
        while True:
            line = self.read(max(0.0, deadline - time.monotonic()))
            if line and not re.match(r"[PMLCT*+-]", line):
                return line

    def read(self, timeout_s: float | None = None) -> str:
        return self.text(self.line.read_line(timeout_s))

    def text(self, raw: bytes) -> str:
        kept = raw.translate(None, b"\r\x11\x13")  # XON and XOFF
        if not kept.isascii() or (kept and not kept.decode("ascii").isprintable()):
            self.bad(f"garbled line {raw[:40]!r}")
        return kept.decode("ascii")

    def bad(self, message: str) -> NoReturn:
        raise BadReply(message, **self.where())

    def where(self) -> dict[str, str]:
        return {"instrument": self.line.instrument, "address": self.line.address}
