"""Draws a row of the list of runs: where there is little room, names are elided, and never a number."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import QApplication, QStyle, QStyledItemDelegate, QStyleOptionViewItem

LINES = Qt.ItemDataRole.UserRole + 1  # of an item: its lines, each a name, what is kept, and what may go
LEAST = 12  # average characters of a name, below which what may go goes

Line = tuple[str, str, str]


class RunDelegate(QStyledItemDelegate):
    """Fits the lines of a run into the width that there is; the item's own text has them whole."""

    def initStyleOption(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> None:
        super().initStyleOption(option, index)
        lines: list[Line] | None = index.data(LINES)
        if not lines:
            return
        drawn = option.widget.style() if option.widget else QApplication.style()
        margin = drawn.pixelMetric(QStyle.PixelMetric.PM_FocusFrameHMargin, option, option.widget) + 1
        room = drawn.subElementRect(QStyle.SubElement.SE_ItemViewItemText, option, option.widget).width() - 2 * margin
        option.text = "\u2028".join(fitted(line, option.fontMetrics, room) for line in lines)


def whole(line: Line) -> str:
    """All of a line."""
    return "".join(line)


def fitted(line: Line, metrics: QFontMetrics, room: int) -> str:
    """A line in so many pixels: its name elided at the end, and without what may go when little of the name is left."""
    name, kept, spare = line
    if metrics.horizontalAdvance(whole(line)) <= room:
        return whole(line)
    least = min(metrics.horizontalAdvance(name), LEAST * metrics.averageCharWidth())
    kept = kept + spare if room - metrics.horizontalAdvance(kept + spare) >= least else kept
    left = max(0, room - metrics.horizontalAdvance(kept))
    return metrics.elidedText(name, Qt.TextElideMode.ElideRight, left) + kept
