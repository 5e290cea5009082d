"""Numbers as the technician reads them."""

from __future__ import annotations

import math


def newtons(force: float) -> str:
    """To three significant digits: '20.0 N', '0.512 N', '104 N'."""
    if abs(force) < 5e-4:
        return "0 N"
    decimals = max(0, 2 - math.floor(math.log10(abs(force))))
    text = f"{force:.{min(decimals, 3)}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} N"


def share(value: float) -> str:
    """In per cent, to two digits."""
    per_cent = abs(value) * 100
    return f"{per_cent:.2g} %" if per_cent < 10 else f"{per_cent:.0f} %"


def span(seconds: float) -> str:
    """'40 s', '12 min', '2 h 5 min'."""
    if seconds < 100:
        return f"{max(0.0, seconds):.0f} s"
    minutes = round(seconds / 60)
    hours, rest = divmod(minutes, 60)
    return f"{minutes} min" if not hours else f"{hours} h {rest} min" if rest else f"{hours} h"
