"""Goes on where loading a model ended its process: in a new child, with less. For the parent; no native code.

Some of llama.cpp's backends end the process when memory runs out, so the child cannot step down by itself.
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from core.engine.requests import EngineSettings, Loading, Trying
from core.worker import Worker, WorkerDied

T = TypeVar("T")

HANG_TIMEOUT = 120.0  # seconds without a sign of life: a GPU may compile its programs for a minute at first
MOST_DEATHS = 3  # of loading one model; what dies more often does not die for want of memory


class SteppingDown:
    """Runs jobs that load a model, and remembers for the next one how far it had to step down."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._rungs: dict[tuple[Path, EngineSettings], int] = {}

    def run(
        self, job: Callable[..., Iterator[T]], path: Path, settings: EngineSettings, *arguments: Any, **options: Any
    ) -> Generator[T, None, None]:
        """As `worker.run(job, path, settings, …)`, whose exceptions it raises; `options` are those of `Worker.run`.

        A job whose child dies between a `Trying` and what follows the loading begins anew, at the rung below; from
        the second time on, at a rung that leaves the graphics card alone. A death after that is the caller's.
        """
        key, deaths = (path, settings), 0
        while True:
            attempt = replace(settings, rung=self._rungs.get(key, settings.rung))
            trying: Trying | None = None
            try:
                for item in self._worker.run(job, path, attempt, *arguments, **options):
                    if isinstance(item, Trying):
                        trying = item
                    elif not isinstance(item, Loading):
                        trying = None
                    yield item
                return
            except WorkerDied:
                deaths += 1
                if trying is None or deaths == MOST_DEATHS:
                    raise
                self._rungs[key] = max(trying.rung + 1, trying.processor_rung if deaths > 1 else 0)
