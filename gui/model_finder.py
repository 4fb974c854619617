"""Finds the models at hand in a thread of its own: to read many headers, or one on a slow disk, takes a while."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Signal

from core import paths
from core.errors import UserError
from core.models.shelf import Shelved, shelf
from gui.background import Background


class ModelFinder(Background):
    """One search."""

    found = Signal(object)  # each Shelved
    ended = Signal(object)  # all of them, a list

    def __init__(self, chosen: Sequence[Path]) -> None:
        super().__init__("models")
        self._chosen = chosen

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
