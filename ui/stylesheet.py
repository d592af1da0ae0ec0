"""The one style sheet, made from the colour tokens.

Widgets say what they are by the dynamic property `role`, never by a style sheet of their own:

QLabel       title · heading · muted · small · good · warn · bad · patient · number
QPushButton  primary · danger · quiet · link
QFrame       card · panel · banner-info · banner-good · banner-warn · banner-bad · rail · line
QToolButton  rail · quiet · chip
"""

from __future__ import annotations

from importlib import resources as packaged
from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ui.theme import Tokens

_SHEET = Template("""
* { outline: 0; }
QWidget { color: $text; }
QMainWindow, QDialog { background: $background; }
QToolTip { background: $surface; color: $text; border: 1px solid $border; padding: 4px 8px; }

QLabel[role="title"] { font-size: 16pt; font-weight: 600; }
QLabel[role="heading"] { font-size: 11.5pt; font-weight: 600; }
QLabel[role="patient"] { font-size: 12pt; font-weight: 600; }
QLabel[role="number"] { font-size: 18pt; font-weight: 600; }
QLabel[role="muted"], QLabel#muted { color: $muted; }
QLabel[role="small"] { color: $muted; font-size: 9.5pt; }
QLabel[role="good"] { color: $good; }
QLabel[role="warn"] { color: $warn; }
QLabel[role="bad"] { color: $bad; }
QLabel:disabled { color: $faded; }

QFrame[role="card"], QFrame[role="panel"] {
  background: $surface; border: 1px solid $border; border-radius: 6px; }
QFrame[role="line"] { background: $border; border: none; max-height: 1px; min-height: 1px; }
QFrame[role="rail"] { background: $surface; border: none; border-right: 1px solid $border; }
QFrame[role="banner-info"], QFrame[role="banner-good"], QFrame[role="banner-warn"],
QFrame[role="banner-bad"] { border-radius: 6px; border: 1px solid; }
QFrame[role="banner-info"] { background: $primary_tint; border-color: $primary; }
QFrame[role="banner-good"] { background: $good_tint; border-color: $good; }
QFrame[role="banner-warn"] { background: $warn_tint; border-color: $warn; }
QFrame[role="banner-bad"] { background: $bad_tint; border-color: $bad; }

QPushButton, QToolButton[role="menu"] {
  background: $surface; border: 1px solid $field_border; border-radius: 6px;
  padding: 6px 14px; min-height: 20px; }
QPushButton, QToolButton[role="primary"] { icon-size: 20px; }
QPushButton:hover, QToolButton[role="menu"]:hover { background: $hover; }
QPushButton:pressed, QPushButton:checked { background: $selection; }
QPushButton:disabled, QToolButton[role="menu"]:disabled { color: $faded; border-color: $border;
  background: $background; }
QPushButton[role="primary"], QToolButton[role="primary"] {
  background: $primary; color: $on_primary; border: 1px solid $primary; border-radius: 6px;
  padding: 6px 16px; min-height: 20px; font-weight: 600; }
QPushButton[role="primary"]:hover, QToolButton[role="primary"]:hover {
  background: $primary_hover; border-color: $primary_hover; }
QPushButton[role="primary"]:disabled, QToolButton[role="primary"]:disabled {
  background: $hover; color: $faded; border-color: $border; }
QToolButton[role="primary"]::menu-button { border: none; border-left: 1px solid $on_primary;
  border-top-right-radius: 6px; border-bottom-right-radius: 6px; width: 26px; }
QToolButton[role="primary"]::menu-button:disabled { border-left-color: $border; }
QToolButton[role="primary"]::menu-arrow { image: url($caret_on_primary); width: 12px; height: 12px; }
QToolButton[role="primary"][popupMode="1"] { padding-right: 36px; }
QToolButton[role="menu"]::menu-indicator { image: none; }
QPushButton[role="danger"] { color: $bad; border-color: $bad; }
QPushButton[role="danger"]:hover { background: $bad_tint; }
QPushButton[role="danger"]:disabled { color: $faded; border-color: $border; }
QPushButton[role="quiet"], QToolButton[role="quiet"] {
  background: transparent; border: 1px solid transparent; border-radius: 6px; padding: 6px 10px; }
QPushButton[role="quiet"]:hover, QToolButton[role="quiet"]:hover { background: $hover; }
QPushButton[role="quiet"]:disabled, QToolButton[role="quiet"]:disabled { color: $faded; }
QPushButton[role="link"] { background: transparent; border: none; color: $primary; padding: 4px 4px;
  text-align: left; }
QPushButton[role="link"]:hover { text-decoration: underline; }
QPushButton::menu-indicator { image: none; width: 0; }

QToolButton { background: transparent; border: 1px solid transparent; border-radius: 6px; padding: 5px; }
QToolButton:hover { background: $hover; }
QToolButton:checked { background: $selection; }
QToolButton[role="rail"] { border-radius: 6px; padding: 8px 4px; color: $muted; font-size: 9.5pt; }
QToolButton[role="rail"]:hover { background: $hover; color: $text; }
QToolButton[role="rail"]:checked { background: $selection; color: $text; font-weight: 600; }
QToolButton[role="chip"], QPushButton[role="chip"] { background: $surface; border: 1px solid $field_border;
  border-radius: 13px; padding: 3px 12px; min-height: 18px; }
QToolButton[role="chip"]:hover, QPushButton[role="chip"]:hover { background: $hover; }
QToolButton[role="chip"]:checked, QPushButton[role="chip"]:checked { background: $selection;
  border-color: $primary; font-weight: 600; }

QLineEdit, QPlainTextEdit, QTextEdit, QSpinBox, QDateEdit, QTimeEdit, QComboBox {
  background: $surface; border: 1px solid $field_border; border-radius: 6px; padding: 5px 8px;
  selection-background-color: $primary; selection-color: $on_primary; min-height: 20px; }
QLineEdit:disabled, QSpinBox:disabled, QComboBox:disabled, QDateEdit:disabled, QTimeEdit:disabled {
  background: $background; color: $faded; border-color: $border; }
QAbstractSpinBox QLineEdit { border: none; background: transparent; padding: 0 0 0 8px; min-height: 0; }
QComboBox::drop-down { border: none; width: 26px; }
QComboBox::down-arrow, QDateEdit::down-arrow { image: url($caret); width: 12px; height: 12px; }
QDateEdit::drop-down { border: none; width: 26px; }
QComboBox QAbstractItemView { background: $surface; border: 1px solid $border; padding: 4px;
  selection-background-color: $selection; selection-color: $text; }
QSpinBox::up-button, QSpinBox::down-button, QTimeEdit::up-button, QTimeEdit::down-button {
  border: none; background: transparent; width: 22px; }
QSpinBox::up-arrow, QTimeEdit::up-arrow { image: url($caret_up); width: 10px; height: 10px; }
QSpinBox::down-arrow, QTimeEdit::down-arrow { image: url($caret); width: 10px; height: 10px; }

QCheckBox, QRadioButton { spacing: 8px; padding: 2px; background: transparent; }
QCheckBox::indicator, QTreeView::indicator, QTableView::indicator, QListView::indicator {
  width: 16px; height: 16px; border: 1px solid $field_border; border-radius: 4px; background: $surface; }
QCheckBox::indicator:checked, QTreeView::indicator:checked, QTableView::indicator:checked,
QListView::indicator:checked { background: $primary; border-color: $primary; image: url($tick); }
QCheckBox::indicator:indeterminate, QTreeView::indicator:indeterminate {
  background: $primary; border-color: $primary; image: url($dash); }
QCheckBox::indicator:disabled, QTreeView::indicator:disabled { border-color: $border; }
QRadioButton::indicator { width: 14px; height: 14px; border: 2px solid $field_border; border-radius: 9px;
  background: $surface; }
QRadioButton::indicator:checked { border: 5px solid $primary; width: 8px; height: 8px; }

QAbstractItemView { background: $surface; alternate-background-color: $background;
  selection-background-color: $selection; selection-color: $text; }
QTreeView, QTableView, QListView { outline: 0; show-decoration-selected: 1;
  border: 1px solid $border; border-radius: 6px; padding: 2px; }
QTreeView::item, QTableView::item, QListView::item { padding: 4px 4px; border: none; }
QTreeView::item:hover, QTableView::item:hover, QListView::item:hover { background: $hover; }
QTreeView::item:selected, QTableView::item:selected, QListView::item:selected {
  background: $selection; color: $text; }
QTreeView::branch { background: transparent; }
QTreeView::branch:selected { background: $selection; }
QTreeView::branch:closed:has-children { image: url($caret_right); }
QTreeView::branch:open:has-children { image: url($caret); }
QHeaderView { background: transparent; border: none; }
QHeaderView::section { background: $surface; color: $muted; border: none;
  border-bottom: 1px solid $border; padding: 6px 8px; font-weight: 600; text-align: left; }
QHeaderView::section:hover { color: $text; }
QTableCornerButton::section { background: $surface; border: none; }

QTabWidget::pane { border: none; border-top: 1px solid $border; }
QTabBar { background: transparent; }
QTabBar::tab { background: transparent; color: $muted; border: none; border-bottom: 2px solid transparent;
  padding: 7px 9px; margin-right: 2px; }
QTabBar::tab:hover { color: $text; }
QTabBar::tab:selected { color: $text; border-bottom-color: $primary; font-weight: 600; }

QProgressBar { background: $hover; border: none; border-radius: 3px; min-height: 6px; max-height: 6px;
  text-align: center; }
QProgressBar::chunk { background: $primary; border-radius: 3px; }
QProgressBar[state="idle"] { background: transparent; }
QProgressBar[state="good"]::chunk { background: $good; }
QProgressBar[state="warn"]::chunk { background: $warn; }
QProgressBar[state="bad"]::chunk { background: $bad; }

QScrollArea { border: none; background: transparent; }
QScrollBar { background: transparent; border: none; margin: 0; }
QScrollBar:vertical { width: 12px; }
QScrollBar:horizontal { height: 12px; }
QScrollBar::handle { background: $thumb; border-radius: 4px; margin: 2px; }
QScrollBar::handle:vertical { min-height: 32px; }
QScrollBar::handle:horizontal { min-width: 32px; }
QScrollBar::handle:hover { background: $field_border; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }

QSplitter::handle { background: transparent; }
QSplitter::handle:hover { background: $border; }
QMenu { background: $surface; border: 1px solid $border; border-radius: 6px; padding: 4px; }
QMenu::item { padding: 6px 24px 6px 12px; border-radius: 4px; }
QMenu::item:selected { background: $selection; }
QMenu::item:disabled { color: $faded; }
QMenu::separator { height: 1px; background: $border; margin: 4px 8px; }
QStatusBar { background: $surface; border-top: 1px solid $border; color: $muted; }
QStatusBar::item { border: none; }
QStatusBar QLabel { color: $muted; font-size: 9.5pt; }
QGroupBox { border: none; margin-top: 24px; font-weight: 600; }
QGroupBox::title { subcontrol-origin: margin; left: 0; padding: 0 0 8px 0; }
""")

_SIGNS = ("caret", "caret-up", "caret-right", "tick", "dash", "caret-on-primary")


def _sign(name: str, dark: bool) -> str:
    """Path of a small sign inside check boxes and headers; style sheets take only files."""
    path = packaged.files("resources").joinpath("icons", f"{name}-{'dark' if dark else 'light'}.svg")
    return str(path).replace("\\", "/")


def stylesheet(of: Tokens) -> str:
    """The sheet in these colours."""
    from ui.theme import mix  # the theme asks for the sheet: one of the two imports must be late

    colours = {name: str(getattr(of, name)) for name in of.__slots__}
    colours |= {name.replace("-", "_"): _sign(name, of.dark) for name in _SIGNS}
    faded = mix(of.muted, of.background, 0.65)
    return _SHEET.substitute(colours, faded=faded, thumb=mix(of.muted, of.surface, 0.35))
