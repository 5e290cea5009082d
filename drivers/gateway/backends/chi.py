"""CH Instruments (CHI660E and others) by a macro file and the start of their program (Windows): impedance.

A macro gives no progress and takes no orders: whatever it runs is known by the files it leaves, and a file that does
not come is an error. Written from public programs' macros. Not run on hardware.
"""

from __future__ import annotations

import contextlib
import math
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from drivers.chi_files import ChiFile, ChiFileError, read_chi
from drivers.gateway.backends import Backend
from drivers.gateway.protocol import Capability, Description
from drivers.interface import (
    BadReply,
    ImpedancePoint,
    InstrumentTimeout,
    NotSafe,
    OutOfRange,
    Refused,
    Sweep,
    Unreachable,
)

START = bytes((0x63, 0x02, 0x00, 0x00, 0x0A))  # what a macro file begins with
POLL_S = 0.5
ENDS_WITHIN_S = 10.0  # of being told to
FREQUENCY_OFF = 0.02  # of the one asked for, that the program may choose


class ChiBackend(Backend):
    """Impedance at the open circuit or at a bias, one run of the program's `imp` for each frequency.

    `program` is the path of chi660e.exe. The amplitude is written as a peak value, half of what is from peak to peak,
    as a public program quotes the maker's help.
    """

    name = "chi"

    def __init__(self, program: str, *, folder: str = "", point_s: float = 60.0) -> None:
        self._program = Path(program)
        if not self._program.is_file():
            raise Unreachable(
                f"no program {program}",
                instrument="CH Instruments",
                hint="it needs Windows, and chi660e.exe with its path",
            )
        self._folder = Path(folder) if folder else Path(tempfile.mkdtemp(prefix="cellstation-chi-"))
        self._folder.mkdir(parents=True, exist_ok=True)
        self._point_s = point_s
        self._running: subprocess.Popen[bytes] | None = None

    def describe(self) -> Description:
        return Description(
            f"CH Instruments by {self._program.name}",
            (Capability.IMPEDANCE,),
            ("1",),
            -10.0,
            10.0,
            0.25,
            frequency_min_Hz=1e-4,
            frequency_max_Hz=1e5,
            amplitude_max_V=0.4 / math.sqrt(2),
        )

    def sweep(self, channel: str, sweep: Sweep, called_off: threading.Event) -> Iterator[ImpedancePoint]:
        macro = self._folder / "sweep.mcr"
        files = [self._folder / f"point{number:04d}.txt" for number in range(len(sweep.frequencies_Hz))]
        for file in files:
            file.unlink(missing_ok=True)
        macro.write_bytes(macro_of(sweep, files))
        self._running = subprocess.Popen([str(self._program), f"/runmacro:{macro}"])
        try:
            for file, frequency in zip(files, sweep.frequencies_Hz, strict=True):
                point = self._point(file, frequency, called_off)
                if point is None:
                    return
                yield point
        finally:
            self.off(channel)

    def is_on(self, channel: str) -> bool:
        return self._running is not None and self._running.poll() is None

    def off(self, channel: str) -> None:
        """The one way to stop a macro is to end the program; the instrument then opens the cell, and says nothing."""
        running = self._running
        if running is None:
            return
        for end in (running.terminate, running.kill):
            end()
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.wait(ENDS_WITHIN_S)
                self._running = None
                return
        raise NotSafe(f"{self._program.name} does not end", instrument="CH Instruments", hint="end it by hand")

    def _point(self, file: Path, frequency: float, called_off: threading.Event) -> ImpedancePoint | None:
        """None where it was called off."""
        deadline = time.monotonic() + self._point_s + 10 / frequency
        while time.monotonic() < deadline:
            if file.is_file():
                with contextlib.suppress(ChiFileError):  # it may be half written
                    found = read_chi(file.read_bytes(), file.name)
                    return _last_of(found, file, frequency)
            if called_off.wait(POLL_S):
                return None
        raise InstrumentTimeout(
            f"{file.name} did not come for {frequency:g} Hz",
            instrument="CH Instruments",
            hint="does the program show an error? some versions do not write files from a macro",
        )


def _last_of(found: ChiFile, file: Path, wanted_Hz: float) -> ImpedancePoint:
    try:
        frequency, real, imaginary = (found.columns[name][-1] for name in ("frequency_Hz", "real_ohm", "imaginary_ohm"))
    except KeyError as error:
        raise BadReply(f"{file.name} has no column {error}", instrument="CH Instruments") from None
    if not math.isclose(frequency, wanted_Hz, rel_tol=FREQUENCY_OFF):
        raise BadReply(f"{file.name} is of {frequency:g} Hz, not of {wanted_Hz:g} Hz", instrument="CH Instruments")
    return ImpedancePoint(frequency, complex(real, imaginary))


def macro_of(sweep: Sweep, files: Sequence[Path]) -> bytes:
    """The whole file. Raises `Refused` and `OutOfRange`; the limits of current are the program's own."""
    if sweep.amplitude_rms_V is None:
        raise Refused("a macro knows no sweep of current", instrument="CH Instruments")
    peak_V, low, high = (
        math.sqrt(2) * sweep.amplitude_rms_V,
        sweep.protection.voltage_min_V,
        sweep.protection.voltage_max_V,
    )
    if sweep.bias_V is not None and not low <= sweep.bias_V - peak_V <= sweep.bias_V + peak_V <= high:
        raise OutOfRange(f"{sweep.bias_V:.4g} ± {peak_V:.3g} V: {low:g} to {high:g} V", instrument="CH Instruments")
    lines = [f"folder: {files[0].parent}", "fileoverride"]
    for file, frequency in zip(files, sweep.frequencies_Hz, strict=True):
        lines += [
            "tech=imp",
            "eio" if sweep.bias_V is None else f"ei={sweep.bias_V:.6g}",
            f"fl={frequency:.6g}",
            f"fh={frequency:.6g}",
            f"amp={peak_V:.6g}",
            "qt=2",
            "impautosens",
            "run",
            f"tsave:{file.stem}",
        ]
    lines.append("forcequit: yesiamsure")
    return START + "\n".join([*lines, ""]).encode("ascii", "replace")
