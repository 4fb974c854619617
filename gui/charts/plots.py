"""Bars, curves, lines and points, drawn by pyqtgraph.

It is imported when the first of them is shown, and not before: pyqtgraph and numpy take a third of a second.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyqtgraph as pg
from pyqtgraph.graphicsItems.ScatterPlotItem import Symbols
from PySide6.QtCore import QEvent, QLocale, QPointF, QRect, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPainterPath
from PySide6.QtWidgets import QVBoxLayout

from gui import style
from gui.charts.chart import Chart, Ink, Line, Point, Rate, Row, number, percent
from gui.labels import quiet
from gui.session import Session
from gui.words import tooltip

NAME_WIDTH = 220  # pixels that the names beside bars may take
CURVE, POINTS = 240, 300  # pixels of height, of points at least
FEW = 10  # steps, each of which has a number at the axis
DOT, TEXT_MARGIN = 9, 4  # pixels: a point's width, and what Qt leaves free around a text
BAR, BARS = 26, 17  # pixels of height of a row of one bar, and of each of several
SIGNS = ("o", "t1", "s", "d", "+", "star")  # of series: the shape says it, not the colour alone
SHAPES = [Symbols[sign] for sign in SIGNS]


def _bar(height: float) -> QPainterPath:
    path = QPainterPath()
    path.addRect(-0.6, -height / 2, 1.2, height)
    return path


SIGN_OF = {"line": _bar(0.3), "thin": _bar(0.12), "points": Symbols["o"]}  # what a legend shows for a line


class _Plot(Chart):
    """A chart that pyqtgraph draws: it stands still, and has no menu of its own."""

    def __init__(self, session: Session, title: str) -> None:
        self._view = view = pg.PlotWidget()
        super().__init__(session, title, view)
        view.setAntialiasing(True)
        view.viewport().setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._item: Any = view.getPlotItem()
        self._item.setMenuEnabled(False)
        self._item.setMouseEnabled(False, False)
        self._item.hideButtons()
        self._item.layout.setContentsMargins(0, style.SPACE, 0, 0)  # room for a number at the upper end
        for side in ("left", "right", "top", "bottom"):
            self._axis(side).setStyle(autoExpandTextSpace=True, hideOverlappingLabels=40)  # pixels beyond its end

    def _axis(self, side: str) -> Any:
        return self._item.getAxis(side)

    def _begin(self, ink: Ink) -> None:
        """Takes away what was drawn and gives ground and axes their colours."""
        self._item.clear()
        self._view.setBackground(ink.ground)
        for side in ("left", "right", "bottom"):
            axis = self._axis(side)
            axis.setPen(pg.mkPen(ink.colour("line")))
            axis.setTextPen(pg.mkPen(ink.text))
            axis.setTickFont(self.font())
            axis.label.setFont(self.font())

    def _name_axes(self, ink: Ink, bottom: str, left: str = "") -> None:
        for side, text in (("bottom", bottom), ("left", left)):
            if text:
                self._axis(side).setLabel(text, color=ink.text.name())

    def _render(self, painter: QPainter, room: QRect) -> None:
        before = self._view.size()
        self._view.resize(room.size())
        self._view.render(painter, QRectF(room), self._view.rect())
        self._view.resize(before)


class BarChart(_Plot):
    """Shares with the whiskers of their intervals, one below the other; those of several series beside each other."""

    def __init__(self, session: Session, title: str) -> None:
        self._series: list[tuple[str, list[Rate]]] = []
        self._inks: Sequence[str] = ()
        super().__init__(session, title)
        self._axis("left").setStyle(tickLength=0)
        self._axis("right").setStyle(tickLength=0)
        self._item.showAxis("right")
        self._item.invertY(True)
        self._item.setXRange(0, 1.004, padding=0)
        self._redraw()

    def show_rates(self, series: Sequence[tuple[str, Sequence[Rate]]], inks: Sequence[str] = ()) -> None:
        """What to draw: the name of each series and its shares, of the same labels in the same order.

        With `inks`, each has the colour of a meaning, else that of its place.
        """
        self._series, self._inks = [(name, list(rates)) for name, rates in series], inks
        self._legend.show_names([name for name, _ in self._series], inks=inks)
        rows = max((len(rates) for _, rates in self._series), default=0)
        each = BAR if len(self._series) < 2 else BARS * len(self._series) + style.SPACE
        self._pages.setFixedHeight(max(60, rows * each + 2 * self.fontMetrics().height()))
        self._redraw()

    def table(self) -> list[Row]:
        head = (self.tr("Series"), self.tr("What"), self.tr("Share"), self.tr("Low"), self.tr("High"), self.tr("Of"))
        rows = [
            (name, rate.label, number(rate.value), number(rate.low), number(rate.high), rate.note)
            for name, rates in self._series
            for rate in rates
        ]
        return [head, *rows]

    def _draw(self, ink: Ink) -> None:
        self._begin(ink)
        count = max(1, len(self._series))
        rows = max((len(rates) for _, rates in self._series), default=0)
        if not rows:
            return
        thick = 0.62 / count
        names, values = [], []
        for place, (_, rates) in enumerate(self._series):
            middles = [row + (place - (count - 1) / 2) * (thick + 0.04) for row in range(len(rates))]
            self._add_bars(rates, middles, thick, ink, place)
            values += [
                (y, " · ".join(filter(None, (percent(rate.value), rate.note))))
                for y, rate in zip(middles, rates, strict=True)
            ]
            names = names or [(row, self._elide(rate.label)) for row, rate in enumerate(rates)]
        for share in (0.25, 0.5, 0.75, 1.0):
            self._item.addItem(pg.InfiniteLine(share, 90, pen=pg.mkPen(ink.colour("line"), style=Qt.PenStyle.DotLine)))
        self._axis("left").setTicks([names])
        self._axis("right").setTicks([values])
        self._axis("bottom").setTicks([[(share / 4, percent(share / 4, 0)) for share in range(5)]])
        self._item.setYRange(-0.55, rows - 0.45, padding=0)

    def _add_bars(self, rates: Sequence[Rate], middles: Sequence[float], thick: float, ink: Ink, place: int) -> None:
        count, meaning = len(self._series), self._inks[place] if self._inks else ""
        colour = ink.colour(meaning) if meaning else ink.series(place, count)
        ground = ink.fill(place, count, meaning)
        known = [(y, rate) for y, rate in zip(middles, rates, strict=True) if rate.value is not None]
        if not known:
            return
        y = np.array([middle for middle, _ in known])
        width = np.array([rate.value for _, rate in known], dtype=float)
        self._item.addItem(
            pg.BarGraphItem(x0=np.zeros(len(y)), width=width, y=y, height=thick, brush=ground, pen=pg.mkPen(colour))
        )
        if all(rate.low is None and rate.high is None for _, rate in known):
            return  # of what was not sampled
        low, high = (
            np.array([getattr(rate, name) if getattr(rate, name) is not None else rate.value for _, rate in known])
            for name in ("low", "high")
        )
        left, right = np.maximum(width - low.astype(float), 0), np.maximum(high.astype(float) - width, 0)
        pen = pg.mkPen(ink.text, width=1.4)
        self._item.addItem(pg.ErrorBarItem(x=width, y=y, left=left, right=right, beam=thick / 3, pen=pen))

    def _elide(self, name: str) -> str:
        return self.fontMetrics().elidedText(name, Qt.TextElideMode.ElideRight, NAME_WIDTH)


class CurveChart(_Plot):
    """How a share changes from turn to turn, with a band for its interval."""

    def __init__(self, session: Session, title: str, axis: str) -> None:
        self._series: list[tuple[str, list[Rate]]] = []
        self._what = axis
        super().__init__(session, title)
        self._pages.setFixedHeight(CURVE)
        self._axis("left").setTicks([[(share / 4, percent(share / 4, 0)) for share in range(5)]])
        self._item.setYRange(0, 1, padding=0.03)
        self._redraw()

    def show_rates(self, series: Sequence[tuple[str, Sequence[Rate]]]) -> None:
        """What to draw: the name of each series and its shares, in order."""
        self._series = [(name, list(rates)) for name, rates in series]
        self._legend.show_names([name for name, _ in self._series], SHAPES)
        self._redraw()

    def table(self) -> list[Row]:
        head = (self.tr("Series"), self._what, self.tr("Share"), self.tr("Low"), self.tr("High"), self.tr("Of"))
        rows = [
            (name, rate.label, number(rate.value), number(rate.low), number(rate.high), rate.note)
            for name, rates in self._series
            for rate in rates
        ]
        return [head, *rows]

    def _draw(self, ink: Ink) -> None:
        self._begin(ink)
        self._name_axes(ink, self._what)
        most = max((len(rates) for _, rates in self._series), default=0)
        if not most:
            return
        labels = max((rates for _, rates in self._series), key=len)
        self._axis("bottom").setTicks([[(place, rate.label) for place, rate in enumerate(labels)]])
        self._item.setXRange(0, max(1, most - 1), padding=0.06)
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            self._item.addItem(pg.InfiniteLine(share, 0, pen=pg.mkPen(ink.colour("line"), style=Qt.PenStyle.DotLine)))
        for place, (_, rates) in enumerate(self._series):
            self._add_curve(rates, ink.series(place, len(self._series)), SIGNS[place % len(SIGNS)])

    def _add_curve(self, rates: Sequence[Rate], colour: QColor, sign: str) -> None:
        known = [(x, rate) for x, rate in enumerate(rates) if rate.value is not None]
        if not known:
            return
        x = np.array([place for place, _ in known], dtype=float)
        value = np.array([rate.value for _, rate in known], dtype=float)
        if all(rate.low is not None and rate.high is not None for _, rate in known):
            band = QColor(colour)
            band.setAlpha(50)
            edges = [
                pg.PlotCurveItem(x, np.array([getattr(rate, name) for _, rate in known], dtype=float))
                for name in ("low", "high")
            ]
            self._item.addItem(pg.FillBetweenItem(*edges, brush=pg.mkBrush(band)))
        pen, brush = pg.mkPen(colour, width=2), pg.mkBrush(colour)
        self._item.addItem(
            pg.PlotDataItem(x, value, pen=pen, symbol=sign, symbolBrush=brush, symbolPen=pen, symbolSize=8)
        )


class LineChart(_Plot):
    """Figures over steps. Under the mouse, or where the arrow keys lead, their values stand above."""

    def __init__(
        self,
        session: Session,
        title: str,
        axis: str,
        height: int = CURVE,
        words: Callable[[float], str] | None = None,
    ) -> None:
        """`words` says a value; with it the axis begins at zero."""
        self._lines: list[Line] = []
        self._words = words
        self._axis_name = axis
        self._at: float | None = None  # the step that is looked at
        self._cross: Any = None
        super().__init__(session, title)
        self._values = quiet()
        self._values.setWordWrap(False)
        layout = self.layout()
        assert isinstance(layout, QVBoxLayout)
        layout.insertWidget(2, self._values)
        self._pages.setFixedHeight(height)
        if words is not None:
            axis_left = self._axis("left")
            axis_left.enableAutoSIPrefix(False)
            axis_left.tickStrings = lambda values, scale, spacing: [words(value * scale) for value in values]
        self._item.showGrid(y=True, alpha=0.15)
        self._axis("bottom").enableAutoSIPrefix(False)
        scene: Any = self._view.scene()
        scene.sigMouseMoved.connect(self._point_at)
        self._redraw()

    @property
    def steps(self) -> list[float]:
        """Every step that has a value, in order."""
        return sorted({step for line in self._lines for step, _ in line.points})

    def show_lines(self, lines: Sequence[Line]) -> None:
        """What to draw; values that are no numbers are left out."""
        self._lines = [
            replace(one, points=[(step, value) for step, value in one.points if math.isfinite(value)]) for one in lines
        ]
        drawn = [one for one in self._lines if one.points]
        self._legend.show_names(
            [one.name for one in drawn], [SIGN_OF[one.drawn] for one in drawn], [one.ink for one in drawn]
        )
        self._redraw()

    def look_at(self, step: float | None) -> None:
        """Marks the step with values that is nearest to this one, and says its values; None: the last one's."""
        steps = self.steps
        self._at = min(steps, key=lambda one: abs(one - step)) if steps and step is not None else None
        if self._cross is not None:
            self._cross.setVisible(self._at is not None)
            self._cross.setValue(self._at or 0)
        self._say_values()

    def table(self) -> list[Row]:
        head = (self._axis_name, *(one.name for one in self._lines))
        values = [dict(one.points) for one in self._lines]
        return [head, *((number(step), *(number(one.get(step)) for one in values)) for step in self.steps)]

    def _draw(self, ink: Ink) -> None:
        self._begin(ink)
        self._name_axes(ink, self._axis_name)
        steps = self.steps
        few = bool(steps) and steps[-1] <= FEW and all(map(float.is_integer, map(float, steps)))  # no halves of steps
        self._axis("bottom").setTicks([[(n, str(n)) for n in range(round(steps[-1]) + 1)]] if few else None)
        for one in self._lines:
            self._add_line(one, ink.colour(one.ink))
        values = [value for one in self._lines for _, value in one.points]
        if self._words is not None and max(values, default=0) > 0:
            self._item.setYRange(0, max(values), padding=0.1)  # whose ends have room for their numbers
        self._cross = pg.InfiniteLine(0, 90, pen=pg.mkPen(ink.colour("quiet"), style=Qt.PenStyle.DashLine))
        self._item.addItem(self._cross, ignoreBounds=True)
        if ink.printed:
            self._cross.hide()
        elif hasattr(self, "_values"):
            self.look_at(self._at)

    def _add_line(self, one: Line, colour: QColor) -> None:
        if not one.points:
            return
        x, y = np.array(one.points, dtype=float).T
        if one.drawn == "thin":
            faint = QColor(colour)
            faint.setAlpha(110)
            self._item.addItem(pg.PlotCurveItem(x, y, pen=pg.mkPen(faint, width=1)))
            return
        pen = pg.mkPen(colour, width=2)
        if one.drawn == "line":
            self._item.addItem(pg.PlotCurveItem(x, y, pen=pen))
            return
        brush = pg.mkBrush(colour)
        self._item.addItem(
            pg.PlotDataItem(x, y, pen=pen, symbol="o", symbolBrush=brush, symbolPen=pen, symbolSize=DOT - 2)
        )
        if (best := [(step, value) for step, value in one.points if step == one.best]) != []:
            mark = {"symbol": "star", "size": 2.4 * DOT, "pen": pg.mkPen(self._today().ground), "brush": brush}
            self._item.addItem(pg.ScatterPlotItem(pos=best, **mark))

    def _say_values(self) -> None:
        steps = self.steps
        at = self._at if self._at is not None else (steps[-1] if steps else None)
        if at is None:
            self._values.clear()
            return
        parts = [f"{self._axis_name} {QLocale().toString(float(at), 'g', 6)}"]
        for one in self._lines:
            before = [value for step, value in one.points if step <= at]
            value = self._say(before[-1]) if before else ""
            parts += [f"{one.name} {value}" if len(self._lines) > 1 else value] if before else []
        self._values.setText(" · ".join(parts))
        self._values.setToolTip(tooltip(self._values.text()))

    def _say(self, value: float) -> str:
        return self._words(value) if self._words is not None else QLocale().toString(float(value), "g", 4)

    def _point_at(self, place: QPointF) -> None:
        box = self._item.getViewBox()
        if box.sceneBoundingRect().contains(place):
            self.look_at(box.mapSceneToView(place).x())

    # Qt's own

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self.look_at(None)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        steps, keys = self.steps, Qt.Key
        place = steps.index(self._at) if self._at in steps else len(steps) - 1
        moves = {keys.Key_Left: place - 1, keys.Key_Right: place + 1, keys.Key_Home: 0, keys.Key_End: len(steps) - 1}
        if steps and event.key() in moves:
            self.look_at(steps[min(max(0, moves[keys(event.key())]), len(steps) - 1)])
        else:
            super().keyPressEvent(event)


def smoothed(points: Sequence[tuple[float, float]], weight: float | None = None) -> list[tuple[float, float]]:
    """Values with each the mean of those so far, of which one that is a step older counts `weight` times as much.

    Without a weight, one that lets about a twentieth of them count.
    """
    weight = max(0.0, 1 - 20 / max(1, len(points))) if weight is None else weight
    made: list[tuple[float, float]] = []
    total = count = 0.0
    for step, value in points:
        if math.isfinite(value):
            total, count = weight * total + value, weight * count + 1
            made.append((step, total / count))
    return made


class ScatterChart(_Plot):
    """Points before and after on the same scale: those below the diagonal went down."""

    point_chosen = Signal(str)  # its key

    def __init__(self, session: Session, title: str, before: str, after: str) -> None:
        self._points: list[Point] = []
        self._corners: list[tuple[int, int, Any]] = []  # right and bottom, or not; and the words there
        self._before, self._after = before, after
        super().__init__(session, title)
        self._view.setMinimumHeight(POINTS)
        self._item.getViewBox().sigResized.connect(self._fit)
        self._redraw()

    def show_points(self, points: Sequence[Point]) -> None:
        """What to draw; places that are no numbers are left out."""
        self._points = [one for one in points if math.isfinite(one.x) and math.isfinite(one.y)]
        self._legend.show_names(self._groups(), SHAPES)
        self._redraw()

    def table(self) -> list[Row]:
        head = (self.tr("Item"), self.tr("Group"), self._before, self._after)
        return [head, *((one.key, one.group, number(one.x), number(one.y)) for one in self._points)]

    def _groups(self) -> list[str]:
        return list(dict.fromkeys(one.group for one in self._points))

    def _draw(self, ink: Ink) -> None:
        self._begin(ink)
        self._corners = []
        self._name_axes(ink, self._before, self._after)
        if not self._points:
            return
        for angle in (0, 90):
            self._item.addItem(pg.InfiniteLine(0, angle, pen=pg.mkPen(ink.colour("line"), width=1.5)))
        self._item.addItem(pg.InfiniteLine((0, 0), 45, pen=pg.mkPen(ink.colour("quiet"), style=Qt.PenStyle.DashLine)))
        self._name_quadrants(ink)
        groups = self._groups()
        for place, group in enumerate(groups):
            self._add_group([one for one in self._points if one.group == group], ink, place, len(groups))
        self._fit()

    def _fit(self) -> None:
        """Gives the points all the room but a strip above and one below, where the corners' names stand."""
        if not self._points:
            return
        least = min(0.0, *(min(one.x, one.y) for one in self._points))
        most = max(0.0, *(max(one.x, one.y) for one in self._points))
        strip = self.fontMetrics().height() + 2 * TEXT_MARGIN + DOT
        height = max(self._item.getViewBox().height(), 3 * strip)
        beyond = (most - least) * strip / (height - 2 * strip)
        low, high = least - beyond, most + beyond
        self._item.setXRange(least, most, padding=0.06)
        self._item.setYRange(low, high, padding=0)
        for right, bottom, label in self._corners:
            label.setPos(most if right else least, low if bottom else high)

    def _name_quadrants(self, ink: Ink) -> None:
        for x, y, text in (
            (0, 0, self.tr("wrong → right")),
            (1, 0, self.tr("stays right")),
            (0, 1, self.tr("stays wrong")),
            (1, 1, self.tr("right → wrong")),
        ):
            label = pg.TextItem(text, color=ink.colour("quiet"), anchor=(x, y))
            label.setFont(self.font())
            self._corners.append((x, y, label))
            self._item.addItem(label, ignoreBounds=True)

    def _add_group(self, points: Sequence[Point], ink: Ink, place: int, of: int) -> None:
        colour, fill = ink.series(place, of), ink.series(place, of)
        fill.setAlpha(110)
        dots = pg.ScatterPlotItem(
            x=np.array([one.x for one in points]),
            y=np.array([one.y for one in points]),
            data=np.array([one.key for one in points], dtype=object),
            symbol=SIGNS[place % len(SIGNS)],
            size=DOT,
            pen=pg.mkPen(colour),
            brush=pg.mkBrush(fill),
            useCache=not ink.printed,  # which keeps them as pixels
            hoverable=True,
            hoverSize=13,
            tip=lambda x, y, data: tooltip(f"{data}\n{number(x)} → {number(y)}"),
        )
        dots.sigClicked.connect(self._choose)
        self._item.addItem(dots)

    def _choose(self, _: object, points: Sequence[Any]) -> None:
        if len(points):
            self.point_chosen.emit(str(points[0].data()))
