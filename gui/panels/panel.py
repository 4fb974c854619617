"""What every panel is: a page of the window with a name, an icon, its own actions and files that may be dropped."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QPushButton, QToolButton, QWidget

from gui import style
from gui.jobs import Jobs
from gui.session import Session


class Panel(QWidget):
    """A panel reads and writes through the session and refreshes on its signals."""

    glyph = "info"

    def __init__(self, session: Session, jobs: Jobs, title: str) -> None:
        super().__init__()
        self.session, self.jobs = session, jobs
        self.title = title  # as the sidebar shows it
        self._kept: list[QAction] = []  # a menu that is emptied takes along what nobody holds

    def take_focus(self) -> None:
        """Called when the panel was called for: the keys go to its list."""
        self.setFocus()

    def save_state(self) -> None:
        """Called when the window closes: widths of columns and the like go into the settings."""

    def add_action(
        self, text: str, do: Callable[[], object], shortcut: str | QKeySequence | None = None, glyph: str = ""
    ) -> QAction:
        """An action of this panel: it stands in the menu and the command palette while the panel is shown.

        A shortcut of one plain key does nothing while a text is being typed: the field takes the key for itself.
        """
        action = QAction(text, self)
        if glyph:
            style.set_icon(action, glyph)
        if shortcut is not None:
            action.setShortcut(QKeySequence(shortcut))
            action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        action.triggered.connect(lambda: do())
        self._kept.append(action)
        self.addAction(action)
        return action


def action_button(action: QAction, text: str) -> QPushButton:
    """A button that does what an action does, and is enabled when it is."""
    button = QPushButton(text)
    button.setIcon(action.icon())
    button.setEnabled(action.isEnabled())
    button.clicked.connect(action.trigger)
    action.changed.connect(lambda: (button.setEnabled(action.isEnabled()), button.setIcon(action.icon())))
    return button


def action_tool(action: QAction, name: str) -> QToolButton:
    """A flat button with an icon and a word, for what is done less often."""
    tool = QToolButton(autoRaise=True)
    tool.setDefaultAction(action)
    tool.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
    tool.setIconSize(QSize(18, 18))
    tool.setAccessibleName(name)
    return tool
