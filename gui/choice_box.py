"""A combo box in a panel whose commands are plain keys."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QComboBox


class ChoiceBox(QComboBox):
    """Letters and digits choose an entry by how it begins, and are no commands while it has the focus."""

    def __init__(self) -> None:
        super().__init__()
        for typed_into in (self, self.view()):
            typed_into.installEventFilter(self)

    # Qt's own

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            commands = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier
            if event.text().strip() and event.text().isprintable() and not event.modifiers() & commands:
                event.accept()
                return True
        return super().eventFilter(watched, event)
