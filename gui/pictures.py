"""Pictures of pages for the window: rendered in a child of their own when asked for, the newest first, and kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QImage

from core.documents.picture import Picture, render_page
from core.errors import JobFailed, UserError
from core.worker import Worker

KEPT = 256 * 1024 * 1024  # bytes of pictures
PATIENCE = 20.0  # seconds for one page
MEMORY = 1 << 30  # bytes that the child may grow by


@dataclass(frozen=True)
class Wanted:
    """One picture: a page (from 1) of a file at a scale in pixels a point."""

    path: str
    page: int
    scale: float


class Pictures(QObject):
    """Asks for pictures and keeps them; `ready` and `failed` come in the window's thread."""

    ready = Signal(object)  # the Wanted
    failed = Signal(object, str)  # the Wanted, and why

    def __init__(self, passwords: dict[str, str]) -> None:
        super().__init__()
        self._passwords = passwords
        self._kept: OrderedDict[Wanted, QImage] = OrderedDict()
        self._reasons: dict[Wanted, str] = {}
        self._waiting: list[Wanted] = []
        self._age = 0  # grows when something is forgotten: what was asked for before is out of date
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def get(self, wanted: Wanted) -> QImage | None:
        """The picture when it is there; else None, and `ready` follows."""
        with self._condition:
            if wanted in self._kept:
                self._kept.move_to_end(wanted)
                return self._kept[wanted]
            if wanted in self._reasons or self._closed:
                return None
            if wanted in self._waiting:
                self._waiting.remove(wanted)
            self._waiting.append(wanted)
            del self._waiting[:-8]  # who scrolls fast does not want what flew by
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="pictures", daemon=True)
                self._thread.start()
            self._condition.notify()
        return None

    def nearest(self, wanted: Wanted) -> QImage | None:
        """Any picture of the same page, to show until the right one comes."""
        with self._condition:
            found = [w for w in self._kept if (w.path, w.page) == (wanted.path, wanted.page)]
            return self._kept[found[-1]] if found else None

    def reason(self, wanted: Wanted) -> str:
        """Why there is no picture; empty when nothing went wrong."""
        return self._reasons.get(wanted, "")

    def forget(self, path: str) -> None:
        """Tries the pages of a file anew: its password was given, or it was put back."""
        with self._condition:
            self._age += 1
            self._reasons = {w: reason for w, reason in self._reasons.items() if w.path != path}
            for wanted in [w for w in self._kept if w.path == path]:
                del self._kept[wanted]

    def close(self) -> None:
        """Ends the thread and its child."""
        with self._condition:
            self._closed = True
            self._condition.notify()
        if self._thread is not None:
            self._thread.join()

    def _serve(self) -> None:
        with Worker() as worker:
            while True:
                with self._condition:
                    while not self._waiting and not self._closed:
                        self._condition.wait()
                    if self._closed:
                        return
                    wanted, age = self._waiting.pop(), self._age
                if wanted not in self._kept:
                    self._render(worker, wanted, age)

    def _render(self, worker: Worker, wanted: Wanted, age: int) -> None:
        arguments = (wanted.path, self._passwords.get(wanted.path), wanted.page, wanted.scale)
        try:
            made = list(
                worker.run(
                    render_page,
                    *arguments,
                    item_timeout=PATIENCE,
                    memory_limit=MEMORY,
                    cancelled=lambda: self._closed,
                )
            )
        except (UserError, JobFailed, OSError) as error:  # OSError: no child could be started
            with self._condition:
                if age == self._age:
                    self._reasons[wanted] = str(error)
            self.failed.emit(wanted, str(error))
            return
        for picture in made:
            with self._condition:
                if age == self._age:
                    self._kept[wanted] = _image(picture)
                while sum(image.sizeInBytes() for image in self._kept.values()) > KEPT and len(self._kept) > 1:
                    self._kept.popitem(last=False)
            self.ready.emit(wanted)


def _image(picture: Picture) -> QImage:
    shape = (picture.width, picture.height, picture.stride)
    return QImage(picture.pixels, *shape, QImage.Format.Format_RGB32).copy()  # QImage does not keep the bytes alive
