"""The certificate of the reference load cell: how its indication becomes a force, and how well that is known.

Nothing is extrapolated: an indication outside the certificate's range is an error. `calibration.reference` reads it.
"""

from __future__ import annotations

import datetime
from abc import abstractmethod
from collections.abc import Iterator
from typing import Annotated, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, model_validator

from calibration import iso376, units
from calibration.data import DataError, Frozen, NotNegative, Positive, Reference
from calibration.results import Quantities
from calibration.units import Kind

Floats: TypeAlias = NDArray[np.float64]
_EDGE = 1e-12  # relative: what rounding may do to an indication at the end of the range


class Statement(Frozen):
    """How an indication becomes a force in N. Standard uncertainties: both parts count, in quadrature."""

    relative_standard_uncertainty: NotNegative
    standard_uncertainty_N: NotNegative
    k: Positive = 2.0

    @property
    @abstractmethod
    def range(self) -> tuple[float, float]:
        """Of the indication, in its own unit."""

    @abstractmethod
    def force(self, indication: Floats) -> Floats:
        """Within the range; beyond it the nearest part continued, which is for display alone."""

    @abstractmethod
    def words(self, unit: str) -> str:
        """For the record."""


class TableStatement(Statement):
    """Forces at indications, interpolated linearly."""

    kind: Literal["table"] = "table"
    indications: Annotated[tuple[float, ...], Field(min_length=2)]
    forces_N: Annotated[tuple[float, ...], Field(min_length=2)]

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if len(self.indications) != len(self.forces_N):
            raise ValueError(f"{len(self.indications)} indications and {len(self.forces_N)} forces; they go in pairs")
        if np.any(np.diff(self.indications) <= 0) or np.any(np.diff(self.forces_N) <= 0):
            raise ValueError("indications and forces are to rise from entry to entry")
        return self

    @property
    def range(self) -> tuple[float, float]:
        return self.indications[0], self.indications[-1]

    def force(self, indication: Floats) -> Floats:
        x, y = np.array(self.indications), np.array(self.forces_N)
        segment = np.clip(np.searchsorted(x, indication, side="right") - 1, 0, len(x) - 2)
        share = (indication - x[segment]) / (x[segment + 1] - x[segment])
        return np.asarray(y[segment] + share * (y[segment + 1] - y[segment]), dtype=np.float64)

    def words(self, unit: str) -> str:
        return f"linear between {len(self.indications)} points from {self.range[0]:g} to {self.range[1]:g} {unit}"


class PolynomialStatement(Statement):
    """F = Σ c_i · x^i with the indication x, up to the fifth degree (ASTM E74, ISO 376)."""

    kind: Literal["polynomial"] = "polynomial"
    coefficients_N: Annotated[tuple[float, ...], Field(min_length=2, max_length=6)]
    low: float
    high: float

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if not self.low < self.high:
            raise ValueError("the range does not rise")
        if np.any(np.diff(self.force(np.linspace(self.low, self.high, 1001))) <= 0):
            raise ValueError("the polynomial does not rise everywhere in its range")
        return self

    @property
    def range(self) -> tuple[float, float]:
        return self.low, self.high

    def force(self, indication: Floats) -> Floats:
        return np.asarray(np.polynomial.polynomial.polyval(indication, self.coefficients_N), dtype=np.float64)

    def words(self, unit: str) -> str:
        return f"polynomial of degree {len(self.coefficients_N) - 1} from {self.low:g} to {self.high:g} {unit}"


class SensitivityStatement(Statement):
    """F = capacity · (x − zero) / output, with x, zero and output in mV/V."""

    kind: Literal["sensitivity"] = "sensitivity"
    capacity_N: Positive
    output_mV_V: float
    zero_mV_V: float = 0.0

    @model_validator(mode="after")
    def _has_an_output(self) -> Self:
        if self.output_mV_V == 0:
            raise ValueError("a load cell without an output tells no force")
        return self

    @property
    def range(self) -> tuple[float, float]:
        ends = (self.zero_mV_V, self.zero_mV_V + self.output_mV_V)
        return min(ends), max(ends)

    def force(self, indication: Floats) -> Floats:
        return np.asarray(self.capacity_N * (indication - self.zero_mV_V) / self.output_mV_V, dtype=np.float64)

    def words(self, unit: str) -> str:
        return f"{self.output_mV_V:g} {unit} at {self.capacity_N:g} N, zero {self.zero_mV_V:g} {unit}"


class SeriesOfCertificate(Frozen):
    """The readings that the laboratory took, in the indication's unit: what ISO 376's quantities come from."""

    forces_N: tuple[Positive, ...] = Field(min_length=1)
    x1: tuple[float, ...] = ()
    x2: tuple[float, ...] = ()
    x3: tuple[float, ...] = ()
    x4: tuple[float, ...] = Field((), description="falling, after x3")
    x5: tuple[float, ...] = ()
    x6: tuple[float, ...] = Field((), description="falling, after x5")
    zero: tuple[float, float] | None = Field(None, description="i0 and if")
    creep: tuple[float, float] | None = Field(None, description="i30 and i300")

    @model_validator(mode="after")
    def _of_one_length(self) -> Self:
        for name, values in self.named():
            if len(values) != len(self.forces_N):
                raise ValueError(f"'{name}' has {len(values)} readings at {len(self.forces_N)} forces")
        return self

    def named(self) -> Iterator[tuple[str, tuple[float, ...]]]:
        every = {"x1": self.x1, "x2": self.x2, "x3": self.x3, "x4": self.x4, "x5": self.x5, "x6": self.x6}
        return ((name, values) for name, values in every.items() if values)

    def as_series(self) -> tuple[iso376.Series, ...]:
        positions = {"x1": 0, "x2": 0, "x3": 1, "x4": 1, "x5": 2, "x6": 2}
        return tuple(
            iso376.Series(positions[name], name not in ("x4", "x6"), np.array(values, dtype=np.float64))
            for name, values in self.named()
        )


class LoadCellCertificate(Frozen):
    """What a certificate states of one load cell; `unit` and `resolution` are those of the indication."""

    name: str = Field(min_length=1)
    serial: str = ""
    certificate: str = ""
    laboratory: str = ""
    calibrated: datetime.date | None = None
    expires: datetime.date | None = None
    unit: Literal["N", "kN", "mN", "kgf", "gf", "lbf", "mV/V"] = "N"
    resolution: NotNegative = 0.0
    statement: Annotated[TableStatement | PolynomialStatement | SensitivityStatement, Field(discriminator="kind")]
    series: SeriesOfCertificate | None = None

    def force_N(self, indication: ArrayLike) -> Floats:
        """Of indications in `unit`; raises `DataError` where one lies outside the certificate's range or is NaN."""
        x = np.asarray(indication, dtype=np.float64)
        low, high = self.statement.range
        edge = _EDGE * max(abs(low), abs(high))
        outside = ~((x >= low - edge) & (x <= high + edge))
        if np.any(outside):
            raise DataError(
                f"load cell {self.name}: an indication of {np.ravel(x[outside])[0]:.6g} {self.unit} is outside its "
                f"certificate ({low:g} to {high:g} {self.unit}); use loads within it, or another load cell"
            )
        return self.statement.force(x)

    def force_of_indicated_N(self, indicated_N: float) -> float:
        """The same for an instrument that hands over newtons, whatever unit its certificate is written in."""
        return float(self.force_N(indicated_N / self._newtons()))

    def estimate_of_indicated_N(self, indicated_N: float) -> float:
        """Continued beyond the range: for the display and for readings without load, never for a point."""
        return float(self.statement.force(np.asarray(indicated_N / self._newtons(), dtype=np.float64)))

    def _newtons(self) -> float:
        """One of the indication's unit in N."""
        if self.unit == "mV/V":
            raise DataError(f"load cell {self.name}: its certificate is for an output in mV/V, not for a force")
        return units.FACTORS[Kind.FORCE][self.unit]

    def reference(self) -> Reference:
        """For the record of a calibration that was made with it."""
        low, high = self.statement.range
        ends = self.statement.force(np.array([low, high]))
        per_indication = abs(float(ends[1] - ends[0])) / (high - low)
        return Reference(
            name=self.name,
            serial=self.serial,
            certificate=self.certificate,
            laboratory=self.laboratory,
            calibrated=self.calibrated,
            expires=self.expires,
            relative_standard_uncertainty=self.statement.relative_standard_uncertainty,
            standard_uncertainty_N=self.statement.standard_uncertainty_N,
            resolution_N=self.resolution * per_indication,
            statement=self.statement.words(self.unit),
        )

    def expired(self, today: datetime.date) -> bool:
        return self.expires is not None and today > self.expires

    def quantities(self) -> Quantities | None:
        """Of ISO 376, with the class; None where the certificate has no series.

        Deflections are readings less the zero before; where the statement is the curve, Xa is its inverse.
        """
        if self.series is None:
            return None
        zero = self.series.zero[0] if self.series.zero else 0.0
        low, high = self.statement.range
        grid = np.linspace(low, high, 20001)
        forces = self.statement.force(grid)
        order = np.argsort(forces)
        curve = np.interp(self.series.forces_N, forces[order], grid[order]) - zero
        series = [iso376.Series(one.position, one.rising, one.deflections - zero) for one in self.series.as_series()]
        return iso376.quantities_of_series(
            f"load cell {self.name}",
            self.series.forces_N,
            series,
            curve,
            zeros=[iso376.ZeroDrift(*self.series.zero)] if self.series.zero else [],
            creep=iso376.CreepPair(*self.series.creep) if self.series.creep else None,
        )
