"""All keys in one list, by where they work."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QHeaderView, QTreeWidget, QTreeWidgetItem, QVBoxLayout, QWidget

from gui import style
from gui.command_palette import plain_name

Key = tuple[str, QKeySequence.StandardKey | str]  # what it does, and the key


class KeysDialog(QDialog):
    """Takes the keys from the actions themselves, so that it cannot be out of date."""

    def __init__(self, groups: Sequence[tuple[str, Sequence[QAction]]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Keys"))
        self.list = QTreeWidget()
        self.list.setAccessibleName(self.tr("Keys"))
        self.list.setHeaderHidden(True)
        self.list.setColumnCount(2)
        self.list.setRootIsDecorated(False)
        self.list.setUniformRowHeights(True)
        self.list.setIndentation(style.DOUBLE)
        self.list.setSelectionMode(QTreeWidget.SelectionMode.NoSelection)
        self.list.header().setStretchLastSection(False)
        self.list.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.list.header().setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        for name, actions in groups:
            keyed = [action for action in actions if not action.shortcut().isEmpty()]
            self._add_group(name, [(plain_name(one.text()).removesuffix("…"), one.shortcut()) for one in keyed])
        for name, keys in self._others():
            self._add_group(name, [(what, QKeySequence(key)) for what, key in keys])
        self.list.expandAll()
        buttons = style.button_box(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        style.spaced(column, style.DOUBLE)
        column.addWidget(self.list, 1)
        column.addWidget(buttons)
        self.resize(460, 620)

    def _others(self) -> list[tuple[str, list[Key]]]:
        """Keys that belong to no action."""
        writing: list[Key] = [
            (self.tr("Keep what was written"), "Ctrl+Return"),
            (self.tr("Drop it"), "Esc"),
        ]
        steps: list[Key] = [
            (self.tr("Go to the next step, or the one before"), "Down"),
            (self.tr("Accept a step, or take that back"), "Space"),
            (self.tr("Write in a step"), "Return"),
        ]
        step: list[Key] = [
            (self.tr("Begin the next step, or cut this one in two"), "Return"),
            (self.tr("Join it to the step above, at its start"), "Backspace"),
        ]
        page: list[Key] = [
            (self.tr("Next page"), "PgDown"),
            (self.tr("Previous page"), "PgUp"),
            (self.tr("Larger"), QKeySequence.StandardKey.ZoomIn),
            (self.tr("Smaller"), QKeySequence.StandardKey.ZoomOut),
            (self.tr("Fit the width"), "Ctrl+0"),
        ]
        chat: list[Key] = [
            (self.tr("Send the question"), "Return"),
            (self.tr("Begin a new line"), "Shift+Return"),
            (self.tr("End the answer, keep what came"), "Esc"),
        ]
        return [
            (self.tr("While a question is edited"), writing),
            (self.tr("In the list of steps"), steps),
            (self.tr("While a step is written"), step),
            (self.tr("On a page"), page),
            (self.tr("In a chat"), chat),
        ]

    def _add_group(self, name: str, keys: Sequence[tuple[str, QKeySequence]]) -> None:
        if not keys:
            return
        group = QTreeWidgetItem(self.list, [name])
        group.setSizeHint(0, QSize(0, self.fontMetrics().height() + style.SPACE))
        font = group.font(0)
        font.setBold(True)
        group.setFont(0, font)
        for what, key in keys:
            item = QTreeWidgetItem(group, [what, key.toString(QKeySequence.SequenceFormat.NativeText)])
            item.setSizeHint(0, QSize(0, self.fontMetrics().height() + style.SPACE))
            item.setTextAlignment(1, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
