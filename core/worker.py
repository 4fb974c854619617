"""A child process that runs one generator at a time and may die without taking the application with it.

llama.cpp, torch and PDF parsing live only here: they abort, loop and eat memory on bad input, and the application must
notice no more than a sentence.
"""

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, TypeVar

import psutil

from core.errors import JobFailed, UserError

T = TypeVar("T")

CANCEL_GRACE = 1.5  # seconds a job has to stop by itself after a cancel, before its process is killed
POLL = 0.05  # seconds between two looks at the time and the memory of the child

# In the child: the number of the running job, and of the last one that the parent asked to stop.
_running_job = 0
_cancelled_job = 0


class WorkerDied(UserError):
    """The child process ended without finishing its job: a crash, or the system took its memory."""


class ItemTimeout(UserError):
    """The job gave no item within the time allowed for one; its process was killed."""


class MemoryExceeded(UserError):
    """The job used more memory than it was allowed; its process was killed."""


@dataclass(frozen=True)
class _Finished:
    pass


@dataclass(frozen=True)
class _Failed:
    error: bytes | None  # a pickled UserError, or None for a bug
    message: str
    details: str


def cancelled() -> bool:
    """Whether the running job was asked to stop. Jobs look at this between two decodes, pages or rows."""
    return _cancelled_job >= _running_job > 0


class Worker:
    """One child process, started when first needed, replaced when it dies, kept warm between jobs.

    A job is a generator function of `core` called with plain data; what it yields is plain data too (frozen
    dataclasses). Use `run` to iterate, or `start` and `receive` from an event loop.
    """

    def __init__(self) -> None:
        self._process: Any = None
        self._jobs: Connection | None = None
        self._control: Connection | None = None
        self._memory_limit: int | None = None
        self._busy = False
        self._number = 0
        self._cancelled_at: float | None = None

    def run(
        self,
        job: Callable[..., Iterator[T]],
        *arguments: Any,
        item_timeout: float | None = None,
        memory_limit: int | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Generator[T, None, None]:
        """Yields the job's items as they are made; ends early, without an error, after `cancel`.

        `cancelled` is asked again and again; the job is cancelled when it says so.
        `item_timeout` (seconds) bounds the wait for each item, `memory_limit` (bytes) the growth of the child's
        memory since the job began. Raises WorkerDied, ItemTimeout, MemoryExceeded, the job's own UserError, or
        JobFailed for a bug.
        """
        self.start(job, *arguments, memory_limit=memory_limit)
        try:
            while True:
                deadline = None if item_timeout is None else time.monotonic() + item_timeout
                while True:
                    if cancelled is not None and cancelled():
                        self.cancel()
                    if (ready := self.receive(POLL)) or not self._busy:
                        break
                    if deadline is not None and time.monotonic() > deadline:
                        self.kill()
                        raise ItemTimeout(f"Nothing came within {item_timeout:.0f} seconds.")
                if not ready:
                    return
                yield ready[0]
        finally:
            if self._busy:  # the caller stopped listening
                self.kill()

    def start(self, job: Callable[..., Iterator[Any]], *arguments: Any, memory_limit: int | None = None) -> None:
        """Begins a job. Only one runs at a time."""
        if self._busy:
            raise RuntimeError("the worker is busy")
        if not self.alive:
            self._spawn()
        assert self._jobs is not None
        self._memory_limit = memory_limit and memory_limit + self._memory()
        self._busy, self._cancelled_at = True, None
        self._number += 1
        # From a thread: a child that hangs while it starts reads nothing, and a large message fills the pipe.
        message, pipe = (self._number, job, arguments), self._jobs
        threading.Thread(target=_send, args=(pipe, message), daemon=True).start()

    def receive(self, timeout: float = 0.0) -> list[Any]:
        """The next item in a list of one, or an empty list when none came within `timeout` seconds or the job ended."""
        if not self._busy:
            return []
        assert self._jobs is not None
        try:
            if not self._jobs.poll(timeout):
                self._enforce_limits()
                return []
            message = self._jobs.recv()
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            self._died(error)
            return []
        if isinstance(message, _Finished):
            self._busy = False
            return []
        if isinstance(message, _Failed):
            self._busy = False
            if message.error is not None:
                raise pickle.loads(message.error)
            raise JobFailed(message.message, message.details)
        self._enforce_limits()  # a job that never pauses is bound by them too
        return [message]

    @property
    def busy(self) -> bool:
        """Whether a job is running."""
        return self._busy

    @property
    def alive(self) -> bool:
        """Whether there is a child, with all that jobs have left warm in it."""
        return self._process is not None and self._process.is_alive()

    def cancel(self) -> None:
        """Asks the job to stop; its process is killed when it has not stopped after a moment."""
        if self._busy and self._cancelled_at is None:
            self._cancelled_at = time.monotonic()
            try:
                assert self._control is not None
                self._control.send(self._number)
            except OSError:
                pass  # it died: the next receive says so

    def kill(self) -> None:
        """Ends the child at once."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
        for connection in (self._jobs, self._control):
            if connection is not None:
                connection.close()
        self._process = self._jobs = self._control = None
        self._busy = False

    close = kill

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _spawn(self) -> None:
        self.kill()
        context = multiprocessing.get_context("spawn")
        self._jobs, jobs = context.Pipe()
        self._control, control = context.Pipe()
        process = context.Process(target=_serve, args=(jobs, control), name="elenchus-worker", daemon=True)
        with _sigint_blocked():
            process.start()
        self._process = process
        jobs.close()
        control.close()

    def _memory(self) -> int:
        try:
            return psutil.Process(self._process.pid).memory_info().rss
        except psutil.Error:
            return 0

    def _enforce_limits(self) -> None:
        if self._cancelled_at is not None and time.monotonic() - self._cancelled_at > CANCEL_GRACE:
            self.kill()
        elif self._memory_limit is not None and self._memory() > self._memory_limit:
            self.kill()
            raise MemoryExceeded("It needed more memory than one item may use.")

    def _died(self, cause: BaseException) -> None:
        was_cancelled = self._cancelled_at is not None
        process = self._process
        if process is not None:
            process.join(timeout=1)
        code = process.exitcode if process is not None else None
        self.kill()
        if not was_cancelled:
            raise WorkerDied(f"The worker process ended unexpectedly (exit code {code}).") from cause


def _send(pipe: Connection, message: object) -> None:
    with contextlib.suppress(OSError):  # the child died: whoever receives is told
        pipe.send(message)


@contextlib.contextmanager
def _sigint_blocked() -> Iterator[None]:
    """A child that is started inside does not hear Ctrl+C before it has said that it ignores it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(jobs: Connection, control: Connection) -> None:
    """The child's main loop: one job after the other until the parent goes away."""
    global _running_job
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches the whole group: the parent decides what it means
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_obey, args=(control,), daemon=True).start()
    while True:
        try:
            _running_job, job, arguments = jobs.recv()
        except (EOFError, OSError):
            return
        try:
            for item in job(*arguments):
                jobs.send(item)
            jobs.send(_Finished())
        except (BrokenPipeError, ConnectionResetError):
            return
        except UserError as error:
            jobs.send(_Failed(pickle.dumps(error), str(error), ""))
        except Exception as error:
            jobs.send(_Failed(None, f"{type(error).__name__}: {error}", traceback.format_exc()))


def _obey(control: Connection) -> None:
    """Listens for a cancel; when the parent is gone, ends this process whatever it is doing."""
    global _cancelled_job
    while True:
        try:
            _cancelled_job = control.recv()
        except (EOFError, OSError):
            os._exit(0)
