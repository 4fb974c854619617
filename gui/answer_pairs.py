"""Answers to the same prompts side by side, the words marked in which the second differs from the first."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QResizeEvent, QTextCursor, QTextOption, QWheelEvent
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QPlainTextEdit,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from core.chat import split_thought
from gui import style
from gui.edit_field import count_lines
from gui.labels import plain, quiet, strong
from gui.word_diff import changed, mark_words


class AnswerPairs(QScrollArea):
    """A row for each prompt; what is shown again is only written anew, so that it stays where it is."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.rows: list[_Pair] = []
        self._heads = strong(), strong()
        page = QWidget()
        outer = QVBoxLayout(page)
        outer.setContentsMargins(0, style.SPACE, 0, 0)
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(style.DOUBLE)
        self._grid.setVerticalSpacing(style.HALF)
        for column, head in enumerate(self._heads):
            self._grid.addWidget(head, 0, column)
            self._grid.setColumnStretch(column, 1)
        outer.addLayout(self._grid)
        outer.addStretch(1)
        self.setWidget(page)

    def show_heads(self, first: str, second: str) -> None:
        """Whose the answers on either side are."""
        for label, text in zip(self._heads, (first, second), strict=True):
            label.setText(text)
        for row in self.rows:
            row.name_sides(first, second)

    def show_prompts(self, prompts: Sequence[str]) -> None:
        """What was asked; answers to other prompts are taken away."""
        if [row.prompt.text() for row in self.rows] == list(prompts):
            return
        for row in self.rows:
            for widget in row.widgets:
                self._grid.removeWidget(widget)
                widget.hide()
                widget.deleteLater()
        self.rows = [_Pair(prompt) for prompt in prompts]
        for place, row in enumerate(self.rows):
            row.name_sides(*(label.text() for label in self._heads))
            at = 1 + 3 * place
            self._grid.addWidget(row.prompt, at, 0, 1, 2)
            self._grid.addWidget(row.first, at + 1, 0, Qt.AlignmentFlag.AlignTop)
            self._grid.addWidget(row.second, at + 1, 1, Qt.AlignmentFlag.AlignTop)
            self._grid.addWidget(row.note, at + 2, 0, 1, 2)

    def show_answers(self, place: int, first: str, second: str, marked: bool = True) -> None:
        """The answers to a prompt; those that still grow are not `marked`."""
        self.rows[place].show_answers(split_thought(first)[1].strip(), split_thought(second)[1].strip(), marked)


class _Pair:
    """What stands in the grid for one prompt."""

    def __init__(self, prompt: str) -> None:
        self.prompt, self.first, self.second, self.note = plain(prompt, selectable=True), Text(), Text(), quiet()
        self.prompt.setContentsMargins(0, style.SPACE, 0, 0)
        self.note.hide()
        self.widgets = (self.prompt, self.first, self.second, self.note)

    def name_sides(self, first: str, second: str) -> None:
        self.first.setAccessibleName(f"{first}: {self.prompt.text()}")
        self.second.setAccessibleName(f"{second}: {self.prompt.text()}")

    def show_answers(self, first: str, second: str, marked: bool) -> None:
        self.first.show_text(first)
        self.second.show_text(second, changed(first, second) if marked and first and second else ())
        same = marked and bool(first) and first == second
        self.note.setText(self.note.tr("Word for word the same.") if same else "")
        self.note.setVisible(same)


class Text(QPlainTextEdit):
    """A text that is as high as it is long, with pieces of it marked."""

    def __init__(self) -> None:
        super().__init__()
        self._marks: Sequence[tuple[int, int]] = ()
        self.setReadOnly(True)
        self.setTabChangesFocus(True)
        self.setAcceptDrops(False)  # files that are dropped are the window's
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        for set_policy in (self.setHorizontalScrollBarPolicy, self.setVerticalScrollBarPolicy):
            set_policy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.document().documentLayout().documentSizeChanged.connect(self._grow)
        self._grow()

    @property
    def marks(self) -> list[str]:
        """The pieces that are marked."""
        return [self.toPlainText()[start:end] for start, end in self._marks]

    def show_text(self, text: str, marks: Sequence[tuple[int, int]] = ()) -> None:
        """Shows a text in which these pieces, each from one character to before another, are marked."""
        shown = self.toPlainText()
        if text != shown and shown and text.startswith(shown):  # it grows: what is selected in it stays so
            cursor = QTextCursor(self.document())
            cursor.movePosition(QTextCursor.MoveOperation.End)
            cursor.insertText(text[len(shown) :])
        elif text != shown:
            self.setPlainText(text)
        self._marks = marks
        mark_words(self, self._marks)

    def _grow(self) -> None:
        lines = count_lines(self)
        around = 2 * self.frameWidth() + round(2 * self.document().documentMargin())
        self.setFixedHeight(lines * self.fontMetrics().lineSpacing() + around)

    # Qt's own

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._grow()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_marks"):
            mark_words(self, self._marks)

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()  # what scrolls is the page around it
