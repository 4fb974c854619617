"""Answers that come piece by piece, and adapters that are swapped between them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.engine import stream_answer
from core.engine.requests import GREEDY, Adapter, Completion, EngineSettings, Piece, Request, Score, Task, Usage
from core.errors import UserError
from core.worker import Worker
from tests.data.gguf_tiny import write_adapter, write_tiny

PROMPT = (("system", "You are brief."), ("user", "春天来了 güneşli bir gün"))


def request(**options: Any) -> Request:
    return Request(PROMPT, **({"max_tokens": 40, "sampling": GREEDY} | options))


def answered(engine: Any, item: Request, adapter: Adapter | None = None) -> Completion:
    def task() -> Task[Completion]:
        return (yield item)

    return next(engine.run(iter([task()]), adapter=adapter))


def streamed(engine: Any, item: Request, **options: Any) -> tuple[list[str], Completion | None]:
    pieces: list[str] = []
    stream = engine.stream(item, **options)
    while True:
        try:
            pieces.append(next(stream))
        except StopIteration as stop:
            return pieces, stop.value


def test_a_stream_gives_the_whole_answer_in_pieces(stories: Path, tiny: Path, opened: Any) -> None:
    for path in (stories, tiny):
        engine = opened(path)
        whole = answered(engine, request())
        pieces, completion = streamed(engine, request())
        assert completion is not None
        assert "".join(pieces) == whole.text == completion.text
        assert len(pieces) > 5
        assert all(pieces)


def test_a_stream_never_shows_half_a_character_or_what_a_stop_string_cuts(tiny: Path, opened: Any) -> None:
    engine = opened(tiny)
    letters = "root ::= [\U0001f300-\U0001f5ff\u00e0-\u00ff]{20}"  # of two bytes and of four
    whole = answered(engine, request(constraint=letters, max_tokens=60)).text
    assert len(whole) > 10
    pieces, _ = streamed(engine, request(constraint=letters, max_tokens=60))
    assert "".join(pieces) == whole
    assert "\ufffd" not in whole
    for length in (1, 2, 5):
        stop = whole[6 : 6 + length]
        pieces, completion = streamed(engine, request(constraint=letters, max_tokens=60, stop=(stop,)))
        assert completion is not None
        assert "".join(pieces) == completion.text == whole[: whole.index(stop)]
        assert completion.finish == "stop"


def test_an_answer_keeps_within_its_bytes_and_cuts_no_character(tiny: Path, opened: Any) -> None:
    engine = opened(tiny)
    letters = "root ::= [\U0001f300-\U0001f5ff]{20}"
    whole = answered(engine, request(constraint=letters, max_tokens=60)).text
    for most in (3, 4, 9, 16):
        pieces, completion = streamed(engine, request(constraint=letters, max_tokens=60, max_bytes=most))
        assert completion is not None
        assert "".join(pieces) == completion.text == whole[: most // 4]
        assert completion.finish == "length"


def test_a_stream_that_is_cancelled_ends_without_an_answer(tiny: Path, opened: Any) -> None:
    engine = opened(tiny)
    looks = iter(range(1000))
    pieces, completion = streamed(engine, request(max_tokens=500), cancelled=lambda: next(looks) > 60)
    assert completion is None
    whole = answered(engine, request(max_tokens=500)).text
    assert whole.startswith("".join(pieces))
    stream = engine.stream(request())
    next(stream)
    stream.close()  # whoever listens goes away
    assert answered(engine, request(max_tokens=500)).text == whole


@pytest.fixture
def adapters(tmp_path: Path) -> Iterator[Adapter]:
    return (Adapter(write_adapter(tmp_path / f"lora-{seed}.gguf", seed)) for seed in range(9))


def scored(engine: Any, adapter: Adapter | None) -> list[float]:
    def task() -> Task[list[float]]:
        scores = yield Score(PROMPT, ("yes", "no", "The quick brown fox"))
        return [option.sum for option in scores.options]

    return next(engine.run(iter([task()]), adapter=adapter))


def test_base_answers_before_and_after_a_swap_are_bitwise_the_same(
    tiny: Path, opened: Any, adapters: Iterator[Adapter]
) -> None:
    engine = opened(tiny)
    first, second = next(adapters), next(adapters)
    base, numbers = answered(engine, request()), scored(engine, None)
    tuned, tuned_numbers = answered(engine, request(), first), scored(engine, first)
    assert tuned.cached_tokens == 0
    assert tuned.text != base.text
    assert all(abs(a - b) > 1e-3 for a, b in zip(numbers, tuned_numbers, strict=True))
    other, other_numbers = answered(engine, request(), second), scored(engine, second)
    assert other.text not in (base.text, tuned.text)
    assert other_numbers != tuned_numbers
    assert (answered(engine, request()).text, scored(engine, None)) == (base.text, numbers)
    assert scored(engine, Adapter(first.path, 0.0)) == numbers
    assert (answered(engine, request(), first).text, scored(engine, first)) == (tuned.text, tuned_numbers)
    half = scored(engine, Adapter(first.path, 0.5))
    assert half not in (numbers, tuned_numbers)


def test_an_adapter_whose_file_was_written_anew_is_read_anew(tiny: Path, tmp_path: Path, opened: Any) -> None:
    engine = opened(tiny)
    adapter = Adapter(write_adapter(tmp_path / "lora.gguf", 1))
    first = scored(engine, adapter)
    write_adapter(adapter.path, 2)
    second = scored(engine, adapter)
    assert second != first
    assert second == scored(engine, Adapter(write_adapter(tmp_path / "other.gguf", 2)))


def test_an_adapter_outlives_a_change_of_the_sequences(tiny: Path, opened: Any, adapters: Iterator[Adapter]) -> None:
    engine = opened(tiny, context=2048, sequences=8)
    adapter = next(adapters)
    tuned = answered(engine, request(), adapter)
    engine.give_room(1500)
    assert answered(engine, request(max_tokens=1500), adapter).text.startswith(tuned.text)


def test_an_adapter_for_another_model_is_a_sentence(tiny: Path, tmp_path: Path, opened: Any) -> None:
    engine = opened(tiny)
    base = answered(engine, request())
    write_tiny(tmp_path / "model.gguf")
    write_adapter(tmp_path / "wide.gguf", width=96)
    (tmp_path / "torn.gguf").write_bytes(write_adapter(tmp_path / "whole.gguf").read_bytes()[:200])
    for name, said in (
        ("wide", r"cannot be used with this model: .*\. Choose an adapter"),
        ("model", r"cannot be used with this model: .*\. Choose an adapter"),
        ("missing", r"cannot be read"),
        ("torn", r"is incomplete"),
    ):
        with pytest.raises(UserError, match=said):
            answered(engine, request(), Adapter(tmp_path / f"{name}.gguf"))
    assert answered(engine, request()).text == base.text


def test_a_job_streams_from_the_child(tiny: Path, tmp_path: Path) -> None:
    settings = EngineSettings(context=1024, sequences=4, threads=1)
    adapter = Adapter(write_adapter(tmp_path / "lora.gguf"))
    with Worker() as worker:
        answers = []
        for used in (None, adapter, None):
            items: list[Any] = list(worker.run(stream_answer, tiny, request(), settings, used))
            completion, usage = items[-2:]
            assert "".join(item.text for item in items if isinstance(item, Piece)) == completion.text
            assert usage.generated_tokens == completion.generated_tokens
            first, last = (item for item in items if isinstance(item, Usage))
            assert first.generated_tokens < 10
            assert 0 < first.seconds < last.seconds
            answers.append(completion.text)
    assert answers[0] == answers[2] != answers[1]
