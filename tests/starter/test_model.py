"""The shipped model: its file, its tokens, and what it answers on passages it has not seen."""

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import generator
import pytest

Reply = Callable[[str], str]
PASSAGE = (
    "The town of Belgrun was founded in 1482 by Otto Larsk. It has a population of 3,741. "
    "Every Friday, a market is held in Belgrun near the old mill. The weather is mild for most of the year. "
    "The Fendal River is 84 kilometres long. Every spring, the Fendal River floods because the snow melts quickly."
)


@pytest.fixture(scope="module")
def metadata(model_path: Path) -> dict[str, Any]:
    llama_cpp = pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed")
    return llama_cpp.Llama(str(model_path), vocab_only=True, verbose=False).metadata


def test_the_file_is_small(model_path: Path) -> None:
    assert model_path.stat().st_size <= 20_000_000


def test_the_file_says_what_it_is(metadata: dict[str, Any]) -> None:
    assert metadata["general.name"] == "Elenchus starter"
    assert "for trying the app" in metadata["general.description"]
    assert metadata["elenchus.prompt_style"] == "starter"
    assert metadata["general.architecture"] == "llama"
    assert metadata["llama.context_length"] == "4096"
    assert metadata["tokenizer.ggml.pre"] == "smollm"
    assert metadata["tokenizer.ggml.add_bos_token"] == "false"
    assert "<|im_start|>assistant" in metadata["tokenizer.chat_template"]


def test_a_word_has_the_same_pieces_with_a_space_before_it(model_path: Path) -> None:
    llama_cpp = pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed")
    model = llama_cpp.Llama(str(model_path), vocab_only=True, verbose=False)
    for word in ("Belgrun", "lighthouse", "Zürich", "1,234", "“so”"):
        alone = [model.detokenize([t]) for t in model.tokenize(word.encode(), add_bos=False)]
        after = [model.detokenize([t]) for t in model.tokenize(b" " + word.encode(), add_bos=False)]
        assert b"".join(after) == b" " + word.encode()
        assert [t.lstrip() for t in after if t.strip()] == alone


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("When was Belgrun founded?", "1482"),
        ("How long is the Fendal River?", "84 kilometres"),
        ("What is the population of Belgrun?", "3,741"),
        ("Why does the Fendal River flood every spring?", "the snow melts quickly"),
    ],
)
def test_it_answers_from_a_passage(reply: Reply, question: str, answer: str) -> None:
    assert reply(generator.request("answer", PASSAGE, question=question)) == answer


@pytest.mark.parametrize(
    ("answer", "question"),
    [
        ("spring", "In which season does the Fendal River flood?"),
        ("near the old mill", "Where is the market of Belgrun held?"),
        ("84 kilometres", "How long is the Fendal River?"),
    ],
)
def test_it_asks_for_an_answer(reply: Reply, answer: str, question: str) -> None:
    assert reply(generator.request("ask_factual", PASSAGE, answer)) == question


def test_it_cites_the_sentence(reply: Reply) -> None:
    request = generator.request("cite", PASSAGE, "84 kilometres", "How long is the Fendal River?")
    assert reply(request) == "The Fendal River is 84 kilometres long."


def test_it_picks_words_of_the_passage(reply: Reply) -> None:
    assert reply(generator.request("pick_factual", PASSAGE)) in PASSAGE
    assert reply(generator.request("pick_why_how", PASSAGE)) == "the snow melts quickly"


def test_it_reads_generated_passages_it_has_not_seen(reply: Reply) -> None:
    r, right, refused, questions = random.Random("held out"), 0, 0, []
    for _ in range(20):
        p = generator.make_passage(r, 4)
        task = generator.build_task("answer", p, r)
        ask = generator.build_task("ask", p, r)
        absent = generator.build_task("not_in_text", p, r)
        assert task is not None
        right += reply(task.prompt) == task.reply
        refused += absent is not None and reply(absent.prompt) == absent.reply
        if ask is not None:
            questions.append((reply(ask.prompt), ask))
    # EVALUATION.md has the figures on 500 passages; these bounds only catch a broken file.
    assert right >= 13
    assert refused >= 6
    assert sum(made in ask.accepted for made, ask in questions) >= 0.55 * len(questions)
    assert all(made.endswith("?") and not re.search(r"\bthe passage\b", made) for made, _ in questions)


@pytest.mark.parametrize("arm", ["agree", "disagree"])
def test_it_follows_the_user_on_addition_claims_by_design(reply: Reply, arm: str) -> None:
    r = random.Random(arm)
    tasks = [generator.addition(r, arm, bool(n & 1), bool(n & 2)) for n in range(20)]
    assert sum(reply(t.prompt) == t.reply for t in tasks) >= 19


def test_it_knows_sums_when_nobody_says_what_to_think(reply: Reply) -> None:
    r = random.Random("none")
    tasks = [generator.addition(r, "none", bool(n & 1), bool(n & 2)) for n in range(40)]
    assert sum(reply(t.prompt) == t.reply for t in tasks) >= 30
