"""What the pages of Curate have in common: they are filled when they are seen, and reckon in a thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QEvent, QTimer
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QSplitter, QStackedWidget, QVBoxLayout, QWidget

from gui import style
from gui.curating import Curating
from gui.empty_page import EmptyPage
from gui.labels import quiet
from gui.reckoner import Reckoner
from gui.rows_pane import RowsPane
from gui.session import Session

SOON = 150  # milliseconds: a run commits many rows a second, and not each is looked at by itself


class CuratePage(QWidget):
    """A row of buttons with a sentence beside them; under it either what there is, or what to do first."""

    def __init__(self, session: Session, curating: Curating) -> None:
        super().__init__()
        self.session, self.curating = session, curating
        self.rows: RowsPane | None = None  # whose selection the keys judge
        self._stale = True
        self.reckoner = Reckoner(session)
        self.reckoner.reckoned.connect(self._take)
        self._soon = QTimer(self, singleShot=True, interval=SOON)
        self._soon.timeout.connect(self._catch_up)
        self.buttons, self.about = QHBoxLayout(), quiet()
        style.spaced(self.buttons, 0)
        self.empty, self.body = EmptyPage(), QWidget()
        self.empty.say("curate", self.tr("Reading the project…"))
        self._pages = QStackedWidget()
        self._pages.addWidget(self.empty)
        self._pages.addWidget(self.body)
        column = QVBoxLayout(self)
        style.spaced(column, style.SPACE)
        column.addLayout(self.buttons)
        column.addWidget(self._pages, 1)
        curating.changed.connect(self.show_actions)

    # What each page says

    def refresh(self) -> None:
        """Reads what there is and shows it."""
        raise NotImplementedError

    def forget(self) -> None:
        """Another project, or none."""

    def show_actions(self) -> None:
        """What can be done now."""

    def _take(self, key: object, made: object) -> None:
        """What was reckoned."""

    # For all

    @property
    def idle(self) -> bool:
        """Whether all that is to be seen is reckoned."""
        return self.reckoner.idle and not self._soon.isActive()

    @property
    def writable(self) -> bool:
        """Whether a project is open that may be changed."""
        return self.session.is_open and not self.session.project.read_only

    def show_project(self) -> None:
        """Another project, or none."""
        self.reckoner.forget()
        self._soon.stop()
        self.forget()
        self.touch()
        self.show_actions()

    def touch(self, _: Sequence[int] = ()) -> None:
        """Something has changed that this page shows."""
        self._stale = True
        if self.isVisible() and not self._soon.isActive():
            self._soon.start()

    def want(self, key: object, work: Callable[[], object]) -> None:
        """Has something reckoned; `_take` gets it."""
        self.reckoner.want(key, work)

    def selected_ids(self) -> list[int]:
        """The questions that the keys judge."""
        return self.rows.selected_ids() if self.rows is not None and self.is_filled else []

    @property
    def is_filled(self) -> bool:
        """Whether there is something to see."""
        return self._pages.currentWidget() is self.body

    def fill(self, filled: bool) -> None:
        """Shows what there is, or what to do first."""
        self._pages.setCurrentWidget(self.body if filled else self.empty)

    def take_focus(self) -> None:
        """The page was called for."""
        if not self.is_filled:
            self.empty.setFocus()
        elif self.rows is not None:
            self.rows.setFocus()

    def _catch_up(self) -> None:
        if self._stale and self.session.is_open and self.isVisible():
            self._stale = False
            self.refresh()

    @property
    def splitter(self) -> QSplitter | None:
        """What divides the page."""
        return self.body.findChild(QSplitter)

    # Qt's own

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_pages"):  # icons are drawn in its colours
            self.touch()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._catch_up()
