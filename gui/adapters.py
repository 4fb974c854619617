"""The adapters of the project where the window uses them: their files, and the model that each belongs to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtWidgets import QApplication

from core.errors import UserError
from core.models.checksum import sha256
from core.models.shelf import shelf
from core.project.tuning import AdapterRow
from gui.session import Session

SCALE_STEP, MOST_SCALE = 0.05, 1.5


def adapters(session: Session) -> list[AdapterRow]:
    """Those of the open project, the newest first."""
    if session.is_open:
        with session.reporting():
            return session.project.adapters()[::-1]
    return []


def file_of(session: Session, adapter: AdapterRow) -> Path | None:
    """Its file; None, and a sentence to the user, where it cannot be had."""
    QApplication.setOverrideCursor(Qt.CursorShape.WaitCursor)  # a large one takes a moment to be checked
    try:
        with session.reporting():
            return session.project.adapter_file(adapter.id)
    finally:
        QApplication.restoreOverrideCursor()
    return None


def base_of(adapter: AdapterRow, chosen: Sequence[Path], cancelled: Callable[[], bool] = bool) -> Path:
    """The file of the model that an adapter was made for, also where it has moved to another folder of models.

    Reads what may be gigabytes: not for the window's thread. Raises UserError when it is nowhere, and Cancelled.
    """
    there = Path(adapter.base_path)
    if there.is_file() and sha256(there, cancelled) == adapter.base_sha256:
        return there
    for found in shelf(chosen):
        alike = found.model is not None and found.model.name == adapter.base_name and found.path != there
        if alike and sha256(found.path, cancelled) == adapter.base_sha256:
            return found.path
    sentence = QCoreApplication.translate(
        "Adapters",
        "“{}” was made for {}, whose file is no longer {}. Put it back there, or add it in Models.",
    )
    raise UserError(sentence.format(adapter.name, adapter.base_name, adapter.base_path))


def file_name(name: str) -> str:
    """A name that any system takes for a file."""
    kept = "".join(sign if sign.isalnum() or sign in " -_." else "-" for sign in name)
    return kept.strip(" .-")[:60] or "adapter"
