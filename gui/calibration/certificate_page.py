"""The last page: what was signed, and its certificate as a file."""

from __future__ import annotations

import tempfile
from pathlib import Path

from PySide6.QtCore import Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from calibration.record import Calibration
from gui import icons, quantities
from gui.banners import Banner
from gui.calibration.budget import cell, plain_table
from gui.calibration.fields import Card, button, dim, put
from gui.calibration.review_figures import CurveFigure, points_of
from gui.theme import Theme

WORDS = {"pdf": "PDF", "html": "HTML"}


class CertificatePage(QWidget):
    wanted = Signal(str, object)  # format, and what to do with the bytes: Callable[[bytes], None]
    another = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.record: Calibration | None = None
        self.mark, self.headline, self.hash = QLabel(), QLabel(), QLabel()
        self.about = dim()
        self.saved = Banner("simulated", theme)
        self.problem = Banner("danger", theme)
        self.keys: dict[str, QPushButton] = {
            "pdf": button("Save as PDF …", "primary", lambda: self._ask_where("pdf")),
            "html": button("Save as HTML …", "action", lambda: self._ask_where("html")),
            "open": button("Open", "action", self._open),
        }
        self.new = button("Another calibration", "action", self.another.emit)
        self.history = plain_table(
            ("Version", "Calibrated", "Expires", "Operator", "Pressure at the same resistance"), 4
        )
        for column, width in enumerate((80, 104, 104, 110)):
            self.history.setColumnWidth(column, width)
        self.history_note = dim()
        self.curve = CurveFigure(theme)
        self._folder = Path.home()
        self._build()
        self.set_theme(theme)

    def _build(self) -> None:
        card = Card()
        head = QHBoxLayout()
        head.setSpacing(18)
        self.headline.setStyleSheet("font-size: 30px; font-weight: 700;")
        self.hash.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.hash.setStyleSheet("font-family: monospace; font-size: 14px;")
        self.hash.setWordWrap(True)
        self.about.setStyleSheet("font-size: 15px;")
        words = QVBoxLayout()
        words.setSpacing(6)
        for label in (self.headline, self.about, self.hash):
            words.addWidget(label)
        head.addWidget(self.mark, 0, Qt.AlignmentFlag.AlignTop)
        head.addLayout(words, 1)
        card.body.addLayout(head)
        keys = QHBoxLayout()
        keys.setSpacing(10)
        for key in self.keys.values():
            keys.addWidget(key, 1)
        card.body.addLayout(keys)
        past = Card("Versions of this sensor, and how it has drifted")
        past.body.addWidget(self.history_note)
        past.body.addWidget(self.history, 1)
        sides = QHBoxLayout()
        sides.setSpacing(10)
        sides.addWidget(past, 1)
        sides.addWidget(self.curve, 1)
        bottom = QHBoxLayout()
        bottom.addStretch(3)
        bottom.addWidget(self.new, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(10)
        column.addWidget(self.problem)
        column.addWidget(self.saved)
        column.addWidget(card)
        column.addLayout(sides, 1)
        column.addLayout(bottom)

    def set_theme(self, theme: Theme) -> None:
        self.mark.setPixmap(icons.pixmap(icons.tick(), theme.good, 64))
        for part in (self.saved, self.problem, self.curve):
            part.set_theme(theme)

    def wait(self, record: str) -> None:
        """Signed; the record itself is on its way."""
        self.record = None
        put(self.headline, f"{record} is signed")
        put(self.about, "Fetching the record …")
        put(self.hash, "")
        self.saved.say("")
        self.problem.say("")
        self._enable()

    def show_records(self, name: str, records: tuple[Calibration, ...]) -> None:
        """`records` newest first; `name` is the one that was signed."""
        found = [record for record in records if record.id == name]
        if not found:
            self.refuse(f"The station does not list {name}")
            return
        record = self.record = found[0]
        expires = f"valid until {record.expires}" if record.expires else "without a date of expiry"
        put(
            self.about,
            f"Calibrated {record.calibrated}, {expires}, authorised by {record.authorised_by or quantities.NOTHING}. "
            f"{quantities.kilopascals(record.force_min_N / record.area.value_m2)} to "
            f"{quantities.kilopascals(record.force_max_N / record.area.value_m2)}.",
        )
        put(self.hash, f"SHA-256 {record.sha256}")
        self._show_history(record, records)
        self.curve.draw(record, points_of(record))
        self._enable()

    def refuse(self, why: str) -> None:
        self.problem.say(why)

    def _show_history(self, record: Calibration, records: tuple[Calibration, ...]) -> None:
        middle = (record.force_min_N * record.force_max_N) ** 0.5
        ohm = float(record.model.resistance_ohm(middle))
        put(self.history_note, f"At {quantities.resistance(ohm)}, the middle of its range in ln F:")
        self.history.setRowCount(len(records))
        for row, each in enumerate(records):
            found = each.pressure(ohm)
            pressure = "outside its range"
            if found is not None:
                pressure = quantities.pressure(found.value_Pa, found.expanded_uncertainty_Pa)
            texts = (
                f"v{each.version}",
                str(each.calibrated),
                str(each.expires or quantities.NOTHING),
                each.conditions.operator or quantities.NOTHING,
                pressure,
            )
            for column, text in enumerate(texts):
                self.history.setItem(row, column, cell(text))

    def _enable(self) -> None:
        for key in self.keys.values():
            key.setEnabled(self.record is not None)

    # --- files

    def file_name(self, format: str) -> str:
        assert self.record is not None
        return f"{self.record.sensor}-v{self.record.version}.{format}"

    def _ask_where(self, format: str) -> None:
        if self.record is None:
            return
        dialog = QFileDialog(self, "Save the certificate", str(self._folder / self.file_name(format)))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setNameFilter(f"{WORDS[format]} (*.{format})")
        dialog.setDefaultSuffix(format)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda path: self.save(format, Path(path)))
        dialog.open()

    def save(self, format: str, path: Path) -> None:
        self._folder = path.parent
        self.wanted.emit(format, lambda content: self._write(path, content))

    def _write(self, path: Path, content: bytes) -> bool:
        try:
            path.write_bytes(content)
        except OSError as error:
            self.refuse(f"cannot write {path}: {error.strerror or error}")
            return False
        self.problem.say("")
        self.saved.say(f"Saved: {path}")
        return True

    def _open(self) -> None:
        """With whatever this computer opens PDF files."""
        if self.record is not None:
            path = Path(tempfile.gettempdir()) / self.file_name("pdf")
            self.wanted.emit("pdf", lambda content: self._show_file(path, content))

    def _show_file(self, path: Path, content: bytes) -> None:
        if self._write(path, content) and not QDesktopServices.openUrl(QUrl.fromLocalFile(str(path))):
            self.refuse(f"nothing on this computer opens PDF files; the certificate is in {path}")
