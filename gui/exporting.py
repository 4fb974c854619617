"""An export in the background: what is to be written, and what is said when it is there."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from PySide6.QtCore import QLocale, QObject, QUrl
from PySide6.QtGui import QDesktopServices

from core.errors import Cancelled
from core.exchange.export import Exported, export
from core.project.project import Project
from gui.jobs import Job, Jobs, Status
from gui.row_source import Rows
from gui.session import Session


@dataclass(frozen=True)
class Wish:
    """What is to be exported, and where to."""

    path: Path
    format: str
    plain: bool  # without where each row comes from
    rows: Rows
    shape: str = "messages"  # of a row, where the format leaves that open
    guard: bool = True  # against formulas, in a CSV file
    configs: tuple[str, ...] = ()  # training programs that get settings beside it


def start_export(session: Session, jobs: Jobs, wish: Wish) -> Job:
    """Writes the file in the background and says so at the end."""
    writing = _Writing(session, wish)
    job = jobs.start("documents", writing.tr("Exporting to {}").format(wish.path.name), writing.write)
    job.retry = partial(start_export, session, jobs, wish)
    job.item_arrived.connect(writing.tell)
    job.ended.connect(writing.finish)
    return job


class _Writing(QObject):
    """One export: lives until it has ended, though the dialog is gone."""

    def __init__(self, session: Session, wish: Wish) -> None:
        super().__init__(session)
        self._session, self._wish = session, wish
        self._project: Project = session.project

    def write(self, job: Job) -> None:
        """The work, in the thread of its lane."""
        wish, done = self._wish, None
        for done in export(
            self._project,
            wish.path,
            wish.format,
            plain=wish.plain,
            shape=wish.shape,
            guard=wish.guard,
            configs=wish.configs,
            **asdict(wish.rows),
        ):
            if job.cancelled():
                raise Cancelled("The export was cancelled.")
            job.say(Status(job.title, done.rows + done.lacking + done.quarantined, done.total))
        job.report(done)

    def tell(self, done: Exported) -> None:
        """Says how many rows were written, and offers to show where."""
        number = QLocale().toString
        words = self.tr("Rows written to {}: {}. A dataset card lies beside it.")
        if self._wish.format == "folder":
            words = self.tr("Rows written to {}: {}, with a card that describes them.")
        parts = [words.format(done.path.name, number(done.rows))]
        if done.together:
            parts.append(self.tr("All sides of the dataset are in this one file: {}.").format(done.together))
        if done.lacking:
            parts.append(self.tr("Left out, for want of a worse answer: {}.").format(number(done.lacking)))
        if done.quarantined:
            reason = self.tr("Quarantined, because their evidence is not in the document: {}.")
            parts.append(reason.format(number(done.quarantined)))
        if done.configs:
            names = ", ".join(path.name for path in done.configs)
            parts.append(self.tr("To train on it: {}.").format(names))
        self._session.notify(" ".join(parts), self.tr("Show in &folder"), partial(show_in_folder, done.path))

    def finish(self, _: str) -> None:
        """Its end."""
        self.deleteLater()


def show_in_folder(path: Path) -> None:
    """Opens the folder of a file in the system's own file manager."""
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(path.parent)))
