"""What works in a thread of its own beside the lanes: abandoned at once, and waited for when the window closes."""

from __future__ import annotations

import threading

from PySide6.QtCore import QObject

PATIENCE = 2  # seconds that the window waits for it when it closes


class Background(QObject):
    """Runs `_run` once in a thread; that looks at `_stopped` and says nothing after it."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._abandoned = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def abandon(self) -> None:
        """Nothing is said any more; it ends soon by itself."""
        self._abandoned.set()

    def stop(self) -> None:
        """The same. Comes back when it is over, or after a moment."""
        self.abandon()
        if self.alive:
            self._thread.join(PATIENCE)

    @property
    def alive(self) -> bool:
        """Whether its thread still runs."""
        return self._thread.is_alive()

    @property
    def _stopped(self) -> bool:
        return self._abandoned.is_set()

    def _run(self) -> None:
        """The work."""
        raise NotImplementedError
