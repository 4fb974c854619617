"""Takes a dataset out of its project, and brings it back where the user wants that."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from PySide6.QtCore import QObject

from core.project.project import Project
from core.project.tuning import Dataset, DatasetRow
from gui.reckoner import Reckoner
from gui.session import Session


@dataclass(frozen=True)
class Removed:
    """A dataset that is no more, with all that brings it back."""

    project: Project
    dataset: Dataset
    rows: list[DatasetRow]


class DatasetRemover(QObject):
    """Works in a thread, since all rows are read for the way back."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session, self._reckoner = session, Reckoner(session)
        self._reckoner.reckoned.connect(self._tell)

    @property
    def idle(self) -> bool:
        """Whether nothing is being removed."""
        return self._reckoner.idle

    def remove(self, dataset: Dataset) -> None:
        """Removes it, and says so; or says why it stays."""
        self._reckoner.want(dataset.id, partial(_removed, self._session.project, dataset))

    def stop(self) -> None:
        """Of what goes on nothing more is said."""
        self._reckoner.stop()

    def _tell(self, _: object, removed: Removed) -> None:
        words = self.tr("The dataset “{}” is removed.").format(removed.dataset.name)
        self._session.notify(words, self.tr("Undo"), partial(self._bring_back, removed))

    def _bring_back(self, removed: Removed) -> None:
        dataset, project = removed.dataset, removed.project
        if self._session.is_open and self._session.project is project:
            with self._session.reporting():
                project.add_dataset(dataset.name, dataset.recipe, removed.rows)


def _removed(project: Project, dataset: Dataset) -> Removed:
    removed = Removed(project, dataset, project.dataset_rows(dataset.id))
    project.remove_dataset(dataset.id)
    return removed
