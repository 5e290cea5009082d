"""What is done to a cell by hand, recorded before its run: the in-cell zero, and the assembly with its pressure."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSpinBox, QWidget

from gui import quantities
from gui.confirmation import Confirmation
from station.readings import CellEvent, CellEventKind

LONGEST_AGO_MIN = 30 * 24 * 60


def in_words(event: CellEvent) -> str:
    said = [f"{event.kind.value}, {quantities.clock_time(event.time)}"]
    if event.resistance_ohm is not None:
        said.append(quantities.resistance(event.resistance_ohm))
    if event.pressure_Pa is not None:
        said.append(quantities.pressure(event.pressure_Pa, event.pressure_U_Pa))
    return " · ".join((*said, event.note) if event.note else said)


class RecordEvent(Confirmation):
    """Is the cell as it must be? For an assembly, also how long ago it was."""

    def __init__(self, parent: QWidget, kind: CellEventKind, channel: str, cell: str) -> None:
        zero = kind is CellEventKind.ZERO
        super().__init__(
            parent,
            f"Record the in-cell zero of cell {cell}?" if zero else f"Record that cell {cell} is assembled?",
            f"The pressure sensor of channel {channel} is read now. It must lie in the cell without any load."
            if zero
            else f"The pressure sensor of channel {channel} is read now, and what it shows is kept as the built-in "
            "pressure. From the assembly on its creep is corrected.",
            go="Record the zero" if zero else "Record the assembly",
            stay="Do not record",
        )
        self.go.setProperty("role", "primary")
        self.ago = QSpinBox()
        self.ago.setRange(0, LONGEST_AGO_MIN)
        self.ago.setSuffix(" min ago")
        self.ago.setSpecialValueText("now")
        self.ago.setMinimumHeight(40)
        self.ago.setAccessibleName("The cell was closed")
        if not zero:
            row = QHBoxLayout()
            row.addWidget(QLabel("The cell was closed"))
            row.addWidget(self.ago, 1)
            self.column.insertLayout(2, row)


class CellEventButtons(QWidget):
    """Both, side by side; `asked` says which."""

    asked = Signal(object)  # CellEventKind

    def __init__(self) -> None:
        super().__init__()
        self.zero, self.assembled = QPushButton("In-cell zero …"), QPushButton("Assembled …")
        self.zero.setToolTip("Before assembly: keep the resistance of the pressure sensor without load")
        self.assembled.setToolTip("Keep when the cell was closed, and its built-in pressure")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        for button, kind in ((self.zero, CellEventKind.ZERO), (self.assembled, CellEventKind.ASSEMBLED)):
            button.setProperty("role", "action")
            button.setAutoDefault(False)
            button.clicked.connect(lambda _=False, kind=kind: self.asked.emit(kind))
            row.addWidget(button, 1)
