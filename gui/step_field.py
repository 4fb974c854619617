"""A step of a rationale as it is written: Enter begins the next step, or cuts this one in two."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QTextCursor

from gui.edit_field import EditField
from gui.word_diff import KEEP, mark_words


class StepField(EditField):
    """One line however long; the keys at its ends lead to the steps around it."""

    divided = Signal(int)  # Enter: the character before which the step is to end
    joined = Signal()  # Backspace at its start
    passed = Signal(int)  # an arrow key out of it: -1 upwards, 1 downwards
    entered = Signal()  # it has the focus
    leaving = Signal()  # it has it no more

    def __init__(self) -> None:
        super().__init__("")
        self._marks: Sequence[tuple[int, int]] = ()
        self.setToolTip(self.tr("Enter begins the next step, Ctrl+Enter saves, Escape drops the change"))

    @property
    def offset(self) -> int:
        """The character of the text before which the cursor stands."""
        before = QTextCursor(self.document())
        before.setPosition(self.textCursor().position(), KEEP)
        return len(before.selectedText())

    def place_cursor(self, at_end: bool) -> None:
        """At the end of the text, or at its start."""
        self.moveCursor(QTextCursor.MoveOperation.End if at_end else QTextCursor.MoveOperation.Start)

    def mark(self, spans: Sequence[tuple[int, int]]) -> None:
        """Marks the words that the draft does not have."""
        self._marks = spans
        mark_words(self, spans)

    @property
    def marked(self) -> list[str]:
        """The pieces that are marked."""
        return [self.text[start:end] for start, end in self._marks]

    # Qt's own

    def keyPressEvent(self, event: QKeyEvent) -> None:
        keys, plain = Qt.Key, not event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        cursor = self.textCursor()
        if event.key() in (keys.Key_Return, keys.Key_Enter) and plain and not self.isReadOnly():
            self.divided.emit(self.offset)
        elif event.key() == keys.Key_Backspace and cursor.atStart() and not cursor.hasSelection():
            self.joined.emit()
        elif event.key() in (keys.Key_Up, keys.Key_Down) and plain and not self._moves(event.key() == keys.Key_Up):
            self.passed.emit(-1 if event.key() == keys.Key_Up else 1)
        else:
            super().keyPressEvent(event)

    def _moves(self, up: bool) -> bool:
        """Whether there is a line for the cursor to go to."""
        cursor = self.textCursor()
        return cursor.movePosition(QTextCursor.MoveOperation.Up if up else QTextCursor.MoveOperation.Down)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.entered.emit()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        if event.reason() != Qt.FocusReason.PopupFocusReason:
            self.leaving.emit()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_marks"):
            mark_words(self, self._marks)
