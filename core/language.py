"""Which language a text is in, and what the app itself writes in that language."""

import tomllib
from dataclasses import dataclass
from functools import cache
from typing import Any

from core import paths

LETTERS = 40  # of a text, below which nobody could be sure
SURE = 0.9  # probability from which on a guess is believed


@dataclass(frozen=True)
class Phrases:
    """The app's own words in one language, as they stand in questions and answers."""

    names: tuple[str, ...]  # of the language, the English one first
    not_in_the_text: str
    true: str
    false: str
    true_or_false: str

    def truth(self, value: bool) -> str:
        """The word for true or for false."""
        return self.true if value else self.false


def guess(text: str) -> str:
    """The English name of a text's language; empty when that is not certain, or the app has no phrases in it."""
    if sum(map(str.isalpha, text)) < LETTERS:
        return ""
    code, probability = _identifier().classify(text)
    found = _all().get(code)
    return found.names[0] if found and probability >= SURE else ""


def phrases(language: str) -> Phrases:
    """The phrases of a language by one of its names or its code, as a user may write it; English for any other."""
    wanted = language.strip().casefold()
    for code, found in _all().items():
        if wanted == code or wanted in map(str.casefold, found.names):
            return found
    return _all()["en"]


def known(language: str) -> str:
    """The English name of a language by one of its names or its code; empty for one that the app has no phrases in."""
    wanted = language.strip().casefold()
    found = phrases(language)
    is_meant = wanted in map(str.casefold, found.names) or _all().get(wanted) is found
    return found.names[0] if is_meant else ""


def truths(answer: str) -> tuple[str, str] | None:
    """The words for true and false in the language that `answer` is one of them in; None when it is neither."""
    fitting = (p for p in _all().values() if answer in (p.true, p.false))
    return next(((p.true, p.false) for p in fitting), None)


def refusals() -> list[str]:
    """What a model says in any language when a text has no answer."""
    return [found.not_in_the_text for found in _all().values()]


def ask_whether(claim: str, answer: str) -> str:
    """What to put before a claim to make a question of it, in the language of its answer, true or false."""
    fitting = [p for p in _all().values() if answer in (p.true, p.false)] or [_all()["en"]]
    likely = phrases(guess(claim)) if len(fitting) > 1 else fitting[0]  # "Falso" is the word of three languages
    return (likely if likely in fitting else fitting[0]).true_or_false


@cache
def common_words() -> frozenset[str]:
    """Words that say little of what a text is about, such as “which” and “için”, of all languages that are known."""
    lines = (paths.resources() / "common_words.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if line[:1] not in ("#", "[") for word in line.split())


@cache
def _all() -> dict[str, Phrases]:
    content = tomllib.loads((paths.resources() / "phrases.toml").read_text(encoding="utf-8"))
    return {code: Phrases(**{**entry, "names": tuple(entry["names"])}) for code, entry in content.items()}


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
