"""Steps from the question to the answer, beside the evidence that each of them cites."""

from __future__ import annotations

from PySide6.QtWidgets import QVBoxLayout

from gui.empty_page import EmptyPage
from gui.jobs import Jobs
from gui.panels.panel import Panel
from gui.session import Session


class RationalesPanel(Panel):
    """Steps from the question to the answer, beside the evidence that each of them cites."""

    glyph = "rationales"

    def __init__(self, session: Session, jobs: Jobs) -> None:
        super().__init__(session, jobs, self.tr("Rationales"))
        self.empty = EmptyPage()
        self.empty.say("rationales", self.tr("No rationales yet"), self.tr("Accept some questions first."))
        column = QVBoxLayout(self)
        column.addWidget(self.empty)
