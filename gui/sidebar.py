"""The panels of the window by their names, down its left side."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize, Qt
from PySide6.QtGui import QIcon, QPainter
from PySide6.QtWidgets import (
    QFrame,
    QListWidget,
    QListWidgetItem,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
)

from gui import style

WIDTH, HEIGHT, ICON = 168, 38, 20  # pixels


class Sidebar(QListWidget):
    """One row a panel, on the ground of the window itself."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName(self.tr("Panels"))
        self.setItemDelegate(_Delegate(self))
        self.setFixedWidth(WIDTH)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setViewportMargins(0, style.SPACE, 0, 0)
        self.viewport().setAutoFillBackground(False)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def add_panel(self, name: str, glyph: str) -> None:
        """Adds a panel's name below those that are there."""
        item = QListWidgetItem(name, self)
        item.setData(Qt.ItemDataRole.UserRole, glyph)


class _Delegate(QStyledItemDelegate):
    """Draws icon and name, the chosen one on a round ground."""

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        self.initStyleOption(option, index)
        rect = option.rect.adjusted(style.SPACE, 1, -style.SPACE, -1)  # pyright: ignore[reportAttributeAccessIssue]
        palette = option.palette  # pyright: ignore[reportAttributeAccessIssue]
        state = option.state  # pyright: ignore[reportAttributeAccessIssue]
        chosen = bool(state & QStyle.StateFlag.State_Selected)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        if chosen:
            painter.setBrush(palette.highlight())
        elif state & QStyle.StateFlag.State_MouseOver:
            painter.setBrush(palette.alternateBase())
        painter.drawRoundedRect(rect, 6, 6)
        if state & QStyle.StateFlag.State_HasFocus:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen((palette.highlightedText() if chosen else palette.highlight()).color())
            painter.drawRoundedRect(rect.adjusted(2, 2, -2, -2), 4, 4)
        icon = style.icon(index.data(Qt.ItemDataRole.UserRole))
        place = QRect(rect.left() + style.SPACE + style.HALF, rect.center().y() - ICON // 2, ICON, ICON)
        mode = QIcon.Mode.Selected if chosen else QIcon.Mode.Normal
        icon.paint(painter, place, Qt.AlignmentFlag.AlignCenter, mode)
        painter.setPen((palette.highlightedText() if chosen else palette.windowText()).color())
        words = rect.adjusted(ICON + 3 * style.SPACE, 0, -style.SPACE, 0)
        painter.drawText(words, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, str(index.data()))
        painter.restore()

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(0, HEIGHT)
