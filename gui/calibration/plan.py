"""The second page: the loads, how often, how long; with a picture of what that means and how long it takes."""

from __future__ import annotations

from pydantic import ValidationError
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from calibration.data import Area
from calibration.procedure.plan import LEAST_SHARE
from gui import quantities
from gui.calibration.fields import Card, NumberField, dim, put, row, scrolled
from gui.calibration.figures import StaircaseFigure
from gui.calibration.forecast import plan_of, planned
from gui.theme import Theme
from station.calibration_views import PlanOrder, StabilityOrder

KNOWN = PlanOrder(full_load_N=120.0)  # what a plan is unless it is changed


class PlanPage(QWidget):
    edited = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        rest = KNOWN.stability
        self.full_load = NumberField("Full load", "N", KNOWN.full_load_N, step=10, least=0.01, decimals=1)
        self.least_load = NumberField(
            "Least load", "N", KNOWN.full_load_N * LEAST_SHARE, times=1.25, least=0.001, decimals=2
        )
        self.levels = NumberField("Levels", "", KNOWN.levels, least=5, most=30)
        self.series = NumberField("Series", "", KNOWN.series_before, least=1, most=10)
        self.reinsertions = NumberField("Reinsertions", "", KNOWN.reinsertions, least=0, most=10)
        self.conditioning = NumberField("Conditioning", "×", KNOWN.conditioning_cycles, least=0, most=20)
        self.conditioning_share = NumberField(
            "at, of full load", "%", KNOWN.conditioning_share * 100, step=5, least=1, most=150
        )
        self.dwell = NumberField("Dwell", "s", KNOWN.dwell_s, step=5, least=0, most=36000)
        self.burst = NumberField("Readings", "", KNOWN.burst, least=1, most=200)
        self.burst_time = NumberField("taken within", "s", KNOWN.burst_s, step=5, least=0, most=3600)
        within = KNOWN.tolerance * 100
        self.tolerance = NumberField("On target", "± %", within, step=0.5, least=0.1, most=49, decimals=1)
        self.force_band = NumberField("Force within", "± %", rest.force_within * 100, step=0.1, least=0.01, decimals=2)
        self.ohm_band = NumberField(
            "Resistance within", "± %", rest.resistance_within * 100, step=0.1, least=0.01, decimals=2
        )
        self.rest_window = NumberField("over the last", "s", rest.window_s, step=5, least=1, most=3600)
        self.patience = NumberField("Ask me after", "s", rest.longest_wait_s, step=30, least=1, most=36000)
        self.creep = NumberField("Creep hold", "min", KNOWN.creep_s / 60, step=10, least=0, most=10000)
        self.creep_share = NumberField("held at, of full", "%", KNOWN.creep_share * 100, step=5, least=1, most=100)
        self.figure = StaircaseFigure(theme)
        self.summary, self.pressure, self.levels_note = QLabel(), QLabel(), dim()
        self._area: Area | None = None
        self._driven = False
        self._follows = True  # the least load is a fiftieth of the full one until somebody types another
        self._build()
        self.full_load.changed.connect(self._full_load_changed)
        self.least_load.field.textEdited.connect(self._unfollow)
        for key in (self.least_load.less, self.least_load.more):
            key.clicked.connect(self._unfollow)
        for field in self.findChildren(NumberField):
            field.changed.connect(self._describe)
        self._describe()

    def _build(self) -> None:
        cards = QGridLayout()
        cards.setSpacing(10)
        groups = (
            ("Loads", (self.full_load, self.least_load, self.levels, self.tolerance)),
            ("How often", (self.series, self.reinsertions, self.conditioning, self.conditioning_share)),
            ("At each load", (self.dwell, self.burst, self.burst_time, self.patience)),
            ("Counts as steady with", (self.force_band, self.ohm_band, self.rest_window)),
            ("Creep", (self.creep, self.creep_share)),
        )
        for place, (title, fields) in enumerate(groups):
            card = Card(title)
            form = card.form()
            for field in fields:
                row(form, field.name, field)
            card.body.addStretch(1)
            if place < 4:
                cards.addWidget(card, place // 2, place % 2)
            else:
                cards.addWidget(card, 2, 0)
        note = Card("In words")
        note.body.addWidget(self.levels_note)
        note.body.addStretch(1)
        cards.addWidget(note, 2, 1)
        inside = QVBoxLayout()
        inside.addLayout(cards)
        inside.addStretch(1)
        self.summary.setProperty("role", "title")
        self.pressure.setProperty("role", "heading")
        for label in (self.summary, self.pressure):
            label.setWordWrap(True)
            label.setAlignment(Qt.AlignmentFlag.AlignLeft)
        right = QVBoxLayout()
        right.setSpacing(8)
        right.addWidget(self.summary)
        right.addWidget(self.pressure)
        right.addWidget(self.figure, 1)
        sides = QHBoxLayout(self)
        sides.setContentsMargins(0, 0, 0, 0)
        sides.setSpacing(14)
        left = scrolled(inside)
        left.setMinimumWidth(cards.minimumSize().width() + 26)
        sides.addWidget(left, 1)
        sides.addLayout(right, 1)

    def set_theme(self, theme: Theme) -> None:
        self.figure.set_theme(theme)
        self._describe()

    def tell(self, area: Area | None, driven: bool) -> None:
        """What the first page says: the area, and whether a frame presses."""
        self._area, self._driven = area, driven
        self._describe()

    def _unfollow(self) -> None:
        self._follows = False

    def _full_load_changed(self) -> None:
        try:
            full = self.full_load.number()
        except ValueError:
            return
        if self._follows:
            self.least_load.put(full * LEAST_SHARE)

    def order(self) -> PlanOrder:
        """Raises `ValueError` in words."""
        full, least = self.full_load.number(), self.least_load.number()
        if least >= full:
            raise ValueError(f"The least load ({least:g} N) is not below the full load ({full:g} N)")
        try:
            order = PlanOrder(
                full_load_N=full,
                least_load_N=least,
                levels=self.levels.whole(),
                conditioning_cycles=self.conditioning.whole(),
                conditioning_share=self.conditioning_share.number() / 100,
                series_before=self.series.whole(),
                reinsertions=self.reinsertions.whole(),
                dwell_s=self.dwell.number(),
                burst=self.burst.whole(),
                burst_s=self.burst_time.number(),
                creep_s=self.creep.number() * 60,
                creep_share=self.creep_share.number() / 100,
                tolerance=self.tolerance.number() / 100,
                stability=StabilityOrder(
                    window_s=self.rest_window.number(),
                    force_within=self.force_band.number() / 100,
                    resistance_within=self.ohm_band.number() / 100,
                    longest_wait_s=self.patience.number(),
                ),
            )
        except ValidationError as error:
            first = error.errors()[0]
            raise ValueError(f"{first['loc'][-1]}: {first['msg']}") from None
        plan_of(order)
        return order

    def problem(self) -> str:
        try:
            self.order()
        except ValueError as error:
            return str(error)
        return ""

    def _describe(self) -> None:
        try:
            order = self.order()
            plan = plan_of(order, driven=self._driven)
        except ValueError as error:
            put(self.summary, str(error))
            put(self.pressure, "")
            self.edited.emit()
            return
        forecast = planned(plan)
        put(self.summary, f"{forecast.readings} load steps, about {quantities.about(forecast.duration_s)}")
        most = quantities.force(plan.full_load_N * max(1.0, plan.conditioning_share))
        words = f"The largest force will be {most}."
        if self._area is not None:
            load = quantities.kilopascals(plan.full_load_N / self._area.value_m2)
            words = f"Full load {quantities.force(plan.full_load_N)} is {load} on this area. {words}"
        put(self.pressure, words)
        steps = ", ".join(f"{load:.3g}" for load in plan.forces_N)
        put(
            self.levels_note,
            f"Levels: {steps} N.\n\n{plan.series} series, each up and down; before {plan.reinsertions} of them the "
            "sensor is taken out and put back, which shows how well it reproduces.",
        )
        self.figure.draw(forecast)
        self.edited.emit()
