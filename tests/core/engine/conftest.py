"""Models to test the engine with, and a short way to ask them."""

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.engine import close_engine, open_engine
from core.engine.engine import Engine
from core.engine.requests import Completion, EngineSettings, Request, Task
from tests.data.gguf_tiny import write_tiny


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("models") / "tiny.gguf")


@pytest.fixture(scope="session")
def stories(shared: Path) -> Path:
    """A real model of 1.2 MB."""
    return shared / "models" / "stories260K.gguf"


def loaded(loading: Generator[Any, None, Engine]) -> Engine:
    while True:
        try:
            next(loading)
        except StopIteration as stop:
            return stop.value


OpenEngine = Callable[..., Engine]


@pytest.fixture
def opened() -> Iterator[OpenEngine]:
    """Opens engines: `opened(path, sequences=4)`."""

    def open_with(path: Path, **settings: Any) -> Engine:
        return loaded(open_engine(path, EngineSettings(**{"context": 2048, "sequences": 8, "threads": 1} | settings)))

    yield open_with
    close_engine()


def one(request: Request) -> Task[Completion]:
    """A task of one request."""
    return (yield request)


@pytest.fixture
def ask() -> Callable[..., list[Completion]]:
    """Answers requests together; the answers in the order of the requests."""

    def answers(engine: Engine, *requests: Request) -> list[Completion]:
        def task(number: int, request: Request) -> Task[tuple[int, Completion]]:
            return number, (yield request)

        done = dict(engine.run(task(number, request) for number, request in enumerate(requests)))
        return [done[number] for number in range(len(requests))]

    return answers
