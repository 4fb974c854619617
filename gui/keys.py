"""All keys in one list, by where they work."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QHeaderView, QTreeWidget, QTreeWidgetItem, QVBoxLayout, QWidget

from gui import style
from gui.command_palette import plain_name


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
            self._add_group(name, actions)
        self.list.expandAll()
        buttons = style.button_box(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        style.spaced(column, style.DOUBLE)
        column.addWidget(self.list, 1)
        column.addWidget(buttons)
        self.resize(460, 620)

    def _add_group(self, name: str, actions: Sequence[QAction]) -> None:
        keyed = [action for action in actions if not action.shortcut().isEmpty()]
        if not keyed:
            return
        group = QTreeWidgetItem(self.list, [name])
        group.setSizeHint(0, QSize(0, self.fontMetrics().height() + style.SPACE))
        font = group.font(0)
        font.setBold(True)
        group.setFont(0, font)
        for action in keyed:
            keys = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
            item = QTreeWidgetItem(group, [plain_name(action.text()).removesuffix("…"), keys])
            item.setSizeHint(0, QSize(0, self.fontMetrics().height() + style.SPACE))
            item.setTextAlignment(1, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
