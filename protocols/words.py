"""A protocol's steps in words, a line each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from protocols import language
from protocols.language import AnyOf, Bounds, Ends, Step


def in_words(steps: tuple[Step, ...], indent: str = "") -> list[str]:
    lines: list[str] = []
    for step in steps:
        lines += _step(step, indent)
    return lines


def _step(step: Step, indent: str) -> Iterator[str]:
    often = _often(step)
    if step.steps is not None:
        times = f"{step.repeat} times" if step.repeat is not None else "in turn"
        until = f", until {_ends(step.until)}" if step.until else ""
        yield f"{indent}{times}{until}{often}:"
        yield from in_words(step.steps, indent + "    ")
        return
    words = _TECHNIQUES[step.technique](getattr(step, step.technique))
    marks = "".join(f"; marker '{rule.name}' {_marking(rule)}" for rule in step.markers)
    yield f"{indent}{words}{often}{marks}"


def _often(step: Step) -> str:
    counts = [(key, getattr(step, key)) for key in ("every", "first", "after")]
    words = {"every": "only each {}", "first": "only in the first {}", "after": "only after {}"}
    units = {True: "passes", False: "cycles"}
    said = [words[key].format(f"{count.count} {units[count.passes]}") for key, count in counts if count is not None]
    return f" ({', '.join(said)})" if said else ""


def _marking(rule: language.MarkerRule) -> str:
    if rule.at is not None:
        return f"after {_time(rule.at)}"
    if rule.every is not None:
        return f"each {_time(rule.every)}"
    return "at " + ", ".join(f"{share * 100:g} %" for share in rule.state_of_charge or ())


# --- ends


def _ends(until: tuple[AnyOf, ...]) -> str:
    return " or ".join(_any_of(one) for one in until)


def _any_of(one: AnyOf) -> str:
    said = list(_quantities(one))
    if one.all is not None:
        said.append(" and ".join(_quantities(one.all)))
    held = f" for {_time(one.held)}" if one.held is not None else ""
    then = f" (then {one.then})" if one.then != "next" else ""
    return " or ".join(said) + held + then


def _quantities(ends: Ends) -> Iterator[str]:
    for name, info in Ends.model_fields.items():
        value = getattr(ends, name)
        if value is not None:
            yield _end((info.alias or name).replace("_", " "), value)


def _end(name: str, value: Any) -> str:
    match value:
        case language.VoltageEnd():
            return _voltage(value)
        case language.ShortCircuitEnd():
            return name
        case language.StateOfChargeEnd(at=at) if at is not None:
            return f"{name} {at * 100:g} %"
        case language.StateOfChargeEnd() | Bounds():
            sides = [(side, getattr(value, side)) for side in ("above", "below")]
            return f"{name} " + " or ".join(f"{side} {_plain(name, v)}" for side, v in sides if v is not None)
        case language.RetentionEnd():
            return f"retention below {value.below * 100:g} % of cycle {value.of_cycle}"
        case language.Slope():
            below = getattr(value, "below")  # noqa: B009 - each kind of slope has its own unit
            return f"{name} below {_plain(name, below)} over {_time(value.over)}"
        case _:
            return _time(value) if name == "time" else f"{name} {getattr(value, 'text', None) or _plain(name, value)}"


def _voltage(end: language.VoltageEnd) -> str:
    for word, value in (("", end.at), ("above ", end.above), ("below ", end.below)):
        if value is not None:
            return word + value.text
    return ""


_SCALES: Mapping[str, tuple[float, str]] = {
    "pressure": (1e-3, "kPa"),
    "pressure change": (1e-3, "kPa"),
    "temperature": (1.0, "°C"),
    "net capacity": (1e3, "mAh"),
    "energy": (1e3, "mWh"),
    "voltage drop": (1e3, "mV"),
    "state of charge": (100.0, "%"),
    "efficiency": (100.0, "%"),
    "dV/dt": (3.6e6, "mV/h"),
    "dI/dt": (3.6e9, "µA/h"),
    "dp/dt": (3.6, "kPa/h"),
}


def _plain(name: str, value: float) -> str:
    scale, unit = _SCALES.get(name, (1.0, ""))
    return f"{value * scale:.6g} {unit}".rstrip()


def _time(seconds: float) -> str:
    if seconds >= 7200:
        return f"{seconds / 3600:.6g} h"
    return f"{seconds / 60:.6g} min" if seconds >= 120 else f"{seconds:.6g} s"


def _timed(words: str, body: language.Timed) -> str:
    if body.duration is not None:
        words += f" for {_time(body.duration)}"
    return words + (f" until {_ends(body.until)}" if body.until else "")


# --- techniques


def _drive(word: str) -> Callable[[language.Drive], str]:
    def said(body: language.Drive) -> str:
        if body.at is not None:
            how = body.at.text
        else:
            how = f"{body.power * 1e3:g} mW" if body.power is not None else f"{body.resistance:g} Ω"
        held = f", then hold {body.hold.text}" if body.hold is not None else ""
        return _timed(f"{word} at {how}{held}", body)

    return said


def _hold(body: language.Hold) -> str:
    limit = f" at no more than {body.limit.text}" if body.limit is not None else ""
    return _timed(f"hold {body.at.text}{limit}", body)


def _sweep(body: language.LinearSweep) -> str:
    start = f"from {body.start.text} " if body.start is not None else ""
    if isinstance(body, language.CyclicVoltammetry):
        path = f"cyclic voltammetry {start}to {body.to.text} and back to {body.back.text}, {body.cycles} cycles"
    else:
        path = f"linear sweep {start}to {body.to.text}"
    return _timed(f"{path} at {body.rate * 1e3:g} mV/s", body)


def _impedance(body: language.Impedance) -> str:
    volts, amperes = body.amplitude.volts, body.amplitude.amperes
    size = f"{volts * 1e3:g} mV" if volts is not None else f"{(amperes or 0.0) * 1e3:g} mA"
    words = f"impedance {_frequency(body.start)} to {_frequency(body.to)}, {size}"
    if body.at is not None:
        words += f", at {body.at.text}"
    if body.bias_current is not None:
        words += f", at {body.bias_current * 1e3:g} mA"
    if body.staircase is None:
        return words
    stairs = [one.text for one in body.staircase.potential or ()]
    stairs += [f"{share * 100:g} %" for share in body.staircase.state_of_charge or ()]
    return f"{words}, at each of {', '.join(stairs)}"


def _frequency(value: float) -> str:
    for scale, unit in ((1e6, "MHz"), (1e3, "kHz"), (1.0, "Hz")):
        if value >= scale:
            return f"{value / scale:g} {unit}"
    return f"{value * 1e3:g} mHz"


def _gitt(body: language.Gitt) -> str:
    words = f"GITT: {body.direction} at {body.at.text} for {_time(body.pulse)}, rest {_time(body.rest)}"
    return f"{words}, until {_ends(body.until)}"


def _pitt(body: language.Pitt) -> str:
    words = f"PITT from {body.start.text} to {body.to.text} in steps of {body.step * 1e3:g} mV"
    words += f", each for {_time(body.duration)}" if body.duration is not None else ""
    return words + (f", each until {_ends(body.until)}" if body.until else "")


def _pulse(body: language.Pulse) -> str:
    return f"pulse ({body.direction}) at {body.at.text} for {_time(body.duration)}, rest {_time(body.rest)}"


def _current_ramp(body: language.CurrentRamp) -> str:
    half = body.capacity.text if body.capacity is not None else _time(body.duration or 0.0)
    words = f"current ramp from {body.start.text} to {body.to.text} in steps of {body.step.text}"
    return f"{words}, half-cycles of {half}, until {_ends(body.stop)}"


def _profile(body: language.Profile) -> str:
    return _timed(f"current profile {body.file}", body)


def _condition_pressure(body: language.PressureConditioning) -> str:
    said = [_end("pressure", body.reach)] if body.reach is not None else []
    said += [_end("dp/dt", body.stable)] if body.stable is not None else []
    return f"rest until {' and '.join(said)}; within {_time(body.at_most)}, otherwise {body.otherwise}"


def _temperature(body: language.SetTemperature) -> str:
    return f"set {body.set:g} °C and wait until within {body.within:g} K for {_time(body.duration)}"


def _stack_pressure(body: language.SetStackPressure) -> str:
    return f"set {body.set / 1e6:g} MPa and wait until within {body.within / 1e6:g} MPa for {_time(body.duration)}"


_TECHNIQUES: Mapping[str, Callable[[Any], str]] = {
    "rest": lambda body: _timed("rest", body),
    "charge": _drive("charge"),
    "discharge": _drive("discharge"),
    "hold": _hold,
    "chronoamperometry": _hold,
    "chronopotentiometry": lambda body: _timed(f"current of {body.at}", body),
    "linear_sweep": _sweep,
    "cyclic_voltammetry": _sweep,
    "impedance": _impedance,
    "gitt": _gitt,
    "pitt": _pitt,
    "pulse": _pulse,
    "current_ramp": _current_ramp,
    "profile": _profile,
    "condition_pressure": _condition_pressure,
    "temperature": _temperature,
    "stack_pressure": _stack_pressure,
    "prompt": lambda body: f"ask: {body.say}",
    "procedure": lambda body: f"stored procedure {body.run}",
    "marker": lambda body: f"marker '{body.name}'",
    "include": lambda body: f"all of {body.file}",
}
