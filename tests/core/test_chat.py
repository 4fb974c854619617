"""A conversation with a model: what it is sent, how answers end, and what is said when none can come."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.chat import Answer, ChatSettings, converse, split_thought
from core.engine.requests import GREEDY, Adapter, Piece, Request
from core.engine.stepping import SteppingDown
from core.errors import UserError
from core.worker import Worker
from tests.data.gguf_tiny import write_adapter, write_tiny

BRIEF = ChatSettings(sampling=GREEDY, max_tokens=40)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("chat")


@pytest.fixture(scope="module")
def tiny(folder: Path) -> Path:
    return write_tiny(folder / "tiny.gguf", context=8192)


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as worker:
        yield worker


def answered(worker: Worker, model: Path, request: Request, adapter: Adapter | None = None) -> Answer:
    *items, answer = converse(SteppingDown(worker), model, request, adapter)
    assert isinstance(answer, Answer)
    assert "".join(item.text for item in items if isinstance(item, Piece)) == answer.text
    return answer


def test_only_turns_with_an_answer_are_sent_and_no_thoughts() -> None:
    turns = [("one", "1"), ("two", ""), ("three", "<think>Hm.</think>\n3"), ("four", "<think>Hm")]
    request = ChatSettings("Be brief.", max_tokens=7).request(turns, "five", seed=5)
    assert request.messages == (
        ("system", "Be brief."),
        ("user", "one"),
        ("assistant", "1"),
        ("user", "three"),
        ("assistant", "\n3"),
        ("user", "five"),
    )
    assert (request.max_tokens, request.seed) == (7, 5)
    assert ChatSettings(" \n").request([], "five", 0).messages == (("user", "five"),)


@pytest.mark.parametrize(
    ("answer", "thought", "said"),
    [
        ("Yes.", "", "Yes."),
        (" Yes.", "", " Yes."),
        ("\n<think>A b", "A b", ""),
        ("<think>A b</think> Yes.", "A b", " Yes."),
        ("A b</think>Yes.", "A b", "Yes."),  # the template had opened it
        ("<thinking>", "", "<thinking>"),
    ],
)
def test_a_thought_is_told_from_the_answer(answer: str, thought: str, said: str) -> None:
    assert split_thought(answer) == (thought, said)


def test_the_next_turn_goes_on_from_the_cache(worker: Worker, tiny: Path) -> None:
    first = answered(worker, tiny, BRIEF.request([], "Hello", 0))
    assert (first.finish, first.tokens, first.cached_tokens) == ("length", 40, 0)
    assert 0 < first.first_seconds < 30
    assert first.tokens_per_second > 0
    second = answered(worker, tiny, BRIEF.request([("Hello", first.text)], "And then?", 0))
    assert second.cached_tokens >= first.prompt_tokens


def test_an_adapter_on_and_off_gives_the_first_answer_again(worker: Worker, tiny: Path, folder: Path) -> None:
    request, adapter = BRIEF.request([], "Hello", 0), Adapter(write_adapter(folder / "lora.gguf"), 0.8)
    texts = [answered(worker, tiny, request, used).text for used in (None, adapter, None)]
    assert texts[0] == texts[2] != texts[1]


def test_what_came_before_a_cancel_is_kept(worker: Worker, tiny: Path) -> None:
    came: list[str] = []
    request = ChatSettings(sampling=GREEDY, max_tokens=8000).request([], "Hello", 0)
    for item in converse(SteppingDown(worker), tiny, request, cancelled=lambda: bool(came)):
        if isinstance(item, Piece):
            came.append(item.text)
        elif isinstance(item, Answer):
            assert (item.finish, item.text) == ("stopped", "".join(came))
            assert 0 < item.tokens < 8000
    assert came
    assert worker.alive


def test_a_full_context_ends_an_answer_and_a_longer_question_gets_a_sentence(worker: Worker, folder: Path) -> None:
    small = write_tiny(folder / "small.gguf", context=256)
    settings = ChatSettings(sampling=GREEDY)
    assert answered(worker, small, settings.request([], "the river boat " * 20, 0)).finish == "context"
    with pytest.raises(UserError, match="no longer fits into the model's context of 256 tokens"):
        answered(worker, small, settings.request([], "the river boat " * 200, 0))
    assert answered(worker, small, BRIEF.request([], "Hello", 0)).finish == "length"


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        ({"nan": True}, "no valid numbers"),
        ({"template": "{% for %}"}, "chat template of this model cannot be used"),
    ],
)
def test_a_broken_model_gets_a_sentence(worker: Worker, folder: Path, made: dict, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        answered(worker, write_tiny(folder / "broken.gguf", **made), BRIEF.request([], "Hello", 0))


def test_a_child_that_dies_costs_a_sentence(worker: Worker, tiny: Path) -> None:
    came: list[str] = []
    request = ChatSettings(sampling=GREEDY, max_tokens=8000).request([], "Hello", 0)

    def ask_and_kill() -> None:
        for item in converse(SteppingDown(worker), tiny, request):
            if isinstance(item, Piece):
                if not came:  # what was made by then may still come
                    os.kill(worker._process.pid, signal.SIGTERM)
                came.append(item.text)

    with pytest.raises(UserError, match=r"ended unexpectedly.* Ask again: the model is loaded anew\."):
        ask_and_kill()
    assert came
    assert answered(worker, tiny, BRIEF.request([], "Hello", 0)).text.startswith(came[0][:20])
