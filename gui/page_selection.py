"""A page whose words can be selected with the mouse, to be cited or copied."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPointF, Qt, Signal
from PySide6.QtGui import QGuiApplication, QKeyEvent, QKeySequence, QMouseEvent, QPainter, QPaintEvent, QPalette

from core.documents.passages import rectangles
from core.documents.records import Page, Rectangle
from gui.page_canvas import Mark, PageCanvas

LINE = 4  # a point up or down is as far as so many to the side: who drags along a line stays in it


class SelectingCanvas(PageCanvas):
    """Selects whole words from where the mouse is pressed to where it is let go; a double click selects one."""

    selected = Signal()  # another selection, or none

    def __init__(self) -> None:
        super().__init__()
        self._span: tuple[int, int] | None = None
        self._pressed = -1  # the word at which the mouse was pressed
        self.viewport().setCursor(Qt.CursorShape.IBeamCursor)

    @property
    def page(self) -> Page | None:
        """The page that is shown."""
        return self._page

    @property
    def span(self) -> tuple[int, int] | None:
        """What is selected: characters of the page's text, from … to before."""
        return self._span

    def select(self, span: tuple[int, int] | None) -> None:
        """Selects characters of the page's text, or none."""
        if span != self._span:
            self._span = span
            self.viewport().update()
            self.selected.emit()

    def show_page(self, page: Page | None, marks: Sequence[Mark]) -> None:
        before = self._page
        super().show_page(page, marks)
        if page is None or before is None or page.text != before.text:
            self.select(None)

    def _word_at(self, place: QPointF) -> int:
        """The number of the word that is nearest to a place in the view; -1 where the page has none."""
        if self._page is None or not self._page.words:
            return -1
        corner, words = self._paper().topLeft(), self._page.words
        x, y = (place.x() - corner.x()) / self.scale, (place.y() - corner.y()) / self.scale
        return min(range(len(words)), key=lambda number: _distance(words[number].rectangle, x, y))

    def _select_words(self, one: int, other: int) -> None:
        if self._page is not None and one >= 0 and other >= 0:
            words = self._page.words[min(one, other) : max(one, other) + 1]
            self.select((words[0].start, words[-1].end))

    # Qt's own

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self._page is not None and self._span is not None:
            painter, ink = QPainter(self.viewport()), self.palette().color(QPalette.ColorRole.Highlight)
            ink.setAlpha(100)
            for one in rectangles(self._page, *self._span):
                painter.fillRect(self._placed(one).adjusted(-1, -1, 1, 1), ink)
            painter.end()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        left = event.button() == Qt.MouseButton.LeftButton
        self._pressed = self._word_at(event.position()) if left else -1
        if left:
            self.select(None)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._select_words(self._pressed, self._word_at(event.position()))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._pressed = -1

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        at = self._word_at(event.position())
        self._select_words(at, at)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy) and self._page is not None and self._span is not None:
            QGuiApplication.clipboard().setText(self._page.text[slice(*self._span)])
        elif event.key() == Qt.Key.Key_Escape and self._span is not None:
            self.select(None)
        else:
            super().keyPressEvent(event)


def _distance(one: Rectangle, x: float, y: float) -> float:
    return max(one.x0 - x, 0, x - one.x1) + LINE * max(one.y0 - y, 0, y - one.y1)
