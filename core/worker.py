"""A child process that runs one generator at a time and may die without taking the application with it.

llama.cpp, torch and PDF parsing live only here: they abort, loop and eat memory on bad input, and the application must
notice no more than a sentence.
"""

import contextlib
import ctypes
import errno
import multiprocessing
import os
import pickle
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any, TypeVar

import psutil

from core.errors import JobFailed, UserError

T = TypeVar("T")

CANCEL_GRACE = 1.5  # seconds a job has to stop by itself after a cancel, before its process is killed
KILL_GRACE = 5.0  # seconds that the system has to end a killed process, which a driver may hold
POLL = 0.05  # seconds between two looks at the time and the memory of the child
LONGEST_PAUSE = 1.0  # seconds that may pass for the parent between two looks: beyond that it did not run itself
WAITING = 16  # messages of the child that wait in the parent, before the child has to
LARGEST = 1 << 30  # bytes of one message: what claims to be longer is garbage
OUT_OF_MEMORY = 112  # exit code of a child that has no memory left to say so
PREFERRED_VICTIM = 500  # of 1000: how much rather than the window the system takes the child when memory is short

# In the child: the number of the running job, and of the last one that the parent asked to stop; signs of life.
_running_job = 0
_cancelled_job = 0
_beats: Any = ctypes.c_uint64()


class WorkerDied(UserError):
    """The child process ended without finishing its job: a crash, or the system took its memory."""


class WorkerHung(WorkerDied):
    """The child gave no sign of life within the time allowed for that; it was killed."""


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
    """Whether the running job was asked to stop. Jobs look at this between two decodes, pages or rows.

    Who asks is alive: it counts as a `beat`.
    """
    beat()
    return _cancelled_job >= _running_job > 0


def beat() -> None:
    """A sign of life of the running job, which costs nothing. An item that it yields is one too."""
    _beats.value += 1


class Worker:
    """One child process, started when first needed, replaced when it dies, kept warm between jobs.

    A job is a generator function of `core` called with plain data; what it yields is plain data too (frozen
    dataclasses). Use `run` to iterate, or `start` and `receive` from an event loop.
    """

    def __init__(self) -> None:
        self._process: Any = None
        self._inbox: _Inbox | None = None
        self._control: Connection | None = None
        self._lifeline: Connection | None = None
        self._sender: threading.Thread | None = None
        self._beats: Any = multiprocessing.get_context("spawn").RawValue(ctypes.c_uint64, 0)
        self._silence = Silence()
        self._hang_timeout: float | None = None
        self._memory_limit: int | None = None
        self._busy = False
        self._number = 0
        self._cancelled_at: float | None = None

    def run(
        self,
        job: Callable[..., Iterator[T]],
        *arguments: Any,
        item_timeout: float | None = None,
        hang_timeout: float | None = None,
        memory_limit: int | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Generator[T, None, None]:
        """Yields the job's items as they are made; ends early, without an error, after `cancel`.

        `cancelled` is asked again and again; the job is cancelled when it says so.
        `item_timeout` (seconds) bounds the wait for each item, `hang_timeout` (seconds) the wait for a sign of life
        (see `beat`), `memory_limit` (bytes) the growth of the child's memory since the job began. Raises WorkerDied,
        WorkerHung, ItemTimeout, MemoryExceeded, the job's own UserError, or JobFailed for a bug.
        """
        self.start(job, *arguments, hang_timeout=hang_timeout, memory_limit=memory_limit)
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

    def start(
        self,
        job: Callable[..., Iterator[Any]],
        *arguments: Any,
        hang_timeout: float | None = None,
        memory_limit: int | None = None,
    ) -> None:
        """Begins a job. Only one runs at a time."""
        if self._busy:
            raise RuntimeError("the worker is busy")
        message = pickle.dumps((self._number + 1, job, arguments))
        if not self.alive:
            self._spawn()
        assert self._inbox is not None
        self._memory_limit = memory_limit and memory_limit + self._memory()
        self._hang_timeout, self._silence = hang_timeout, Silence()
        self._busy, self._cancelled_at = True, None
        self._number += 1
        # From a thread: a child that hangs while it starts reads nothing, and a large message fills the pipe.
        self._sender = threading.Thread(target=_send, args=(self._inbox.pipe, message), daemon=True)
        self._sender.start()

    def receive(self, timeout: float = 0.0) -> list[Any]:
        """The next item in a list of one, or an empty list when none came within `timeout` seconds or the job ended."""
        if not self._busy:
            return []
        assert self._inbox is not None
        try:
            data = self._inbox.get(timeout)
            if data is None:
                self._enforce_limits()
                return []
            message = _read(data)
        except (EOFError, pickle.UnpicklingError) as error:
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
        self._enforce_limits(heard=True)  # a job that never pauses is bound by them too
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
        """Ends the child at once, and leaves no process, thread or pipe of it behind."""
        self._busy = False
        if self._process is not None:
            self._process.kill()
            self._process.join(KILL_GRACE)
            if self._process.exitcode is not None:
                self._process.close()
        if self._sender is not None:  # before its pipe is closed, whose number another file may get
            self._sender.join(KILL_GRACE)
        if self._inbox is not None:
            self._inbox.close()
        for connection in (self._control, self._lifeline):
            if connection is not None:
                connection.close()
        self._process = self._inbox = self._control = self._lifeline = self._sender = None

    close = kill

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _spawn(self) -> None:
        self.kill()
        context = multiprocessing.get_context("spawn")
        pipe, jobs = context.Pipe()
        self._control, control = context.Pipe()
        lifeline, self._lifeline = context.Pipe(duplex=False)
        given = (jobs, control, lifeline, self._beats)
        process = context.Process(target=_serve, args=given, name="elenchus-worker", daemon=True)
        try:
            with _sigint_blocked():
                process.start()
        finally:
            self._inbox = _Inbox(pipe)
            for connection in (jobs, control, lifeline):
                connection.close()
        self._process = process

    def _memory(self) -> int:
        try:
            return psutil.Process(self._process.pid).memory_info().rss
        except psutil.Error:
            return 0

    def _enforce_limits(self, heard: bool = False) -> None:
        silence = self._silence.since(None if heard else self._beats.value)
        if self._cancelled_at is not None and time.monotonic() - self._cancelled_at > CANCEL_GRACE:
            self.kill()
        elif self._memory_limit is not None and self._memory() > self._memory_limit:
            self.kill()
            raise MemoryExceeded("It needed more memory than one item may use.")
        elif self._hang_timeout is not None and silence > self._hang_timeout:
            self.kill()
            raise WorkerHung(f"The worker process gave no sign of life for {silence:.0f} seconds and was ended.")

    def _died(self, cause: BaseException) -> None:
        self._process.join(timeout=1)
        sentence = _how_it_ended(self._process.exitcode)
        was_cancelled = self._cancelled_at is not None
        self.kill()
        if not was_cancelled:
            raise WorkerDied(sentence) from cause


class Silence:
    """How long a child has given no sign of life, counted only while the parent itself is running.

    A machine that was asleep, or a command that was stopped in its terminal, has heard nothing either.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._looked = clock, clock()
        self._beats: int | None = None
        self._seconds = 0.0

    def since(self, beats: int | None) -> float:
        """Seconds of silence at this look; `beats` is the child's count so far, None when something else was heard."""
        now = self._clock()
        passed, self._looked = now - self._looked, now
        self._seconds = self._seconds + min(passed, LONGEST_PAUSE) if beats == self._beats is not None else 0.0
        self._beats = beats
        return self._seconds


class _Inbox:
    """What the child sends, read by a thread: a child that stops in the middle of a message keeps nobody waiting."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe
        self._messages: queue.Queue[bytes | None] = queue.Queue(WAITING)  # None at the end
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def get(self, timeout: float) -> bytes | None:
        """The next message, None when none came within `timeout` seconds. Raises EOFError when there will be none."""
        try:
            message = self._messages.get(timeout=timeout) if timeout else self._messages.get_nowait()
        except queue.Empty:
            return None
        if message is None:
            raise EOFError("the child closed its end")
        return message

    def close(self) -> None:
        """Forgets what nobody took, once the child has gone."""
        deadline = time.monotonic() + KILL_GRACE
        while self._thread.is_alive() and time.monotonic() < deadline:
            with contextlib.suppress(queue.Empty):
                self._messages.get_nowait()
            self._thread.join(0.01)
        if not self._thread.is_alive():
            self.pipe.close()

    def _listen(self) -> None:
        try:
            while True:
                self._messages.put(self.pipe.recv_bytes(LARGEST))
        except (EOFError, OSError, MemoryError):
            self._messages.put(None)


def _read(data: bytes) -> Any:
    try:
        return pickle.loads(data)
    except Exception as error:  # a child whose memory is spoilt may send anything
        raise pickle.UnpicklingError("the child sent something unreadable") from error


def _how_it_ended(code: int | None) -> str:
    """A sentence about an exit code that nobody asked for; None while it has not ended."""
    if code is None:
        return "The worker process could not be understood any more and was ended."
    if code == OUT_OF_MEMORY:
        return "The worker process ran out of memory."
    if code == -getattr(signal, "SIGKILL", 0):
        return "The worker process was ended from outside, perhaps because the computer ran out of memory."
    name = f"exit code {code}"
    if code < 0:
        with contextlib.suppress(ValueError):
            name = signal.Signals(-code).name
    return f"The worker process ended unexpectedly ({name})."


def _send(pipe: Connection, message: bytes) -> None:
    with contextlib.suppress(OSError):  # the child died: whoever receives is told
        pipe.send_bytes(message)


@contextlib.contextmanager
def _sigint_blocked() -> Iterator[None]:
    """A child that is started inside does not hear Ctrl+C before it has said that it ignores it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # the first child starts it, and that would unblock the signal again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(jobs: Connection, control: Connection, lifeline: Connection, beats: Any) -> None:
    """The child's main loop: one job after the other until the parent goes away."""
    global _running_job, _beats
    _beats = beats
    _become_expendable()
    _die_with_parent(lifeline)
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
            if _for_want_of_memory(error):
                os._exit(OUT_OF_MEMORY)  # a message would need some, and what the job leaves behind would stay
            jobs.send(_Failed(None, f"{type(error).__name__}: {error}", traceback.format_exc()))


def _for_want_of_memory(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or str(error) == "can't start new thread"


def _become_expendable() -> None:
    """When memory is short the system takes this process first; when it crashes, at once: no dump, no dialog."""
    if sys.platform == "win32":
        ctypes.windll.kernel32.SetErrorMode(0x0001 | 0x0002)  # SEM_FAILCRITICALERRORS, SEM_NOGPFAULTERRORBOX
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # of a loaded model it has gigabytes, written before it ends
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write(str(PREFERRED_VICTIM))


def _die_with_parent(lifeline: Connection) -> None:
    """On Linux the kernel kills this process when the parent's end closes, even one that is stopped or keeps the GIL.

    Nothing is ever sent through it. Elsewhere `_obey` has to see the end of the parent.
    """
    if sys.platform == "linux":
        import fcntl

        fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)


def _obey(control: Connection) -> None:
    """Listens for a cancel; when the parent is gone, ends this process whatever it is doing."""
    global _cancelled_job
    while True:
        try:
            _cancelled_job = control.recv()
        except (EOFError, OSError):
            os._exit(0)
