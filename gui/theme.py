"""Colours, type and sizes in one place: a dark theme and a light one.

The hues are Okabe and Ito's, which colour-blind people can tell apart (Color Universal Design, 2008), lightened or
darkened for contrast; no state is told by its colour alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtGui import QColor, QFont, QPalette
from PySide6.QtWidgets import QApplication

from station.readings import ChannelState, Level

TOUCH = 46  # px: the height of whatever a glove must hit


@dataclass(frozen=True)
class Theme:
    name: str
    window: str
    surface: str
    raised: str
    border: str
    grid: str
    text: str
    dim: str
    faint: str
    accent: str
    good: str
    warning: str
    danger: str
    danger_fill: str
    warning_fill: str
    simulated: str
    simulated_fill: str
    voltage: str
    current: str
    pressure: str
    charge: str
    discharge: str
    efficiency: str

    def state(self, state: ChannelState) -> str:
        return {
            ChannelState.RUNNING: self.good,
            ChannelState.PAUSED: self.warning,
            ChannelState.STOPPING: self.warning,
            ChannelState.TRIPPED: self.danger,
            ChannelState.IDLE: self.dim,
            ChannelState.OFFLINE: self.danger,
        }[state]

    def level(self, level: Level) -> str:
        return {
            Level.INFO: self.dim,
            Level.WARNING: self.warning,
            Level.ALARM: self.danger,
            Level.MARKER: self.accent,
        }[level]


DARK = Theme(
    name="dark",
    window="#12161b",
    surface="#1a2027",
    raised="#252d37",
    border="#36414d",
    grid="#8a97a5",
    text="#e8edf2",
    dim="#9aa8b6",
    faint="#566371",
    accent="#56b4e9",
    good="#35c49b",
    warning="#f0b429",
    danger="#ff7a59",
    danger_fill="#b5361c",
    warning_fill="#4a3a12",
    simulated="#d3ccff",
    simulated_fill="#34306a",
    voltage="#56b4e9",
    current="#f0a830",
    pressure="#dd8fbb",
    charge="#f0a830",
    discharge="#56b4e9",
    efficiency="#35c49b",
)

LIGHT = Theme(
    name="light",
    window="#eef1f4",
    surface="#ffffff",
    raised="#f1f4f7",
    border="#c3ccd5",
    grid="#6b7885",
    text="#17202a",
    dim="#566473",
    faint="#a3aeb9",
    accent="#0072b2",
    good="#00795a",
    warning="#8a5a00",
    danger="#b3300f",
    danger_fill="#c23c17",
    warning_fill="#fdeec4",
    simulated="#3a3285",
    simulated_fill="#dcd8fb",
    voltage="#0072b2",
    current="#b86e00",
    pressure="#a8457e",
    charge="#b86e00",
    discharge="#0072b2",
    efficiency="#00795a",
)


def themed(name: str) -> Theme:
    return LIGHT if name == LIGHT.name else DARK


def font(pixels: int, bold: bool = False) -> QFont:
    """The system's own font, with figures that do not dance as they change."""
    made = QFont(QApplication.font())
    made.setPixelSize(pixels)
    made.setBold(bold)
    return made


def apply(application: QApplication, theme: Theme) -> None:
    sheet = _stylesheet(theme)
    if application.styleSheet() != sheet:  # dressing every widget anew takes a while
        application.setStyle("Fusion")
        application.setPalette(_palette(theme))
        application.setStyleSheet(sheet)


def _palette(theme: Theme) -> QPalette:
    role = QPalette.ColorRole
    palette = QPalette()
    for roles, colour in (
        ((role.Window,), theme.window),
        ((role.Base, role.ToolTipBase), theme.surface),
        ((role.AlternateBase, role.Button), theme.raised),
        ((role.WindowText, role.Text, role.ButtonText, role.ToolTipText), theme.text),
        ((role.PlaceholderText,), theme.dim),
        ((role.Highlight, role.Link), theme.accent),
        ((role.HighlightedText,), theme.window),
        ((role.Mid, role.Midlight), theme.border),
    ):
        for each in roles:
            palette.setColor(each, QColor(colour))
    for each in (role.Text, role.ButtonText, role.WindowText):
        palette.setColor(QPalette.ColorGroup.Disabled, each, QColor(theme.dim))
    return palette


def _stylesheet(theme: Theme) -> str:
    return f"""
    QWidget {{ font-size: 13px; }}
    QMainWindow, QDialog {{ background: {theme.window}; }}
    QToolTip {{ background: {theme.raised}; color: {theme.text}; border: 1px solid {theme.border}; padding: 6px; }}
    QFrame#card {{ background: {theme.surface}; border: 1px solid {theme.border}; border-radius: 8px; }}
    QLabel {{ background: transparent; }}
    QLabel[role="dim"] {{ color: {theme.dim}; }}
    QLabel[role="caption"] {{ color: {theme.dim}; font-size: 11px; }}
    QLabel[role="value"] {{ font-size: 20px; font-weight: 600; }}
    QLabel[role="title"] {{ font-size: 24px; font-weight: 700; }}
    QLabel[role="name"] {{ font-size: 15px; }}
    QLabel[role="heading"] {{ font-size: 15px; font-weight: 600; }}

    QPushButton {{ background: {theme.raised}; color: {theme.text}; border: 1px solid {theme.border};
        border-radius: 7px; padding: 0 14px; min-height: 34px; }}
    QPushButton:hover {{ border-color: {theme.accent}; }}
    QPushButton:pressed {{ background: {theme.border}; }}
    QPushButton:focus {{ border: 2px solid {theme.accent}; }}
    QPushButton:disabled {{ color: {theme.faint}; background: {theme.surface}; }}
    QPushButton:checked {{ background: {theme.accent}; color: {theme.window}; border-color: {theme.accent}; }}
    QPushButton[role="action"] {{ min-height: {TOUCH}px; font-size: 14px; font-weight: 600; padding: 0 12px; }}
    QPushButton[role="danger"] {{ min-height: {TOUCH}px; font-size: 14px; font-weight: 600;
        background: {theme.danger_fill}; color: white; border-color: {theme.danger_fill}; }}
    QPushButton[role="danger"]:disabled {{ background: {theme.surface}; color: {theme.faint};
        border-color: {theme.border}; }}
    QPushButton[role="primary"] {{ min-height: {TOUCH}px; font-size: 14px; font-weight: 600;
        background: {theme.accent}; color: {theme.window}; border-color: {theme.accent}; }}
    QPushButton[role="primary"]:disabled {{ background: {theme.surface}; color: {theme.faint};
        border-color: {theme.border}; }}
    QPushButton[role="segment"] {{ min-height: 30px; padding: 0 11px; }}
    QPushButton[role="chip"] {{ min-height: 36px; font-weight: 600; border-radius: 18px; }}
    QPushButton[role="alarm-chip"] {{ min-height: 36px; font-weight: 700; border-radius: 18px;
        background: {theme.danger_fill}; color: white; border-color: {theme.danger}; }}

    QPushButton[role="step"] {{ min-height: {TOUCH}px; font-size: 22px; font-weight: 600; padding: 0; }}
    QPushButton[role="session"] {{ min-height: 56px; font-size: 15px; padding: 0 16px; text-align: left; }}

    QProgressBar {{ background: {theme.raised}; border: 1px solid {theme.border}; border-radius: 7px;
        min-height: 18px; max-height: 18px; }}
    QProgressBar::chunk {{ background: {theme.accent}; border-radius: 6px; }}

    QLineEdit[role="field"], QComboBox[role="field"] {{ min-height: {TOUCH - 4}px; font-size: 15px; }}
    QLineEdit[wrong="true"] {{ border: 2px solid {theme.danger}; }}

    QLineEdit, QComboBox {{ background: {theme.raised}; color: {theme.text}; border: 1px solid {theme.border};
        border-radius: 7px; padding: 0 10px; min-height: 34px; selection-background-color: {theme.accent}; }}
    QLineEdit:focus, QComboBox:focus {{ border: 2px solid {theme.accent}; }}
    QComboBox::drop-down {{ border: 0; width: 26px; }}
    QComboBox::down-arrow {{ image: none; }}
    QComboBox QAbstractItemView {{ background: {theme.surface}; color: {theme.text};
        selection-background-color: {theme.accent}; selection-color: {theme.window}; outline: 0; }}
    QCheckBox {{ spacing: 12px; min-height: {TOUCH}px; font-size: 14px; }}
    QCheckBox::indicator {{ width: 26px; height: 26px; border: 2px solid {theme.dim}; border-radius: 6px;
        background: {theme.raised}; }}
    QCheckBox::indicator:checked {{ background: {theme.accent}; border-color: {theme.accent}; }}

    QListWidget, QTableView, QTextBrowser {{ background: {theme.surface}; color: {theme.text};
        border: 1px solid {theme.border}; border-radius: 7px; outline: 0; gridline-color: {theme.raised}; }}
    QListWidget::item {{ min-height: {TOUCH}px; padding: 2px 10px; border-radius: 5px; }}
    QListWidget::item:selected {{ background: {theme.accent}; color: {theme.window}; }}
    QTableView {{ border: 0; alternate-background-color: {theme.raised};
        selection-background-color: {theme.border}; selection-color: {theme.text}; }}
    QTableView[role="roomy"]::item {{ padding-left: 6px; }}
    QHeaderView {{ background: {theme.surface}; }}
    QHeaderView::section {{ background: {theme.surface}; color: {theme.dim}; border: 0;
        border-bottom: 1px solid {theme.border}; padding: 5px 8px; font-size: 11px; }}

    QScrollArea {{ border: 0; background: transparent; }}
    QScrollBar:vertical {{ background: transparent; width: 14px; margin: 0; }}
    QScrollBar::handle:vertical {{ background: {theme.border}; border-radius: 6px; min-height: 40px; margin: 1px; }}
    QScrollBar:horizontal {{ background: transparent; height: 14px; margin: 0; }}
    QScrollBar::handle:horizontal {{ background: {theme.border}; border-radius: 6px; min-width: 40px; margin: 1px; }}
    QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
    QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
    QSplitter::handle {{ background: transparent; }}
    QStatusBar {{ color: {theme.dim}; background: {theme.window}; }}
    QStatusBar::item {{ border: 0; }}
    QStatusBar QLabel {{ color: {theme.dim}; font-size: 12px; padding: 0 10px; }}
    """
