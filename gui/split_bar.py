"""A bar that is divided as a dataset is: how much is to learn from, to look at, and to judge by."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QEvent, QRectF, QSize
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from core.project.tuning import SPLITS
from gui import style
from gui.dataset_words import sizes_words

HEIGHT, GAP = 10, 2  # pixels
STRENGTH = (255, 150, 70)  # of the colour of each split: told apart without hues, and the words stand beside it


class SplitBar(QWidget):
    """Empty while nothing is known."""

    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[str, int] = {}
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(self.tr("Splits"))

    def show_counts(self, counts: Mapping[str, int]) -> None:
        """Rows of each split."""
        self._counts = {split: counts[split] for split in SPLITS if counts.get(split)}
        self.setAccessibleDescription(sizes_words(self._counts))
        self.setToolTip(sizes_words(self._counts))
        self.update()

    # Qt's own

    def sizeHint(self) -> QSize:
        return QSize(200, HEIGHT)

    def minimumSizeHint(self) -> QSize:
        return QSize(60, HEIGHT)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(style.colour("line"))
        if not self._counts:
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 3, 3)
        room = self.width() - GAP * max(0, len(self._counts) - 1)
        left, total = 0.0, sum(self._counts.values())
        for split, count in self._counts.items():
            ink = QColor(style.colour("accent"))
            ink.setAlpha(STRENGTH[SPLITS.index(split)])
            wide = room * count / total
            painter.setPen(ink)
            painter.setBrush(ink)
            painter.drawRoundedRect(QRectF(left, 0, max(1.0, wide), self.height()).adjusted(0.5, 0.5, -0.5, -0.5), 2, 2)
            left += wide + GAP
        painter.end()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self.update()
