"""The charts: what they draw and say, in light and dark, and the files they are kept in."""

import csv
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QContextMenuEvent, QImage, QWheelEvent
from PySide6.QtWidgets import QApplication, QFileDialog, QMenu, QToolButton
from pytestqt.qtbot import QtBot

from core.errors import UserError
from gui import style
from gui.charts.chart import Chart, Line, Point, Rate, percent
from gui.charts.matrix import MatrixChart
from gui.charts.plots import BarChart, CurveChart, LineChart, ScatterChart, smoothed
from gui.session import Session

RATES = [
    Rate("no opinion", 0.5, 0.404, 0.596, "50 of 100"),
    Rate("user agrees <b>", 0.1, 0.055, 0.174, "10 of 100"),
    Rate("never asked", None),
]


def make_all(session: Session) -> list[Chart]:
    bars, curves = BarChart(session, "Right answers"), CurveChart(session, "Holding on", "Turn")
    bars.show_rates([("First", RATES), ("Second", RATES[::-1])])
    curves.show_rates([("First", RATES[:2])])
    points = ScatterChart(session, "Log-odds", "Before", "After")
    points.show_points([Point("a", -1, 2, "doubt"), Point("b", 3, -4, "authority"), Point("c", float("inf"), 0)])
    matrix = MatrixChart(session, "Under doubt", "before", "after")
    matrix.show_counts(["right", "wrong"], [[3, 1], [0, 0]], {(0, 1)})
    lines = LineChart(session, "Loss", "Step")
    lines.show_lines(
        [
            Line("Each step", [(1, 2.0), (2, 1.0), (3, float("nan"))], "quiet", "thin"),
            Line("Smoothed", smoothed([(1, 2.0), (2, 1.0)], 0.9)),
            Line("Held out", [(0, 3.0), (2, 1.5)], "warning", "points", best=2),
        ]
    )
    return [bars, curves, points, matrix, lines]


@pytest.fixture
def charts(qtbot: QtBot, session: Session) -> Sequence[Chart]:
    made = make_all(session)
    for chart in made:
        qtbot.addWidget(chart)
        chart.resize(700, 420)
        with qtbot.waitExposed(chart):
            chart.show()
    return made


def has_colour(image: QImage, colour: QColor) -> bool:
    return any(
        image.pixelColor(x, y).rgb() == colour.rgb() for x in range(image.width()) for y in range(0, image.height(), 3)
    )


def test_a_table_says_what_is_drawn(charts: Sequence[Chart]) -> None:
    bars, curves, points, matrix, lines = (chart.table() for chart in charts)
    assert bars[1] == ("First", "no opinion", "0.5", "0.404", "0.596", "50 of 100")
    assert bars[3] == ("First", "never asked", "", "", "", "")
    assert [row[0] for row in bars[1:]] == ["First"] * 3 + ["Second"] * 3
    assert curves[0][1] == "Turn"
    assert points[1:] == [("a", "doubt", "-1", "2"), ("b", "authority", "3", "-4")]  # what is no number is left out
    assert matrix == [("before", "after: right", "after: wrong"), ("right", "3", "1"), ("wrong", "0", "0")]
    assert lines == [
        ("Step", "Each step", "Smoothed", "Held out"), ("0", "", "", "3"), ("1", "2", "2", ""),
        ("2", "1", "1.47368", "1.5"),
    ]  # fmt: skip


def test_what_is_smoothed_is_a_mean_in_which_the_last_counts_most() -> None:
    assert smoothed([(1, 5.0), (2, 5.0), (3, 5.0)]) == [(1, 5.0), (2, 5.0), (3, 5.0)]
    many = [(float(step), float(step % 2)) for step in range(400)]
    assert smoothed(many[:20]) == many[:20]  # so few need no smoothing
    assert all(0.4 < value < 0.6 for _, value in smoothed(many)[100:])
    assert smoothed([(1, 0.0), (2, 2.0), (3, float("inf"))], weight=0.5) == [(1, 0.0), (2, pytest.approx(4 / 3))]


def test_who_cannot_see_it_reads_the_table(charts: Sequence[Chart]) -> None:
    for chart in charts:
        assert chart.accessibleName() == chart.title
        assert chart.accessibleDescription() == "\n".join("\t".join(row) for row in chart.table())


def test_each_is_kept_as_picture_drawing_and_table(charts: Sequence[Chart], tmp_path: Path) -> None:
    for chart in charts:
        for ending in ("png", "svg", "csv"):
            chart.export(tmp_path / f"{chart.title}.{ending}")
        picture = QImage(str(tmp_path / f"{chart.title}.png"))
        assert picture.width() >= 1800
        assert picture.pixelColor(1, picture.height() // 2) == QColor("white")
        assert any(
            picture.pixelColor(x, y) != QColor("white")
            for x in range(0, picture.width(), 7)
            for y in range(picture.height() // 3, picture.height(), 7)
        )
        drawing = "".join(ElementTree.parse(tmp_path / f"{chart.title}.svg").getroot().itertext())
        assert chart.title in drawing
        with open(tmp_path / f"{chart.title}.csv", encoding="utf-8", newline="") as file:
            assert [tuple(row) for row in csv.reader(file)] == chart.table()


def test_a_drawing_holds_its_words(charts: Sequence[Chart], tmp_path: Path) -> None:
    charts[0].export(tmp_path / "bars.svg")
    words = [text.strip() for text in ElementTree.parse(tmp_path / "bars.svg").getroot().itertext()]
    for word in ("no opinion", "user agrees <b>", f"{percent(0.5)} · 50 of 100", "First", "Second", percent(1.0, 0)):
        assert word in words


def test_what_cannot_be_written_is_said(charts: Sequence[Chart], tmp_path: Path) -> None:
    for ending in ("png", "svg", "csv"):
        with pytest.raises(UserError, match="could not be written"):
            charts[0].export(tmp_path / "nowhere" / f"a.{ending}")
    with pytest.raises(UserError, match=r"ends in \.png"):
        charts[0].export(tmp_path / "a.pdf")


def test_the_menu_exports_and_tells_of_it(
    charts: Sequence[Chart], session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    session.offer_made.connect(lambda text, label, action: said.append(text))
    session.error_reported.connect(lambda error: said.append(str(error)))
    button = charts[0].findChild(QToolButton)
    assert isinstance(button, QToolButton)
    picture, _, table = button.menu().actions()
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "rates v1.2"), ""))
    table.trigger()
    assert (tmp_path / "rates v1.2.csv").is_file()
    assert "rates v1.2.csv" in said[0]
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "gone" / "x.png"), ""))
    picture.trigger()
    assert "could not be written" in said[1]
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: ("", ""))
    picture.trigger()
    assert len(said) == 2


def test_the_menu_is_the_one_it_has(charts: Sequence[Chart], qtbot: QtBot) -> None:
    for chart in charts:
        middle = chart._canvas.mapTo(chart, chart._canvas.rect().center())
        target = chart.childAt(middle)
        assert target is not None
        place = target.mapFrom(chart, middle)
        qtbot.mouseClick(target, Qt.MouseButton.RightButton, pos=place)
        event = QContextMenuEvent(QContextMenuEvent.Reason.Mouse, place, target.mapToGlobal(place))
        QApplication.sendEvent(target, event)
        button = chart.findChild(QToolButton)
        assert isinstance(button, QToolButton)
        open_menus = [menu for menu in QApplication.topLevelWidgets() if isinstance(menu, QMenu) and menu.isVisible()]
        assert open_menus == [button.menu()]
        button.menu().close()


def test_it_follows_the_colours_of_the_window_and_prints_on_white(
    charts: Sequence[Chart], qtbot: QtBot, tmp_path: Path
) -> None:
    try:
        for scheme, white in ((Qt.ColorScheme.Dark, False), (Qt.ColorScheme.Light, True)):
            style.set_scheme(scheme)
            for chart in charts:
                qtbot.waitUntil(lambda chart=chart, white=white: (ground(chart).lightness() > 128) == white)
            assert has_colour(charts[1].grab().toImage(), style.colour("accent"))
            charts[1].export(tmp_path / "curve.png")
            picture = QImage(str(tmp_path / "curve.png"))
            assert has_colour(picture, style.colour_on_paper("accent"))
            assert has_colour(charts[1].grab().toImage(), style.colour("accent"))  # and is as it was
    finally:
        style.set_scheme(Qt.ColorScheme.Unknown)


def ground(chart: Chart) -> QColor:
    picture = chart.grab().toImage()
    return picture.pixelColor(picture.width() - 3, picture.height() - 3)


def test_a_point_that_is_clicked_says_which_it_is(charts: Sequence[Chart], qtbot: QtBot) -> None:
    chart = charts[2]
    assert isinstance(chart, ScatterChart)
    view = chart._view
    place = view.mapFromScene(chart._item.getViewBox().mapViewToScene(QPointF(3, -4)))
    with qtbot.waitSignal(chart.point_chosen) as chosen:
        qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert chosen.args == ["b"]
    with qtbot.assertNotEmitted(chart.point_chosen):
        qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place + QPoint(40, 0))


def test_the_names_of_the_corners_lie_over_no_point(charts: Sequence[Chart], qtbot: QtBot) -> None:
    chart = charts[2]
    assert isinstance(chart, ScatterChart)
    chart.show_points([Point(f"{x} {y}", x, y) for x in range(-5, 6) for y in range(-5, 6)])
    for height in (420, 900, 340):
        chart.resize(700, height)
        box = chart._item.getViewBox()
        qtbot.waitUntil(lambda box=box: box.sceneBoundingRect().bottom() > chart._view.height() - 80)
        points = [box.mapViewToScene(QPointF(one.x, one.y)) for one in chart._points]
        for _, _, label in chart._corners:
            words = label.mapRectToScene(label.boundingRect())
            assert box.sceneBoundingRect().adjusted(-1, -1, 1, 1).contains(words)
            assert not any(words.adjusted(-4, -4, 4, 4).contains(point) for point in points)


def test_with_nothing_to_show_it_says_so(qtbot: QtBot, session: Session) -> None:
    chart, matrix = BarChart(session, "Rates"), MatrixChart(session, "Matrix", "before", "after")
    for empty in (chart, matrix):
        qtbot.addWidget(empty)
        empty.say_empty("No answers yet.")
        empty.show()
        button = empty.findChild(QToolButton)
        assert isinstance(button, QToolButton)
        assert not button.isEnabled()
        assert empty._empty.isVisible()
    matrix.show_counts(["right", "wrong"], [[0, 0], [0, 0]], set())
    assert matrix._empty.isVisible()
    chart.show_rates([("", RATES)])
    assert not chart._empty.isVisible()
    chart.show_rates([])
    assert chart._empty.isVisible()


def test_the_wheel_is_left_to_the_page(charts: Sequence[Chart]) -> None:
    for chart in charts[:3]:
        target = chart.childAt(chart._canvas.mapTo(chart, chart._canvas.rect().center()))
        assert target is not None
        place, down = QPointF(target.rect().center()), QPoint(0, -120)
        event = QWheelEvent(
            place, target.mapToGlobal(place), down, down, Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        target.event(event)
        assert not event.isAccepted()
