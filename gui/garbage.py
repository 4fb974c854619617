"""Collects Python's garbage in the window's thread alone: a widget that another thread destroys takes the window down.

Python collects in whichever thread happens to allocate. What waits in reference cycles may be widgets, and Qt's own
events for them may be on their way just then.
"""

from __future__ import annotations

import gc

from PySide6.QtCore import QObject, QTimer

INTERVAL = 1000  # milliseconds


class Collector(QObject):
    """While it lives, collects from a timer and never otherwise; as often as Python itself would."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._begun = False
        gc.disable()
        self._timer = QTimer(self, interval=INTERVAL)
        self._timer.timeout.connect(self.collect)
        self._timer.start()

    def collect(self) -> None:
        """Collects the oldest generation that is due, when one is."""
        if not self._begun:  # what is there at the start stays to the end: no collection need look at it again
            self._begun = True
            gc.collect()
            gc.freeze()
        due = [made > limit for made, limit in zip(gc.get_count(), gc.get_threshold(), strict=True)]
        if any(due):
            gc.collect(max(age for age, is_due in enumerate(due) if is_due))
