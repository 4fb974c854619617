"""Layers on a graphics card: where this build of llama.cpp can use one, and there is one.

On Debian without a card: python3 dev.py test --gpu vulkan tests/core/engine/test_gpu.py
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core import paths
from core.engine import run_tasks
from core.engine.devices import Device, carrying, devices_job
from core.engine.fit import Estimate, Need, choose, estimate
from core.engine.requests import GREEDY, Completion, EngineSettings, Loaded, Request, Task
from core.engine.shape import Shape
from core.models.files import read_model
from core.worker import Worker
from tests.core.engine.measuring import MIB, measure_job
from tests.data.gguf_tiny import write_tiny

PASSAGE = "The town of Belgrun was founded in 1482 by the miner Halser. It lies at the river Veyra.\n\n"
WORDS = (
    f"{PASSAGE}Question: When was Belgrun founded?\nTask: answer.",
    f"{PASSAGE}Question: Who founded Belgrun?\nTask: answer.",
    "Why is the sky blue?",
)
CLOSE = 0.15


def answer_job(path: Path, settings: EngineSettings) -> Iterator[Any]:
    def tasks(_loaded: Loaded) -> Iterator[Task[tuple[str, str]]]:
        for text in WORDS:
            yield answer(text)

    def answer(text: str) -> Task[tuple[str, str]]:
        completion: Completion = yield Request((("user", text),), max_tokens=24, sampling=GREEDY)
        return text, completion.text

    yield from run_tasks(path, settings, tasks)


@pytest.fixture(scope="module")
def child() -> Iterator[Worker]:
    with Worker() as worker:
        yield worker


@pytest.fixture(scope="module")
def cards(child: Worker) -> list[Device]:
    """The graphics cards; the test is skipped where there is none, and says why."""
    from llama_cpp import llama_cpp

    libraries = [path.name for path in Path(llama_cpp.__file__).parent.glob("lib/*ggml-*")]
    if not any(name in library for library in libraries for name in ("cuda", "vulkan", "metal", "hip", "sycl")):
        pytest.skip("this build of llama.cpp has no GPU backend")
    (found,) = child.run(devices_job)
    if not carrying(found):
        pytest.skip(f"llama.cpp's GPU backend finds no device ({', '.join(sorted(libraries))})")
    return found


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("models") / "wide.gguf", width=256, layers=8)


def loaded_and_answers(child: Worker, path: Path, **settings: Any) -> tuple[Loaded, dict[str, str]]:
    items = list(
        child.run(answer_job, path, EngineSettings(**{"context": 2048, "sequences": 4, "threads": 1} | settings))
    )
    (loaded,) = (item for item in items if isinstance(item, Loaded))
    return loaded, dict(item for item in items if isinstance(item, tuple))


def test_the_devices_have_names_and_memory(cards: list[Device]) -> None:
    for card in carrying(cards):
        assert card.name
        assert card.description
        assert card.backend
        assert 0 < card.memory_free <= card.memory_total
    assert [device.kind for device in cards].count("cpu") == 1


def test_all_layers_go_to_the_card_and_it_writes_what_the_processor_writes(cards: list[Device], child: Worker) -> None:
    starter = paths.starter_model()
    loaded, on_card = loaded_and_answers(child, starter)
    assert (loaded.gpu_layers, loaded.layers) == (6, 6)
    assert loaded.device == " + ".join(card.description for card in carrying(cards))
    assert loaded.note == ""
    half, on_both = loaded_and_answers(child, starter, gpu_layers=4)
    assert half.gpu_layers == 3
    alone, on_processor = loaded_and_answers(child, starter, gpu_layers=0)
    assert (alone.gpu_layers, alone.device) == (0, "CPU")
    assert len(on_card) == len(WORDS)
    assert on_card == on_both == on_processor
    assert on_card[WORDS[0]] == "1482"


def test_the_cache_of_8_bits_works_there(cards: list[Device], child: Worker) -> None:
    loaded, answers = loaded_and_answers(child, paths.starter_model(), rung=2, context=4096)
    assert (loaded.rung, loaded.gpu_layers) == (2, 6)
    assert "The cache is kept in 8 bits." in loaded.note
    assert len(answers) == len(WORDS)


@pytest.mark.parametrize("gpu_layers", [9, 5, 0])
def test_the_estimate_is_close_to_what_the_card_takes(
    gpu_layers: int, cards: list[Device], child: Worker, model: Path
) -> None:
    dimensions = read_model(model).dimensions
    shapes = [
        Shape(8, 8192, 8, flash=False),
        Shape(8, 8192, 8),
        Shape(16, 16_384, 16),
        Shape(31, 4096, 31, shared=True),
        Shape(8, 4096, 8, cache="q8_0", flash=True),
    ]
    for shape, measured in zip(shapes, child.run(measure_job, model, gpu_layers, shapes, False), strict=True):
        assert measured is not None
        told = estimate(dimensions, gpu_layers, shape)
        # With a part of the layers, what is copied to the card lies where the allocator finds a gap: 30 % off at most.
        parts = ("weights", "cache", "total") if gpu_layers == 5 else ("weights", "cache", "compute", "total")
        for side in ("system", "gpu"):
            for part in parts:
                estimated, true = (getattr(getattr(each, side), part) for each in (told, measured))
                assert abs(estimated - true) <= CLOSE * true + MIB / 4, (shape, side, part, estimated, true)
        assert abs(told.gpu.compute - measured.gpu.compute) <= 0.3 * measured.gpu.compute


def test_what_the_card_lacks_stays_on_the_processor(cards: list[Device], model: Path) -> None:
    """The choice goes by the memory that the devices report."""
    whole = choose(read_model(model), cards, EngineSettings())[0]
    assert whole.gpu_layers == 9
    full = [Device(d.name, d.description, d.backend, d.kind, d.memory_total, 1) for d in carrying(cards)]
    none = choose(read_model(model), [*full, cards[-1]], EngineSettings())[0]
    assert none.gpu_layers == 0
    assert none.estimate.gpu == Estimate().gpu == Need()
