"""The map of points: what it draws, and how points are chosen by mouse and by keys."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QPolygonF
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from gui import style
from gui.charts.cloud import CloudChart, Group
from gui.charts.raster import View, inside
from gui.session import Session

PLACES = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1), (0, 0), (0.05, 0)], np.float32)


@pytest.fixture
def chart(qtbot: QtBot, session: Session) -> CloudChart:
    chart = CloudChart(session, "Map", lambda row: f"question {row} <b>")
    qtbot.addWidget(chart)
    chart.resize(600, 500)
    with qtbot.waitExposed(chart):
        chart.show()
    chart.show_points(range(10, 16), PLACES)
    chart.show_groups([Group("even", "accent", np.array([0, 2, 4])), Group("odd", "bad", np.array([1, 3, 5]))])
    return chart


def at(chart: CloudChart, row: int) -> QPoint:
    return chart.canvas.view.pixel(*map(float, PLACES[row])).toPoint()


def lasso(chart: CloudChart, qtbot: QtBot, around: QPoint, how: Qt.KeyboardModifier) -> None:
    """Draws a square of 60 pixels."""
    corners = [around + QPoint(x, y) for x, y in ((-30, -30), (30, -30), (30, 30), (-30, 30))]
    qtbot.mousePress(chart.canvas, Qt.MouseButton.LeftButton, how, corners[0])
    for corner in corners[1:]:
        qtbot.mouseMove(chart.canvas, corner)
    qtbot.mouseRelease(chart.canvas, Qt.MouseButton.LeftButton, how, corners[-1])


def test_what_lies_within_an_outline_is_what_qt_says() -> None:
    chance = np.random.default_rng(3)
    pixels = chance.uniform(0, 100, (400, 2)).astype(np.float32)
    for corners in (3, 5, 40):
        outline = chance.uniform(0, 100, (corners, 2)).astype(np.float32)
        polygon = QPolygonF([QPointF(*map(float, one)) for one in outline])
        known = [
            polygon.containsPoint(QPointF(*map(float, one)), Qt.FillRule.OddEvenFill) for one in pixels
        ]  # which knows lassos that cross themselves
        assert 0 < sum(known) < 400
        assert inside(outline, pixels).tolist() == known


def test_a_place_is_where_its_pixel_is() -> None:
    view = View(0.5, -2, 30, 400, 300)
    assert view.pixels(np.array([(0.5, -2), (1.5, -1)], np.float32)).tolist() == [[200, 150], [230, 120]]
    assert view.place(view.pixel(3, 4)) == (3, 4)


def test_points_have_the_colours_of_their_groups(chart: CloudChart) -> None:
    picture = chart.canvas.grab().toImage()
    for row, meaning in ((0, "accent"), (1, "bad"), (2, "accent"), (3, "bad")):
        assert picture.pixelColor(at(chart, row)).rgb() == style.colour(meaning).rgb()
    chart.choose([1])
    picture = chart.canvas.grab().toImage()
    assert picture.pixelColor(at(chart, 1)).rgb() == style.colour("bad").rgb()
    assert picture.pixelColor(at(chart, 3)).rgb() not in (style.colour("bad").rgb(), picture.pixelColor(20, 60).rgb())


def test_a_lasso_chooses_adds_and_takes_away(chart: CloudChart, qtbot: QtBot) -> None:
    none, shift, alt = (
        Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.AltModifier,
    )  # fmt: skip
    with qtbot.waitSignal(chart.chosen):
        lasso(chart, qtbot, at(chart, 4), none)
    assert chart.chosen_rows.tolist() == [4, 5]
    lasso(chart, qtbot, at(chart, 0), shift)
    assert chart.chosen_rows.tolist() == [0, 4, 5]
    lasso(chart, qtbot, at(chart, 4), alt)
    assert chart.chosen_rows.tolist() == [0]
    qtbot.mouseClick(chart.canvas, Qt.MouseButton.LeftButton, pos=at(chart, 2))
    assert chart.chosen_rows.tolist() == [2]
    with qtbot.waitSignal(chart.chosen):
        qtbot.mouseClick(chart.canvas, Qt.MouseButton.LeftButton, pos=at(chart, 2) - QPoint(80, -80))
    assert chart.chosen_rows.tolist() == []
    with qtbot.assertNotEmitted(chart.chosen):
        chart.choose([1, 2])
    assert chart.chosen_rows.tolist() == [1, 2]


def test_keys_choose_too(chart: CloudChart, qtbot: QtBot) -> None:
    canvas, shift = chart.canvas, Qt.KeyboardModifier.ShiftModifier
    chart.setFocus()
    qtbot.keyClick(canvas, Qt.Key.Key_Left)
    qtbot.keyClick(canvas, Qt.Key.Key_Right)
    assert "question 4" in canvas.accessibleDescription()
    qtbot.keyClick(canvas, Qt.Key.Key_Space)
    assert chart.chosen_rows.tolist() == [4]
    qtbot.keyClick(canvas, Qt.Key.Key_Up)
    qtbot.keyClick(canvas, Qt.Key.Key_Up)
    for key in [Qt.Key.Key_Down] * 4 + [Qt.Key.Key_Right] * 3:
        qtbot.keyClick(canvas, key, shift)
    qtbot.keyClick(canvas, Qt.Key.Key_Space)
    assert 4 in chart.chosen_rows
    assert not {0, 1, 2, 3} & set(chart.chosen_rows.tolist())
    qtbot.keyClick(canvas, Qt.Key.Key_Escape)
    assert not len(chart.chosen_rows)
    qtbot.keyClick(canvas, Qt.Key.Key_Plus)
    larger = canvas.view.scale
    qtbot.keyClick(canvas, Qt.Key.Key_Home)
    assert canvas.view.scale < larger


def test_zoom_keeps_what_is_under_the_mouse_and_the_hand_moves(chart: CloudChart, qtbot: QtBot) -> None:
    canvas = chart.canvas
    point = QPointF(at(chart, 2))
    place = canvas.view.place(point)
    canvas.zoom(7, point)
    assert canvas.view.place(point) == pytest.approx(place)
    canvas.show_hand(True)
    qtbot.mousePress(canvas, Qt.MouseButton.LeftButton, pos=QPoint(100, 100))
    qtbot.mouseMove(canvas, QPoint(130, 90))
    qtbot.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=QPoint(130, 90))
    assert canvas.view.place(point + QPointF(30, -10)) == pytest.approx(place)
    assert not len(chart.chosen_rows)


def test_who_points_at_a_point_is_told_which(chart: CloudChart, qtbot: QtBot) -> None:
    with qtbot.waitSignal(chart.pointed) as pointed:
        qtbot.mouseMove(chart.canvas, at(chart, 3) + QPoint(4, -3))
    assert pointed.args == [3]
    with qtbot.waitSignal(chart.pointed) as pointed:
        qtbot.mouseMove(chart.canvas, at(chart, 3) + QPoint(60, 60))
    assert pointed.args == [-1]


def test_it_is_kept_whole_and_read_out_in_short(chart: CloudChart, tmp_path: Path) -> None:
    chart.export(tmp_path / "map.csv")
    with open(tmp_path / "map.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert len(rows) == 7
    assert rows[1] == ["10", "even", "-1", "-1"]
    chart.export(tmp_path / "map.png")
    assert chart.accessibleDescription().splitlines() == ["Group\tPoints", "even\t3", "odd\t3"]
    chart.show_points([], np.zeros((0, 2), np.float32))
    QApplication.processEvents()
    assert chart.is_empty
