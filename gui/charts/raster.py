"""Points as pixels: painting tens of thousands one by one would be too slow to move them under the mouse."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter

from gui.charts.plots import SHAPES

Places = NDArray[np.float32]  # (n, 2)
INSIDE, EDGE = 170, 60  # of 255: how much of a pixel a shape covers, to be inside of it, or at its edge


@dataclass(frozen=True)
class View:
    """Which part of the plane is looked at: what is in the middle, and pixels for one unit; up is up."""

    x: float
    y: float
    scale: float
    width: int
    height: int

    def pixels(self, places: Places) -> Places:
        """Where places lie, in pixels from the upper left corner."""
        middle = np.array([self.width / 2, self.height / 2], np.float32)
        return (places - np.array([self.x, self.y], np.float32)) * np.array([self.scale, -self.scale], np.float32) + (
            middle
        )

    def place(self, pixel: QPointF) -> tuple[float, float]:
        """What lies under a pixel."""
        across, down = pixel.x() - self.width / 2, pixel.y() - self.height / 2
        return self.x + across / self.scale, self.y - down / self.scale

    def pixel(self, x: float, y: float) -> QPointF:
        """Where one place lies."""
        return QPointF((x - self.x) * self.scale + self.width / 2, (self.y - y) * self.scale + self.height / 2)


@dataclass(frozen=True)
class Stamp:
    """A shape as the pixels around its middle: (across, down) of those inside, and of those at its edge."""

    inside: NDArray[np.int64]
    edge: NDArray[np.int64]


@lru_cache(maxsize=64)
def stamp(shape: int, side: int) -> Stamp:
    """The shape of a legend's place, so many pixels wide."""
    reach = side // 2 + 1
    picture = QImage(2 * reach + 1, 2 * reach + 1, QImage.Format.Format_Alpha8)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(Qt.GlobalColor.black)
    painter.translate(QRectF(picture.rect()).center())
    painter.scale(side, side)
    painter.drawPath(SHAPES[shape % len(SHAPES)])
    painter.end()
    rows = np.frombuffer(picture.constBits(), np.uint8).reshape(picture.height(), picture.bytesPerLine())
    cover = rows[:, : picture.width()]
    inside, edge = (
        np.argwhere(mask)[:, ::-1] - reach for mask in (cover >= INSIDE, (cover >= EDGE) & (cover < INSIDE))
    )
    return Stamp(inside, edge)


class Raster:
    """A picture that shapes are stamped into. It is a little larger than what is seen, so that none is cut."""

    margin = 24  # more than a stamp reaches

    def __init__(self, width: int, height: int, ground: QColor) -> None:
        self._ground = ground
        self._wide, self._high = width + 2 * self.margin, height + 2 * self.margin
        self._pixels = np.full(self._wide * self._high, ground.rgb(), np.uint32)

    def spots(self, pixels: Places) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Where points lie in the picture, and which are to be drawn: of several at one pixel only the last."""
        half = self.margin // 2
        at = np.rint(pixels).astype(np.int64) + self.margin
        x, y = at[:, 0], at[:, 1]
        drawn = (x >= half) & (x < self._wide - half) & (y >= half) & (y < self._high - half)
        spots, rows = y * self._wide + x, np.flatnonzero(drawn)
        last = np.empty(self._wide * self._high, np.int32)
        last[spots[rows]] = rows
        drawn[rows] = last[spots[rows]] == rows
        return spots, drawn

    def draw(self, spots: NDArray[np.int64], shape: Stamp, ink: QColor) -> None:
        """Stamps a shape at each of these spots."""
        for offsets, colour in ((shape.edge, mixed(ink, self._ground).rgb()), (shape.inside, ink.rgb())):
            for across, down in offsets.tolist():
                self._pixels[spots + (down * self._wide + across)] = colour

    def image(self) -> QImage:
        """What was drawn; its upper left corner belongs `margin` pixels outside of what is seen."""
        return QImage(self._pixels.data, self._wide, self._high, 4 * self._wide, QImage.Format.Format_RGB32).copy()


def mixed(ink: QColor, ground: QColor, share: float = 0.5) -> QColor:
    """A colour between two; `share` of the first."""
    return QColor.fromRgbF(
        *(
            share * a + (1 - share) * b
            for a, b in (
                (ink.redF(), ground.redF()), (ink.greenF(), ground.greenF()), (ink.blueF(), ground.blueF()),
            )
        )
    )  # fmt: skip


def inside(outline: Places, pixels: Places) -> NDArray[np.bool_]:
    """Which pixels lie within a closed outline: a line from them to the right crosses it an odd number of times."""
    found = np.zeros(len(pixels), bool)
    low, high = outline.min(axis=0), outline.max(axis=0)
    near = np.flatnonzero(((pixels >= low) & (pixels <= high)).all(axis=1))
    x, y = pixels[near].T
    odd = np.zeros(len(near), bool)
    for (ax, ay), (bx, by) in zip(outline.tolist(), np.roll(outline, -1, axis=0).tolist(), strict=True):
        if ay != by:
            odd ^= ((ay > y) != (by > y)) & (x < (bx - ax) * (y - ay) / (by - ay) + ax)
    found[near] = odd
    return found
