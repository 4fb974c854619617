"""What stands in the place of a list that is empty: what to do first, and the button for it."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from gui import style
from gui.labels import plain, quiet

ICON = QSize(48, 48)


class EmptyPage(QWidget):
    """An icon, a few words, and one button or two."""

    def __init__(self) -> None:
        super().__init__()
        self._icon, self.head, self.text, self.button = QLabel(), plain(), quiet(), QPushButton()
        self.other = QPushButton()
        self._glyph = ""
        self._do: Callable[[], object] | None = None
        self._do_other: Callable[[], object] | None = None
        self.button.clicked.connect(lambda: self._act(self._do))
        self.other.clicked.connect(lambda: self._act(self._do_other))
        font = self.head.font()
        font.setPointSizeF(font.pointSizeF() * 1.3)
        self.head.setFont(font)
        for label in (self.head, self.text):
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            label.setFixedWidth(340)
        column = QVBoxLayout(self)
        style.spaced(column, style.SPACE)
        column.addStretch(2)
        for widget in (self._icon, self.head, self.text):
            column.addWidget(widget, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addSpacing(style.SPACE)
        buttons = QHBoxLayout()
        style.spaced(buttons, 0)
        buttons.addStretch(1)
        buttons.addWidget(self.button)
        buttons.addWidget(self.other)
        buttons.addStretch(1)
        column.addLayout(buttons)
        column.addStretch(3)

    def say(
        self,
        glyph: str,
        head: str,
        text: str = "",
        label: str = "",
        do: Callable[[], object] | None = None,
        other_label: str = "",
        other: Callable[[], object] | None = None,
    ) -> None:
        """Shows why there is nothing, and what can be done about it: one thing, or one of two."""
        self._glyph = glyph
        self._draw_icon()
        self.head.setText(head)
        self.text.setText(text)
        for words in (self.head, self.text):
            words.setFixedHeight(max(0, words.heightForWidth(words.width())))  # else a layout cuts what is wrapped
        self.text.setVisible(bool(text))
        self.button.setText(label)
        self.button.setVisible(do is not None)
        self.other.setText(other_label)
        self.other.setVisible(other is not None)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus if do else Qt.FocusPolicy.StrongFocus)
        self.setFocusProxy(self.button if do else None)  # pyright: ignore[reportArgumentType]
        self.setAccessibleName(head)
        self._do, self._do_other = do, other

    def _draw_icon(self) -> None:
        if self._glyph:
            self._icon.setPixmap(style.icon(self._glyph, "quiet").pixmap(ICON, self.devicePixelRatioF()))

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_glyph"):
            self._draw_icon()

    def _act(self, do: Callable[[], object] | None) -> None:
        if do is not None:
            do()
