"""A few facts of every question, read once in a thread and kept up with: what charts of all rows are drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from PySide6.QtCore import QObject, Signal

from core.project.project import CHUNK, Project
from gui.reckoner import Reckoner
from gui.session import Session


class RowFact(NamedTuple):
    """What is known of a question without its texts."""

    state: str
    kind: str
    document: str  # its title; empty: it comes from none
    rating: int | None
    failed: tuple[str, ...]  # names of the checks that it failed
    passed: tuple[str, ...]


class RowFacts(QObject):
    """Reads nothing before `want`; from then on it follows the project."""

    changed = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.rows: dict[int, RowFact] = {}  # by id, in order
        self.ready = False  # whether all were read
        self._wanted = False
        self._stale: set[int] = set()
        self._reckoner = Reckoner(session)
        self._reckoner.reckoned.connect(self._take)
        session.examples_changed.connect(self._note)

    @property
    def idle(self) -> bool:
        """Whether nothing is being read."""
        return self._reckoner.idle

    def want(self) -> None:
        """Reads all, once for a project."""
        if not self._wanted and self._session.is_open:
            self._wanted = True
            self._reckoner.want("all", partial(_read, self._session.project))

    def forget(self) -> None:
        """Another project, or none."""
        self._reckoner.forget()
        self.rows, self.ready, self._wanted = {}, False, False
        self._stale.clear()

    def stop(self) -> None:
        """The window closes."""
        self._reckoner.stop()

    def ids(self, *states: str) -> list[int]:
        """The questions in these states."""
        return [id for id, row in self.rows.items() if row.state in states]

    def _note(self, ids: Sequence[int]) -> None:
        if self._wanted and self._session.is_open:
            self._stale.update(ids)
            self._reckoner.want("some", partial(_read, self._session.project, sorted(self._stale)))

    def _take(self, key: object, made: tuple[Sequence[int], dict[int, RowFact]]) -> None:
        asked, found = made
        if key == "all":
            self.rows, self.ready = found, True
        else:
            self._stale.difference_update(asked)
            several = not found.keys() <= self.rows.keys()
            self.rows.update(found)
            for id in set(asked) - found.keys():  # it is gone
                self.rows.pop(id, None)
            self.rows = dict(sorted(self.rows.items())) if several else self.rows
        if self.ready:
            self.changed.emit()


def _read(project: Project, ids: Sequence[int] | None = None) -> tuple[Sequence[int], dict[int, RowFact]]:
    """In a thread of its own: what was asked for, and what there is of it."""
    few = ids if ids is not None and len(ids) <= CHUNK else None  # many are read aside, where nobody waits for it
    titles = {one.id: " ".join(one.title.split()) or one.path for one in project.documents()}
    made = {
        id: RowFact(
            fact.state,
            fact.kind,
            titles.get(fact.document_id, "") if fact.document_id is not None else "",
            fact.rating,
            fact.failed,
            fact.passed,
        )
        for id, fact in project.facts(few).items()
    }
    return ids or (), made
