"""Draws a page of a document, and over it what is to be seen on it: passages, evidence, headers and footers."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from PySide6.QtCore import QEvent, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QHelpEvent,
    QImage,
    QKeyEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QPolygonF,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QToolTip

from core.documents.records import Page, Rectangle
from gui import style

LARGEST = 1 << 30  # pixels to scroll over: a page may say that it is kilometres wide
LINED = 0.2  # of the page's width: narrower blocks of a passage get no line at their left

# Inks on paper: the page stays paper in the dark, so these do not follow the window. They are multiplied with it.
_INKS = {
    "passage": ("#e3edfd", "#3b6fd4"),  # tint, line at its left
    "passage_other": ("#e6f4e4", "#3f8f4a"),
    "evidence": ("#ffe45c", ""),
    "citation": ("#e6d6ff", "#7a3fd0"),  # tint, line under it
}
_PAPER, _FADE, _OUTLINE, _INK = QColor("white"), QColor(244, 244, 246, 190), QColor("#2f5fd0"), QColor("#222222")
_DIM = QColor("#d9d9d9")  # multiplied with the page in the dark


@dataclass(frozen=True)
class Mark:
    """Something to be drawn over a page: rectangles (points, origin top left) in a meaning.

    Meanings: "passage", "passage_other" (the two alternate), "evidence", "citation", "furniture", "outline".
    """

    rectangles: tuple[Rectangle, ...]
    meaning: str
    label: str = ""  # for a tooltip, plain text


class PageCanvas(QAbstractScrollArea):
    """Draws the page, centred, and scrolls over it."""

    resized = Signal()
    turn_wanted = Signal(int)
    zoom_wanted = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.scale = 1.0
        self._page: Page | None = None
        self._marks: Sequence[Mark] = ()
        self._picture: QImage | None = None
        self._words = False
        self._turned = 0  # of the wheel, not yet a whole step
        self.setFrameShape(QAbstractScrollArea.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.viewport().setBackgroundRole(QPalette.ColorRole.Mid)

    def show_page(self, page: Page | None, marks: Sequence[Mark]) -> None:
        """The page, without a picture yet."""
        self._page, self._marks, self._picture, self._words = page, marks, None, False
        self._measure()

    def set_marks(self, marks: Sequence[Mark]) -> None:
        """What to draw over the page."""
        self._marks = marks
        self.viewport().update()

    def show_picture(self, picture: QImage | None, words: bool) -> None:
        """The page's picture, or its words when there is none."""
        self._picture, self._words = picture, words
        self.viewport().update()

    def set_scale(self, scale: float) -> None:
        """Logical pixels a point; what was in the middle stays there."""
        if scale == self.scale:
            return
        bars = (self.horizontalScrollBar(), self.verticalScrollBar())
        middles = [(bar.value() + bar.pageStep() / 2) / self.scale for bar in bars]
        at_top = bars[1].value() == 0
        self.scale = scale
        self._measure()
        for bar, middle in zip(bars, middles, strict=True):
            bar.setValue(0 if at_top and bar is bars[1] else round(middle * scale - bar.pageStep() / 2))

    def room(self) -> float:
        """Logical pixels for the width of a page that fits; the same with and without a scroll bar."""
        return self.maximumViewportSize().width() - self.verticalScrollBar().sizeHint().width() - 2 * style.SPACE

    def scroll_to(self, top: float) -> None:
        """Brings the place `top` points below the page's upper edge to the upper edge of the view."""
        self.verticalScrollBar().setValue(round(top * self.scale))

    def reveal(self, mark: Mark | None) -> None:
        """Scrolls so that the mark can be seen, unless it can already."""
        if mark is None or not mark.rectangles:
            return
        place, view = self._placed(_hull(mark.rectangles)), QRectF(self.viewport().rect())
        edge = max(0.0, min(view.height() / 6, (view.height() - place.height()) / 2))  # what stands around it is of use
        if place.top() < view.top() + edge or place.bottom() > view.bottom() - edge:
            bar = self.verticalScrollBar()
            above = max(style.WIDE, (view.height() - place.height()) / 2)
            bar.setValue(round(bar.value() + place.top() - above))
        if place.left() < view.left() or place.right() > view.right():
            bar = self.horizontalScrollBar()
            bar.setValue(round(bar.value() + place.left() - style.WIDE))

    # Where things are

    def _paper(self) -> QRectF:
        """The page in the view, on whole device pixels."""
        assert self._page
        view, ratio = self.viewport().size(), self.devicePixelRatioF()
        width, height = self._page.width * self.scale, self._page.height * self.scale
        x = max(style.SPACE, (view.width() - width) / 2) - self.horizontalScrollBar().value()
        y = style.SPACE - self.verticalScrollBar().value()
        return QRectF(round(x * ratio) / ratio, round(y * ratio) / ratio, width, height)

    def _placed(self, one: Rectangle) -> QRectF:
        corner = self._paper().topLeft()
        width, height = (one.x1 - one.x0) * self.scale, (one.y1 - one.y0) * self.scale
        return QRectF(corner.x() + one.x0 * self.scale, corner.y() + one.y0 * self.scale, width, height)

    def _measure(self) -> None:
        view = self.viewport().size()
        width = (self._page.width if self._page else 0) * self.scale + 2 * style.SPACE
        height = (self._page.height if self._page else 0) * self.scale + 2 * style.SPACE
        sizes = ((self.horizontalScrollBar(), width, view.width()), (self.verticalScrollBar(), height, view.height()))
        for bar, size, seen in sizes:
            bar.setRange(0, max(0, round(min(size - seen, LARGEST))))
            bar.setPageStep(seen)
            bar.setSingleStep(style.DOUBLE * 2)
        self.viewport().update()

    # Drawing

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        painter.fillRect(event.rect(), self._ground())
        if self._page is None:
            return
        paper = self._paper()
        painter.setClipRect(paper)
        painter.fillRect(paper, _PAPER)
        if self._picture is not None:
            self._draw_picture(painter, paper, self._picture)
        elif self._words:
            self._draw_words(painter, self._page)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for mark in self._marks:
            self._draw_mark(painter, mark)
        if style.is_dark():
            painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_Multiply)
            painter.fillRect(paper, _DIM)

    def _ground(self) -> QColor:
        window = self.palette().color(QPalette.ColorRole.Window)
        return window.darker(140) if style.is_dark() else window.darker(108)

    def _draw_picture(self, painter: QPainter, paper: QRectF, picture: QImage) -> None:
        ratio = self.devicePixelRatioF()
        exact = QRectF(paper.x(), paper.y(), picture.width() / ratio, picture.height() / ratio)
        if abs(exact.width() - paper.width()) < 2 and abs(exact.height() - paper.height()) < 2:
            painter.drawImage(exact, picture)  # pixel on pixel: sharp
        else:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawImage(paper, picture)

    def _draw_words(self, painter: QPainter, page: Page) -> None:
        painter.setPen(_INK)
        for word in page.words:
            _draw_word(painter, page.text[word.start : word.end], self._placed(word.rectangle))
        for one in page.furniture:
            _draw_word(painter, one.text, self._placed(one.rectangle))

    def _draw_mark(self, painter: QPainter, mark: Mark) -> None:
        painter.save()
        painter.setPen(Qt.PenStyle.NoPen)
        if mark.meaning == "furniture":
            for one in mark.rectangles:
                painter.fillRect(self._placed(one).adjusted(-2, -1, 2, 1), _FADE)
        elif mark.meaning in ("evidence", "citation"):
            self._draw_highlight(painter, mark)
        else:
            for block in _blocks(mark.rectangles):
                self._draw_block(painter, mark.meaning, block)
        painter.restore()

    def _draw_highlight(self, painter: QPainter, mark: Mark) -> None:
        tint, under = _INKS[mark.meaning]
        painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_Multiply)
        painter.setBrush(QColor(tint))
        for one in mark.rectangles:
            place = self._placed(one).adjusted(-1.5, -1, 1.5, 1)
            painter.drawRoundedRect(place, 2, 2)
            if under:
                painter.fillRect(QRectF(place.left(), place.bottom(), place.width(), 2), QColor(under))

    def _draw_block(self, painter: QPainter, meaning: str, block: Sequence[Rectangle]) -> None:
        shape = self._shape(block)
        if meaning == "outline":
            painter.setPen(QPen(_OUTLINE, 1.2))
            painter.drawPolygon(shape)
            return
        tint, line = _INKS.get(meaning, _INKS["passage"])
        painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_Multiply)
        painter.setBrush(QColor(tint))
        painter.drawPolygon(shape)
        bounds = shape.boundingRect()
        if self._page is None or bounds.width() < LINED * self._page.width * self.scale:
            return  # a label in a figure: lines at each would be a thicket
        painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_SourceOver)
        painter.fillRect(QRectF(bounds.left() - 3, bounds.top() + 1, 2, bounds.height() - 2), QColor(line))

    def _shape(self, block: Sequence[Rectangle]) -> QPolygonF:
        """The block as one shape: whole lines but for where the first begins and the last ends."""
        places = [self._placed(one) for one in block]
        left, right = min(one.left() for one in places) - 2, max(one.right() for one in places) + 2
        edges = [places[0].top() - 1]
        edges += [(above.bottom() + below.top()) / 2 for above, below in pairwise(places)]
        edges.append(places[-1].bottom() + 1)
        begins = [places[0].left() - 2, *[left] * (len(places) - 1)]
        ends = [*[right] * (len(places) - 1), places[-1].right() + 2]
        outward = [QPointF(x, y) for x, *ys in zip(ends, edges, edges[1:], strict=False) for y in ys]
        back = [QPointF(x, y) for x, *ys in zip(begins, edges, edges[1:], strict=False) for y in ys]
        return QPolygonF([*outward, *reversed(back)])

    # Qt's own

    def viewportEvent(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            labels = [mark.label for mark in self._marks if mark.label and self._is_on(mark, QPointF(event.pos()))]
            # Wrapped, so that Qt takes it for rich text and shows what is escaped as it is.
            text = "<br>".join(f"<span>{html.escape(label)}</span>" for label in labels)
            QToolTip.showText(event.globalPos(), text, self)
            return True
        return super().viewportEvent(event)

    def _is_on(self, mark: Mark, place: QPointF) -> bool:
        return self._page is not None and any(self._placed(one).contains(place) for one in mark.rectangles)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._measure()
        self.resized.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        steps = {Qt.Key.Key_PageDown: 1, Qt.Key.Key_PageUp: -1}
        if event.key() in steps and not event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.turn_wanted.emit(steps[Qt.Key(event.key())])
        else:
            super().keyPressEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        if not event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            super().wheelEvent(event)
            return
        self._turned += event.angleDelta().y()
        steps, self._turned = int(self._turned / 120), self._turned - 120 * int(self._turned / 120)
        if steps:
            self.zoom_wanted.emit(steps)
        event.accept()


def _hull(rectangles: Sequence[Rectangle]) -> Rectangle:
    return Rectangle(
        min(one.x0 for one in rectangles),
        min(one.y0 for one in rectangles),
        max(one.x1 for one in rectangles),
        max(one.y1 for one in rectangles),
    )


def _blocks(rectangles: Sequence[Rectangle]) -> list[list[Rectangle]]:
    """Lines that follow each other downwards in one column, together."""
    blocks: list[list[Rectangle]] = []
    for one in rectangles:
        if blocks and _follows(blocks[-1][-1], one):
            blocks[-1].append(one)
        else:
            blocks.append([one])
    return blocks


def _follows(above: Rectangle, below: Rectangle) -> bool:
    height = min(above.y1 - above.y0, below.y1 - below.y0)
    level = -0.6 * height < below.y0 - above.y1 < 1.6 * height and below.y0 > above.y0 + 0.3 * height
    return level and above.x0 < below.x1 and below.x0 < above.x1


def _draw_word(painter: QPainter, text: str, place: QRectF) -> None:
    """The word, as wide as its place; turned where that stands upright."""
    upright = place.height() > 1.5 * place.width() and len(text) > 1
    width, height = (place.height(), place.width()) if upright else (place.width(), place.height())
    if width <= 0 or height < 2:
        return
    font = QFont("serif")
    font.setPixelSize(max(2, round(height * 0.82)))
    metrics = QFontMetricsF(font)
    advance = metrics.horizontalAdvance(text)
    if advance <= 0:
        return
    painter.save()
    painter.setFont(font)
    painter.translate(place.topRight() if upright else place.topLeft())
    painter.rotate(90 if upright else 0)
    painter.scale(width / advance, 1)
    painter.drawText(QPointF(0, height * 0.78), text)
    painter.restore()
