"""What went wrong, said quietly: a bar for what the user can mend, a window with details for a bug."""

from __future__ import annotations

import platform
from collections.abc import Callable

from PySide6.QtCore import QEvent, QSize, QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

import core
from gui import style
from gui.labels import plain

NOTICE_TIME = 8_000  # milliseconds that a notice stays; what went wrong stays until it is closed


class MessageBar(QFrame):
    """One sentence across the window, with something to do about it where there is something."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self._icon, self._text = QLabel(), plain(selectable=True)
        self._text.setAccessibleName(self.tr("Message"))
        self._button = QPushButton()
        self._close = QToolButton(autoRaise=True)
        self._close.setAccessibleName(self.tr("Close this message"))
        self._close.setToolTip(self.tr("Close this message"))
        style.set_icon(self._close, "close")
        self._close.clicked.connect(self.hide)
        self._button.clicked.connect(self._act)
        self._action: Callable[[], object] | None = None
        self._look = ("info", "accent")
        self._timer = QTimer(self, singleShot=True, interval=NOTICE_TIME)
        self._timer.timeout.connect(self.hide)
        row = QHBoxLayout(self)
        style.spaced(row, style.SPACE)
        row.addWidget(self._icon)
        row.addWidget(self._text, 1)
        row.addWidget(self._button)
        row.addWidget(self._close)
        self.hide()

    @property
    def text(self) -> str:
        """The sentence that is shown."""
        return self._text.text()

    def show_error(self, text: str, label: str = "", action: Callable[[], object] | None = None) -> None:
        """Shows what went wrong until it is closed or something else is shown."""
        self._show("error", "bad", text, label, action)
        self._timer.stop()

    def show_notice(self, text: str, label: str = "", action: Callable[[], object] | None = None) -> None:
        """Shows something good to know for some seconds."""
        self._show("info", "accent", text, label, action)
        self._timer.start()

    def _show(self, glyph: str, meaning: str, text: str, label: str, action: Callable[[], object] | None) -> None:
        self._look = (glyph, meaning)
        self._draw_icon()
        self._text.setText(text)
        self._action = action
        self._button.setText(label)
        self._button.setVisible(action is not None)
        self.show()

    def _draw_icon(self) -> None:
        self._icon.setPixmap(style.icon(*self._look).pixmap(QSize(20, 20), self.devicePixelRatioF()))

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and self.isVisible():
            self._draw_icon()

    def _act(self) -> None:
        self.hide()
        if self._action is not None:
            self._action()


class BugDialog(QDialog):
    """Says that the fault is the app's, that nothing is lost, and lets the details be copied."""

    def __init__(self, message: str, details: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Something went wrong"))
        self._details = f"Elenchus {core.__version__}, {platform.platform()}, Python {platform.python_version()}\n"
        self._details += f"{message}\n\n{details}"
        head = plain(
            self.tr(
                "This is a fault in Elenchus, not in what you did. Everything that was finished is in the project. "
                "The details help us to mend it."
            )
        )
        text = QPlainTextEdit(self._details)
        text.setReadOnly(True)
        text.setAccessibleName(self.tr("Details"))
        buttons = style.button_box(QDialogButtonBox.StandardButton.Close)
        copy = buttons.addButton(self.tr("&Copy details"), QDialogButtonBox.ButtonRole.ActionRole)
        copy.clicked.connect(self.copy_details)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        style.spaced(column, style.DOUBLE)
        column.addWidget(head)
        column.addWidget(text, 1)
        column.addWidget(buttons)
        self.resize(640, 420)

    def copy_details(self) -> None:
        """Puts the details on the clipboard."""
        QGuiApplication.clipboard().setText(self._details)
