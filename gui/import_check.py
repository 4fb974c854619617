"""Goes through a whole file in a thread, and counts which of its rows can be imported."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import Signal

from core.errors import Cancelled, UserError
from core.exchange.importing import Looked, earlier, look_through
from core.exchange.mapping import Mapping
from core.project.project import Project
from core.project.records import Run
from core.tables import Fault
from gui.background import Background

EVERY = 0.2  # seconds between two words about it


@dataclass(frozen=True)
class Checked:
    """What was found so far. `share` is how much of the file that is; `problem` is why no more can be read."""

    good: int = 0
    bad: int = 0
    share: float = 0.0
    over: bool = False
    faults: tuple[Fault, ...] = ()  # the first, once it is over
    restored: int = 0  # rows that find their evidence in this project
    earlier: Run | None = None  # the import of this very file before
    problem: str = ""


class Check(Background):
    """Of one file and one mapping."""

    found = Signal(object, object)  # itself, and a Checked

    def __init__(self, project: Project, path: Path, mapping: Mapping) -> None:
        super().__init__("import")
        self._project, self._path, self._mapping = project, path, mapping

    def _run(self) -> None:
        try:
            done = self._looked(self._look())
        except Cancelled:
            return
        except UserError as error:
            done = Checked(over=True, problem=str(error))
        if not self._stopped:
            self.found.emit(self, done)

    def _look(self) -> Looked:
        looking = look_through(self._project, self._path, self._mapping, lambda: self._stopped)
        said = time.monotonic()
        while True:
            try:
                far = next(looking)
            except StopIteration as end:
                return end.value
            if time.monotonic() - said > EVERY and not self._stopped:
                said = time.monotonic()
                self.found.emit(self, Checked(far.rows, far.bad, far.share))

    def _looked(self, looked: Looked) -> Checked:
        before = earlier(self._project, looked.sha256)
        return Checked(looked.rows, looked.bad, 1.0, True, looked.faults, looked.restored, before)
