"""How a report writes numbers, times and units."""

from __future__ import annotations

import math
from datetime import datetime

from calibration.certificate.rounding import to_the_place_of, uncertainty
from station.analysis.estimate import Estimate
from station.analysis.figures.scales import prefix_scale


def stated(estimate: Estimate, scale: float = 1.0, unit: str = "") -> str:
    """With the expanded uncertainty (k = 2), to the place of its second digit: '99.812 ± 0.034 %'."""
    end = f" {unit}" if unit else ""
    value = estimate.value * scale
    if not math.isfinite(value):
        return "—"
    expanded = 2 * (estimate.u or 0.0) * abs(scale)
    if not (math.isfinite(expanded) and expanded > 0):
        return four_digits(value) + end
    return f"{to_the_place_of(value, expanded)} ± {uncertainty(expanded)}{end}"


def four_digits(value: float) -> str:
    """With the zeros that count."""
    exponent = int(f"{value:.3e}".partition("e")[2])
    if value == 0:
        return "0"
    return f"{value:.{max(0, 3 - exponent)}f}".replace("-", "−") if -4 <= exponent < 7 else f"{value:.3e}"


def pressure(estimate: Estimate) -> str:
    """In kPa."""
    text = stated(estimate, 1e-3, "kPa")
    return text if "±" in text else f"{text} (uncertainty not known)"


def moment(time: float) -> str:
    return datetime.fromtimestamp(time).astimezone().strftime("%Y-%m-%d %H:%M:%S UTC%z")


def duration(seconds: float) -> str:
    days, rest = divmod(round(seconds), 86400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"), (left, "s"))
    first = next((k for k, (count, _) in enumerate(parts) if count), 3)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2])


def hertz(frequency: float) -> str:
    scale = prefix_scale(frequency, "Hz")
    return f"{frequency * scale.factor:.4g} {scale.unit}"
