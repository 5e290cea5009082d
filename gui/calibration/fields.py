"""What a technician with gloves fills in: numbers with a unit and large keys beside them, words, choices, cards."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from gui import quantities
from gui.theme import TOUCH
from gui.widgets import Choice

UNIT_WIDTH = 42  # px: the longest unit


def put(label: QLabel, text: str) -> None:
    """Only as it changes: a window that is told four times a second else lays itself out as often."""
    if label.text() != text:
        label.setText(text)


def set_role(widget: QWidget, name: str, value: str) -> None:
    """A property that the style sheet looks at; read anew only as it changes."""
    if widget.property(name) != value:
        widget.setProperty(name, value)
        widget.style().unpolish(widget)
        widget.style().polish(widget)


class Card(QFrame):
    """A frame with a heading; `body` holds what is in it."""

    def __init__(self, title: str = "") -> None:
        super().__init__()
        self.setObjectName("card")
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(16, 12, 16, 12)
        self.body.setSpacing(8)
        self.heading = QLabel(title)
        self.heading.setProperty("role", "heading")
        if title:
            self.body.addWidget(self.heading)

    def form(self) -> QFormLayout:
        made = QFormLayout()
        made.setHorizontalSpacing(16)
        made.setVerticalSpacing(6)
        made.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        self.body.addLayout(made)
        return made


def row(form: QFormLayout, name: str, field: QWidget) -> None:
    """With the name at the height of the field's middle."""
    label = QLabel(name)
    label.setProperty("role", "name")
    label.setMinimumHeight(TOUCH)
    label.setMinimumWidth(138)
    label.setBuddy(field)
    field.setAccessibleName(name)
    form.addRow(label, field)


def dim(text: str = "", wrap: bool = True) -> QLabel:
    label = QLabel(text)
    label.setProperty("role", "dim")
    label.setWordWrap(wrap)
    label.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
    return label


def scrolled(layout: QLayout) -> QScrollArea:
    inside = QWidget()
    inside.setLayout(layout)
    layout.setContentsMargins(0, 0, 6, 0)
    area = QScrollArea()
    area.setWidget(inside)
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    return area


def words(placeholder: str = "", text: str = "") -> QLineEdit:
    field = QLineEdit(text)
    field.setProperty("role", "field")
    field.setPlaceholderText(placeholder)
    return field


def choice(editable: bool = False) -> Choice:
    box = Choice()
    box.setProperty("role", "field")
    box.setEditable(editable)
    box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    box.setMinimumWidth(120)
    return box


def button(text: str, role: str, clicked: Callable[[], object]) -> QPushButton:
    made = QPushButton(text)
    made.setProperty("role", role)
    made.clicked.connect(lambda _=False: clicked())
    return made


def key(text: str, what: str, pressed: Callable[[], object]) -> QPushButton:
    """One of the two beside a field, that make it less and more for as long as they are held."""
    made = button(text, "step", pressed)
    made.setFixedWidth(TOUCH + 6)
    made.setAccessibleName(what)
    made.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    made.setAutoRepeat(True)
    return made


class NumberField(QWidget):
    """A number between two large keys that make it less and more; the unit stands beside it.

    `step` is added at each press; where `times` is given it multiplies instead. Empty means None where `optional`.
    """

    changed = Signal()

    def __init__(
        self,
        name: str,
        unit: str,
        value: float | None,
        *,
        step: float = 1.0,
        times: float | None = None,
        least: float = 0.0,
        most: float = math.inf,
        decimals: int = 0,
        optional: bool = False,
    ) -> None:
        super().__init__()
        self.name, self._step, self._times = name, step, times
        self._least, self._most, self._decimals, self._optional = least, most, decimals, optional
        self.field = words()
        self.field.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.field.setMinimumWidth(74)
        self.field.setAccessibleName(f"{name} ({unit})" if unit else name)
        self.less = key("−", f"{name}: less", lambda: self._move(-1))
        self.more = key("+", f"{name}: more", lambda: self._move(+1))
        unit_label = QLabel(unit)
        unit_label.setProperty("role", "name")
        unit_label.setFixedWidth(UNIT_WIDTH)
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(6)
        line.addWidget(self.less)
        line.addWidget(self.field, 1)
        line.addWidget(self.more)
        line.addWidget(unit_label)
        self.put(value)
        self.field.textChanged.connect(self._look)

    def put(self, value: float | None) -> None:
        self.field.setText("" if value is None else f"{value:.{self._decimals}f}")

    def value(self) -> float | None:
        """Raises `ValueError` in words where there is none."""
        text = self.field.text().strip().replace(",", ".").replace(quantities.MINUS, "-")
        if not text and self._optional:
            return None
        try:
            value = float(text)
        except ValueError:
            raise ValueError(f"{self.name} is a number, not '{text}'") from None
        if not math.isfinite(value) or not self._least <= value <= self._most:
            upper = f" and {self._most:g}" if math.isfinite(self._most) else ""
            between = f"between {self._least:g}{upper}" if upper else f"at least {self._least:g}"
            raise ValueError(f"{self.name} is {between}, not {text}")
        return value

    def number(self) -> float:
        """Of a field that is never empty."""
        value = self.value()
        if value is None:
            raise ValueError(f"{self.name} is missing")
        return value

    def whole(self) -> int:
        value = self.number()
        if value != int(value):
            raise ValueError(f"{self.name} is a whole number, not {value:g}")
        return int(value)

    def _move(self, way: int) -> None:
        try:
            value = self.value()
        except ValueError:
            value = None
        if value is None:
            value = self._least
        elif self._times is not None:
            value *= self._times**way
        else:
            value += way * self._step
        self.put(min(max(value, self._least), self._most))

    def _look(self) -> None:
        try:
            self.value()
            set_role(self.field, "wrong", "false")
        except ValueError:
            set_role(self.field, "wrong", "true")
        self.changed.emit()


class DateField(QWidget):
    """A day as 2027-01-31, between two keys that move it by a month."""

    changed = Signal()

    def __init__(self, name: str, day: datetime.date) -> None:
        super().__init__()
        self.name = name
        self.field = words("2027-01-31")
        self.field.setMinimumWidth(116)
        self.field.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.field.setAccessibleName(name)
        self.less = key("−", f"{name}: a month less", lambda: self._move(-1))
        self.more = key("+", f"{name}: a month more", lambda: self._move(+1))
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(6)
        for widget in (self.less, self.field, self.more):
            line.addWidget(widget)
        self.put(day)
        self.field.textChanged.connect(self._look)

    def put(self, day: datetime.date) -> None:
        self.field.setText(day.isoformat())

    def day(self) -> datetime.date:
        """Raises `ValueError` in words where there is none, or where it is over already."""
        text = self.field.text().strip()
        try:
            day = datetime.date.fromisoformat(text)
        except ValueError:
            raise ValueError(f"{self.name} is a date such as 2027-01-31, not '{text}'") from None
        if day <= datetime.date.today():
            raise ValueError(f"{self.name}: {text} is not in the future")
        return day

    def _move(self, months: int) -> None:
        try:
            day = datetime.date.fromisoformat(self.field.text().strip())
        except ValueError:
            day = datetime.date.today()
        year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
        longest = 28 if month == 1 else 30
        self.put(datetime.date(year, month + 1, min(day.day, longest)))

    def _look(self) -> None:
        try:
            self.day()
            set_role(self.field, "wrong", "false")
        except ValueError:
            set_role(self.field, "wrong", "true")
        self.changed.emit()
