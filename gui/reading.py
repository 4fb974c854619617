"""Reads files in a job, and says what came of it; asks for the password of a file that is locked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PySide6.QtCore import QCoreApplication
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QLineEdit, QVBoxLayout, QWidget

from core.documents.reader import PasswordNeeded, WrongPassword
from core.errors import Cancelled, JobFailed, UserError
from core.project.records import DocumentRow
from gui import style
from gui.jobs import Job, Status
from gui.labels import plain

TOLD = 3  # failures named in one message

Read = Callable[[Job, Path, Callable[[int, int], None]], DocumentRow]  # reads one file, telling how far it is


@dataclass(frozen=True)
class Outcome:
    """How the reading of some files ended: ids of what was read, reasons by path, and what waits for a password."""

    again: Read
    read: list[int] = field(default_factory=list)
    failures: dict[Path, str] = field(default_factory=dict)
    locked: dict[Path, bool] = field(default_factory=dict)  # whether a wrong password was given

    @property
    def summary(self) -> str:
        """What could not be read, and why, in words."""
        translate = QCoreApplication.translate
        lines = [
            reason if path.name in reason else translate("Outcome", "{} was not read. {}").format(path.name, reason)
            for path, reason in list(self.failures.items())[:TOLD]
        ]
        if len(self.failures) > 1:
            lines.insert(0, translate("Outcome", "{} files were not read.").format(len(self.failures)))
        if (more := len(self.failures) - TOLD) > 0:
            lines.append(translate("Outcome", "… and {} more").format(more))
        return "\n".join(lines)


class Reading:
    """Reads files one after the other in a job; one that cannot be read never stops the others."""

    def __init__(self, files: Sequence[Path], read: Read) -> None:
        self._files, self._read = list(files), read
        translate = QCoreApplication.translate
        self._text = translate("Reading", "Reading {}")
        self._of = translate("Reading", "file {} of {}")
        self._pages = translate("Reading", "pages")

    def __call__(self, job: Job) -> None:
        outcome, bug = Outcome(self._read), None
        try:
            for number, path in enumerate(self._files, 1):
                try:
                    outcome.read.append(self._read_one(job, path, number).id)
                except Cancelled:
                    raise
                except PasswordNeeded as error:
                    outcome.locked[path] = isinstance(error, WrongPassword)
                except UserError as error:
                    outcome.failures[path] = str(error)
                except JobFailed as error:
                    bug = error
        finally:
            if job.cancelled():
                outcome.locked.clear()  # nobody wants to be asked now
            job.report(outcome)
        if bug is not None:
            raise bug

    def _read_one(self, job: Job, path: Path, number: int) -> DocumentRow:
        text = self._text.format(path.name)
        files = self._of.format(number, len(self._files)) if len(self._files) > 1 else ""

        def tell(done: int, total: int) -> None:
            parts = [f"{done:,}/{total:,} {self._pages}" if total else "", files]
            job.say(Status(text, done, total, " · ".join(filter(None, parts))))

        tell(0, 0)
        return self._read(job, path, tell)


def ask_password(name: str, wrong: bool, parent: QWidget) -> str | None:
    """Asks for the password of a file; None when the user would rather not."""
    dialog = PasswordDialog(name, wrong, parent)
    password = dialog.password if dialog.exec() else None
    dialog.deleteLater()  # with what was typed into it
    return password


class PasswordDialog(QDialog):
    """Asks for the password of one file."""

    def __init__(self, name: str, wrong: bool, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Password"))
        text = self.tr("That password does not open “{}”. Try another one, or skip this file.")
        if not wrong:
            text = self.tr("“{}” is locked. Its password is kept only until Elenchus is closed.")
        self._field = QLineEdit()
        self._field.setEchoMode(QLineEdit.EchoMode.Password)
        self._field.setAccessibleName(self.tr("Password"))
        buttons = style.button_box()
        buttons.addButton(self.tr("&Open"), QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.addButton(self.tr("&Skip"), QDialogButtonBox.ButtonRole.RejectRole)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        style.spaced(column, style.DOUBLE)
        column.addWidget(plain(text.format(name)))
        column.addWidget(self._field)
        column.addWidget(buttons)
        self.setMinimumWidth(380)

    @property
    def password(self) -> str:
        """What was typed."""
        return self._field.text()
