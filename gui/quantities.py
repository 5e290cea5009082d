"""Quantities as people read them: a number, a space and a unit. What is not known is a dash, never a zero."""

from __future__ import annotations

import math
import time

NOTHING = "–"
MINUS = "−"


def voltage(volts: float | None) -> str:
    return _fixed(volts, 4, "V")


def current(amperes: float | None) -> str:
    """Signed (positive on charge), four digits, in the unit that suits."""
    if amperes is None or not math.isfinite(amperes):
        return NOTHING
    size = abs(amperes)
    factor, unit = (1.0, "A") if size >= 1.0 else (1e3, "mA") if size >= 1e-4 or size == 0.0 else (1e6, "µA")
    value = amperes * factor
    text = f"{abs(value):.{_decimals(value, digits=4)}f}"
    sign = "" if float(text) == 0.0 else MINUS if value < 0 else "+"
    return f"{sign}{text} {unit}"


def capacity(ampere_hours: float | None) -> str:
    """A magnitude; the current beside it says which way the charge went."""
    if ampere_hours is None or not math.isfinite(ampere_hours):
        return NOTHING
    value = abs(ampere_hours) * 1e3
    return f"{value:.{_decimals(value, digits=4)}f} mAh"


def specific_capacity(mAh_per_g: float | None) -> str:
    return _fixed(None if mAh_per_g is None else abs(mAh_per_g), 1, "mAh/g")


def pressure(pascals: float | None, U_pascals: float | None) -> str:
    """In kPa with the expanded uncertainty (k = 2) at two significant digits, and the value to the same place."""
    if pascals is None or not math.isfinite(pascals):
        return NOTHING
    if U_pascals is None or not math.isfinite(U_pascals) or U_pascals <= 0:
        return f"{_plain(pascals / 1e3, 1)} ± ? kPa"
    uncertainty = U_pascals / 1e3
    decimals = max(0, 1 - math.floor(math.log10(uncertainty)))
    return f"{_plain(pascals / 1e3, decimals)} ± {uncertainty:.{decimals}f} kPa"


def resistance(ohms: float | None) -> str:
    if ohms is None or not math.isfinite(ohms):
        return NOTHING
    size = abs(ohms)
    factor, unit = (1e-6, "MΩ") if size >= 1e6 else (1e-3, "kΩ") if size >= 1e3 else (1.0, "Ω")
    return f"{_plain(ohms * factor, _decimals(ohms * factor, digits=4))} {unit}"


def force(newtons: float | None) -> str:
    if newtons is None or not math.isfinite(newtons):
        return NOTHING
    return f"{_plain(newtons, _decimals(newtons, digits=4) if abs(newtons) >= 1 else 3)} N"


def kilopascals(pascals: float | None, digits: int = 3) -> str:
    """To so many significant digits, without an uncertainty."""
    if pascals is None or not math.isfinite(pascals):
        return NOTHING
    return f"{_plain(pascals / 1e3, _decimals(pascals / 1e3, digits))} kPa"


def share(fraction: float | None) -> str:
    """A relative uncertainty or error: two significant digits in per cent."""
    if fraction is None or not math.isfinite(fraction):
        return NOTHING
    value = fraction * 100
    if abs(value) < 0.005:
        return "0 %" if value == 0 else "< 0.01 %"
    decimals = min(3, max(0, 1 - math.floor(math.log10(abs(value)))))
    return f"{_plain(value, decimals)} %"


def about(seconds: float | None) -> str:
    """A time to wait, as one says it: '40 s', '48 min', '2 h 10 min'."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    if seconds < 90:
        return f"{max(0, round(seconds / 5) * 5)} s"
    minutes = max(1, round(seconds / 60))
    hours, rest = divmod(minutes if minutes < 60 else round(minutes / 5) * 5, 60)
    return f"{minutes} min" if not hours else f"{hours} h {rest} min" if rest else f"{hours} h"


def temperature(degC: float | None) -> str:
    return _fixed(degC, 1, "°C")


def percent(fraction: float | None) -> str:
    """0.998 is 99.80 %."""
    return _fixed(None if fraction is None else fraction * 100, 2, "%")


def frequency(hertz: float) -> str:
    factor, unit = (1e-6, "MHz") if hertz >= 1e6 else (1e-3, "kHz") if hertz >= 1e3 else (1.0, "Hz")
    if hertz < 1.0:
        factor, unit = 1e3, "mHz"
    return f"{hertz * factor:.3g} {unit}"


def duration(seconds: float | None) -> str:
    """'2 d 03:04' from a day on, else '03:04:05'."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    whole = max(0, int(seconds))
    days, rest = divmod(whole, 86400)
    hours, minutes = rest // 3600, rest // 60 % 60
    return f"{days} d {hours:02d}:{minutes:02d}" if days else f"{hours:02d}:{minutes:02d}:{whole % 60:02d}"


def clock_time(epoch_s: float) -> str:
    """Local date and time of day."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(epoch_s))


def short_time(epoch_s: float) -> str:
    """The time of day; with the date where it is not today's."""
    then, today = time.localtime(epoch_s), time.localtime()
    return time.strftime("%H:%M:%S" if then[:3] == today[:3] else "%m-%d %H:%M", then)


def speed(factor: float) -> str:
    return f"×{factor:g}"


def cycle(number: int | None, planned: int | None) -> str:
    if number is None:
        return NOTHING
    return f"cycle {number} of {planned}" if planned else f"cycle {number}"


def _fixed(value: float | None, decimals: int, unit: str) -> str:
    return NOTHING if value is None or not math.isfinite(value) else f"{_plain(value, decimals)} {unit}"


def _plain(value: float, decimals: int) -> str:
    return f"{value:.{decimals}f}".replace("-", MINUS)


def _decimals(value: float, digits: int) -> int:
    """Decimals that show `digits` significant digits of a value of at least 0.1."""
    before = 0 if abs(value) < 1 else math.floor(math.log10(abs(value))) + 1
    return max(0, digits - before)
