"""One answer in a chat as the work of a job: drives `core.chat.converse` and reports what comes of it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject

from core.chat import converse
from core.engine.requests import Adapter, Loaded, Loading, Request
from core.engine.stepping import SteppingDown
from core.errors import Cancelled, UserError
from gui.jobs import Job, Status


class ChatRun(QObject):
    """Reports Loaded, Piece and Answer, the UserError that was in the way, and None when the model's child is gone."""

    def __init__(
        self, model: Path, request: Request, adapter: Adapter | None, stepping: dict[str, SteppingDown]
    ) -> None:
        """`stepping` remembers for each lane what had to be stepped down."""
        super().__init__()
        self._model, self._request, self._adapter, self._stepping = model, request, adapter, stepping

    def __call__(self, job: Job) -> None:
        assert job.worker is not None
        stepping = self._stepping.setdefault(job.lane, SteppingDown(job.worker))
        try:
            for item in converse(stepping, self._model, self._request, self._adapter, job.cancelled):
                if isinstance(item, Loading):
                    job.say(Status(self.tr("Loading the model, {:.0%}").format(item.fraction)))
                    continue
                if isinstance(item, Loaded):
                    job.say(Status(self.tr("Reading the conversation")))
                else:
                    job.say(Status(self.tr("Answering")))
                job.report(item)
        except Cancelled:
            raise
        except UserError as error:
            job.report(error)
        finally:
            if not job.worker.alive:
                job.report(None)
