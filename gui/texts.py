"""Texts one under the other, each below its name: a row of data in full."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from gui import style
from gui.answer_pairs import Text
from gui.labels import caption

LONGEST = 20_000  # characters of a text that are shown


@dataclass(frozen=True)
class Named:
    """A text with its name, and the pieces of it that are marked, each from one character to before another."""

    name: str
    text: str
    marks: Sequence[tuple[int, int]] = ()


class Texts(QScrollArea):
    """What is shown again is only written anew."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        page = QWidget()
        self._column = QVBoxLayout(page)
        self._column.setContentsMargins(0, style.HALF, style.HALF, 0)
        self._column.setSpacing(style.HALF)
        self._column.addStretch(1)
        self._pairs: list[tuple[QWidget, Text]] = []
        self._names: list[str] = []
        self.setWidget(page)

    @property
    def shown(self) -> list[tuple[str, str]]:
        """The names and texts that stand there."""
        return list(zip(self._names, (text.toPlainText() for _, text in self._pairs), strict=True))

    def show_texts(self, texts: Sequence[Named]) -> None:
        """Shows these and no others; what is empty is left out."""
        texts = [one for one in texts if one.text]
        if [one.name for one in texts] != self._names:
            self._name([one.name for one in texts])
        for one, (_, text) in zip(texts, self._pairs, strict=True):
            whole = len(one.text) <= LONGEST
            text.show_text(one.text if whole else f"{one.text[:LONGEST]}…", one.marks if whole else ())
        self.verticalScrollBar().setValue(0)

    def _name(self, names: list[str]) -> None:
        for pair in self._pairs:
            for widget in pair:
                self._column.removeWidget(widget)
                widget.hide()
                widget.deleteLater()
        self._pairs, self._names = [], names
        for place, name in enumerate(names):
            text = Text()
            text.setAccessibleName(name)
            text.setFrameShape(QFrame.Shape.NoFrame)
            label = caption(name)  # no buddy: in a name from outside an & is no key
            self._pairs.append((label, text))
            self._column.insertWidget(2 * place, label)
            self._column.insertWidget(2 * place + 1, text)
