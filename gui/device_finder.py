"""Finds out in a thread what models can run on: a driver is asked in a child, which it may take with it."""

from __future__ import annotations

import threading
from typing import ClassVar

from PySide6.QtCore import QObject, Signal

from core.engine.devices import Device, devices_job, processor
from core.errors import JobFailed, UserError
from core.worker import Worker

PATIENCE = 2  # seconds that the window waits for it when it closes


class DeviceFinder(QObject):
    """Looks once; whoever asks later is told the same."""

    found = Signal(object)  # a list of Device, the processor last

    _known: ClassVar[list[Device] | None] = None  # what is built in does not change while the app runs

    def __init__(self) -> None:
        super().__init__()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="devices", daemon=True)

    def start(self) -> None:
        """Begins to look, or says at once what is known."""
        if DeviceFinder._known is None:
            self._thread.start()
        else:
            self.found.emit(DeviceFinder._known)

    def stop(self) -> None:
        """Nothing is said any more. Comes back when it is over, or after a moment."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(PATIENCE)

    def _run(self) -> None:
        try:
            with Worker() as worker:
                found = next(worker.run(devices_job, cancelled=self._stopped.is_set), [processor()])
        except (UserError, JobFailed):  # a driver that ends its process is of no use for models either
            found = [processor()]
        if not self._stopped.is_set():
            DeviceFinder._known = found
            self.found.emit(found)
