"""A model that keeps a state in place of a cache: it cannot forget its last tokens, and shares prompts by copies."""

from collections.abc import Callable
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.engine.answer import decode
from core.engine.native import native
from core.engine.requests import GREEDY, Completion, Request, Score, Task
from core.engine.scoring import LEAST_CELLS, ROWS_APART
from tests.data.gguf_tiny import SAMPLE, write_recurrent

Ask = Callable[..., list[Completion]]
PASSAGE = SAMPLE[:300]


@pytest.fixture(scope="module")
def recurrent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recurrent(tmp_path_factory.mktemp("models") / "mamba.gguf")


def request(question: str) -> Request:
    return Request((("system", PASSAGE), ("user", question)), max_tokens=16, sampling=GREEDY)


def test_it_answers_as_llama_does_and_reads_a_shared_prefix_once(recurrent: Path, opened: Any, ask: Ask) -> None:
    import llama_cpp

    engine = opened(recurrent, sequences=6)
    requests = [request(f"Question {number}?") for number in range(12)]
    answers = ask(engine, *requests)
    prefix = len(engine.chat.tokens((("system", PASSAGE),))) - 4
    assert sum(answer.cached_tokens >= prefix for answer in answers) >= 8

    llama = llama_cpp.Llama(str(recurrent), n_ctx=2048, n_threads=1, n_threads_batch=1, verbose=False)
    for item, answer in zip(requests, answers, strict=True):
        llama.reset()
        native.llama_memory_clear(native.llama_get_memory(llama.ctx), True)
        tokens = llama.generate(engine.chat.tokens(item.messages), temp=0.0, repeat_penalty=1.0, reset=False)
        kept = takewhile(lambda token: token not in engine.vocabulary.ends, islice(tokens, 16))
        assert answer.text == decode(b"".join(map(engine.vocabulary.piece, kept)))
    llama.close()


def test_its_scores_are_those_of_each_option_alone(recurrent: Path, opened: Any) -> None:
    engine = opened(recurrent)
    options = ("yes", "yes, it was", "no", "The quick brown fox")

    def scored(options: tuple[str, ...]) -> list[float]:
        def task() -> Task[list[float]]:
            scores = yield Score((("system", PASSAGE), ("user", "Was it?")), options)
            return [option.sum for option in scores.options]

        return next(engine.run(iter([task()])))

    together = scored(options)
    assert engine.usage.cached_tokens > engine.usage.prompt_tokens / 2
    alone = [scored((option,))[0] for option in options]
    assert np.abs(np.subtract(together, alone)).max() < 1e-4


def test_its_scores_take_no_more_cells_than_the_longest_prompt_wants(recurrent: Path, opened: Any) -> None:
    engine = opened(recurrent)

    def task(length: int) -> Task[int]:
        prompts = (f"{number}: {(SAMPLE * 4)[:length]}" for number in range(2 * ROWS_APART))
        scores = yield tuple(Score((("user", prompt),), ("yes", "no")) for prompt in prompts)
        return scores[0].prompt_tokens

    assert next(engine.run(iter([task(300)]))) < LEAST_CELLS
    assert (engine.scorer._context.sequences, engine.scorer._context.cells_each) == (ROWS_APART, LEAST_CELLS)
    assert next(engine.run(iter([task(4000)]))) > LEAST_CELLS
    assert (engine.scorer._context.sequences, engine.scorer._context.cells_each) == (ROWS_APART, 2 * LEAST_CELLS)
