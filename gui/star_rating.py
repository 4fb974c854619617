"""Five stars for a question, by mouse or keys."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QStyle, QStyleOptionFocusRect, QStylePainter, QToolButton, QWidget

from gui import style

STARS = 5


class StarRating(QWidget):
    """Five stars: click one, or use the arrows and digits; the same star again takes the rating away."""

    rated = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._rating = 0
        self._stars: list[QToolButton] = []
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        row = QHBoxLayout(self)
        style.spaced(row, 2, 0)
        for number in range(1, STARS + 1):
            star = QToolButton(autoRaise=True)
            star.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            star.setFixedSize(22, 22)
            star.setAccessibleName(self.tr("{} of 5 stars").format(number))
            star.setToolTip(self.tr("{} of 5 stars ({})").format(number, number))
            star.clicked.connect(lambda _=False, number=number: self._rate(number))
            row.addWidget(star)
            self._stars.append(star)
        self.show_rating(0)

    def show_rating(self, rating: int) -> None:
        """Shows so many stars."""
        self._rating = rating
        for number, star in enumerate(self._stars, 1):
            filled = number <= rating
            style.set_icon(star, "star" if filled else "star_empty", "warning" if filled else "quiet")
        self.setAccessibleName(self.tr("Rating: {} of 5").format(rating) if rating else self.tr("Rating: none"))

    def _rate(self, number: int) -> None:
        self.rated.emit(0 if number == self._rating else number)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        steps = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
        if event.key() in steps:
            self.rated.emit(min(max(0, self._rating + steps[Qt.Key(event.key())]), STARS))
        else:
            super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        if self.hasFocus():
            option = QStyleOptionFocusRect()
            option.initFrom(self)
            QStylePainter(self).drawPrimitive(QStyle.PrimitiveElement.PE_FrameFocusRect, option)
