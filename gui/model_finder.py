"""Finds the models at hand in a thread of its own: to read many headers, or one on a slow disk, takes a while."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from core import paths
from core.errors import UserError
from core.models.shelf import Shelved, shelf

PATIENCE = 2  # seconds that the window waits for it when it closes


class ModelFinder(QObject):
    """One search."""

    found = Signal(object)  # each Shelved
    ended = Signal(object)  # all of them, a list

    def __init__(self, chosen: Sequence[Path]) -> None:
        super().__init__()
        self._chosen, self._stopped = chosen, False
        self._thread = threading.Thread(target=self._run, name="models", daemon=True)

    def start(self) -> None:
        """Begins to look."""
        self._thread.start()

    def abandon(self) -> None:
        """Nothing is said any more; it ends soon by itself."""
        self._stopped = True

    def stop(self) -> None:
        """The same. Comes back when it is over, or after a moment."""
        self.abandon()
        self._thread.join(PATIENCE)

    @property
    def alive(self) -> bool:
        """Whether its thread still runs."""
        return self._thread.is_alive()

    def _run(self) -> None:
        all: list[Shelved] = []
        try:
            for one in shelf(self._chosen):
                if self._stopped:
                    return
                all.append(one)
                self.found.emit(one)
        except (UserError, OSError) as error:
            all.append(Shelved(paths.starter_model(), None, str(error)))
        if not self._stopped:
            self.ended.emit(all)
