"""Computes the SHA-256 of a model file in a thread of its own, in the time that nothing else wants."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

from PySide6.QtCore import Signal

from core.errors import UserError
from core.models.checksum import hashing
from gui.background import Background

NICE = 10  # how far it steps back behind the other threads, where a system lets a single thread do so


class ModelHasher(Background):
    """One file, read once; what was computed before is known at once."""

    progressed = Signal(object, float)  # the file, and the fraction of it that is read
    known = Signal(object, str)  # the file, and its digest or the sentence that says why there is none

    def __init__(self, path: Path) -> None:
        super().__init__("checksum")
        self._path = path

    def _run(self) -> None:
        if sys.platform == "linux":
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        try:
            for done in hashing(self._path):
                if self._stopped:
                    return
                if isinstance(done, str):
                    self.known.emit(self._path, done)
                else:
                    self.progressed.emit(self._path, done)
        except UserError as error:
            if not self._stopped:
                self.known.emit(self._path, str(error))
