"""The made-up facts: the same for a seed, fair questions, spans where they are said to be, nothing of the sample."""

import random
import re
from pathlib import Path

import generator
import pytest

# Words of the sample that are capitalised but not invented.
ENGLISH = {"abbey", "atlas", "ferryman", "fridays", "heron", "lanterns", "mondays", "plants"}
SAMPLE = Path(__file__).resolve().parents[2] / "resources" / "samples" / "veyra.md"


def passages(seed: int, count: int) -> list[generator.Passage]:
    r = random.Random(seed)
    return [generator.make_passage(r, r.randint(1, 8)) for _ in range(count)]


def test_a_seed_gives_the_same_documents() -> None:
    def make(seed: int) -> list[tuple[str, list[generator.Task]]]:
        r = random.Random(seed)
        return [generator.make_document(r) for _ in range(50)]

    assert make(5) == make(5)
    assert make(5) != make(6)


def test_there_are_many_topics_and_patterns() -> None:
    topics = generator.topics()
    patterns = [p for t in topics for p in t.patterns]
    assert len(topics) >= 12
    assert len(patterns) >= 40
    assert sum(len(p.asks) for p in patterns) > len(patterns)


def test_every_pattern_makes_questions_that_never_hold_their_answer() -> None:
    r = random.Random(11)
    for topic in generator.topics():
        for pattern in topic.patterns:
            made = [generator.state(pattern, generator.subject_values(topic, r), False, r)[1] for _ in range(20)]
            assert any(made), pattern.sentences[0]
            for item in (i for items in made for i in items):
                assert all(item.answer.lower() not in q.lower() for q in item.questions)
                assert all(q.endswith("?") and "{" not in q for q in item.questions)
                assert item.answer in item.sentence


def test_answers_and_sentences_are_verbatim() -> None:
    for p in passages(3, 300):
        for item in p.items:
            assert item.answer in p.text
            assert item.sentence in p.text
            assert not re.match(r"(What|Who|When|Where|Why|How) .*\b(it|this|the passage)\?$", item.questions[0])


def test_what_is_called_absent_is_not_asked_in_the_passage() -> None:
    for p in passages(4, 300):
        present = {q for i in p.items for q in i.questions}
        assert not present & set(p.absent)


@pytest.mark.parametrize("name", ["pick_factual", "ask_why_how", "answer", "cite", "judge", "rationale/explain"])
def test_requests_start_with_the_passage(name: str) -> None:
    message = generator.request(name, "Orlen is small.", "small", "How large is Orlen?")
    assert message.startswith("Orlen is small.\n\n")
    assert "{" not in message


def invented_names(text: str) -> set[str]:
    """Words of the sample with a capital inside a sentence that no word list of the training knows."""
    known = set(re.findall(r"[a-z]+", (generator.HERE / "grammar.txt").read_text("utf-8").lower()))
    known |= {form for w in generator.words() for form in (w, generator.plural(w))}
    return {w.lower() for w in re.findall(r"(?<=[a-z,] )[A-Z][a-z]+", text)} - known


def test_the_names_of_the_sample_are_kept_out_of_the_training() -> None:
    names = invented_names(SAMPLE.read_text("utf-8"))
    assert len(names) > 20
    assert names <= generator.reserved() | ENGLISH
    r = random.Random("1/100/0")
    for _ in range(400):
        text, tasks = generator.make_document(r)
        seen = set(re.findall(r"[a-z]+", " ".join([text, *(t.prompt + t.reply for t in tasks)]).lower()))
        assert not seen & generator.reserved()


def test_no_sentence_of_the_sample_was_trained_on() -> None:
    facts = set(re.findall(r"[^.\n]+\.", SAMPLE.read_text("utf-8")))
    for p in passages(9, 400):
        assert not facts & {i.sentence for i in p.items}
