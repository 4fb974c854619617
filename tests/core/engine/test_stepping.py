"""Stepping down: in the child where that can go on, in a new one where it cannot."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.engine import close_engine, open_engine
from core.engine.requests import EngineSettings, Loaded, Loading, Trying
from core.engine.stepping import MOST_DEATHS, SteppingDown
from core.worker import Worker, WorkerDied
from tests.data.gguf_tiny import write_tiny

MODEL = Path("model.gguf")
LAST = 5
LOADED = Loaded("model", "CPU", 0, 2, 1024, 4, "chat")


def dying_job(path: Path, settings: EngineSettings, deadly: tuple[int, ...], how: str) -> Iterator[Any]:
    """Loads as a model does, and dies at the deadly rungs; then does its work."""
    rung = min(settings.rung, LAST)
    yield Trying(0.0, rung, 3, f"rung {rung}")
    yield Loading(0.5)
    if rung in deadly:
        if how == "exit":
            os._exit(1)
        os.abort() if how == "abort" else os.kill(os.getpid(), signal.SIGKILL)
    yield Loading(1.0)
    yield LOADED
    yield settings.rung


def dying_later_job(path: Path, settings: EngineSettings) -> Iterator[Any]:
    yield Trying(0.0, settings.rung)
    yield LOADED
    os.abort()


def dying_at_once_job(path: Path, settings: EngineSettings) -> Iterator[Any]:
    yield Loading(0.0)
    os.abort()


@pytest.fixture
def child() -> Iterator[Worker]:
    with Worker() as worker:
        yield worker


@pytest.mark.parametrize(
    ("how", "deadly", "tried"),
    [
        ("abort", (), [0]),
        ("abort", (0,), [0, 1]),
        ("exit", (0, 1, 2), [0, 1, 3]),  # the second time the graphics card is left alone
        ("kill", (3,), [3, 4]),
    ],
)
def test_a_child_that_dies_while_it_loads_goes_on_below(
    how: str, deadly: tuple[int, ...], tried: list[int], child: Worker
) -> None:
    items = list(SteppingDown(child).run(dying_job, MODEL, EngineSettings(rung=tried[0]), deadly, how))
    assert [item.rung for item in items if isinstance(item, Trying)] == tried
    assert items[-2:] == [LOADED, tried[-1]]


def test_the_next_job_begins_where_the_last_one_fitted(child: Worker) -> None:
    steps = SteppingDown(child)
    assert list(steps.run(dying_job, MODEL, EngineSettings(), (0,), "exit"))[-1] == 1
    again = list(steps.run(dying_job, MODEL, EngineSettings(), (0,), "exit"))
    assert [item.rung for item in again if isinstance(item, Trying)] == [1]
    other = list(steps.run(dying_job, Path("other.gguf"), EngineSettings(), (), "exit"))
    assert other[-1] == 0


def test_what_dies_at_every_rung_is_given_up(child: Worker) -> None:
    items: list[Any] = []
    running = SteppingDown(child).run(dying_job, MODEL, EngineSettings(), tuple(range(9)), "exit")
    with pytest.raises(WorkerDied):
        items.extend(running)
    assert [item.rung for item in items if isinstance(item, Trying)] == [0, 1, 3]
    assert MOST_DEATHS == 3


@pytest.mark.parametrize("job", [dying_later_job, dying_at_once_job])
def test_a_death_that_is_not_of_the_loading_is_the_callers(job: Any, child: Worker) -> None:
    with pytest.raises(WorkerDied):
        list(SteppingDown(child).run(job, MODEL, EngineSettings()))


def load_in_little_memory_job(path: Path, settings: EngineSettings, room: int) -> Iterator[Any]:
    """Loads a model when only `room` more bytes of address space may be had."""
    import resource

    yield from open_engine(path, EngineSettings(context=512, sequences=1, threads=1))  # all libraries are there
    close_engine()
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + room
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    engine = yield from open_engine(path, settings)
    yield engine.loaded


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux says how large a process is")
def test_a_context_without_memory_steps_down_in_the_child(
    tmp_path: Path, child: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")  # each thread may else take 64 MB of addresses for itself
    path = write_tiny(tmp_path / "long.gguf", width=256, layers=4, context=32_768)
    settings = EngineSettings(context=131_072, sequences=4, threads=1)
    *_, loaded = SteppingDown(child).run(load_in_little_memory_job, path, settings, 200 << 20)
    assert isinstance(loaded, Loaded)
    assert loaded.context in (65_536, 32_768)  # 131,072 tokens take 268 MB and more, half of them half as much
    assert loaded.rung > 0
    assert f"shortened to {loaded.context:,} tokens" in loaded.note
    assert "With more, llama.cpp said: " in loaded.note
