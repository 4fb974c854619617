"""Rules that need no model: what an example is checked for before anyone spends time on it."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from core import language as languages
from core import paths
from core.project.project import CHUNK, Project
from core.project.records import GENERATED_KINDS, KINDS, Check, Example, ExampleFilter, rationale_text
from core.questions import checks

RULES = ("length", "repetition", "language", "profanity", "personal_data", "voice")
LEAST_WORDS = {"definition": 2, "why_how": 2, "comparison": 3}  # of an answer, by kind
LONGEST_IMPORT = 4_096  # characters of an answer: as LIMA kept them (arXiv 2305.11206, section 2.1)
LONGEST_QUESTION = 8_000  # characters of an imported one, which may bring a text along

# Of the words of a longer text, how many may stand in eight words in a row that come again. Gopher (Rae et al.,
# arXiv 2112.11446, table A1) takes 12 to 14 % of the characters of whole documents; short texts repeat themselves more,
# and of GSM8K's worked solutions 1 in 700 is above this.
REPEATED, PHRASE, ENOUGH_WORDS = 0.5, 8, 25
IN_A_ROW = 4  # times that a word, or up to three, may follow itself

_MARKS = ".,;:!?…\"“”'’()"
_SENTENCE_WORDS = 4  # of a sentence that may not stand there twice


@dataclass(frozen=True)
class Progress:
    """Examples that were checked, and all."""

    done: int
    total: int


def apply_rules(
    project: Project, ids: Sequence[int] | None = None, cancelled: Callable[[], bool] = bool
) -> Iterator[Progress]:
    """Checks these examples, or all drafts and accepted ones, and keeps what it finds; yields how far it is.

    Needs no model and little memory. What was checked before a cancel is kept.
    """
    if ids is None:
        ids = [id for state in ("draft", "accepted") for id in project.example_ids(ExampleFilter(state=state))]
    expected = _Languages(project)
    yield Progress(0, len(ids))
    for start in range(0, len(ids), CHUNK):
        if cancelled():
            return
        examples = project.examples_by_id(ids[start : start + CHUNK])
        project.set_checks({example.id: check_rules(example, expected.of(example)) for example in examples})
        yield Progress(min(start + CHUNK, len(ids)), len(ids))


def check_rules(example: Example, language: str = "") -> tuple[Check, ...]:
    """The checks of RULES, in their order.

    `language` (its English name) is what question and answer are to be in; when empty, the same as each other.
    """
    return (
        _length(example),
        _repetition(example),
        _language(example, language),
        _profanity(example),
        _personal_data(example),
        _voice(example),
    )


class _Languages:
    """Which language the examples of a project are to be in: as their run was told, else that of their passage."""

    def __init__(self, project: Project) -> None:
        self._wanted = {run.id: str(run.request.settings.get("language") or "") for run in project.runs()}
        self._project = project
        self._passages: dict[int, str] = {}

    def of(self, example: Example) -> str:
        if wanted := self._wanted.get(example.run_id):
            return languages.known(wanted)
        if example.passage_id is None:
            return ""
        if example.passage_id not in self._passages:
            self._passages[example.passage_id] = languages.guess(self._project.passage(example.passage_id).text)
        return self._passages[example.passage_id]


def _failed(name: str, why: str) -> Check:
    """A check that failed for a reason; it passed where there is none."""
    return Check(name, not why, None, why)


def _length(example: Example) -> Check:
    if example.kind in KINDS:
        usual = checks.length(example.question, example.answer)
        least = LEAST_WORDS.get(example.kind, 1)
        if usual.passed and len(checks.normalise(example.answer)) < least:
            return _failed("length", f"The answer has fewer than {least} words, which is little for its kind.")
        return usual
    if not example.question.strip():
        return _failed("length", "The question is empty.")
    if not example.answer.strip():
        return _failed("length", "The answer is empty.")
    if len(example.question) > LONGEST_QUESTION:
        return _failed("length", f"The question is longer than {LONGEST_QUESTION:,} characters.")
    too_long = len(example.answer) > LONGEST_IMPORT
    return _failed("length", f"The answer is longer than {LONGEST_IMPORT:,} characters." if too_long else "")


def _repetition(example: Example) -> Check:
    if _plain(example.question) == _plain(example.answer):
        return _failed("repetition", "The answer is the question over again.")
    for name, text in _said(example):
        if why := _repeated(text):
            return _failed("repetition", f"In the {name}, {why}")
    return _failed("repetition", "")


def _repeated(text: str) -> str:
    """What a text says again and again, as a clause; empty where it does not."""
    words = _plain(text)
    if phrase := _in_a_row(words):
        return f"“{phrase}” comes {IN_A_ROW} times in a row."
    sentences = (" ".join(sentence.split()) for sentence in re.split(r"(?<=[.!?])\s+|\n+", text.casefold()))
    long = Counter(sentence for sentence in sentences if len(sentence.split()) >= _SENTENCE_WORDS)
    for sentence, times in long.most_common(1):
        if times > 1:
            return f"a sentence stands {times} times: “{sentence[:60]}”."
    share = _comes_again(words) if len(words) >= ENOUGH_WORDS else 0.0
    return f"{share:.0%} of the words stand in phrases that come again." if share > REPEATED else ""


def _in_a_row(words: list[str]) -> str:
    """A word, or up to three, that follow themselves; numbers may."""
    for width in (1, 2, 3):
        for start in range(len(words) - width * IN_A_ROW + 1):
            phrase = words[start : start + width]
            if phrase[0] != words[start + width] or not any(map(str.isalpha, "".join(phrase))):
                continue
            if phrase * IN_A_ROW == words[start : start + width * IN_A_ROW]:
                return " ".join(phrase)
    return ""


def _comes_again(words: list[str]) -> float:
    """The share of words that stand in a phrase of PHRASE words that is there more than once."""
    phrases = [tuple(words[start : start + PHRASE]) for start in range(len(words) - PHRASE + 1)]
    times = Counter(phrases)
    starts = [start for start, phrase in enumerate(phrases) if times[phrase] > 1]
    return len({place for start in starts for place in range(start, start + PHRASE)}) / len(words)


def _plain(text: str) -> list[str]:
    """The words of a text, whatever their case and the marks around them."""
    return [word.strip(_MARKS) for word in text.casefold().split()]


def _language(example: Example, expected: str) -> Check:
    found = {name: languages.guess(text) for name, text in _said(example)}
    expected = expected or found["question"]
    for name, spoken in found.items():
        if spoken and expected and spoken != expected:
            return _failed("language", f"The {name} seems to be in {spoken} and not in {expected}.")
    return _failed("language", "")


def _said(example: Example) -> Iterator[tuple[str, str]]:
    """The running texts of the example, its steps as one, each with what it is called."""
    yield "question", example.question
    yield "answer", example.answer
    yield "rationale", rationale_text(example.rationale)


def _texts(example: Example) -> Iterator[tuple[str, str]]:
    """What a model would learn of the example, each text with what it is called."""
    yield "question", example.question
    yield "answer", example.answer
    yield from (("choices", choice) for choice in example.choices)
    yield from (("rationale", step.text) for step in example.rationale)


def _profanity(example: Example) -> Check:
    for name, text in _texts(example):
        if match := _patterns()["profanity"].search(_small(text)):
            return _failed("profanity", f"In the {name} stands “{match[0]}”.")
    return _failed("profanity", "")


def _small(text: str) -> str:
    """A text in small letters. Words in capitals stand there twice, since their I may be an i or an ı.

    To IGNORECASE both are one letter, which makes “sıkı”, a common word, of another.
    """
    capitals = " ".join(word for word in text.split() if len(word) > 2 and word.isupper())
    small = text.replace("İ", "i").lower()
    return f"{small}\n{capitals.replace('I', 'ı').replace('İ', 'i').lower()}" if "I" in capitals else small


def _personal_data(example: Example) -> Check:
    from core.curation.personal import personal_data

    for name, text in _texts(example):
        if found := personal_data(text):
            return _failed("personal_data", f"In the {name} stands what looks like {found}.")
    return _failed("personal_data", "")


def _voice(example: Example) -> Check:
    """LIMA left out answers in the first person, and those that refer to others: an assistant speaks otherwise."""
    if example.kind in GENERATED_KINDS:
        return _failed("voice", "")
    for name, text in (("answer", example.answer), ("rationale", rationale_text(example.rationale))):
        if match := _patterns()["first_person"].search(text):
            return _failed("voice", f"The {name} is in the first person: “{match[0].strip()}”.")
        if match := _patterns()["other_answers"].search(text):
            return _failed("voice", f"The {name} refers to what the reader does not have: “{match[0].strip()}”.")
    return _failed("voice", "")


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    """One expression a rule, for all languages."""
    import tomllib

    content = tomllib.loads((paths.resources() / "rules.toml").read_text(encoding="utf-8"))
    rules = {
        name: "|".join(one for each in by_language.values() for one in each) for name, by_language in content.items()
    }
    words = re.compile(rf"\b(?:{rules.pop('profanity')})\b")
    return {name: re.compile(rule, re.IGNORECASE | re.MULTILINE) for name, rule in rules.items()} | {"profanity": words}
