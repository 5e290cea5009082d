"""CH Instruments (CHI660E and others) by a macro file and the start of their program (Windows): impedance.

A macro gives no progress and takes no orders: whatever it runs is known by the files it leaves, and a file that does
not come is an error. Written from public programs' macros. Not run on hardware.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from drivers.chi_files import ChiFileError, read_chi
from drivers.gateway.backends import Backend
from drivers.gateway.protocol import Capability, Description
from drivers.interface import ImpedancePoint, InstrumentTimeout, Sweep, Unreachable

START = bytes((0x63, 0x02, 0x00, 0x00, 0x0A))  # what a macro file begins with
POLL_S = 0.5


class ChiBackend(Backend):
    """Impedance at the open circuit or at a bias, one run of the program's `imp` for each frequency.

    `program` is the path of chi660e.exe. The amplitude is written as it is given, in V: whether the program takes it
    for a peak or an r.m.s. value is not known.
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
            amplitude_max_V=0.7,
        )

    def sweep(self, channel: str, sweep: Sweep, called_off: threading.Event) -> Iterator[ImpedancePoint]:
        files = [self._folder / f"point{number:04d}.txt" for number in range(len(sweep.frequencies_Hz))]
        for file in files:
            file.unlink(missing_ok=True)
        macro = self._folder / "sweep.mcr"
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
        """The one way to stop a macro is to end the program; the instrument then opens the cell."""
        if self._running is not None:
            self._running.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._running.wait(10.0)
            if self._running.poll() is None:
                self._running.kill()
            self._running = None

    def _point(self, file: Path, frequency: float, called_off: threading.Event) -> ImpedancePoint | None:
        """None where it was called off."""
        deadline = time.monotonic() + self._point_s + 10 / frequency
        while time.monotonic() < deadline:
            if file.is_file():
                with contextlib.suppress(ChiFileError):  # it may be half written
                    found = read_chi(file.read_bytes(), file.name)
                    z = complex(found.columns["real_ohm"][-1], found.columns["imaginary_ohm"][-1])
                    return ImpedancePoint(found.columns["frequency_Hz"][-1], z)
            if called_off.wait(POLL_S):
                return None
        raise InstrumentTimeout(
            f"{file.name} did not come for {frequency:g} Hz",
            instrument="CH Instruments",
            hint="does the program show an error? some versions do not write files from a macro",
        )


def macro_of(sweep: Sweep, files: Sequence[Path]) -> bytes:
    """The whole file."""
    lines = [f"folder: {files[0].parent}", "fileoverride"]
    for file, frequency in zip(files, sweep.frequencies_Hz, strict=True):
        lines += [
            "tech=imp",
            "eio" if sweep.bias_V is None else f"ei={sweep.bias_V:.6g}",
            f"fl={frequency:.6g}",
            f"fh={frequency:.6g}",
            f"amp={sweep.amplitude_rms_V:.6g}",
            "run",
            f"tsave:{file.stem}",
        ]
    lines.append("forcequit: yesiamsure")
    return START + "\n".join([*lines, ""]).encode("ascii", "replace")
