"""What a calibration found: models compared, quantities, budget. Relative values are shares, not per cent."""

from __future__ import annotations

from enum import StrEnum

from calibration.data import Frozen, NotNegative, Positive
from calibration.models import Model


class Variable(StrEnum):
    """In what the noise is even, and so in what is fitted."""

    LN_RESISTANCE = "ln R"
    CONDUCTANCE = "G"
    RESISTANCE = "R"


class Candidate(Frozen):
    """One model, fitted. Errors are relative errors of force (differences of ln F), root mean square."""

    model: Model
    covariance: tuple[tuple[float, ...], ...] = ()  # of `model.parameters()`, in that order
    parameters_fitted: int
    aicc: float | None  # Akaike's criterion, corrected for few points; lower is better; None: too few points for it
    residual: NotNegative
    left_out_error: NotNegative | None  # when each series (with one series: each level) is left out in turn


class Choice(Frozen):
    """All candidates, best first, with how it was fitted."""

    variable: Variable
    candidates: tuple[Candidate, ...]
    rejected: tuple[tuple[str, str], ...] = ()  # title and reason of what could not be fitted
    robust: bool = False  # outliers stand in the data, so that a robust loss was used
    suspects: tuple[int, ...] = ()  # indices into `Dataset.points` that look like outliers; they are used all the same

    @property
    def best(self) -> Candidate:
        return self.candidates[0]


class Distribution(StrEnum):
    NORMAL = "normal"
    STUDENT = "t"
    RECTANGULAR = "rectangular"
    TWO_POINT = "either branch"


class Component(Frozen):
    """One line of the budget at one force: a relative standard uncertainty of the force (or of the pressure)."""

    name: str
    relative: NotNegative  # standard uncertainty
    evaluation: str  # "A": from these readings; "B": from other knowledge; "" where it was not evaluated
    distribution: Distribution = Distribution.NORMAL
    degrees_of_freedom: float | None = None  # None: infinite
    note: str = ""


class Budget(Frozen):
    """At one force. The squares of the components add up to that of `combined`.

    `few_readings` widens it for the finite degrees of freedom (the ratio of Student's factor to the normal one), so
    that the coverage factor k = 2 keeps its meaning: `expanded` = 2 · `few_readings` · `combined`.
    `low` and `high` are the ends of the 95 % coverage interval of the pressure as factors, by propagation of
    distributions (JCGM 101).
    """

    force_N: Positive
    pressure_Pa: Positive
    resistance_ohm: Positive
    components: tuple[Component, ...]
    combined: NotNegative
    degrees_of_freedom: float | None  # effective, Welch-Satterthwaite; None: infinite
    few_readings: Positive
    expanded: NotNegative
    expanded_force: NotNegative  # without the sensing area
    low: Positive
    high: Positive
    monte_carlo_standard: NotNegative
    monte_carlo_draws: int

    @property
    def standard(self) -> float:
        return self.few_readings * self.combined


class Table(Frozen):
    """Uncertainty over resistance, evenly spaced in ln R, to be interpolated linearly; relative to the pressure.

    All of equal length. `expanded` is k = 2; `low` and `high` are the logarithms of the factors that lead from the
    pressure to the ends of its 95 % interval.
    """

    ln_ohm_first: float
    ln_ohm_step: Positive
    expanded: tuple[float, ...]
    expanded_force: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


class Creep(Frozen):
    """G(t) = G(t0) · (1 + m · log10(t / t0)) at constant force, t since it was loaded."""

    per_decade: float
    standard_uncertainty: NotNegative
    reference_s: Positive  # t0: the time under load that the curve belongs to
    force_N: Positive
    longest_s: Positive  # how long it was watched
    residual: NotNegative  # of ln R, root mean square


class LevelQuantities(Frozen):
    """The quantities of ISO 376 at one force, in per cent; None where the series for it are missing."""

    force_N: Positive
    reproducibility: float | None  # b, with the sensor taken out between the series
    repeatability: float | None  # b', without
    interpolation: float | None  # fc
    reversibility: float | None  # v


class Quantities(Frozen):
    """ISO 376:2011's quantities, computed for the response that is meant (the load cell's or the sensor's)."""

    of: str
    levels: tuple[LevelQuantities, ...]
    zero: float | None  # f0, in per cent of the largest deflection
    creep: float | None  # c, between 30 s and 300 s
    classification: str  # the class that all quantities keep, or 'unclassified' with what prevents it


class Evaluation(Frozen):
    """Everything computed from a data set."""

    choice: Choice
    budgets: tuple[Budget, ...]
    table: Table
    creep: Creep | None
    quantities: Quantities
    force_min_N: Positive
    force_max_N: Positive
    warnings: tuple[str, ...] = ()
