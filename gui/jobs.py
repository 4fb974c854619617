"""Long work in the background: each lane has a thread and a worker child, and does one job after the other.

A job runs in its lane's thread, where it drives the generators of `core`: the child parses and computes, the thread
commits, the window only listens.
"""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QObject, Qt, Signal

from core.errors import Cancelled, JobFailed, UserError
from core.worker import Worker


@dataclass(frozen=True)
class Status:
    """How far a job is. `total` 0 means that nobody knows; `detail` is a short text such as “61 tokens/s”."""

    text: str
    done: int = 0
    total: int = 0
    detail: str = ""


class Job(QObject):
    """One piece of long work. Its signals arrive in the window's thread."""

    status_changed = Signal(object)  # Status
    item_arrived = Signal(object)  # whatever the work passes to `report`
    ended = Signal(str)  # finished, cancelled or failed
    _over = Signal(object)  # itself, before `ended`

    def __init__(
        self,
        lane: str,
        title: str,
        work: Callable[[Job], None],
        stoppable: bool = True,
        in_bar: bool = True,
        stop_words: str = "",
    ) -> None:
        super().__init__()
        self.lane, self.title, self.work = lane, title, work
        self.stoppable = stoppable  # whether there is anything to stop: one transaction is all or nothing
        self.in_bar = in_bar  # whether the window's bar shows it: what is shown at its own place need not be there too
        self.stop_words = stop_words  # what its button says, where that does more than cancel
        self.state = "waiting"
        self.error: Exception | None = None
        self.details = ""  # of a bug: the traceback
        self.status = Status(title)
        self.worker: Worker | None = None
        self.retry: Callable[[], object] | None = None  # what the user may do after a failure
        self._cancel = threading.Event()
        self._turn = threading.Lock()  # held while deciding between a start and a cancel
        self._since = (0.0, 0)  # time.monotonic() and what was done when the present stretch of work began

    # For the work, in its own thread.

    def cancelled(self) -> bool:
        """Whether the user wants it to stop."""
        return self._cancel.is_set()

    def report(self, item: object) -> None:
        """Hands an item to whoever listens in the window."""
        self.item_arrived.emit(item)

    def say(self, status: Status) -> None:
        """Tells how far it is."""
        if status.total != self.status.total or status.done < self.status.done:
            self._since = (time.monotonic(), status.done)
        self.status = status
        self.status_changed.emit(status)

    # For the window.

    def cancel(self) -> None:
        """Asks it to stop: what is finished is kept, the child is killed when it does not stop soon.

        One that still waits is over at once.
        """
        self._cancel.set()
        with self._turn:
            waiting = self.state == "waiting"
            if waiting:
                self.state = "cancelled"
        if waiting:
            self._tell()

    @property
    def active(self) -> bool:
        """Whether it still waits or runs."""
        return self.state in ("waiting", "running")

    def seconds_left(self) -> float | None:
        """An estimate from the pace so far, once there is enough to go by."""
        status, (began, before) = self.status, self._since
        passed, done = time.monotonic() - began, status.done - before
        if self.state != "running" or not status.total or done < 1 or passed < 3:
            return None
        return passed / done * (status.total - status.done)

    # For its lane.

    def run(self, worker: Worker) -> None:
        """Does the work, unless it was cancelled before, and tells how it ended."""
        with self._turn:
            if self.state != "waiting":
                return
            self.state = "running"
        self.worker = worker
        state = self._do()
        self.worker = None
        if worker.busy:  # the work left a generator hanging: the next job needs the child
            worker.kill()
        self.state = state
        self._tell()

    def _do(self) -> str:
        try:
            self.work(self)
            return "cancelled" if self.cancelled() else "finished"
        except Cancelled:
            return "cancelled"
        except Exception as error:
            self.error = error
            if not isinstance(error, UserError):
                self.details = error.details if isinstance(error, JobFailed) else traceback.format_exc()
            # Frames that the error keeps alive may hold a generator of the worker: it would kill a later job's child.
            traceback.clear_frames(error.__traceback__)
            return "failed"

    def _tell(self) -> None:
        self._over.emit(self)
        self.ended.emit(self.state)


class Jobs(QObject):
    """All jobs of the window, in lanes that work side by side.

    "documents" reads PDFs, "model" runs the model, "compare" a second one that a chat compares it with, "download"
    brings models and has nothing to do with the project.
    """

    changed = Signal()  # a job was added or ended
    job_failed = Signal(object)  # the Job
    _added = Signal(str, object)  # lane, Job

    def __init__(self) -> None:
        super().__init__()
        self._lanes: dict[str, _Lane] = {}
        self.active: list[Job] = []
        self._past: deque[Job] = deque(maxlen=32)  # so that they are not destroyed in the thread of their lane
        self._added.connect(self._hand_over, Qt.ConnectionType.QueuedConnection)

    def start(
        self,
        lane: str,
        title: str,
        work: Callable[[Job], None],
        stoppable: bool = True,
        in_bar: bool = True,
        stop_words: str = "",
    ) -> Job:
        """Adds a job to a lane; it begins when the jobs before it are done.

        Not before the caller has returned to the event loop, so that signals connected by then miss nothing.
        """
        job = Job(lane, title, work, stoppable, in_bar, stop_words)
        self.active.append(job)
        job._over.connect(self._sweep)  # a bound slot: Qt brings the signal into the window's thread
        self._added.emit(lane, job)
        self.changed.emit()
        return job

    def any_in(self, *lanes: str) -> bool:
        """Whether a job of these lanes waits or runs."""
        return any(job.lane in lanes for job in self.active)

    def cancel_all(self) -> None:
        """Asks every job to stop; what unloads a model is wanted all the more then."""
        for job in self.active:
            if job.work is not _unload:
                job.cancel()

    def close(self) -> None:
        """Stops everything and waits until nothing writes any more."""
        for job in self.active:
            job.cancel()
        for lane in self._lanes.values():
            lane.queue.put(None)
        for lane in self._lanes.values():
            lane.thread.join()
        self._lanes.clear()
        self._past.extend(self.active)
        self.active = []
        self.changed.emit()

    def free(self, lane: str) -> Job:
        """Ends the lane's child, and with it frees the memory of its model, once the jobs before are done."""
        return self.start(lane, self.tr("Unloading"), _unload)

    def _hand_over(self, lane: str, job: Job) -> None:
        if job not in self.active:  # cancelled or closed meanwhile
            return
        if lane not in self._lanes:
            self._lanes[lane] = _Lane(lane)
        self._lanes[lane].queue.put(job)

    def _sweep(self, job: Job) -> None:
        if job not in self.active:
            return
        self.active = [other for other in self.active if other is not job]
        self._past.append(job)
        self.changed.emit()
        if job.state == "failed":
            self.job_failed.emit(job)


def _unload(job: Job) -> None:
    if job.worker is not None:
        job.worker.kill()


class _Lane:
    """A thread with a worker child of its own."""

    def __init__(self, name: str) -> None:
        self.queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._serve, name=f"lane-{name}", daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        with Worker() as worker:
            while (job := self.queue.get()) is not None:
                job.run(worker)
                del job
