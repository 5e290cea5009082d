"""The uncertainty of a pressure, to the GUM, and its check by propagation of distributions.

Relative standard uncertainties of force are those of ln F: one of ln R is divided by the exponent b = −d ln R/d ln F.
Combined in quadrature, with effective degrees of freedom by Welch and Satterthwaite (JCGM 100:2008, 5.1.2 and G.4). The
95 % interval comes from drawing every component from its distribution and leading each draw through the curve's own
inverse (JCGM 101:2008, 5 and 7): t for what was estimated from few readings (6.4.9), normal, rectangular, and for the
branch either of two values, since a later reading is on the way up or on the way down.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from calibration.data import Area, Dataset, Meter, Reference, TemperatureCoefficient
from calibration.effects import Effects, Spread
from calibration.models import Floats, Response
from calibration.results import Budget, Component, Creep, Distribution, Table

COVERAGE = 0.95
NORMAL_FACTOR = float(stats.norm.ppf(0.5 + COVERAGE / 2))
ONE_SIGMA = (float(stats.norm.cdf(-1)), float(stats.norm.cdf(1)))  # no variance: t with one or two degrees has none
NODES = 33  # of the table over ln R
SEED = 2008  # the same record gives the same interval
MANY = 1e6  # degrees of freedom that are as good as infinite


@dataclass(frozen=True)
class Line:
    """One component over all nodes: relative standard uncertainties of the force."""

    name: str
    relative: Floats
    evaluation: str
    distribution: Distribution
    degrees_of_freedom: float | None = None
    note: str = ""
    of_area: bool = False
    sign: Floats | None = None  # of a two-point component, by node

    def draws(self, generator: np.random.Generator, count: int) -> Floats:
        """Of unit standard deviation; for t, of unit scale."""
        if self.distribution is Distribution.STUDENT and self.degrees_of_freedom is not None:
            return np.asarray(generator.standard_t(self.degrees_of_freedom, count))
        if self.distribution is Distribution.RECTANGULAR:
            return generator.uniform(-np.sqrt(3.0), np.sqrt(3.0), count)
        if self.distribution is Distribution.TWO_POINT:
            return generator.choice((-1.0, 1.0), count)
        return generator.standard_normal(count)


@dataclass(frozen=True)
class Sources:
    """Everything that the budget draws on."""

    effects: Effects
    creep: Creep | None
    data: Dataset
    area: Area
    reference: Reference
    meter: Meter
    temperature: TemperatureCoefficient | None


def lines(sources: Sources, x: Floats) -> list[Line]:
    """All components at these ln F, in the order in which they are stated; none is left out, even if not evaluated."""
    effects, model = sources.effects, sources.effects.fitted.model
    exponent = model.exponent(np.exp(x))
    nothing = np.zeros_like(x)
    return [
        _from_spread("repeatability", effects.repeatability(x), exponent, "of a single reading"),
        _reproducibility(effects, x, exponent),
        _reversibility(effects, x, exponent),
        _from_spread("interpolation", effects.interpolation(x), exponent, "what the curve misses systematically"),
        _from_spread("fit", effects.curve(x), exponent, "of the curve, by the noise of its load steps"),
        _creep(sources, exponent),
        _zero(sources.data, x),
        _resolution(sources, x, exponent),
        _reference(sources.reference, x),
        _meter(sources.meter, exponent),
        _temperature(sources.temperature, exponent),
        Line(
            "sensing area",
            nothing + sources.area.standard_uncertainty_m2 / sources.area.value_m2,
            "B",
            Distribution.NORMAL,
            note=sources.area.source,
            of_area=True,
        ),
    ]


def _from_spread(name: str, spread: Spread, exponent: Floats, note: str) -> Line:
    return Line(name, spread.sigma / exponent, "A", Distribution.STUDENT, spread.degrees_of_freedom, note)


def _reproducibility(effects: Effects, x: Floats, exponent: Floats) -> Line:
    spread = effects.reproducibility(x)
    what = "after reinsertion" if effects.columns.reinserted else "between series"
    if spread is None:
        return Line(
            f"reproducibility {what}", np.zeros_like(x), "", Distribution.STUDENT, note="not evaluated: one series"
        )
    note = f"{effects.units} {'insertions' if effects.columns.reinserted else 'series, the sensor was never taken out'}"
    return Line(
        f"reproducibility {what}", spread.sigma / exponent, "A", Distribution.STUDENT, spread.degrees_of_freedom, note
    )


def _reversibility(effects: Effects, x: Floats, exponent: Floats) -> Line:
    half = effects.half_difference(x)
    if half is None:
        why = "not evaluated: no series up and down"
        return Line("reversibility", np.zeros_like(x), "", Distribution.TWO_POINT, note=why)
    note = "half the difference of the ways up and down; the curve is their middle"
    return Line("reversibility", np.abs(half) / exponent, "A", Distribution.TWO_POINT, note=note, sign=np.sign(half))


def _creep(sources: Sources, exponent: Floats) -> Line:
    """Readings as long under load as the calibration's: what differs between its own load steps."""
    if sources.creep is None:
        why = "not evaluated: no hold at constant force"
        return Line("creep", np.zeros_like(exponent), "", Distribution.RECTANGULAR, note=why)
    times = [point.under_load_s for point in sources.data.used() if point.under_load_s]
    half = float(np.ptp(np.log10(times))) / 2 if times else 0.0
    relative = abs(sources.creep.per_decade) * half / np.sqrt(3.0) / exponent
    note = "between the times under load of the load steps; later readings are corrected for theirs"
    return Line("creep", relative, "B", Distribution.RECTANGULAR, note=note)


def _zero(data: Dataset, x: Floats) -> Line:
    """How far the load cell's zero came back, rectangular (ISO 376, Annex C)."""
    changes = []
    for series in {zero.series for zero in data.zeros}:
        before = [zero.force_N for zero in data.zeros if zero.series == series and zero.before]
        after = [zero.force_N for zero in data.zeros if zero.series == series and not zero.before]
        changes += [after[-1] - before[0]] if before and after else []
    if not changes:
        return Line("zero", np.zeros_like(x), "", Distribution.RECTANGULAR, note="not evaluated: no zeros were read")
    largest = float(np.max(np.abs(changes)))
    return Line("zero", largest / np.sqrt(3.0) / np.exp(x), "A", Distribution.RECTANGULAR, note="return of the zero")


def _resolution(sources: Sources, x: Floats, exponent: Floats) -> Line:
    resistance = sources.effects.fitted.model.resistance_ohm(np.exp(x))
    force = sources.reference.resolution_N / np.exp(x) / np.sqrt(12.0) * np.sqrt(2.0)  # of the reading and the zero
    meter = sources.meter.resolution_ohm / resistance / np.sqrt(12.0) / exponent
    evaluated = sources.reference.resolution_N > 0 or sources.meter.resolution_ohm > 0
    note = "of load cell and meter" if evaluated else "not evaluated: none is stated"
    return Line("resolution", np.hypot(force, meter), "B" if evaluated else "", Distribution.RECTANGULAR, note=note)


def _reference(reference: Reference, x: Floats) -> Line:
    relative = np.hypot(reference.relative_standard_uncertainty, reference.standard_uncertainty_N / np.exp(x))
    stated = reference.relative_standard_uncertainty > 0 or reference.standard_uncertainty_N > 0
    note = reference.certificate or reference.name if stated else "not evaluated: the certificate states none"
    return Line("reference load cell", relative, "B" if stated else "", Distribution.NORMAL, note=note)


def _meter(meter: Meter, exponent: Floats) -> Line:
    stated = meter.relative_standard_uncertainty > 0
    note = meter.settings or meter.name if stated else "not evaluated: no limits of error are stated"
    relative = meter.relative_standard_uncertainty / exponent
    return Line("meter", relative, "B" if stated else "", Distribution.NORMAL, note=note)


def _temperature(coefficient: TemperatureCoefficient | None, exponent: Floats) -> Line:
    if coefficient is None:
        why = "not evaluated: no temperature coefficient is stated"
        return Line("temperature", np.zeros_like(exponent), "", Distribution.RECTANGULAR, note=why)
    relative = abs(coefficient.per_K) * coefficient.use_within_K / np.sqrt(3.0) / exponent
    note = f"within ±{coefficient.use_within_K:g} K of {coefficient.reference_degC:g} °C where it is not measured"
    return Line("temperature", relative, "B", Distribution.RECTANGULAR, note=note)


# --- combined


@dataclass(frozen=True)
class Combined:
    """Over the nodes: of force, and with the area of pressure."""

    combined: Floats
    degrees_of_freedom: Floats  # infinite where nothing was estimated from few readings
    few_readings: Floats
    expanded: Floats
    expanded_force: Floats


def combine(components: list[Line]) -> Combined:
    squares = np.array([line.relative**2 for line in components])
    combined = np.asarray(np.sqrt(squares.sum(axis=0)))
    freedom = _welch_satterthwaite(components, combined)
    few = np.asarray(stats.t.ppf(0.5 + COVERAGE / 2, np.minimum(freedom, MANY))) / NORMAL_FACTOR
    of_force = np.asarray(np.sqrt(squares[[not line.of_area for line in components]].sum(axis=0)))
    return Combined(combined, freedom, few, 2 * few * combined, 2 * few * of_force)


def _welch_satterthwaite(components: list[Line], combined: Floats) -> Floats:
    parts = [line.relative**4 / line.degrees_of_freedom for line in components if line.degrees_of_freedom]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.sum(parts, axis=0) > 0, combined**4 / np.sum(parts, axis=0), np.inf)


@dataclass(frozen=True)
class Propagated:
    """By distributions, over the nodes: ln of the factor from the value to the interval's ends, and the spread."""

    low: Floats
    high: Floats
    standard: Floats


def propagate(components: list[Line], x: Floats, model: Response, draws: int) -> Propagated:
    """One set of draws for all nodes, so that the ends go smoothly over the range."""
    generator = np.random.default_rng(SEED)
    drawn = [line.draws(generator, draws) if np.any(line.relative > 0) else None for line in components]
    exponent = model.exponent(np.exp(x))
    low, high, standard = np.empty_like(x), np.empty_like(x), np.empty_like(x)
    for node, at in enumerate(x):
        resistance, force = np.zeros(draws), np.zeros(draws)
        for line, unit in zip(components, drawn, strict=True):
            if unit is None:
                continue
            sign = 1.0 if line.sign is None else line.sign[node]
            share = line.relative[node] * sign * unit
            if line.name in _OF_FORCE:
                force += share
            else:
                resistance += share * exponent[node]
        off = _through(model, at, exponent[node], resistance) + force
        low[node], high[node] = np.quantile(off, (0.5 - COVERAGE / 2, 0.5 + COVERAGE / 2))
        standard[node] = float(np.diff(np.quantile(off, ONE_SIGMA))[0]) / 2
    return Propagated(low, high, standard)


_OF_FORCE = frozenset({"zero", "reference load cell", "sensing area"})


def _through(model: Response, x: float, exponent: float, off: Floats) -> Floats:
    """ln F less the true one, where ln R is off by so much; straight on where the curve ends."""
    straight = -off / exponent
    with np.errstate(all="ignore"):
        curved = np.log(model.force_N(model.resistance_ohm(np.exp(x)) * np.exp(off))) - x
    return np.where(np.isfinite(curved), curved, straight)


# --- as it is stated


def table_of(sources: Sources, ends: tuple[float, float], draws: int) -> tuple[Table, Floats]:
    """Evenly spaced in ln R between the resistances of these ln F (low, high), with some room beyond; and its ln F."""
    model = sources.effects.fitted.model
    most, least = np.log(model.resistance_ohm(np.exp(np.array(ends))))
    grid = np.linspace(least, most, NODES)
    x = np.log(model.force_N(np.exp(grid)))
    x[0], x[-1] = ends[1], ends[0]
    components = lines(sources, x)
    total, spread = combine(components), propagate(components, x, model, draws)
    table = Table(
        ln_ohm_first=float(grid[0]),
        ln_ohm_step=float(grid[1] - grid[0]),
        expanded=tuple(total.expanded),
        expanded_force=tuple(total.expanded_force),
        low=tuple(spread.low),
        high=tuple(spread.high),
    )
    return table, x


def budgets_at(sources: Sources, x: Floats, draws: int) -> tuple[Budget, ...]:
    """The whole budget at each of these ln F."""
    model = sources.effects.fitted.model
    components = lines(sources, x)
    total, spread = combine(components), propagate(components, x, model, draws)
    resistance = model.resistance_ohm(np.exp(x))
    return tuple(
        Budget(
            force_N=float(np.exp(at)),
            pressure_Pa=float(np.exp(at)) / sources.area.value_m2,
            resistance_ohm=float(resistance[node]),
            components=tuple(_component(line, node) for line in components),
            combined=float(total.combined[node]),
            degrees_of_freedom=_finite(total.degrees_of_freedom[node]),
            few_readings=float(total.few_readings[node]),
            expanded=float(total.expanded[node]),
            expanded_force=float(total.expanded_force[node]),
            low=float(np.exp(spread.low[node])),
            high=float(np.exp(spread.high[node])),
            monte_carlo_standard=float(spread.standard[node]),
            monte_carlo_draws=draws,
        )
        for node, at in enumerate(x)
    )


def _component(line: Line, node: int) -> Component:
    return Component(
        name=line.name,
        relative=float(line.relative[node]),
        evaluation=line.evaluation,
        distribution=line.distribution,
        degrees_of_freedom=line.degrees_of_freedom,
        note=line.note,
    )


def _finite(freedom: float) -> float | None:
    return float(freedom) if freedom < MANY else None
