"""The beginning of a file as it will be written, every other line on another ground."""

from __future__ import annotations

from PySide6.QtCore import QEvent
from PySide6.QtGui import QFontDatabase, QTextCursor, QTextFormat
from PySide6.QtWidgets import QPlainTextEdit, QTextEdit


class FilePreview(QPlainTextEdit):
    """To be read, and copied from."""

    def __init__(self) -> None:
        super().__init__()
        self.setReadOnly(True)
        self.setTabChangesFocus(True)
        self.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.setPlaceholderText(self.tr("There is no row to show."))

    def show_text(self, text: str) -> None:
        """Shows another one; where it is the same, the view stays where it is."""
        if text != self.toPlainText():
            self.setPlainText(text)
        self._shade_rows()

    def _shade_rows(self) -> None:
        """Every other line of the file on another ground: a row is longer than the view is wide."""
        shaded = []
        block = self.document().firstBlock().next()
        while block.isValid():
            line = QTextEdit.ExtraSelection()
            line.cursor = QTextCursor(block)  # pyright: ignore[reportAttributeAccessIssue]
            line.cursor.movePosition(QTextCursor.MoveOperation.EndOfBlock, QTextCursor.MoveMode.KeepAnchor)  # pyright: ignore
            line.format.setBackground(self.palette().alternateBase())  # pyright: ignore
            line.format.setProperty(QTextFormat.Property.FullWidthSelection, True)  # pyright: ignore
            shaded.append(line)
            block = block.next().next()
        self.setExtraSelections(shaded)

    # Qt's own

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._shade_rows()
