"""Labels: none takes what it shows for markup, and a long word in one widens no window."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QFont, QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import QLabel, QListWidget, QListWidgetItem, QWidget

from gui import style


def line(text: str = "") -> QLabel:
    """One line."""
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setText(text)
    return label


def plain(text: str = "", selectable: bool = False) -> QLabel:
    """Text that wraps; where it is selectable, it can be copied."""
    label = line(text)
    label.setWordWrap(True)
    label.setMinimumWidth(1)
    if selectable:
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def quiet(text: str = "", selectable: bool = False) -> QLabel:
    """The same, drawn less strongly."""
    label = plain(text, selectable)
    label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
    return label


def caption(text: str, of: QWidget | None = None) -> QLabel:
    """The name over or before a field."""
    label = line(text)
    label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
    if of is not None:
        label.setBuddy(of)
    return label


def strong(text: str = "", size: float = 1.0, selectable: bool = False) -> QLabel:
    """A title; `size` is a multiple of the usual one."""
    label = plain(text, selectable)
    font = label.font()
    font.setPointSizeF(font.pointSizeF() * size)
    font.setWeight(QFont.Weight.DemiBold)
    label.setFont(font)
    return label


def heading(text: str, of: QListWidget) -> QListWidgetItem:
    """A line over the items of a list that belong together; keys and mouse pass over it."""
    item = QListWidgetItem(text)
    item.setFlags(Qt.ItemFlag.NoItemFlags)
    item.setForeground(style.colour("quiet"))
    font = of.font()
    font.setWeight(QFont.Weight.DemiBold)
    item.setFont(font)
    item.setSizeHint(QSize(0, of.fontMetrics().height() + 2 * style.SPACE))
    item.setTextAlignment(Qt.AlignmentFlag.AlignBottom)
    return item


def tint(label: QLabel, meaning: str) -> None:
    """Draws a label in the colour of a meaning."""
    palette = QPalette()  # nothing else is set in it: the rest follows the system
    palette.setColor(QPalette.ColorRole.WindowText, style.colour(meaning))
    label.setPalette(palette)


class Badge(QLabel):
    """A short fact with a line around it, and why in its tooltip, which is markup."""

    def __init__(self, text: str, why: str) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setText(text)
        self.setToolTip(why)
        self.setContentsMargins(7, 2, 7, 2)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(style.colour("line"))
        painter.drawRoundedRect(self.rect().toRectF().adjusted(0.5, 0.5, -0.5, -0.5), 6, 6)
        painter.end()
        super().paintEvent(event)
