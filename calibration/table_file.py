"""Force and resistance from a table in a text file, as people and programs write them.

What is understood is in docs/calibration-files.md. All that is wrong is said at once, each with its line and column.
Rows that follow each other at one load and agree within 2 % in resistance become one point (a burst); others are
points of their own, for the sensor was evidently loaded anew between them. A long recording is summed up: see
`calibration.table_points`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration import checks, units
from calibration.data import Area, DataError, Dataset
from calibration.table_columns import DOWN, UP, Column, Role, chosen
from calibration.table_order import Order, infer, series_of_directions
from calibration.table_points import Rows, dataset
from calibration.table_text import Cells, fact, listed, numbers_of, read_cells
from calibration.units import Kind

Floats = NDArray[np.float64]
ZERO = 1e-4  # of the largest force: nearer to zero there is no load
MOST_NEGATIVE = 0.01  # of the largest force: what a load cell's zero may be off


@dataclass(frozen=True, slots=True)
class Divider:
    """The sensor in series with a fixed resistor at a supply; the voltage is that at their junction.

    `sensor_to_supply`: the fixed resistor goes to ground, so that the voltage rises with force; None: told from the
    readings.
    """

    supply_V: float
    resistor_ohm: float
    sensor_to_supply: bool | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """What a file holds. `notes` say how it was understood, for the record; `area` where the file states one."""

    data: Dataset
    notes: tuple[str, ...]
    area: Area | None = None


def read_table(path: Path, *, area: Area | None = None, divider: Divider | None = None) -> Table:
    """Raises `DataError` with every problem. `area` and `divider` go before what the file's comment lines say."""
    return _Reader(read_cells(path), area, divider).table()


class _Reader:
    """Gathers problems and notes on the way from cells to a data set."""

    def __init__(self, cells: Cells, area: Area | None, divider: Divider | None) -> None:
        self.cells, self.divider = cells, divider
        self.problems: list[str] = []
        self._read: dict[int, Floats] = {}
        self.notes = [f"from {cells.name}, SHA-256 {cells.sha256}"]
        self.area = area or self._stated_area()
        if cells.encoding not in ("utf-8-sig", "utf-16"):
            self.notes.append(f"the file is not in UTF-8; read as {cells.encoding}")

    def table(self) -> Table:
        load, responses = self._columns()
        self._give_up()
        measured = self._forces(load)
        forces = _unloaded_at_zero(measured)
        answers = [self._resistances(column, forces) for column in responses]
        excluded = self._words(Role.EXCLUDED)
        self._look_for_swapped(load, responses)
        rows = self._rows(measured, forces, responses, answers, excluded)
        self._give_up()
        data, notes = dataset(rows)
        return Table(data, (*self.notes, *notes), self.area)

    def _give_up(self) -> None:
        if self.problems:
            raise DataError("\n".join(dict.fromkeys(self.problems)))

    # --- which columns

    def _columns(self) -> tuple[Column, tuple[Column, ...]]:
        found = self.cells.columns
        loads, responses = chosen(found, Role.LOAD), chosen(found, Role.RESPONSE)
        for role, those, example in ((Role.LOAD, loads, "Force / N"), (Role.RESPONSE, responses, "R / kΩ")):
            if not those:
                troubles = [c for c in found if c.role is role and c.trouble]
                self.problems += [f"{self.cells.name}: column '{c.heading}': {c.trouble}" for c in troubles] or [
                    f"{self.cells.name}: there is no column of {role}, such as '{example}'"
                ]
        if len(loads) > 1:
            names = ", ".join(f"'{c.heading}'" for c in loads)
            self.problems.append(f"{self.cells.name}: {len(loads)} columns of force ({names}); leave one of them")
        self._give_up()
        self._note_columns(loads[0], responses)
        if loads[0].kind is Kind.PRESSURE and self.area is None:
            self.problems.append(
                f"{self.cells.name}: column '{loads[0].heading}' is a pressure: state the area that the force acts on, "
                "as an option or in a line '# area: 153.9 mm^2' or '# diameter: 14 mm'"
            )
        return loads[0], responses

    def _note_columns(self, load: Column, responses: tuple[Column, ...]) -> None:
        used = [load, *responses]
        self.notes.append(", ".join(f"'{c.heading}' read as {c.kind} in {c.unit}" for c in used))
        if load.unit in units.MASSES:
            self.notes.append(f"'{load.heading}' is a mass; its weight is taken under g = 9.80665 m/s²")
        if load.kind is Kind.PRESSURE and self.area is not None:
            self.notes.append(
                f"force from pressure by the area {self.area.value_m2 * 1e6:.6g} mm² ({self.area.source})"
            )
        kept = {Role.LOAD, Role.RESPONSE, Role.OTHER}
        others = [c.heading for c in self.cells.columns if c not in used and c.role in kept and c.heading]
        if others:
            self.notes.append("not used: " + ", ".join(f"'{heading}'" for heading in others))

    def _stated_area(self) -> Area | None:
        value, problems = fact(self.cells, ("area", "sensing area"), Kind.AREA)
        diameter, more = fact(self.cells, ("diameter", "sensing diameter"), Kind.LENGTH)
        self.problems += problems + more
        if value is not None:
            return Area(value_m2=value, source=f"as stated in {self.cells.name}") if value > 0 else None
        return Area.disc(diameter, source=f"disc, as stated in {self.cells.name}") if diameter else None

    # --- numbers

    def _numbers(self, column: Column) -> Floats:
        if column.index not in self._read:
            self._read[column.index], problems = numbers_of(self.cells, column)
            self.problems += problems
        return self._read[column.index].copy()

    def _forces(self, load: Column) -> Floats:
        """N, as they stand there."""
        raw = self._numbers(load)
        forces = raw * load.factor
        if load.kind is Kind.PRESSURE and self.area is not None:
            forces = forces * self.area.value_m2
        finite = forces[np.isfinite(forces)]
        most = float(finite.max()) if finite.size else 0.0
        if not most > 0:
            self.problems.append(
                f"{self.cells.name}: column '{load.heading}' has no force above zero; compression is positive"
            )
        for row in np.flatnonzero(np.isinf(raw))[:10]:
            self.problems.append(f"{self.cells.where(row, load)}: an overload is no force; are the columns swapped?")
        below = np.flatnonzero(forces < -MOST_NEGATIVE * most) if most > 0 else np.empty(0, np.int64)
        self.problems += listed(
            [
                f"{self.cells.where(row, load)}: {raw[row]:g} {load.unit} is no pressing force; compression is positive"
                for row in below
            ]
        )
        return forces

    def _resistances(self, column: Column, forces: Floats) -> Floats:
        """Ω; infinity where it is open, NaN where nothing was read. What is no resistance under load is a problem."""
        raw = self._numbers(column)
        with np.errstate(divide="ignore", invalid="ignore"):
            if column.kind is Kind.RESISTANCE:
                ohm = raw * column.factor
            elif column.kind is Kind.CONDUCTANCE:
                ohm = np.where(raw == 0, np.inf, np.where(np.isinf(raw), np.nan, 1.0 / (raw * column.factor)))
            else:
                ohm = self._of_divider(column, raw * column.factor, forces)
        excluded = self._words(Role.EXCLUDED)
        marked = np.array([bool(reason) for reason in excluded]) if excluded else np.zeros(len(raw), np.bool_)
        ohm[np.isnan(raw)] = np.nan
        pressed = (forces > 0) & ~marked
        wrong = np.flatnonzero(pressed & ~np.isnan(raw) & ~((ohm > 0) & (ohm < np.inf)))
        self.problems += listed([self._not_a_resistance(row, column, raw[row], ohm[row]) for row in wrong])
        without = np.flatnonzero(~(forces > 0) & (ohm <= 0))
        if without.size:
            lines = ", ".join(str(self.cells.lines[row]) for row in without[:5])
            self.notes.append(f"line {lines}: no resistance ({raw[without[0]]:g}) without load, taken as no reading")
        return np.where(ohm > 0, ohm, np.nan)

    def _not_a_resistance(self, row: int | np.integer[Any], column: Column, raw: float, ohm: float) -> str:
        place = self.cells.where(row, column)
        do = "measure it again, remove the row, or give a reason in a column 'excluded'"
        if np.isinf(raw) or np.isinf(ohm):
            return f"{place}: overload (open circuit) under load; {do}"
        what = {Kind.VOLTAGE: "between the sensor's end and the supply", Kind.CONDUCTANCE: "a conductance"}
        return f"{place}: {raw:g} {column.unit} is not {what.get(column.kind or Kind.FORCE, 'a resistance')}; {do}"

    def _of_divider(self, column: Column, volts: Floats, forces: Floats) -> Floats:
        divider = self.divider or self._stated_divider(column)
        if divider is None:
            return np.ones(len(volts))
        to_supply = divider.sensor_to_supply
        if to_supply is None:
            good = np.isfinite(volts) & np.isfinite(forces)
            to_supply = bool(good.sum() < 2 or np.corrcoef(forces[good], volts[good])[0, 1] >= 0)
            how = "rises, so that the sensor is at the supply" if to_supply else "falls, so that it is at ground"
            self.notes.append(f"the divider's voltage {how}")
        self.notes.append(f"divider: supply {divider.supply_V:g} V, fixed resistor {divider.resistor_ohm:g} Ω")
        rest = divider.supply_V - volts
        return divider.resistor_ohm * (rest / volts if to_supply else volts / rest)

    def _stated_divider(self, column: Column) -> Divider | None:
        supply, problems = fact(self.cells, ("supply", "supply voltage", "vcc"), Kind.VOLTAGE)
        resistor, more = fact(self.cells, ("fixed resistor", "resistor", "divider resistor"), Kind.RESISTANCE)
        self.problems += problems + more
        side = self.cells.facts.get("sensor side", self.cells.facts.get("sensor", ("", 0)))[0].casefold()
        to_supply = True if side in ("supply", "high", "high side") else None
        to_supply = False if side in ("ground", "low", "low side") else to_supply
        if supply and resistor and supply > 0 and resistor > 0:
            return Divider(supply, resistor, to_supply)
        self.problems.append(
            f"{self.cells.name}: column '{column.heading}' is a divider's voltage: state its supply and its resistor, "
            "as options or in lines '# supply: 5 V' and '# fixed resistor: 10 kΩ'"
        )
        return None

    # --- words

    def _one(self, role: Role) -> Column | None:
        return next((column for column in self.cells.columns if column.role is role), None)

    def _words(self, role: Role) -> list[str]:
        column = self._one(role)
        if column is None:
            return []
        words = self.cells.text(column)
        if role is Role.EXCLUDED:
            return ["" if word.casefold() in ("", "0", "no", "false", "-", "nan") else word for word in words]
        return words

    def _numbered(self, role: Role) -> NDArray[np.int64] | None:
        """1, 2, 3 … by order of appearance; None where there is no such column, or it only numbers the rows."""
        words = self._words(role)
        names = list(dict.fromkeys(words))
        if not words or (len(names) > len(words) / 2 and len(names) > 2 and role is Role.SERIES):
            if words:
                self.notes.append(f"column '{self._heading(role)}' numbers the rows; it is not used for series")
            return None
        if any(name not in (str(n) for n in range(1, len(names) + 1)) for name in names):
            self.notes.append(f"{role}: " + ", ".join(f"{n} is '{name}'" for n, name in enumerate(names, 1)))
        else:
            return np.array([int(word) for word in words], np.int64)
        numbers = {name: number for number, name in enumerate(names, 1)}
        return np.array([numbers[word] for word in words], np.int64)

    def _heading(self, role: Role) -> str:
        column = self._one(role)
        return column.heading if column else ""

    def _stated_down(self) -> NDArray[np.bool_] | None:
        column = self._one(Role.DIRECTION)
        if column is None:
            return None
        words = [word.casefold() for word in self.cells.text(column)]
        wrong = [row for row, word in enumerate(words) if word not in UP | DOWN]
        self.problems += listed(
            [f"{self.cells.where(r, column)}: '{words[r]}' is no direction; write 'up' or 'down'" for r in wrong]
        )
        return np.array([word in DOWN for word in words])

    # --- rows

    def _rows(
        self,
        measured: Floats,
        forces: Floats,
        responses: tuple[Column, ...],
        answers: list[Floats],
        excluded: list[str],
    ) -> Rows:
        """All readings, one after the other, each with its series and direction."""
        series, down, insertion = self._numbered(Role.SERIES), self._stated_down(), self._numbered(Role.INSERTION)
        blank = np.all([np.isnan(ohm) for ohm in answers], axis=0)
        missing = np.flatnonzero(np.isnan(forces) & ~blank)
        load = chosen(self.cells.columns, Role.LOAD)[0]
        self.problems += listed([f"{self.cells.where(r, load)}: a resistance without its force" for r in missing])
        times, temperatures = self._optional(Role.TIME), self._optional(Role.TEMPERATURE)
        nominal = self._optional(Role.NOMINAL)
        parts, offset = [], 0
        counts = {True: 0, False: 0}
        for column, ohm in zip(responses, answers, strict=True):
            use = np.flatnonzero(np.isfinite(forces) & (~np.isnan(ohm) | (forces == 0)))
            if not use.size or self.problems:
                continue
            order = self._order(forces[use], column, _at(series, use), _at(down, use))
            if column.direction is not None:
                counts[bool(order.down[0])] += 1
                numbers = np.full(use.size, counts[bool(order.down[0])], np.int64)
            else:
                numbers = order.series + offset
                offset = int(numbers.max())
            parts.append((use, ohm[use], numbers, order.down))
        if not parts:
            self._give_up()
            raise DataError(f"{self.cells.name}: no row has both a force and a resistance")
        use = np.concatenate([part[0] for part in parts])
        return Rows(
            lines=self.cells.lines[use],
            measured=measured[use],
            forces=forces[use],
            resistances=np.concatenate([part[1] for part in parts]),
            series=np.concatenate([part[2] for part in parts]),
            down=np.concatenate([part[3] for part in parts]),
            insertion=insertion[use] if insertion is not None else np.ones(use.size, np.int64),
            excluded=[excluded[row] for row in use] if excluded else [""] * use.size,
            times=_at(times, use),
            temperatures=_at(temperatures, use),
            nominal=_at(nominal, use),
        )

    def _order(
        self,
        forces: Floats,
        column: Column,
        series: NDArray[np.int64] | None,
        down: NDArray[np.bool_] | None,
    ) -> Order:
        if column.direction is not None:
            down = np.full(len(forces), column.direction.value == "down")
        if down is not None:
            return Order(series if series is not None else series_of_directions(forces, down), down)
        if series is None:
            found = infer(forces)
            self._note_order(found.known, "series and directions")
            return found
        result = np.zeros(len(forces), np.bool_)
        known = True
        for number in np.unique(series):
            rows = np.flatnonzero(series == number)
            part = infer(forces[rows])
            result[rows], known = part.down, known and part.known
        self._note_order(known, "directions")
        return Order(series, result)

    def _note_order(self, known: bool, what: str) -> None:
        said = (
            f"{what} from the order of the forces (turning points)"
            if known
            else f"the forces are in no order: {what} cannot be told from it; all are taken as increasing"
        )
        if said not in self.notes:
            self.notes.append(said)

    def _optional(self, role: Role) -> Floats | None:
        column = self._one(role)
        if column is None or column.kind is None or column.kind is Kind.PRESSURE:
            return None
        values = self._numbers(column)
        values[~np.isfinite(values)] = np.nan
        if role is Role.TEMPERATURE and column.unit == "K":
            return values - 273.15
        if role is Role.TEMPERATURE and column.unit == "degF":
            return (values - 32) / 1.8
        return values * column.factor

    def _look_for_swapped(self, load: Column, responses: tuple[Column, ...]) -> None:
        if responses[0].kind is not Kind.RESISTANCE or self.problems:
            return
        raw, raw_loads = self._numbers(responses[0]), self._numbers(load)
        good = np.isfinite(raw) & np.isfinite(raw_loads) & (raw > 0) & (raw_loads > 0)
        if checks.look_swapped(raw_loads[good], raw[good]):
            self.problems.append(
                f"{self.cells.name}: columns '{load.heading}' and '{responses[0].heading}' look swapped: the numbers "
                f"under '{responses[0].heading}' are round and rise like load steps, those under '{load.heading}' not"
            )


def _unloaded_at_zero(measured: Floats) -> Floats:
    """Exactly 0 where there is no load: what a load cell's zero wanders about."""
    most = float(np.nanmax(measured, initial=0.0, where=np.isfinite(measured)))
    return np.where(measured <= ZERO * most, 0.0, measured)


def _at(values: NDArray[np.generic] | None, rows: NDArray[np.int64]) -> NDArray | None:  # type: ignore[type-arg]
    return values[rows] if values is not None else None
