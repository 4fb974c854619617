"""A text of a question that is edited in place: it grows with what is written, and is kept or dropped as a whole."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QKeySequence, QPainter, QPen, QResizeEvent, QTextCursor, QTextOption
from PySide6.QtWidgets import QFrame, QPlainTextEdit, QSizePolicy

from gui import style

LINES = (1, 10)  # that it grows between
FRAME = 3  # pixels


class EditField(QPlainTextEdit):
    """A text that grows with what is written. Leaving it or Ctrl+Return keeps the text, Escape restores it."""

    committed = Signal(str)
    dropped = Signal(str)  # by Escape: what had been written
    left = Signal()

    def __init__(self, name: str) -> None:
        super().__init__()
        self._kept = ""
        self.setFrameShape(QFrame.Shape.NoFrame)  # its own tells who has the focus
        self.setViewportMargins(FRAME, FRAME, FRAME, FRAME)
        self.setToolTip(self.tr("Ctrl+Enter saves, Escape drops the change"))
        self.setAccessibleName(name)
        self.setTabChangesFocus(True)
        self.setAcceptDrops(False)  # files that are dropped are the window's
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.document().documentLayout().documentSizeChanged.connect(self._grow)
        self._grow()

    @property
    def text(self) -> str:
        """What stands in it now; unlike toPlainText, with its no-break spaces."""
        return self.document().toRawText().replace("\u2029", "\n").replace("\u2028", "\n")

    @property
    def pending(self) -> bool:
        """Whether something was written that is not kept yet."""
        return self.text != self._kept

    def show_text(self, text: str, keep: bool) -> None:
        """Shows what is in the project; with `keep`, not over what is being written."""
        if keep and self.pending and self.text != text:
            return
        if self.text != text:
            self.setPlainText(text)
        self._kept = self.text
        self.document().clearUndoRedoStacks()

    def commit(self) -> None:
        """Says that there is a new text, when there is."""
        if self.pending and not self.isReadOnly():
            self.committed.emit(self.text)

    def restore(self) -> None:
        """Goes back to the text that is in the project."""
        self.setPlainText(self._kept)
        self._kept = self.text

    def _grow(self) -> None:
        lines = count_lines(self)
        shown = min(max(lines, LINES[0]), LINES[1])
        policy = Qt.ScrollBarPolicy.ScrollBarAsNeeded if lines > LINES[1] else Qt.ScrollBarPolicy.ScrollBarAlwaysOff
        self.setVerticalScrollBarPolicy(policy)
        around = 2 * FRAME + round(2 * self.document().documentMargin())
        self.setFixedHeight(shown * self.fontMetrics().lineSpacing() + around)
        if lines <= LINES[1]:
            self.verticalScrollBar().setValue(0)  # all of it can be seen: nothing stays scrolled away

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._grow()

    def _draw_frame(self) -> None:
        palette, painter = self.palette(), QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(palette.highlight().color(), 2) if self.hasFocus() else QPen(style.colour("line"), 1))
        painter.setBrush(palette.base())
        painter.drawRoundedRect(self.rect().toRectF().adjusted(1, 1, -1, -1), FRAME, FRAME)
        painter.end()

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Paint:  # of the frame: what is painted on the text is the viewport's
            self._draw_frame()
            return True
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            undo = event.matches(QKeySequence.StandardKey.Undo) and not self.document().isUndoAvailable()
            redo = event.matches(QKeySequence.StandardKey.Redo) and not self.document().isRedoAvailable()
            if undo or redo:  # nothing to undo in here: it is the project's
                event.ignore()
                return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        control = event.modifiers() & Qt.KeyboardModifier.ControlModifier
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and control:
            self.commit()
            self.left.emit()
        elif event.key() == Qt.Key.Key_Escape:
            dropped = self.text if self.pending else ""
            self.restore()
            self.left.emit()
            if dropped:
                self.dropped.emit(dropped)
        else:
            super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.update()
        if event.reason() not in (Qt.FocusReason.MouseFocusReason, Qt.FocusReason.PopupFocusReason):
            self.moveCursor(QTextCursor.MoveOperation.End)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.update()
        if event.reason() != Qt.FocusReason.PopupFocusReason:
            self.commit()


def count_lines(field: QPlainTextEdit) -> int:
    """The lines of a text as it is wrapped, at least one; also of paragraphs that were not drawn yet."""
    document = field.document()
    block = document.firstBlock()
    while block.isValid():
        document.documentLayout().blockBoundingRect(block)  # lays it out
        block = block.next()
    return max(1, round(document.size().height()))
