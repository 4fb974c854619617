"""From many drafts to a small, excellent set."""

from __future__ import annotations

from PySide6.QtWidgets import QVBoxLayout

from gui.empty_page import EmptyPage
from gui.jobs import Jobs
from gui.panels.panel import Panel
from gui.session import Session


class CuratePanel(Panel):
    """From many drafts to a small, excellent set."""

    glyph = "curate"

    def __init__(self, session: Session, jobs: Jobs) -> None:
        super().__init__(session, jobs, self.tr("Curate"))
        self.empty = EmptyPage()
        self.empty.say("curate", self.tr("Nothing to curate yet"), self.tr("Accept some questions first."))
        column = QVBoxLayout(self)
        column.addWidget(self.empty)
