"""Computes the SHA-256 of a model file in a thread of its own, in the time that nothing else wants."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from core.errors import UserError
from core.models.checksum import hashing

PATIENCE = 2  # seconds that the window waits for it when it closes
NICE = 10  # how far it steps back behind the other threads, where a system lets a single thread do so


class ModelHasher(QObject):
    """One file, read once; what was computed before is known at once."""

    progressed = Signal(object, float)  # the file, and the fraction of it that is read
    known = Signal(object, str)  # the file, and its digest or the sentence that says why there is none

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path, self._stopped = path, False
        self._thread = threading.Thread(target=self._run, name="checksum", daemon=True)

    def start(self) -> None:
        """Begins to read."""
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
