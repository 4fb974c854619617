"""Finds out in a thread what models can run on: a driver is asked in a child, which it may take with it."""

from __future__ import annotations

from typing import ClassVar

from PySide6.QtCore import Signal

from core.engine.devices import Device, devices_job, processor
from core.errors import JobFailed, UserError
from core.worker import Worker
from gui.background import Background


class DeviceFinder(Background):
    """Looks once; whoever asks later is told the same."""

    found = Signal(object)  # a list of Device, the processor last

    _known: ClassVar[list[Device] | None] = None  # what is built in does not change while the app runs

    def __init__(self) -> None:
        super().__init__("devices")

    def start(self) -> None:
        """Begins to look, or says at once what is known."""
        if DeviceFinder._known is None:
            super().start()
        else:
            self.found.emit(DeviceFinder._known)

    def _run(self) -> None:
        try:
            with Worker() as worker:
                found = next(worker.run(devices_job, cancelled=self._abandoned.is_set), [processor()])
        except (UserError, JobFailed):  # a driver that ends its process is of no use for models either
            found = [processor()]
        if not self._stopped:
            DeviceFinder._known = found
            self.found.emit(found)
