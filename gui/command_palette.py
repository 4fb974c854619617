"""Every action by its name: type a part of it, press Return."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, QSize, Qt, QTimer
from PySide6.QtGui import QAction, QKeyEvent, QKeySequence, QPixmap
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QFrame,
    QHeaderView,
    QLineEdit,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from core.project.folding import fold
from gui import style
from gui.labels import quiet

SIZE = (560, 400)
_MOVES = (Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_PageUp, Qt.Key.Key_PageDown)


class CommandPalette(QDialog):
    """A field over a list of actions; the chosen one is run after the palette has closed."""

    def __init__(self, actions: Sequence[QAction], parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Popup | Qt.WindowType.FramelessWindowHint)
        self.setWindowTitle(self.tr("Command palette"))
        self._chosen: QAction | None = None
        self._actions = _named(actions)
        self._build()
        self.field.setFocus()  # a popup is not activated as other dialogs are
        self._filter("")
        self._place(parent)

    def _build(self) -> None:
        self.field = QLineEdit()
        self.field.setPlaceholderText(self.tr("Type what you want to do"))
        self.field.setAccessibleName(self.tr("Search for an action"))
        self.field.setClearButtonEnabled(True)
        self.field.addAction(style.icon("search", "quiet"), QLineEdit.ActionPosition.LeadingPosition)
        self.field.setMinimumHeight(36)
        self.field.textChanged.connect(self._filter)
        self.field.installEventFilter(self)
        self.list = QTreeWidget()
        self.list.setAccessibleName(self.tr("Actions"))
        self.list.setColumnCount(2)
        self.list.setHeaderHidden(True)
        self.list.setRootIsDecorated(False)
        self.list.setUniformRowHeights(True)
        self.list.setAllColumnsShowFocus(True)
        self.list.setFrameShape(QFrame.Shape.NoFrame)
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the keys stay in the field
        self.list.setIconSize(style.ICON)
        self.list.header().setStretchLastSection(False)
        self.list.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.list.header().setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        self.list.itemClicked.connect(self._run)
        self._nothing = quiet(self.tr("No action has all these words in its name."))
        self._nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        frame = QFrame()
        frame.setFrameShape(QFrame.Shape.StyledPanel)
        column = QVBoxLayout(frame)
        style.spaced(column, style.SPACE)
        column.addWidget(self.field)
        column.addWidget(self._nothing, 1)
        column.addWidget(self.list, 1)
        outer = QVBoxLayout(self)
        style.spaced(outer, 0, 0)
        outer.addWidget(frame)

    def _place(self, parent: QWidget) -> None:
        window = parent.window()
        width, height = min(SIZE[0], window.width()), min(SIZE[1], window.height())
        corner = window.mapToGlobal(window.rect().topLeft())
        self.setGeometry(corner.x() + (window.width() - width) // 2, corner.y() + window.height() // 10, width, height)

    def _filter(self, typed: str) -> None:
        words = fold(typed).split()
        found = [pair for pair in self._actions if all(word in fold(pair[0]) for word in words)]
        if words:  # those that begin with what was typed come first
            found.sort(key=lambda pair: not fold(pair[0]).startswith(words[0]))
        self.list.clear()
        blank = QPixmap(style.ICON)
        blank.fill(Qt.GlobalColor.transparent)
        for name, action in found:
            item = QTreeWidgetItem([name, action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)])
            item.setIcon(0, blank if action.icon().isNull() else action.icon())
            item.setSizeHint(0, QSize(0, self.fontMetrics().height() + 2 * style.HALF + style.HALF))
            item.setForeground(1, self.palette().placeholderText())
            item.setTextAlignment(1, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            item.setData(0, Qt.ItemDataRole.UserRole, action)
            self.list.addTopLevelItem(item)
        if (first := self.list.topLevelItem(0)) is not None:
            self.list.setCurrentItem(first)
        self.list.setVisible(bool(found))
        self._nothing.setVisible(not found)

    def _run(self, item: QTreeWidgetItem) -> None:
        self._chosen = item.data(0, Qt.ItemDataRole.UserRole)
        self.accept()

    # Qt's own

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            if event.key() in _MOVES:
                QApplication.sendEvent(self.list, event)
                return True
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                if (item := self.list.currentItem()) is not None:
                    self._run(item)
                return True
        return super().eventFilter(watched, event)

    def done(self, result: int) -> None:
        super().done(result)
        if self._chosen is not None:
            chosen, self._chosen = self._chosen, None
            QTimer.singleShot(0, chosen.trigger)


def _named(actions: Sequence[QAction]) -> list[tuple[str, QAction]]:
    """What can be run now, with its name as it is read: each name once, in the order of the menus."""
    named: dict[str, QAction] = {}
    for action in actions:
        name = action.property("name") or plain_name(action.text())
        if name and action.isEnabled() and action.isVisible() and not action.isSeparator() and action.menu() is None:
            named.setdefault(name, action)
    return list(named.items())


def plain_name(text: str) -> str:
    """The text of an action without its mnemonic."""
    return text.replace("&&", "\0").replace("&", "").replace("\0", "&").strip()
