"""Qt itself works on this machine: its system libraries are there, it can draw, and its bindings count right."""

import sys

import pytest
from PySide6.QtGui import QColor, QGuiApplication, QImage, QPainter


@pytest.fixture(scope="module")
def application() -> QGuiApplication:
    application = QGuiApplication.instance() or QGuiApplication([])
    assert isinstance(application, QGuiApplication)
    return application


def test_qt_starts_and_draws(application: QGuiApplication) -> None:
    image = QImage(4, 4, QImage.Format.Format_RGB32)
    image.fill(QColor("red"))
    assert application.platformName() == "offscreen"
    assert image.pixelColor(1, 1) == QColor("red")


def test_calls_that_return_nothing_leave_none_alone(application: QGuiApplication) -> None:
    """PySide6 6.12.0 took a reference from None at each of them, until Python 3.11 aborted."""
    image = QImage(4, 4, QImage.Format.Format_RGB32)
    painter = QPainter(image)
    before = sys.getrefcount(None)
    for _ in range(2000):
        painter.drawLine(0, 0, 3, 3)
    painter.end()
    assert sys.getrefcount(None) - before > -100
