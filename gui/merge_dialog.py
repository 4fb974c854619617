"""Makes a new model of a base and an adapter: which type, which file, how far it is, and whether it says the same."""

from __future__ import annotations

from PySide6.QtWidgets import QDialog, QWidget

from core.project.tuning import AdapterRow
from gui.jobs import Jobs
from gui.session import Session


class MergeDialog(QDialog):
    def __init__(self, session: Session, jobs: Jobs, adapter: AdapterRow, parent: QWidget | None) -> None:
        super().__init__(parent)
