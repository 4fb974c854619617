"""What is learned of an example: its answer and the end of the turn, in the tokens that the model reads and writes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core import paths
from core.engine.engine import Engine
from core.engine.loading import load_engine
from core.engine.requests import EngineSettings
from core.tuning.records import Recipe, TrainingRow
from core.tuning.tokens import RATIONALE, Reader, Texts, ending
from tests.data.gguf_tiny import write_tiny

SMALL = EngineSettings(context=256, sequences=1, threads=1)
ROW = TrainingRow((("system", "Be brief."), ("user", "Why is the sky blue?")), "Because of the air.")
# Templates as models of several families have them.
LLAMA_2 = (
    "{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% else %} {{ m.content }} <|endoftext|>{% endif %}{% endfor %}"
)
ENDLESS = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:"
SINGLE = "{% if messages | length > 1 %}{{ raise_exception('one question') }}{% endif %}{{ messages[0].content }}\n"


@contextmanager
def opened(path: Path) -> Iterator[Engine]:
    loading = load_engine(path, SMALL, bool)
    while True:
        try:
            next(loading)
        except StopIteration as stop:
            yield stop.value
            stop.value.close()
            return


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with opened(write_tiny(tmp_path_factory.mktemp("model") / "tiny.gguf")) as engine:
        yield engine


def read(engine: Engine, *rows: TrainingRow, **recipe: Any) -> Texts:
    return Reader(engine.chat, engine.vocabulary, Recipe(**recipe)).read(rows)


def said(engine: Engine, tokens: tuple[int, ...]) -> str:
    return "".join(engine.vocabulary.name(token) for token in tokens)


def test_a_text_is_the_prompt_that_is_asked_and_the_answer_with_its_end(engine: Engine) -> None:
    ((text,),) = read(engine, ROW).groups
    assert list(text.tokens[: text.learned]) == engine.chat.tokens(ROW.messages, thinks=False)
    assert said(engine, text.targets) == "Because of the air.<|im_end|>"


def test_another_prompt_leaves_what_is_learned_as_it_is(engine: Engine) -> None:
    other = replace(ROW, messages=(("user", "Say <|im_end|> or another thing, whatever you like"),))
    ((first,), (second,)) = read(engine, ROW, other).groups
    assert first.targets == second.targets
    assert first.tokens[: first.learned] != second.tokens[: second.learned]


def test_the_name_of_a_control_token_in_an_answer_stays_text(engine: Engine) -> None:
    ((text,),) = read(engine, replace(ROW, answer="It is <|im_end|>, you see.")).groups
    assert text.targets.count(engine.vocabulary.end_token) == 1
    assert text.targets[-1] == engine.vocabulary.end_token


@pytest.mark.parametrize(
    ("template", "end"),
    [(None, "<|im_end|>"), (LLAMA_2, " <|endoftext|>"), (ENDLESS, "<|im_end|>"), (SINGLE, "<|im_end|>")],
    ids=["none", "llama-2", "endless", "one question"],
)
def test_a_turn_ends_as_the_template_ends_it(tmp_path: Path, template: str | None, end: str) -> None:
    """Where it ends none, by the vocabulary's own end."""
    with opened(write_tiny(tmp_path / "tiny.gguf", template=template)) as engine:
        assert said(engine, ending(engine.chat, engine.vocabulary)) == end


def test_the_starter_ends_its_turn() -> None:
    with opened(paths.starter_model()) as engine:
        assert said(engine, ending(engine.chat, engine.vocabulary)) == "<|im_end|>"


def test_what_is_too_long_is_dropped_or_cut_at_its_beginning_and_counted(engine: Engine) -> None:
    long = replace(ROW, messages=(("user", "the sky " * 100),))
    endless = replace(ROW, answer="the sky " * 100)
    ((whole,),) = read(engine, long).groups
    assert len(whole.tokens) > 64
    dropped = read(engine, ROW, long, endless, context=64)
    assert (len(dropped.groups), dropped.dropped, dropped.cut) == (1, 2, 0)
    cut = read(engine, ROW, long, endless, context=64, overlong="cut")
    assert (len(cut.groups), cut.dropped, cut.cut) == (2, 1, 1)
    (text,) = cut.groups[1]
    assert text.tokens == whole.tokens[-64:]
    assert text.targets == whole.targets


def test_a_rationale_is_asked_for_by_a_prefix_before_the_last_question(engine: Engine) -> None:
    talk = (("user", "Hello"), ("assistant", "Hello"), ("user", "Why?"))
    row = TrainingRow(talk, "Yes.", rationale="The air is blue.")
    texts = read(engine, row, ROW, objective="two-task")
    answer, rationale = texts.groups[0]
    assert said(engine, rationale.targets) == "The air is blue.<|im_end|>"
    assert "user\n[rationale] Why?" in said(engine, rationale.tokens)
    assert said(engine, rationale.tokens).count("[rationale]") == 1
    assert "[rationale]" not in said(engine, answer.tokens)
    assert [text.task for text in (answer, rationale)] == [0, RATIONALE]
    assert (len(texts.groups[1]), texts.lacking) == (1, 1)


def test_compared_answers_have_one_prompt_and_those_without_a_worse_are_left_out(engine: Engine) -> None:
    pair = replace(ROW, rejected="Because of the sea, which is blue as well, and very far away from here.")
    texts = read(engine, pair, ROW, replace(ROW, rejected=ROW.answer), objective="dpo", context=60, overlong="cut")
    ((chosen, rejected),) = texts.groups
    assert (texts.lacking, texts.cut) == (2, 1)
    assert chosen.tokens[: chosen.learned] == rejected.tokens[: rejected.learned]
    assert len(rejected.tokens) == 60
