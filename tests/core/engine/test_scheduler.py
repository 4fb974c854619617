"""Many tasks through little room: all of them end, none is taken early, and what goes wrong stays where it is."""

import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.engine.cache import Slot, common
from core.engine.constraints import Grammar
from core.engine.context import Context
from core.engine.requests import GREEDY, Completion, Request, Span, Task
from core.engine.shape import Shape
from core.errors import UserError
from tests.data.gguf_tiny import write_tiny

Ask = Callable[..., list[Completion]]


def request(text: str, **options: Any) -> Request:
    return Request((("user", text),), **({"max_tokens": 20, "sampling": GREEDY} | options))


def one(text: str, **options: Any) -> Task[str]:
    return (yield request(text, **options)).text


def test_long_requests_all_end_in_a_small_cache(tiny: Path, opened: Any, ask: Ask) -> None:
    engine = opened(tiny, context=512, sequences=8)
    endless = "root ::= [a-z] root"
    requests = [request(f"{n} " * (5 + 7 * n % 60), max_tokens=60 + n, constraint=endless) for n in range(40)]
    answers = ask(engine, *requests)
    for number, answer in enumerate(answers):
        assert (answer.finish, answer.generated_tokens) == ("length", 60 + number)
    roomy = opened(tiny, context=8192, sequences=1)
    assert [answer.text for answer in ask(roomy, *requests[:6])] == [answer.text for answer in answers[:6]]


def test_long_prompts_wait_for_the_short_and_get_longer_sequences(tiny: Path, opened: Any) -> None:
    engine = opened(tiny, context=2048, sequences=8)
    ended: list[str] = []

    def task(name: str, words: int) -> Task[str]:
        answer = yield request(f"{name} " * words, max_tokens=40, constraint="root ::= [a-z] root")
        ended.append(name)
        return answer.text

    texts = [("long", 300), *(("short", 10 + n) for n in range(12)), ("longer", 350)]
    together = list(engine.run(task(*text) for text in texts))
    assert ended[-2:] in (["long", "longer"], ["longer", "long"])
    assert len(together) == 14
    assert not engine.usual  # until the next run needs it

    list(engine.run(task("short", n) for n in range(3)))
    assert engine.usual

    alone = opened(tiny, context=2048, sequences=1)
    assert sorted(together) == sorted(next(alone.run(iter([task(*text)]))) for text in texts)
    with pytest.raises(RuntimeError):  # it was closed when the other was opened
        next(engine.run(iter([task("short", 1)])))


def test_the_short_get_their_sequences_back_though_a_prompt_waits_for_longer_ones(tiny: Path, opened: Any) -> None:
    engine = opened(tiny, context=2048, sequences=8)
    sequences: list[int] = []

    def task(words: int) -> Task[int]:
        yield request("word " * words, max_tokens=30)
        sequences.append(engine.context.sequences)
        return words

    list(engine.run(iter([task(80)])))
    assert sequences == [4]
    list(engine.run(task(words) for words in (200, *range(20))))
    assert sequences == [4, *[8] * 20, 2]


def test_longer_sequences_take_no_more_memory(tiny: Path, opened: Any) -> None:
    engine = opened(tiny, context=2048, sequences=8)
    for tokens in (257, 512, 513, 800, 1025, 2048):
        engine.give_room(tokens)
        assert tokens <= engine.context.cells_each
        assert engine.context.cells <= 2048


def test_a_prompt_longer_than_the_context_is_said_and_the_others_go_on(tiny: Path, opened: Any, ask: Ask) -> None:
    engine = opened(tiny, context=1024, sequences=4)
    answers = ask(engine, request("one"), request("word " * 2000), request("two"))
    assert [answer.finish for answer in answers] == ["length", "context", "length"]


def test_where_no_memory_is_for_longer_sequences_a_long_prompt_is_said_and_the_others_go_on(
    tiny: Path, opened: Any, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = opened(tiny, context=2048, sequences=8)
    create = Context.create

    def usual_only(model: Any, shape: Shape, threads: int) -> Context | None:
        return create(model, shape, threads) if shape.sequences == 8 or shape.shared else None

    monkeypatch.setattr(Context, "create", usual_only)
    answers = ask(engine, request("one"), request("word " * 150), request("two"))
    assert [answer.finish for answer in answers] == ["length", "context", "length"]
    monkeypatch.setattr(Context, "create", lambda *_: None)
    with pytest.raises(UserError, match="no memory for the model's context"):
        ask(engine, request("word " * 150))
    monkeypatch.undo()
    assert ask(opened(tiny, context=2048, sequences=8), request("one")) == answers[:1]  # loaded anew


def test_the_mirror_of_the_cache_agrees_with_llama(tiny: Path, opened: Any, ask: Ask) -> None:
    from core.engine.native import native

    engine = opened(tiny, context=1024, sequences=4)
    for turn in range(6):
        ask(engine, *(request(f"{'shared words ' * 9}{n * turn}", max_tokens=n) for n in range(1, 12)))
        for slot in engine.cache.slots:
            assert not slot.live
            assert native.llama_memory_seq_pos_max(engine.context._memory, slot.number) == slot.length - 1


def test_the_requests_of_a_tuple_are_answered_together(tiny: Path, opened: Any) -> None:
    engine = opened(tiny, context=2048, sequences=4)
    begun: list[int] = []

    def arms(name: str) -> Task[tuple[Completion, ...]]:
        answers = yield tuple(request(f"{name} {n}", max_tokens=5 + n) for n in range(3))
        begun.append(len(answers))
        return answers

    results = list(engine.run(arms(name) for name in ("first", "second", "third")))
    assert [len(answers) for answers in results] == [3, 3, 3]
    alone = [one(f"first {n}", max_tokens=5 + n) for n in range(3)]
    first = sorted(engine.run(iter(alone)))
    assert sorted(answer.text for answer in results[0]) == first


def test_tasks_are_taken_only_when_there_is_a_sequence(tiny: Path, opened: Any) -> None:
    engine = opened(tiny, sequences=4)
    taken = 0

    def endless() -> Iterator[Task[str]]:
        nonlocal taken
        for number in count():
            taken += 1
            yield one(f"Number {number}", max_tokens=3)

    run = engine.run(endless())
    for done in range(1, 10):
        next(run)
        assert taken <= done + 4 + 3
    run.close()
    assert list(engine.run(iter([one("x")]))) != []


def test_a_task_asks_again_and_again(tiny: Path, opened: Any) -> None:
    engine = opened(tiny)

    def chain(name: str) -> Task[list[Completion]]:
        answers = []
        for turn in range(4):
            answers.append((yield request(f"{name} begins a long passage of text. Turn {turn}", max_tokens=5)))
        return answers

    results = list(engine.run(chain(name) for name in ("alpha", "beta", "gamma") * 5))
    assert len(results) == 15
    assert all(answer.cached_tokens > 20 for answers in results for answer in answers[1:])


def test_a_task_without_a_request_gives_its_result(tiny: Path, opened: Any) -> None:
    def nothing(number: int) -> Task[int]:
        if number < 0:
            yield request("never")
        return number

    assert sorted(opened(tiny).run(nothing(number) for number in range(100))) == list(range(100))


def test_a_task_that_fails_ends_the_run_and_not_the_engine(tiny: Path, opened: Any) -> None:
    engine = opened(tiny)
    closed = []

    def failing() -> Task[str]:
        yield request("x", max_tokens=2)
        raise KeyError("mine")

    def other() -> Task[str]:
        try:
            return (yield request("y", max_tokens=200)).text
        finally:
            closed.append(True)

    with pytest.raises(KeyError, match="mine"):
        list(engine.run(iter([other(), failing()])))
    assert closed == [True]
    assert len(list(engine.run(iter([one("x"), one("y")])))) == 2


def test_a_request_in_error_reaches_its_task(tiny: Path, opened: Any) -> None:
    def asks() -> Task[str]:
        yield Request((("user", "x"),), constraint=Span("text", (), ()))
        return "never"

    with pytest.raises(ValueError, match="no place"):
        list(opened(tiny).run(iter([asks()])))


def test_a_tuple_in_error_leaves_no_grammar_behind(tiny: Path, opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[Any] = []
    close = Grammar.close
    monkeypatch.setattr(Grammar, "close", lambda grammar: (close(grammar), closed.append(grammar)))

    def asks() -> Task[str]:
        try:
            yield request("x", constraint='root ::= "a"'), request("x", constraint="root ::= nothing")
        except UserError:
            return "told"
        return "never"

    assert list(opened(tiny).run(iter([asks()]))) == ["told"]
    assert len(closed) == 1


def test_tasks_that_end_at_once_are_told_of_one_by_one(tiny: Path, opened: Any) -> None:
    engine, taken = opened(tiny, context=512), count()
    run = engine.run(one("word " * 600 * next(taken)) for _ in range(100))
    assert next(run) == ""
    assert next(taken) < 5
    run.close()


def test_a_cancel_is_seen_between_two_decodes_that_cannot_be_stopped(
    tmp_path: Path, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those on a graphics card."""
    decode, counts = Context.decode, list[int]()
    monkeypatch.setattr(Context, "stop_when", lambda *_: None)
    monkeypatch.setattr(Context, "decode", lambda self, used: (counts.append(used), decode(self, used))[1])
    engine = opened(write_tiny(tmp_path / "long.gguf", context=8192), context=8192, sequences=1)
    assert list(engine.run(iter([one("word " * 1200)]), cancelled=lambda: len(counts) > 0)) == []
    assert counts == [512]


@pytest.mark.parametrize("words", [30, 4000])
def test_a_cancel_is_quick_and_quiet(words: int, tmp_path: Path, opened: Any) -> None:
    engine = opened(write_tiny(tmp_path / "wide.gguf", width=256, layers=8, context=8192), context=16384, sequences=8)
    until = time.monotonic() + 0.4
    results = engine.run(
        (one(f"{n} " * words, max_tokens=2000, constraint="root ::= [a-z] root") for n in count()),
        cancelled=lambda: time.monotonic() > until,
    )
    assert list(results) == []
    assert time.monotonic() - until < 0.3
    assert list(
        engine.run(
            iter(
                [one("x")],
            )
        )
    ) == list(engine.run(iter([one("x")])))


def test_weights_that_are_no_numbers_end_in_a_sentence(tmp_path: Path, opened: Any) -> None:
    path = write_tiny(tmp_path / "nan.gguf", nan=True)
    for options in ({}, {"sampling": Request(()).sampling}, {"constraint": 'root ::= "yes"'}):
        with pytest.raises(UserError, match="no valid numbers"):
            list(opened(path).run(iter([one("x", **options)])))


def test_one_run_at_a_time(tiny: Path, opened: Any) -> None:
    engine = opened(tiny)
    run = engine.run(one(f"{n}") for n in count())
    next(run)
    with pytest.raises(RuntimeError):
        next(engine.run(iter([])))
    run.close()


def test_common_prefixes() -> None:
    def row(*tokens: int) -> Any:
        return np.array(tokens, np.int32)

    assert [common(row(), row(1)), common(row(2), row(1)), common(row(1, 2), row(1, 2, 3))] == [0, 0, 2]
    assert common(row(1, 2, 3), row(1, 2, 4)) == 2
    assert Slot(0, row(1, 2, 3), 2).evaluated.tolist() == [1, 2]
