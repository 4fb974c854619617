"""Constrained answers: grammars always match, spans are always verbatim, and the span matcher is the word grammar."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from core.engine.constraints import Grammar, SpanMatcher
from core.engine.native import native
from core.engine.requests import GREEDY, Completion, Request, Sampling, Span
from core.engine.vocabulary import Vocabulary
from core.errors import UserError
from tests.data.gguf_tiny import SAMPLE

Ask = Callable[..., list[Completion]]

TEXT = SAMPLE[:600] + "\n\n  Next:\tÜber  die Brücke,\u00a0nein.\fA new page 春天来了 begins\n here."
JSON = r"""root ::= "{\"question\": \"" text "\", \"answer\": \"" text "\"}"
text ::= [ !#-Z^-~]{1,20}"""


def words(text: str) -> Span:
    """A span that begins and ends at words."""
    places = list(re.finditer(r"\S+", text))
    return Span(text, tuple(p.start() for p in places), tuple(p.end() for p in places))


def one_space(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def request(number: int, constraint: str | Span, **options: Any) -> Request:
    return Request((("user", f"Question {number}"),), seed=number, constraint=constraint, **options)


@pytest.fixture
def model(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("model", ["tiny", "stories"], indirect=True)
@pytest.mark.parametrize("sampling", [GREEDY, Sampling(), Sampling(temperature=1.5, top_k=0, min_p=0)])
def test_answers_match_their_grammar(model: Path, sampling: Sampling, opened: Any, ask: Ask) -> None:
    engine = opened(model)
    answers = ask(engine, *(request(n, JSON, max_tokens=200, sampling=sampling) for n in range(12)))
    for answer in answers:
        row = json.loads(answer.text)
        assert set(row) == {"question", "answer"}
        assert all(1 <= len(value) <= 20 for value in row.values())


def test_a_bad_grammar_is_told_to_its_task_only(tiny: Path, opened: Any) -> None:
    engine = opened(tiny)

    def careful() -> Any:
        try:
            yield request(1, "root ::= nothing")
        except UserError as error:
            return f"told: {error}"

    def plain() -> Any:
        return (yield request(2, 'root ::= "yes"')).text

    results = list(engine.run(iter([careful(), plain()])))
    assert "yes" in results
    assert any(result.startswith("told: The grammar of this request is not valid") for result in results)


@pytest.mark.parametrize("model", ["tiny", "stories"], indirect=True)
@pytest.mark.parametrize("most", [1, 2, 5, 40])
def test_spans_are_verbatim_wherever_they_are_cut(model: Path, most: int, opened: Any, ask: Ask) -> None:
    span = words(TEXT)
    engine = opened(model)
    for answer in ask(engine, *(request(n, span, max_tokens=most) for n in range(30))):
        assert answer.span is not None
        start, end = answer.span
        assert start in span.starts
        assert end in span.ends
        assert answer.text == TEXT[start:end]
        assert "\f" not in answer.text
        first = one_space(TEXT).find(one_space(answer.text))
        assert first <= len(one_space(TEXT[:start]))


def test_a_span_that_is_cut_short_goes_on_to_the_nearest_end(tiny: Path, opened: Any, ask: Ask) -> None:
    text = "alpha beta gamma delta. epsilon zeta\feta theta."
    span = Span(text, (0, 24), (23, 36))  # only the sentences
    engine = opened(tiny)
    for answer in ask(engine, *(request(n, span, max_tokens=1) for n in range(8))):
        assert answer.text in ("alpha beta gamma delta.", "epsilon zeta", "alpha beta gamma delta. epsilon zeta")
        assert answer.finish == "length"


def test_a_span_without_a_way_through_is_an_error(tiny: Path, opened: Any) -> None:
    vocabulary = opened(tiny).vocabulary
    for span in (Span("a b", (), (1,)), Span("a b", (2,), (1,)), Span("a\fb", (0,), (3,)), Span("", (0,), (0,))):
        with pytest.raises(ValueError, match="no place"):
            SpanMatcher(span, vocabulary)


def test_the_first_of_several_places_is_named(tiny: Path, opened: Any) -> None:
    vocabulary = opened(tiny).vocabulary
    text = "one two  one two"
    matcher = SpanMatcher(words(text), vocabulary)
    for token in vocabulary.tokenise(" one two"):
        assert matcher.allows(token)
        matcher.accept(token)
    assert matcher.found() == (0, 7)


def word_grammar(text: str) -> str:
    """The pieces of a text as a grammar: one rule a word, as design papers give it."""
    rules, starts = [], []
    for page in text.split("\f"):
        last = ""
        for word in reversed(page.split()):
            name = f"w{len(starts)}"
            tail = f' (" " {last})?' if last else ""
            rules.append(f"{name} ::= {json.dumps(word, ensure_ascii=False)}{tail}")
            starts.append(name)
            last = name
    return "\n".join([f'root ::= " "? ({" | ".join(starts)})', *rules])


def agree(text: str, vocabulary: Vocabulary, random: Random, walks: int, logits: Any) -> int:
    """Walks through both constraints at once; the number of places where all tokens were compared."""
    compared = 0
    everything = np.arange(vocabulary.size)
    plain = np.array([bool(vocabulary.piece(t)) or t in vocabulary.ends for t in range(vocabulary.size)])
    for _ in range(walks):
        grammar, matcher = Grammar(word_grammar(text), vocabulary), SpanMatcher(words(text), vocabulary)
        for _ in range(random.randint(1, 40)):
            native_says = {int(token) for token in grammar._allowed(everything) if plain[token]}
            found = {int(token) for token in matcher.candidates(logits)}
            assert found == native_says
            sample = random.sample(range(vocabulary.size), 40)
            assert [matcher.allows(token) for token in sample] == [token in native_says for token in sample]
            compared += 1
            assert matcher.complete == (native_says <= vocabulary.ends)
            tokens = sorted(found - vocabulary.ends)
            if not tokens:
                break
            longest = sorted(tokens, key=lambda token: -len(vocabulary.piece(token)))[:8]
            token = random.choice(random.choice((tokens, longest)))
            grammar.accept(token)
            matcher.accept(token)
        grammar.close()
    return compared


def random_text(random: Random) -> str:
    pieces = [*SAMPLE.split(), "a", "aa", "aaa", "春", "\f", "naïve", "—", "x\u00a0y", "\n\n", "\t"]
    return " ".join(random.choice(pieces) for _ in range(random.randint(3, 40))) + " end"


def test_the_span_matcher_is_the_word_grammar(tiny: Path, opened: Any) -> None:
    vocabulary = opened(tiny).vocabulary
    random = Random(1)
    logits = np.zeros(vocabulary.size, np.float32)
    assert sum(agree(random_text(random), vocabulary, random, 3, logits) for _ in range(40)) > 200


@pytest.mark.slow
@pytest.mark.parametrize("name", ["qwen2", "llama-spm", "gpt-2", "phi-3"])
def test_the_span_matcher_is_the_word_grammar_with_real_tokenizers(name: str, shared: Path) -> None:
    parameters = native.llama_model_default_params()
    parameters.vocab_only = True
    path = shared / "vocab" / f"ggml-vocab-{name}.gguf"
    pointer = native.llama_model_load_from_file(str(path).encode(), parameters)
    assert pointer
    vocabulary = Vocabulary(native.llama_model_get_vocab(pointer))
    random = Random(2)
    logits = np.zeros(vocabulary.size, np.float32)
    assert sum(agree(random_text(random), vocabulary, random, 2, logits) for _ in range(6)) > 20
    native.llama_model_free(pointer)


@pytest.mark.parametrize("model", ["tiny", "stories"], indirect=True)
def test_where_no_likely_token_is_allowed_all_that_are_are_found(model: Path, opened: Any) -> None:
    """By a look at every token of the vocabulary, in every place of answers that the model does not want to give."""
    vocabulary = opened(model).vocabulary
    everything = np.arange(vocabulary.size)
    for text in (JSON, 'root ::= "über" | [ü-ÿ春-智]{2} | "the"', "root ::= [^a-z]+ [a-z ]+ | [0-9]"):
        random = Random(3)
        for _ in range(4):
            grammar = Grammar(text, vocabulary)
            for _ in range(25):
                allowed = {int(token) for token in grammar._allowed(everything)}
                unwanted = np.zeros(vocabulary.size, np.float32)
                unwanted[sorted(allowed)] = -50
                if len(allowed) < vocabulary.size - 300:  # so that none of the likeliest is allowed
                    assert {int(token) for token in grammar.candidates(unwanted)} == allowed
                going_on = sorted(allowed - vocabulary.ends)
                if not going_on:
                    break
                grammar.accept(random.choice(going_on))
            grammar.close()
