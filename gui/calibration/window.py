"""The wizard's window: five pages, one session, and the service at arm's length."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QMainWindow, QStackedWidget, QVBoxLayout, QWidget

from calibration.record import Calibration
from gui.banners import Banner, Notices
from gui.calibration import questions
from gui.calibration.certificate_page import CertificatePage
from gui.calibration.choose import ChoosePage
from gui.calibration.fields import button, put
from gui.calibration.plan import PlanPage
from gui.calibration.review_page import ReviewPage
from gui.calibration.run_page import RunPage
from gui.confirmation import Confirmation
from gui.connection import Requests
from gui.theme import Theme
from station.calibration_views import CalibrationOptions, CalibrationView, Deed, DeedOrder, PointView, Stage
from station.client import Client

POLL_MS = 250
POLL_LOST_MS = 1000
RUN_OVER_MS = 2000  # how often is asked whether the run that stands against a calibration is over
SIMULATED = "SIMULATED BENCH – a calibration from here is of no real sensor"
GOES_ON = "Closing this window stops nothing: the calibration stays with the station and can be taken up again"


class Page(IntEnum):
    CHOOSE = 0
    PLAN = 1
    RUN = 2
    REVIEW = 3
    CERTIFICATE = 4


WORDS = {
    Page.CHOOSE: "Choose",
    Page.PLAN: "Plan",
    Page.RUN: "Run",
    Page.REVIEW: "Review",
    Page.CERTIFICATE: "Certificate",
}


class Trail(QWidget):
    """Where one is: the pages' names, with what is behind ticked."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme, self._page = theme, Page.CHOOSE
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        self._names = {page: QLabel() for page in Page}
        for page, label in self._names.items():
            if page:
                arrow = QLabel("›")
                arrow.setProperty("role", "dim")
                row.addWidget(arrow)
            row.addWidget(label)
        self.show_page(Page.CHOOSE)

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        self.show_page(self._page)

    def show_page(self, page: Page) -> None:
        self._page = page
        for each, label in self._names.items():
            put(label, f"{'✓' if each < page else each + 1} {WORDS[each]}")
            here = each is page
            colour = self._theme.accent if here else self._theme.text if each < page else self._theme.dim
            label.setStyleSheet(f"font-size: 16px; color: {colour}; font-weight: {700 if here else 400};")


class CalibrationWindow(QMainWindow):
    """`session`: one to show at once. It is looked at, not taken up: that needs a click."""

    closed = Signal()
    changed = Signal(object)  # CalibrationView or None: for the dashboard's button

    def __init__(self, url: str, token: str, look: Theme, who: str = "", session: str | None = None) -> None:
        super().__init__()
        self.url, self.look = url, look
        self.session = session
        self.view: CalibrationView | None = None
        self.options: CalibrationOptions | None = None
        self.dialog: Confirmation | None = None
        self._alive = True
        self._doing: Deed | None = None
        self._asked: Deed | None = None  # that `dialog` asks about
        self._fits_asked = 0
        self.polls = Requests(url, token)
        self.commands = Requests(url, token, threads=2)
        self.simulated = Banner("simulated", look)
        self.away, self.trouble = Banner("warning", look), Banner("warning", look)
        self.notices = Notices(look)
        self.trail = Trail(look)
        self.heading = QLabel("Calibrate a pressure sensor")
        self.choose, self.plan, self.run = ChoosePage(look), PlanPage(look), RunPage(look)
        self.review, self.certificate = ReviewPage(look), CertificatePage(look)
        self.choose.operator.setText(who)
        self.review.authorised_by.setText(who)
        self.pages = QStackedWidget()
        self.back = button("Back", "action", lambda: self._go(Page.CHOOSE))
        self.next = button("Next", "primary", self._next)
        self.hint = QLabel()
        self._build()
        self._connect()
        self._go(Page.CHOOSE)
        self._fetch_options()
        self._clock = QTimer(self, interval=POLL_MS)
        self._clock.timeout.connect(self._poll)
        self._clock.start()
        self._waiting = QTimer(self, interval=RUN_OVER_MS)
        self._waiting.timeout.connect(self._look_again)
        self._waiting.start()
        self._poll()

    def _build(self) -> None:
        self.setWindowTitle("Calibration – Cellstation")
        self.resize(1500, 940)
        self.heading.setProperty("role", "heading")
        head = QHBoxLayout()
        head.setSpacing(14)
        head.addWidget(self.heading)
        head.addStretch(1)
        head.addWidget(self.trail)
        for part in (self.choose, self.plan, self.run, self.review, self.certificate):
            self.pages.addWidget(part)
        self.keys = QWidget()
        row = QHBoxLayout(self.keys)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(10)
        self.hint.setProperty("role", "heading")
        self.hint.setWordWrap(True)
        row.addWidget(self.hint, 3)
        row.addWidget(self.back, 1)
        row.addWidget(self.next, 1)
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(12, 8, 12, 2)
        column.setSpacing(8)
        column.addWidget(self.simulated)
        column.addLayout(head)
        for bar in (self.away, self.trouble, self.notices):
            column.addWidget(bar)
        column.addWidget(self.pages, 1)
        column.addWidget(self.keys)
        self.setCentralWidget(page)
        self.statusBar().addWidget(QLabel(GOES_ON), 1)
        self.statusBar().setSizeGripEnabled(False)

    def _connect(self) -> None:
        self.choose.edited.connect(self._describe)
        self.choose.taken_up.connect(self._take_up)
        self.plan.edited.connect(self._describe)
        self.run.wanted.connect(self._want)
        self.run.left.connect(self.close)
        self.run.taken_up.connect(lambda: self._take_up(self.session or ""))
        self.review.wanted.connect(self._want)
        self.review.fit_wanted.connect(self._fetch_draft)
        self.review.signed.connect(self._ask_to_sign)
        self.certificate.wanted.connect(self._fetch_certificate)
        self.certificate.another.connect(self._begin_anew)

    def set_look(self, look: Theme) -> None:
        self.look = look
        for part in (self.simulated, self.away, self.trouble, self.notices, self.trail):
            part.set_theme(look)
        for page in (self.choose, self.plan, self.run, self.review, self.certificate):
            page.set_theme(look)

    def closeEvent(self, event: QCloseEvent) -> None:
        """End the threads. The calibration does not notice."""
        self._clock.stop()
        self._waiting.stop()
        self.polls.stop()
        self.commands.stop()
        super().closeEvent(event)
        self.closed.emit()

    @property
    def page(self) -> Page:
        return Page(self.pages.currentIndex())

    @property
    def who(self) -> str:
        return self.choose.operator.text().strip()

    # --- choosing and planning

    def _fetch_options(self) -> None:
        def failed(why: str) -> None:
            self.notices.add(why)
            if not self._clock.isActive():
                return
            QTimer.singleShot(POLL_LOST_MS, self, self._fetch_options)

        self.commands.ask(lambda station: station.calibration_options(), self._offer, failed)

    def _look_again(self) -> None:
        """Whether the sensor is still in a cell. Where the station does not answer, what it said last stands."""
        if self.page in (Page.CHOOSE, Page.PLAN) and self.choose.in_cell() and not self.polls.pending:
            self.polls.ask(lambda station: station.calibration_options(), self._offer, lambda why: None)

    def _offer(self, options: CalibrationOptions) -> None:
        self.options = options
        self.simulated.say(SIMULATED if options.simulated else "")
        self.choose.offer(options)

    def _go(self, page: Page) -> None:
        if page is not self.page or not self.isVisible():
            self.pages.setCurrentIndex(page)
            self.trail.show_page(page)
            self.keys.setVisible(page in (Page.CHOOSE, Page.PLAN))
            self.back.setVisible(page is Page.PLAN)
            self.next.setText("Begin the calibration" if page is Page.PLAN else "Next: the plan")
        self._describe()

    def _describe(self) -> None:
        """What one page needs of the other, and what is still missing."""
        if self.page not in (Page.CHOOSE, Page.PLAN) or self.sender() is self:
            return
        self._share()
        problem = self.choose.problem() or (self.plan.problem() if self.page is Page.PLAN else "")
        put(self.hint, problem)
        self.next.setEnabled(not problem)

    def _share(self) -> None:
        for page in (self.choose, self.plan):
            page.blockSignals(True)
        try:
            area = self.choose.area()
        except ValueError:
            area = None
        self.plan.tell(area, driven=self.choose.frame.currentData() is not None)
        try:
            self.choose.tell_full_load(self.plan.full_load.number())
        except ValueError:
            self.choose.tell_full_load(None)
        for page in (self.choose, self.plan):
            page.blockSignals(False)

    def _next(self) -> None:
        if self.page is Page.CHOOSE:
            self._go(Page.PLAN)
            return
        try:
            order = self.choose.order(self.plan.order())
        except ValueError as error:
            self.notices.add(str(error))
            return
        self.next.setEnabled(False)
        self.next.setText("Beginning …")
        self.commands.ask(lambda station: station.begin_calibration(order), self._begun, self._not_begun)

    def _not_begun(self, why: str) -> None:
        self.notices.add(why)
        self.next.setText("Begin the calibration")
        self._describe()

    def _take_up(self, session: str) -> None:
        who = self.who
        self.commands.ask(lambda station: station.take_up_calibration(session, who), self._begun, self.notices.add)

    def _begun(self, view: CalibrationView) -> None:
        self.session = view.session
        self.review.begin()
        self._show(view)

    def _begin_anew(self) -> None:
        self.session, self.view = None, None
        self.review.begin()
        self.trouble.say("")
        put(self.heading, "Calibrate a pressure sensor")
        self.changed.emit(None)
        self._go(Page.CHOOSE)
        self._fetch_options()

    # --- a session that goes on

    def _poll(self) -> None:
        session = self.session
        if session is None or self.polls.pending or self.page is Page.CERTIFICATE:
            return

        def came(view: CalibrationView) -> None:
            if self.session == session:
                self._come_back()
                if self._doing is None:  # else the deed's answer is newer
                    self._show(view)

        self.polls.ask(lambda station: station.calibration(session), came, self._lose)

    def _come_back(self) -> None:
        if not self._alive:
            self._alive = True
            self._clock.setInterval(POLL_MS)
            self.away.say("")

    def _lose(self, why: str) -> None:
        self._alive = False
        self._clock.setInterval(POLL_LOST_MS)
        self.away.say(
            f"The station does not answer – trying again. Every point that was measured is kept there.\n({why})"
        )
        if self.view is not None:
            self._show(self.view)

    def _show(self, view: CalibrationView) -> None:
        self.view = view
        self._withdraw_question(view)
        put(self.heading, f"Calibration of {view.sensor}")
        self.simulated.say(SIMULATED if view.simulated else "")
        self.trouble.say(view.trouble)
        if view.stage is Stage.ABANDONED:
            self.notices.add(f"The calibration of {view.sensor} was abandoned; its file is kept, marked as such")
            self._begin_anew()
            return
        if view.stage is Stage.SIGNED:
            if self.page is not Page.CERTIFICATE:
                self._go(Page.CERTIFICATE)
                self._fetch_records(view)
        elif view.stage is Stage.REVIEW:
            self._go(Page.REVIEW)
            self.review.show_view(view, self._alive, self._doing)
        else:
            self._go(Page.RUN)
            self.run.show_view(view, self._alive, self._doing)
        self.changed.emit(view)

    # --- deeds

    def _want(self, deed: Deed, point: PointView | None) -> None:
        view = self.view
        if view is None or deed not in view.deeds:
            return
        if deed is Deed.EXCLUDE and point is not None:
            self._ask_reason(questions.mark_question(self, point), deed, point)
        elif deed is Deed.SKIP:
            self._ask_reason(questions.Skip(self, view), deed, None)
        elif deed is Deed.ABANDON:
            self._ask_reason(questions.abandon_question(self, view), deed, None)
        elif deed is Deed.CONFIRM and questions.seems_loaded(view):
            self._ask(questions.no_load_question(self, view), deed, lambda: self._do(deed, DeedOrder(), view))
        elif deed is Deed.TAKE:
            question = questions.take_question(self, view)
            self._ask(question, deed, lambda: self._do(deed, DeedOrder(), view))
        else:
            self._do(deed, DeedOrder(point=point.index if point else None), view)

    def _ask_reason(self, question: questions.WithReason, deed: Deed, point: PointView | None) -> None:
        asked_of = self.view
        self._ask(
            question,
            deed,
            lambda: self._do(
                deed,
                question.order(point),
                asked_of,
            ),
        )

    def _ask_to_sign(self, order: DeedOrder) -> None:
        record = self.review.record
        if record is None:
            return
        question = questions.sign_question(self, record.id, order.authorised_by, str(order.expires))
        asked_of = self.view
        self._ask(question, Deed.SIGN, lambda: self._do(Deed.SIGN, order, asked_of))

    def _ask(self, question: Confirmation, deed: Deed, go: Callable[[], None]) -> None:
        self.dialog, self._asked = question, deed
        question.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        question.accepted.connect(go)
        question.finished.connect(self._forget_question)
        question.open()

    def _forget_question(self) -> None:
        self.dialog = self._asked = None

    def _withdraw_question(self, view: CalibrationView) -> None:
        """A question that the calibration has answered by itself goes away."""
        gone = self._asked is not None and self._asked not in view.deeds
        needless = self._asked is Deed.CONFIRM and not questions.seems_loaded(view)
        if self.dialog is not None and (gone or needless):
            self.dialog.reject()

    def _do(self, deed: Deed, order: DeedOrder, asked_of: CalibrationView | None) -> None:
        """Where the session still stands where the question was asked: a reading that comes of itself is not taken."""
        view = self.view
        if view is None or asked_of is None or self.session is None:
            return
        if deed not in view.deeds or (deed in (Deed.CONFIRM, Deed.TAKE, Deed.SKIP) and view.title != asked_of.title):
            self.notices.add("The calibration has gone on since the question; nothing was sent")
            return
        session = self.session
        told = order.model_copy(update={"who": self.who})
        self._doing = deed
        self._show(view)

        def done(after: CalibrationView) -> None:
            self._doing = None
            if self.session == session:
                self._show(after)

        def refused(why: str) -> None:
            self._doing = None
            self.notices.add(why)

        self.commands.ask(lambda station: station.do_calibration(session, deed, told), done, refused)

    # --- what was measured

    def _fetch_draft(self) -> None:
        session = self.session
        if session is None:
            return
        self._fits_asked += 1
        number = self._fits_asked
        self.review.wait()

        def came(record: Calibration) -> None:
            if number == self._fits_asked and self.session == session:
                self.review.show_record(record)

        def refused(why: str) -> None:
            if number == self._fits_asked and self.session == session:
                self.review.refuse(why)

        self.commands.ask(lambda station: station.calibration_draft(session), came, refused)

    def _fetch_records(self, view: CalibrationView) -> None:
        name, sensor = view.record or view.sensor, view.sensor
        self.certificate.wait(name)
        self.commands.ask(
            lambda station: station.calibrations(sensor),
            lambda records: self.certificate.show_records(name, records),
            self.certificate.refuse,
        )

    def _fetch_certificate(self, format: str, then: Callable[[bytes], None]) -> None:
        record = self.certificate.record
        if record is None:
            return
        sensor, version = record.sensor, record.version

        def job(station: Client) -> bytes:
            return station.certificate(sensor, version, format)

        self.commands.ask(job, then, self.certificate.refuse)
