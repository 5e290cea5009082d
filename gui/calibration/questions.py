"""What the wizard asks before something that stays: a mark, a step left out, a calibration given up, a signature."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QPushButton, QWidget

from gui import quantities
from gui.calibration.fields import words
from gui.confirmation import Confirmation
from gui.widgets import TickBox
from station.calibration_views import CalibrationView, DeedOrder, PointView, Stage

OUTLIER_REASONS = ("not at rest", "jolt at the bench", "force overshot", "contact lost")
SKIP_REASONS = ("measured before", "no time today", "sensor at its limit")


class WithReason(Confirmation):
    """Goes on only with a reason; the usual ones at a touch."""

    def __init__(
        self, parent: QWidget, title: str, text: str, *, go: str, stay: str, usual: tuple[str, ...] = ()
    ) -> None:
        super().__init__(parent, title, text, go=go, stay=stay)
        self.setMinimumWidth(640)
        self.reason: QLineEdit = words("Reason, kept in the record")
        self.reason.textChanged.connect(lambda text: self.go.setEnabled(bool(text.strip())))
        self.usual: list[QPushButton] = []
        row = QHBoxLayout()
        row.setSpacing(8)
        for text_of_it in usual:
            key = QPushButton(text_of_it)
            key.setProperty("role", "action")
            key.setAutoDefault(False)
            key.clicked.connect(lambda _=False, said=text_of_it: self.reason.setText(said))
            self.usual.append(key)
            row.addWidget(key, 1)
        self.column.insertWidget(2, self.reason)
        if usual:
            self.column.insertLayout(3, row)
        self.go.setEnabled(False)
        self.reason.setFocus()

    def order(self, point: PointView | None) -> DeedOrder:
        return DeedOrder(point=point.index if point else None, reason=self.reason.text().strip())


def mark_question(parent: QWidget, point: PointView) -> WithReason:
    where = f"Point {point.index + 1}: series {point.series}, going {point.direction.value}"
    return WithReason(
        parent,
        "Mark this point as an outlier?",
        f"{where}, {quantities.force(point.force_N)}, {quantities.resistance(point.resistance_ohm)}.\n\n"
        "It is not used in the fit, but stays in the record with your reason. The mark can be taken away again.",
        go="Mark it",
        stay="Keep it in the fit",
        usual=OUTLIER_REASONS,
    )


class Skip(WithReason):
    """This load, or all that is left of the stage."""

    def __init__(self, parent: QWidget, view: CalibrationView) -> None:
        super().__init__(
            parent,
            "Leave this load out?",
            f"{view.title}. What is left out is not measured, and the record says why. Fewer points make a larger "
            "uncertainty.",
            go="Leave it out",
            stay="Go on with it",
            usual=SKIP_REASONS,
        )
        self.whole_stage = TickBox("Leave out all that is left of this stage, too")
        self.column.insertWidget(self.column.count() - 1, self.whole_stage)

    def order(self, point: PointView | None) -> DeedOrder:
        return super().order(point).model_copy(update={"whole_stage": self.whole_stage.isChecked()})


def take_question(parent: QWidget, view: CalibrationView) -> Confirmation:
    open_points = [
        text
        for text, well in (
            ("the force is not within its tolerance", view.force_ok),
            ("the force is not at rest", view.force_stable),
            ("the resistance is not at rest", view.resistance_stable),
        )
        if not well
    ]
    doubt = "; ".join(open_points) if open_points else "the dwell is not over"
    return Confirmation(
        parent,
        "Take the reading as it is?",
        f"Now {doubt}. The record will say that the criterion was not met.",
        go="Take it anyway",
        stay="Wait",
    )


def seems_loaded(view: CalibrationView) -> bool:
    """A confirmation that there is no load would take the indication for zero."""
    return view.target_N == 0 and not view.force_ok and view.force_N is not None and view.stage is not Stage.ZERO


def no_load_question(parent: QWidget, view: CalibrationView) -> Confirmation:
    return Confirmation(
        parent,
        "Is the sensor really without load?",
        f"The load cell says {quantities.force(view.force_N)}. If you confirm, this counts as zero from now on, and "
        "every force after it is measured from there.",
        go="There is no load",
        stay="I look again",
    )


def abandon_question(parent: QWidget, view: CalibrationView) -> WithReason:
    return WithReason(
        parent,
        f"Abandon the calibration of {view.sensor}?",
        f"{view.step} of {view.steps} steps are done, {len(view.points)} points are measured. The file of the session "
        "is kept, marked as abandoned; it cannot be taken up again. To go on another day, leave the wizard instead.",
        go="Abandon it",
        stay="Go on calibrating",
        usual=("wrong sensor", "sensor damaged", "fixture moved"),
    )


def sign_question(parent: QWidget, record: str, by: str, expires: str) -> Confirmation:
    question = Confirmation(
        parent,
        f"Sign {record}?",
        f"Authorised by {by}, valid until {expires}. A signed calibration is never changed; a better one becomes "
        "the next version.",
        go="Sign it",
        stay="Not yet",
    )
    question.go.setProperty("role", "primary")  # nothing is lost by it
    return question
