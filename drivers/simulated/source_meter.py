"""What the virtual source-measure units do to their cell, and when a limit holds it."""

from __future__ import annotations

from drivers.simulated.wiring import Drive, DriveCurrent, DriveVoltage, WiredCell

SMALL_A = 1e-4  # of the 0 V source that 'off' is in the NORMAL state


def drive_when_on(function: str, level: float, limit: float) -> Drive:
    """`function` is CURR or VOLT. The limit acts on the magnitude of the other quantity."""
    if function == "CURR":
        return DriveCurrent(level, -limit, limit)
    return DriveVoltage(level, limit)


def is_limited(cell: WiredCell, function: str, level: float, limit: float) -> bool:
    """Whether the limit holds the output, not the level."""
    voltage_V, current_A = cell.terminals()
    reached = abs(voltage_V) if function == "CURR" else abs(current_A)
    held = current_A if function == "CURR" else voltage_V
    return reached >= limit * (1 - 1e-9) and abs(held - level) > 1e-9 * max(1.0, abs(level))
