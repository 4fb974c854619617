"""What the commands have in common: data on stdout, progress on stderr, and Ctrl+C that keeps what is finished."""

import json
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.errors import Cancelled


class Stopped(Cancelled):
    """Cancelled, and the text says how to go on."""


@contextmanager
def opened(project_class: Any, path: Path, read_only: bool = False) -> Iterator[Any]:
    """The project, opened; says so when it could only be opened for reading."""
    with project_class.open(path, read_only=read_only) as project:
        if project.notice and not read_only:
            say(project.notice)
        yield project


@contextmanager
def interruptible(worker: Any = None) -> Iterator[Callable[[], bool]]:
    """Ctrl+C, or a polite end from outside, cancels the job, lets what is finished be kept, and exits with 130.

    Gives a function that says whether that has happened.
    """
    received: list[int] = []

    def cancel(number: int, frame: object) -> None:
        received.append(number)
        if worker is not None:
            worker.cancel()

    signals = [signal.SIGINT, signal.SIGTERM]
    before = [signal.signal(number, cancel) for number in signals]
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
    if received:
        raise KeyboardInterrupt


class ProgressLine:
    """One line on stderr that changes in place; where stderr is no terminal, a line every few seconds."""

    def __init__(self, title: str) -> None:
        self._title, self._live, self._width = title, sys.stderr.isatty(), 0
        self._last = time.monotonic()
        self._first: tuple[float, int] | None = None  # when, and how many were done

    def show(self, text: str) -> None:
        now = time.monotonic()
        if now - self._last < (0.1 if self._live else 10.0):
            return
        self._last = now
        line = f"{self._title}: {text}"
        if self._live:
            print(f"\r{line:<{self._width}}", end="", file=sys.stderr, flush=True)
            self._width = len(line)
        else:
            say(line)

    def show_count(self, done: int, total: int) -> None:
        """So many of all, and about how long the rest takes by the pace since the first count that was shown."""
        now = time.monotonic()
        if self._first is None:
            self._first = (now, done)
        began, before = self._first
        left = f", about {_lasting((now - began) * (total - done) / (done - before))} left" if done > before else ""
        self.show(f"{done:,} of {total:,}{left}")

    def show_page(self, done: int, total: int) -> None:
        self.show(f"page {done} of {total}")

    def end(self, text: str = "") -> None:
        if self._live and self._width:
            print(f"\r{'':<{self._width}}\r", end="", file=sys.stderr, flush=True)
            self._width = 0
        if text:
            say(text)


def followed(steps: Generator[Any, None, Any], progress: ProgressLine) -> Any:
    """Shows how far something is that yields `done` of `total`, at what `stage` if it says so, or Loading.

    What says no stage is the making of vectors, which comes first and takes longest. Gives its result.
    """
    vectors = ProgressLine("Making vectors")
    while True:
        try:
            item = next(steps)
        except StopIteration as stop:
            vectors.end()
            progress.end()
            return stop.value
        if (loading := getattr(item, "fraction", None)) is not None:
            progress.show(f"loading the model, {loading:.0%}")
        elif stage := getattr(item, "stage", ""):
            vectors.end()
            progress.show(f"{stage}, {item.done:,} of {item.total:,}")
        else:
            progress.end()
            vectors.show_count(item.done, item.total)


def _lasting(seconds: float) -> str:
    """A time in whole minutes, or in seconds where it is less than one."""
    count, unit = (round(seconds), "second") if seconds < 60 else (round(seconds / 60), "minute")
    return f"{count:,} {unit}{'' if count == 1 else 's'}"


def tell_of_model(progress: ProgressLine, item: Any) -> None:
    """Says that a model is loaded, or that its process is made anew; what is neither is not told of."""
    from core.engine.requests import Loaded, Loading
    from core.retrying import Restarted

    if isinstance(item, Loading):
        progress.show(f"loading the model, {item.fraction:.0%}")
    elif isinstance(item, Loaded):
        progress.end(f"Asking {item.name} on {item.device}. {item.note}".rstrip())
    elif isinstance(item, Restarted):
        progress.end(f"{item.reason} The work goes on in a fresh one.")


def typed(*parts: object) -> str:
    """A command as it is typed, with what needs it in quotes."""
    words = [str(part) for part in parts]
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)


def print_json(value: dict[str, Any]) -> None:
    print(json.dumps(value, ensure_ascii=False), flush=True)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def counted(count: int, what: str, many: str = "") -> str:
    """So many of something: “1 row”, “2,000 rows”; `many` where it is not `what` with an s."""
    return f"{count:,} {what if count == 1 else many or what + 's'}"
