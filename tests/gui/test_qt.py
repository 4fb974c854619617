"""Qt itself works on this machine: its system libraries are there and it can draw."""

from PySide6.QtGui import QColor, QGuiApplication, QImage


def test_qt_starts_and_draws() -> None:
    application = QGuiApplication.instance() or QGuiApplication([])
    assert application is not None
    image = QImage(4, 4, QImage.Format.Format_RGB32)
    image.fill(QColor("red"))
    assert QGuiApplication.platformName() == "offscreen"
    assert image.pixelColor(1, 1) == QColor("red")
