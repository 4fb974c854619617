"""A map of points: coloured by groups, moved and zoomed under the mouse, and chosen with a lasso or by keys.

It is imported when the first map is shown, and not before: it draws with numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QLocale, QPoint, QPointF, QRect, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QEnterEvent,
    QHelpEvent,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QToolTip, QWidget

from gui.charts.chart import SHARPER, Chart, Ink, Row, number
from gui.charts.plots import SHAPES
from gui.charts.raster import Places, Raster, View, inside, mixed, stamp
from gui.session import Session
from gui.words import tooltip

Rows = NDArray[np.int64]  # numbers of points

LARGE, SMALL, MANY = 9, 6, 3_000  # pixels of a point; where more than so many are seen they are small
LAYERS = 6  # in which the groups are drawn by turns, so that none hides the others where many lie
FADED = 0.35  # how strong points are beside those that are chosen
NEAR = 10  # pixels: so close to a point, it is meant
STEP, ZOOM = 12, 1.25  # pixels of a step by key, and how much larger one step shows it
MOST_ZOOM = 2_000  # times as large as when all is seen
MARGIN = 16  # pixels around all points


@dataclass(frozen=True)
class Group:
    """Points that are drawn alike: in the colour of the meaning `ink`; their shape follows from the group's place."""

    name: str
    ink: str
    rows: Rows


class CloudChart(Chart):
    """Points and their groups. The mouse draws a lasso; with Shift it adds, with Alt it takes away.

    The wheel zooms, the middle button moves (as the left one does while `moves` is set). By keys: the arrows move a
    cross, with Shift they stretch a frame from it, Space chooses what is in the frame or the point at the cross, plus
    and minus zoom, Home shows all, Escape chooses nothing.
    """

    chosen = Signal()  # the user has chosen other points
    pointed = Signal(int)  # at a point; -1: at none

    def __init__(self, session: Session, title: str, describe: Callable[[int], str]) -> None:
        """`describe` gives what is said of a point that the mouse or the cross is at."""
        self._groups: list[Group] = []
        self._keys: Sequence[int] = ()
        self.describe = describe
        self.canvas = _Canvas(self)
        super().__init__(session, title, self.canvas)
        self.canvas.setMinimumSize(240, 200)
        self.setFocusProxy(self.canvas)
        self.canvas.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.canvas.setAccessibleName(title)
        self._redraw()

    def show_points(self, keys: Sequence[int], places: Places) -> None:
        """Other points: a key for each, and where they lie; none is chosen, and all are seen."""
        self._keys, self._groups = keys, []
        self.canvas.show_places(np.asarray(places, np.float32))
        self._redraw()

    def show_groups(self, groups: Sequence[Group]) -> None:
        """Colours the points; the same point in several groups is drawn with the last."""
        self._groups = [group for group in groups if len(group.rows)]
        names = [f"{group.name} {QLocale().toString(len(group.rows))}" for group in self._groups]
        self._legend.show_names(names, SHAPES, [group.ink for group in self._groups])
        self._redraw()

    @property
    def groups(self) -> list[Group]:
        """Those that have points."""
        return self._groups

    @property
    def chosen_rows(self) -> Rows:
        """The points that are chosen, by their numbers."""
        return np.flatnonzero(self.canvas.chosen)

    def choose(self, rows: Sequence[int] | Rows) -> None:
        """Chooses these points and no others; `chosen` is not emitted."""
        self.canvas.choose(np.asarray(rows, np.int64))

    def table(self) -> list[Row]:
        places, head = self.canvas.places, (self.tr("Row"), self.tr("Group"), "x", "y")
        return [
            head,
            *(
                (str(self._keys[row]), group.name, number(float(places[row, 0])), number(float(places[row, 1])))
                for group in self._groups
                for row in group.rows.tolist()
            ),
        ]

    def _read_out(self) -> list[Row]:
        counts = [(group.name, QLocale().toString(len(group.rows))) for group in self._groups]
        return [(self.tr("Group"), self.tr("Points")), *counts]

    def _draw(self, ink: Ink) -> None:
        self.canvas.ink = ink
        self.canvas.redraw()

    def _render(self, painter: QPainter, room: QRect) -> None:
        image, margin = self.canvas.picture(room.size().width(), room.size().height(), SHARPER)
        painter.setClipRect(room)
        painter.drawImage(QRectF(room).adjusted(-margin, -margin, margin, margin), image)
        painter.setClipping(False)


class _Canvas(QWidget):
    """Draws the points, and knows which are chosen."""

    def __init__(self, chart: CloudChart) -> None:
        super().__init__()
        self._chart = chart
        self.ink: Ink | None = None
        self.places: Places = np.zeros((0, 2), np.float32)
        self.chosen: NDArray[np.bool_] = np.zeros(0, bool)
        self.moves = False  # whether the left button moves, instead of drawing a lasso
        self._view = View(0, 0, 1, 1, 1)
        self._all = self._view  # that in which every point is seen
        self._image: QImage | None = None
        self._lasso: list[QPointF] = []
        self._dragged: QPointF | None = None
        self._at = -1  # the point that is pointed at
        self._cross: QPointF | None = None
        self._corner: QPointF | None = None  # of the frame, opposite to the cross
        self.setMouseTracking(True)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)

    @property
    def view(self) -> View:
        """What is looked at."""
        return self._view

    def show_places(self, places: Places) -> None:
        """Other points."""
        self.places, self.chosen = places, np.zeros(len(places), bool)
        self._at, self._cross, self._corner = -1, None, None
        self.fit()

    def choose(self, rows: Rows) -> None:
        """These, and no others."""
        self.chosen[:] = False
        self.chosen[rows] = True
        self.redraw()

    def redraw(self) -> None:
        """Draws the points anew."""
        self._image = None
        self.update()

    def fit(self) -> None:
        """Shows all points."""
        if not len(self.places):
            self.redraw()
            return
        low, high = self.places.min(axis=0), self.places.max(axis=0)
        room = np.maximum(np.array([self.width(), self.height()]) - 2 * MARGIN, 1)
        scale = float((room / np.maximum(high - low, 1e-6)).min())
        middle = (low + high) / 2
        self._all = View(float(middle[0]), float(middle[1]), scale, self.width(), self.height())
        self._look(self._all)

    def zoom(self, times: float, around: QPointF | None = None) -> None:
        """Shows it so many times larger; what lies under `around`, by default the middle, stays there."""
        around = around or QPointF(self.width() / 2, self.height() / 2)
        x, y = self._view.place(around)
        scale = min(max(self._view.scale * times, self._all.scale / 2), self._all.scale * MOST_ZOOM)
        view = replace(self._view, scale=scale)
        beside = view.place(around)
        self._look(replace(view, x=view.x + x - beside[0], y=view.y + y - beside[1]))

    def move_by(self, across: float, down: float) -> None:
        """Moves what is seen by so many pixels."""
        view = self._view
        self._look(replace(view, x=view.x - across / view.scale, y=view.y + down / view.scale))

    def _look(self, view: View) -> None:
        self._view = view
        self.redraw()

    # Drawing

    def picture(self, width: int, height: int, sharper: float = 1.0) -> tuple[QImage, float]:
        """The points in so many pixels of the screen, and how far the picture goes beyond them."""
        ink = self.ink
        assert ink is not None
        share = min(width / max(1, self._view.width), height / max(1, self._view.height)) * sharper
        wide, high = round(width * sharper), round(height * sharper)
        view = replace(self._view, scale=self._view.scale * share, width=wide, height=high)
        pixels, some = view.pixels(self.places), bool(self.chosen.any())
        raster = Raster(wide, high, ink.ground)
        spots, drawn = raster.spots(pixels)
        side = round((LARGE if np.count_nonzero(drawn) <= MANY else SMALL) * sharper)
        bold: list[tuple[int, Rows]] = []
        for place, group in enumerate(self._chart.groups):
            rows = group.rows[drawn[group.rows]]
            if some:
                faint = mixed(ink.colour(group.ink), ink.ground, FADED)
                raster.draw(spots[rows[~self.chosen[rows]]], stamp(place, side), faint)
                rows = rows[self.chosen[rows]]
            bold.append((place, rows))
        for layer in range(LAYERS):
            for place, rows in bold:
                one = spots[rows[layer::LAYERS]]
                if some:
                    raster.draw(one, stamp(place, side + round(4 * sharper)), ink.text)
                raster.draw(one, stamp(place, side), ink.colour(self._chart.groups[place].ink))
        return raster.image(), raster.margin / sharper

    def paintEvent(self, event: QPaintEvent) -> None:
        if self.ink is None:
            return
        painter = QPainter(self)
        if self._image is None:
            self._image, self._beyond = self.picture(self.width(), self.height(), self.devicePixelRatioF())
            self._image.setDevicePixelRatio(self.devicePixelRatioF())
        painter.drawImage(QPointF(-self._beyond, -self._beyond), self._image)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_over(painter, self.ink)
        painter.end()

    def _paint_over(self, painter: QPainter, ink: Ink) -> None:
        faint = QColor(ink.colour("accent"))
        faint.setAlpha(40)
        painter.setPen(QPen(ink.colour("accent"), 1.5))
        painter.setBrush(faint)
        if len(self._lasso) > 1:
            painter.drawPolygon(QPolygonF(self._lasso))
        if self._cross is not None and self.hasFocus():
            if self._corner is not None:
                painter.drawRect(QRectF(self._corner, self._cross).normalized())
            painter.setPen(QPen(ink.text, 1.5))
            for step in (QPointF(STEP, 0), QPointF(0, STEP)):
                painter.drawLine(self._cross - step, self._cross + step)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(ink.text, 2))
        if 0 <= self._at < len(self.places):
            painter.drawEllipse(self._view.pixel(*map(float, self.places[self._at])), NEAR, NEAR)
        if self.hasFocus():
            painter.setPen(QPen(self.palette().highlight().color(), 2))
        else:
            painter.setPen(QPen(ink.colour("line"), 1))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 4, 4)

    # Choosing

    def nearest(self, pixel: QPointF) -> int:
        """The point at a pixel, or close to it; -1 where there is none."""
        if not len(self.places):
            return -1
        away = self._view.pixels(self.places) - np.array([pixel.x(), pixel.y()], np.float32)
        distances = (away * away).sum(axis=1)
        row = int(distances.argmin())
        return row if distances[row] <= NEAR * NEAR else -1

    def _choose_in(self, outline: Sequence[QPointF], how: Qt.KeyboardModifier) -> None:
        corners = np.array([(one.x(), one.y()) for one in outline], np.float32)
        self._take(inside(corners, self._view.pixels(self.places)), how)

    def _choose_at(self, pixel: QPointF, how: Qt.KeyboardModifier) -> None:
        found = np.zeros(len(self.places), bool)
        if (row := self.nearest(pixel)) >= 0:
            found[row] = True
        self._take(found, how)

    def _take(self, found: NDArray[np.bool_], how: Qt.KeyboardModifier) -> None:
        if how & Qt.KeyboardModifier.ShiftModifier:
            found = self.chosen | found
        elif how & Qt.KeyboardModifier.AltModifier:
            found = self.chosen & ~found
        if (found == self.chosen).all():
            self.update()
            return
        self.chosen = found
        self.redraw()
        self._chart.chosen.emit()

    def _point_at(self, row: int) -> None:
        if row != self._at:
            self._at = row
            self._chart.pointed.emit(row)
            self.update()

    # Mouse

    def mousePressEvent(self, event: QMouseEvent) -> None:
        middle = event.button() == Qt.MouseButton.MiddleButton
        if middle or (event.button() == Qt.MouseButton.LeftButton and self.moves):
            self._dragged = event.position()
            self.setCursor(Qt.CursorShape.ClosedHandCursor)
        elif event.button() == Qt.MouseButton.LeftButton:
            self._lasso, self._cross, self._corner = [event.position()], None, None
        else:
            super().mousePressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        at = event.position()
        if self._dragged is not None:
            self.move_by(at.x() - self._dragged.x(), at.y() - self._dragged.y())
            self._dragged = at
        elif self._lasso:
            self._lasso.append(at)
            self.update()
        else:
            self._point_at(self.nearest(at))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        lasso, self._lasso = self._lasso, []
        if self._dragged is not None:
            self._dragged = None
            self.show_hand(self.moves)
        elif event.button() == Qt.MouseButton.LeftButton and lasso:
            round_it = QPolygonF([*lasso, event.position()]).boundingRect()
            if max(round_it.width(), round_it.height()) > NEAR / 2:
                self._choose_in([*lasso, event.position()], event.modifiers())
            else:
                self._choose_at(event.position(), event.modifiers())

    def show_hand(self, moves: bool) -> None:
        """Whether the left button moves what is seen, and draws no lasso."""
        self.moves = moves
        self.setCursor(Qt.CursorShape.OpenHandCursor if moves else Qt.CursorShape.ArrowCursor)

    def wheelEvent(self, event: QWheelEvent) -> None:
        if event.angleDelta().y():
            self.zoom(ZOOM ** (event.angleDelta().y() / 120), event.position())
        event.accept()

    def enterEvent(self, event: QEnterEvent) -> None:
        super().enterEvent(event)
        self.update()

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._point_at(-1)

    # Keys

    def keyPressEvent(self, event: QKeyEvent) -> None:
        keys, key = Qt.Key, event.key()
        steps = {
            keys.Key_Left: (-STEP, 0), keys.Key_Right: (STEP, 0), keys.Key_Up: (0, -STEP), keys.Key_Down: (0, STEP),
        }  # fmt: skip
        if key in steps:
            self._step(QPointF(*steps[keys(key)]), bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier))
        elif key in (keys.Key_Plus, keys.Key_Equal):
            self.zoom(ZOOM, self._cross)
        elif key == keys.Key_Minus:
            self.zoom(1 / ZOOM, self._cross)
        elif key == keys.Key_Home:
            self.fit()
        elif key == keys.Key_Space and self._cross is not None:
            self._choose_by_key(event.modifiers())
        elif key == keys.Key_Escape and (self.chosen.any() or self._corner is not None):
            self._corner = None
            self._take(np.zeros(len(self.places), bool), Qt.KeyboardModifier.NoModifier)
        else:
            super().keyPressEvent(event)

    def _step(self, by: QPointF, stretch: bool) -> None:
        """Moves the cross; the frame goes from where stretching began."""
        cross = self._cross or QPointF(self.width() / 2, self.height() / 2)
        self._corner = (self._corner or cross) if stretch else None
        moved = cross + by
        self._cross = QPointF(min(max(0.0, moved.x()), self.width()), min(max(0.0, moved.y()), self.height()))
        row = self.nearest(self._cross)
        self._point_at(row)
        words = self._chart.describe(row) if row >= 0 else ""
        self.setAccessibleDescription(words)
        QToolTip.showText(self.mapToGlobal(self._cross.toPoint()) + QPoint(STEP, STEP), tooltip(words), self)
        self.update()

    def _choose_by_key(self, how: Qt.KeyboardModifier) -> None:
        assert self._cross is not None
        if self._corner is None:
            self._choose_at(self._cross, how)
            return
        frame = QRectF(self._corner, self._cross).normalized()
        self._corner = None
        self._choose_in([frame.topLeft(), frame.topRight(), frame.bottomRight(), frame.bottomLeft()], how)

    # Qt's own

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            words = self._chart.describe(self._at) if self._at >= 0 else ""
            QToolTip.showText(event.globalPos(), tooltip(words), self)
            return True
        return super().event(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        seen_all, before = self._view == self._all, self._view
        if seen_all:
            self.fit()
        else:
            self._look(replace(before, width=self.width(), height=self.height()))
