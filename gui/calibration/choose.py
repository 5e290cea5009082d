"""The first page: which sensor, read by what, pressed by whom against what, on which area; or a session to take up."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import QRegularExpression, Signal
from PySide6.QtGui import QRegularExpressionValidator
from PySide6.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from calibration.data import Area, Meter
from gui import quantities
from gui.banners import Banner
from gui.calibration.fields import Card, NumberField, button, choice, dim, put, row, scrolled, words
from gui.theme import Theme
from gui.widgets import Choice
from station.calibration_views import (
    CalibrationOptions,
    PlanOrder,
    ReferenceView,
    SensorView,
    SessionOrder,
    SessionView,
)

NO_CERTIFICATE = "none: its indication as it is"
BY_HAND = "a person turns the screw"
SENSOR_NAME = QRegularExpression("[A-Za-z0-9][A-Za-z0-9_.-]*")


def sensor_words(sensor: SensorView) -> tuple[str, bool]:
    """What is known of its calibration, and whether that is a reason to warn."""
    if sensor.version is None:
        return "No calibration yet: this will be version 1.", False
    expiry = f"expires {sensor.expires}" if sensor.expires else "no date of expiry"
    if sensor.expired:
        expiry = f"EXPIRED on {sensor.expires}"
    made = f" of {sensor.calibrated}" if sensor.calibrated else ""
    return f"Newest calibration: v{sensor.version}{made}, {expiry}.", sensor.expired


def reference_words(reference: ReferenceView | None) -> tuple[str, bool]:
    if reference is None:
        return "", False
    if reference.expires is None:
        expiry = "no date of expiry"
    else:
        expiry = f"EXPIRED on {reference.expires}" if reference.expired else f"valid until {reference.expires}"
    return " · ".join(part for part in (reference.cell, reference.detail, expiry) if part), reference.expired


def session_words(session: SessionView) -> str:
    begun = quantities.short_time(session.started)
    by = f" by {session.operator}" if session.operator else ""
    where = f"{session.stage.value}, step {session.step} of {session.steps}"
    return f"Take up   {session.sensor}   –   {where}, begun {begun}{by}"


class ChoosePage(QWidget):
    """`order` makes a `SessionOrder` of what stands here with the plan of the next page."""

    taken_up = Signal(str)  # session
    edited = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._options: CalibrationOptions | None = None
        self.sessions = Card("Calibrations that can be taken up again")
        self.sensor = choice(editable=True)
        self.sensor.setValidator(QRegularExpressionValidator(SENSOR_NAME, self))
        self.sensor.lineEdit().setPlaceholderText("choose, or type a new name")  # type: ignore[union-attr]
        self.sensor_note, self.reference_note = dim(), dim()
        self.meter, self.meter_channel = choice(), choice(editable=True)
        self.gauge, self.reference, self.frame = choice(), choice(), choice()
        self.meter_within = NumberField("Meter", "± %", None, step=0.01, most=50, decimals=3, optional=True)
        self.frame_area = NumberField("Frame", "mm²", None, step=10, least=0.01, most=1e6, decimals=1, optional=True)
        self.diameter = NumberField("Diameter", "mm", 14.0, step=0.1, least=0.1, most=500, decimals=2)
        self.tolerance = NumberField("Tolerance", "mm", 0.1, step=0.01, least=0.0, most=50, decimals=2)
        self.area_source = words("drawing, measurement, or whose statement", "")
        self.area_note, self.pressure_note = QLabel(), QLabel()
        self.operator = words("your name")
        self.place = words("room or bench")
        self.temperature = NumberField("Temperature", "°C", None, step=0.5, least=-60, decimals=1, optional=True)
        self.humidity = NumberField("Humidity", "% RH", None, step=5, least=0, most=100, decimals=0, optional=True)
        self.fixture = words("what the sensor is pressed between")
        self.warning = Banner("warning", theme)
        self._full_load_N: float | None = None
        self._build()
        self._connect()

    def _build(self) -> None:
        grid = QGridLayout()
        grid.setSpacing(10)
        grid.addWidget(self._sensor_card(), 0, 0)
        grid.addWidget(self._force_card(), 1, 0)
        grid.addWidget(self._area_card(), 0, 1)
        grid.addWidget(self._circumstances_card(), 1, 1)
        grid.setColumnStretch(0, 1)
        grid.setColumnStretch(1, 1)
        self.session_rows = QVBoxLayout()
        self.session_rows.setSpacing(6)
        self.sessions.body.addLayout(self.session_rows)
        self.sessions.hide()
        inside = QVBoxLayout()
        inside.setSpacing(10)
        inside.addWidget(self.sessions)
        inside.addWidget(self.warning)
        inside.addLayout(grid)
        inside.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(scrolled(inside))

    def _sensor_card(self) -> Card:
        card = Card("Sensor and meter")
        form = card.form()
        row(form, "Sensor", self.sensor)
        form.addRow("", self.sensor_note)
        row(form, "Meter", self.meter)
        row(form, "Channel of it", self.meter_channel)
        row(form, "Limit of error", self.meter_within)
        card.body.addStretch(1)
        return card

    def _force_card(self) -> Card:
        card = Card("Force")
        form = card.form()
        row(form, "Load cell", self.gauge)
        row(form, "Its certificate", self.reference)
        form.addRow("", self.reference_note)
        row(form, "Pressed by", self.frame)
        row(form, "Frame acts on", self.frame_area)
        self._force_form = form
        row(form, "Pressed between", self.fixture)
        card.body.addStretch(1)
        return card

    def _area_card(self) -> Card:
        card = Card("Area that the force acts on")
        form = card.form()
        row(form, "Diameter", self.diameter)
        row(form, "known within ±", self.tolerance)
        row(form, "as stated by", self.area_source)
        for note in (self.area_note, self.pressure_note):
            note.setProperty("role", "heading")
            note.setMinimumHeight(24)
            card.body.addWidget(note)
        card.body.addStretch(1)
        return card

    def _circumstances_card(self) -> Card:
        card = Card("Circumstances")
        form = card.form()
        row(form, "Operator", self.operator)
        row(form, "Place", self.place)
        row(form, "Temperature", self.temperature)
        row(form, "Humidity", self.humidity)
        card.body.addStretch(1)
        return card

    def _connect(self) -> None:
        self.sensor.currentTextChanged.connect(self._sensor_chosen)
        self.meter.currentIndexChanged.connect(self._another_meter)
        for box in (self.meter_channel, self.gauge, self.reference, self.frame):
            box.currentTextChanged.connect(self._describe)
        for number in (
            self.meter_within,
            self.frame_area,
            self.diameter,
            self.tolerance,
            self.temperature,
            self.humidity,
        ):
            number.changed.connect(self._describe)
        for field in (self.area_source, self.operator):
            field.textChanged.connect(self._describe)

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        self.warning.set_theme(theme)
        self._describe()

    # --- what there is

    def offer(self, options: CalibrationOptions) -> None:
        """Keep what was chosen where it is still there."""
        first, self._options = self._options is None, options
        _refill(self.sensor, [(each.name, each.name) for each in options.sensors])
        if first:
            self.sensor.setCurrentIndex(-1)
            self.sensor.clearEditText()
        _refill(self.meter, [(_instrument(each.name, each.detail), each.name) for each in options.meters])
        _refill(self.gauge, [(_instrument(each.name, each.detail), each.name) for each in options.gauges])
        references = [(name, name) for name in options.references] + [(NO_CERTIFICATE, None)]
        _refill(self.reference, references)
        frames = [(_instrument(each.name, each.detail), each.name) for each in options.frames]
        _refill(self.frame, [(BY_HAND, None), *frames])
        self._offer_channels()
        self._offer_sessions(options.sessions)
        self._describe()

    def _offer_sessions(self, sessions: tuple[SessionView, ...]) -> None:
        while (item := self.session_rows.takeAt(0)) is not None:
            if (old := item.widget()) is not None:
                old.deleteLater()
        for session in sessions:
            name = session.session
            made = button(session_words(session), "session", lambda name=name: self.taken_up.emit(name))  # type: ignore[misc]
            self.session_rows.addWidget(made)
        self.sessions.setVisible(bool(sessions))

    def _sensor(self) -> SensorView | None:
        known = self._options.sensors if self._options else ()
        return next((each for each in known if each.name == self.sensor.currentText().strip()), None)

    def _reference(self) -> ReferenceView | None:
        known = self._options.reference_details if self._options else ()
        return next((each for each in known if each.name == self.reference.currentData()), None)

    def _sensor_chosen(self) -> None:
        sensor = self._sensor()
        if sensor is not None and sensor.meter is not None:
            index = self.meter.findData(sensor.meter)
            if index >= 0:
                self.meter.setCurrentIndex(index)
        if sensor is not None and sensor.meter_channel is not None:
            self.meter_channel.setCurrentText(str(sensor.meter_channel))
        self._describe()

    def _another_meter(self) -> None:
        """With the sensor's own channel on it, or its first one."""
        self._offer_channels()
        sensor, meter = self._sensor(), self.meter.currentData()
        if sensor is not None and sensor.meter == meter and sensor.meter_channel is not None:
            self.meter_channel.setCurrentText(str(sensor.meter_channel))
        elif self.meter_channel.count():
            self.meter_channel.setCurrentIndex(0)
            self.meter_channel.setCurrentText(self.meter_channel.itemText(0))
        self._describe()

    def _offer_channels(self) -> None:
        meters = self._options.meters if self._options else ()
        chosen = next((each for each in meters if each.name == self.meter.currentData()), None)
        numbers = chosen.channels if chosen else ()
        _refill(self.meter_channel, [(str(number), number) for number in numbers or (1,)])

    def tell_full_load(self, full_load_N: float | None) -> None:
        """As the next page has it, so that its pressure on this area can stand here."""
        self._full_load_N = full_load_N
        self._describe()

    def _describe(self) -> None:
        sensor = self._sensor()
        text, warn = sensor_words(sensor) if sensor else ("", False)
        if not sensor and self.sensor.currentText().strip():
            text = "A new sensor: this will be version 1 of its calibration."
        put(self.sensor_note, text)
        self._colour(self.sensor_note, warn)
        details = self._options.reference_details if self._options else ()
        text, warn = reference_words(
            next((each for each in details if each.name == self.reference.currentData()), None)
        )
        put(self.reference_note, text)
        self._colour(self.reference_note, warn)
        self._force_form.setRowVisible(self.frame_area, self.frame.currentData() is not None)
        without = self._options is not None and self.reference.currentData() is None
        self.warning.say(
            "Without a certificate the load cell's indication counts as it is; the record says: not traceable."
            if without
            else ""
        )
        self._describe_area()
        self.edited.emit()

    def _describe_area(self) -> None:
        try:
            area = self.area()
        except ValueError as error:
            put(self.area_note, str(error))
            put(self.pressure_note, "")
            return
        value, spread = area.value_m2 * 1e6, area.standard_uncertainty_m2 * 1e6
        put(
            self.area_note,
            f"Area {value:.1f} mm², standard uncertainty {spread:.1f} mm² ({quantities.share(spread / value)})",
        )
        load = self._full_load_N
        put(
            self.pressure_note,
            f"Full load {quantities.force(load)} is {quantities.kilopascals(load / area.value_m2)}" if load else "",
        )

    def _colour(self, note: QLabel, warn: bool) -> None:
        look = f"color: {self._theme.warning}; font-weight: 600;" if warn else ""
        if note.styleSheet() != look:
            note.setStyleSheet(look)

    # --- what was chosen

    def area(self) -> Area:
        """Raises `ValueError` in words."""
        diameter, tolerance = self.diameter.number(), self.tolerance.number()
        if tolerance >= diameter / 2:
            raise ValueError("the tolerance is larger than the radius")
        return Area.disc(diameter * 1e-3, tolerance * 1e-3, self.area_source.text().strip())

    def _meter_statement(self) -> Meter | None:
        """A limit of error is the half-width of a rectangular distribution."""
        limit, name = self.meter_within.value(), self.meter.currentData()
        if limit is None:
            return None
        drivers = {each.name: each.driver for each in self._options.meters} if self._options else {}
        share = limit / 100 / math.sqrt(3)
        return Meter(name=name, identity=drivers.get(name, ""), relative_standard_uncertainty=share)

    def in_cell(self) -> str:
        """Why this sensor, read so, cannot be in the press; '' where it can."""
        name, number = self.sensor.currentText().strip(), self.meter_channel.currentText()
        if self._options is None or not number.isdecimal():
            return ""
        meter = self.meter.currentData()
        return next(filter(None, (each.against(name, meter, int(number)) for each in self._options.in_cells)), "")

    def problem(self) -> str:
        """What is still missing, or stands against it, or ''."""
        if self._options is None:
            return "The station has not answered yet"
        if not self.sensor.currentText().strip():
            return "Choose a sensor, or type a new one's name"
        for box, what in ((self.meter, "resistance meter"), (self.gauge, "load cell")):
            if box.currentData() is None:
                return f"The station has no {what}: add one to station.toml"
        if not self.meter_channel.currentText().isdecimal():
            return "The meter's channel is a whole number"
        if said := self.in_cell():
            return said[:1].upper() + said[1:]
        if not self.area_source.text().strip():
            return "Say where the area comes from: drawing, measurement, or whose statement"
        if not self.operator.text().strip():
            return "Who does it? Fill in the operator"
        try:
            self.area()
            for field in (self.temperature, self.humidity, self.meter_within, self.frame_area):
                field.value()
        except ValueError as error:
            return str(error)
        return ""

    def order(self, plan: PlanOrder) -> SessionOrder:
        """Raises `ValueError` in words."""
        if problem := self.problem():
            raise ValueError(problem)
        frame_mm2 = self.frame_area.value()
        return SessionOrder(
            sensor=self.sensor.currentText().strip(),
            meter=self.meter.currentData(),
            meter_channel=int(self.meter_channel.currentText()),
            gauge=self.gauge.currentData(),
            reference=self.reference.currentData(),
            frame=self.frame.currentData(),
            frame_area_m2=frame_mm2 * 1e-6 if frame_mm2 and self.frame.currentData() else None,
            meter_statement=self._meter_statement(),
            area=self.area(),
            plan=plan,
            operator=self.operator.text().strip(),
            place=self.place.text().strip(),
            fixture=self.fixture.text().strip(),
            temperature_degC=self.temperature.value(),
            humidity_percent=self.humidity.value(),
        )


def _instrument(name: str, detail: str) -> str:
    return f"{name} · {detail}" if detail else name


def _refill(box: Choice, entries: Sequence[tuple[str, object]]) -> None:
    """Other entries, with the choice kept where it is still among them."""
    if [(box.itemText(k), box.itemData(k)) for k in range(box.count())] == entries:
        return
    kept = box.currentText()
    box.blockSignals(True)
    box.clear()
    for text, data in entries:
        box.addItem(text, data)
    index = box.findText(kept)
    if index >= 0:
        box.setCurrentIndex(index)
    elif box.isEditable() and kept:
        box.setCurrentText(kept)
    box.blockSignals(False)
