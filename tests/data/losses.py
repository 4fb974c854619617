"""The loss of answers under a model, row by row, as the engine scores them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.engine.requests import Adapter, EngineSettings, Score, Scores, Task


@dataclass(frozen=True)
class Loss:
    """Nats a token of the answer of one row."""

    place: int
    nats: float


def losses_job(
    model: Path, settings: EngineSettings, adapter: Adapter | None, rows: Sequence[tuple[str, str]]
) -> Iterator[Any]:
    """A job: scores the answer of each (question, answer) after its question."""
    from core.engine import run_tasks

    def task(place: int, question: str, answer: str) -> Task[Loss]:
        scores = yield Score((("user", question),), (answer,))
        assert isinstance(scores, Scores)
        return Loss(place, -scores.options[0].mean)

    tasks = [task(place, *row) for place, row in enumerate(rows)]
    yield from run_tasks(model, settings, lambda _: tasks, adapter)
