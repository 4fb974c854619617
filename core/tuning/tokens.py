"""Turns examples into the tokens that are trained on: just what the model reads and writes when it answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.engine.requests import Messages
from core.errors import UserError
from core.tuning.records import Recipe, TrainingRow

if TYPE_CHECKING:
    from core.engine.templates import ChatFormat
    from core.engine.vocabulary import Vocabulary

ANSWER, RATIONALE = 0, 1  # what a text teaches
RATIONALE_PREFIX = "[rationale] "  # before the last question; the answer has none, so that asking needs none
_MARK = "\ue000"  # of a private use: no template knows it
_NEXT = "\ue001"


@dataclass(frozen=True)
class Text:
    """The tokens of a prompt and of what is to be said to it. Those from `learned` on are learned."""

    tokens: tuple[int, ...]
    learned: int
    task: int = ANSWER

    @property
    def targets(self) -> tuple[int, ...]:
        return self.tokens[self.learned :]


# What one example is trained as: an answer, an answer and its rationale, or the better and the worse of two answers.
Group = tuple[Text, ...]


@dataclass(frozen=True)
class Texts:
    """What examples became, and what became of the others."""

    groups: tuple[Group, ...]
    dropped: int = 0  # longer than the context
    cut: int = 0
    lacking: int = 0  # without the worse answer (left out) or the rationale (taught the answer alone)
    longest: int = 0  # tokens of the longest, before any was dropped or cut


class Reader:
    """Reads examples with a model's own tokenizer and template. Prompt and answer are tokenised apart, as they are
    when the model answers."""

    def __init__(self, chat: "ChatFormat", vocabulary: "Vocabulary", recipe: Recipe) -> None:
        self._chat, self._vocabulary, self._recipe = chat, vocabulary, recipe
        self.ending = ending(chat, vocabulary)

    def read(self, rows: Sequence[TrainingRow]) -> Texts:
        """The texts of all rows that can be used. Raises UserError when the template fails."""
        groups: list[Group] = []
        dropped = cut = lacking = longest = 0
        for row in rows:
            group = self._group(row)
            lacking += len(group) < (1 if self._recipe.objective == "sft" else 2)
            longest = max(longest, *(len(text.tokens) for text in group), 0)
            fitting = self._fitted(group)
            dropped += bool(group) and not fitting
            cut += bool(fitting) and fitting != group
            if fitting:
                groups.append(fitting)
        return Texts(tuple(groups), dropped, cut, lacking, longest)

    def _group(self, row: TrainingRow) -> Group:
        objective, answer = self._recipe.objective, self._text(row.messages, row.answer)
        if objective == "two-task" and row.rationale:
            return answer, self._text(_asking_why(row.messages), row.rationale, RATIONALE)
        if objective == "dpo":
            differs = row.rejected and row.rejected != row.answer
            return (answer, self._text(row.messages, row.rejected)) if differs else ()
        return (answer,)

    def _text(self, messages: Messages, answer: str, task: int = ANSWER) -> Text:
        prompt = self._chat.tokens(messages, thinks=False)
        return Text((*prompt, *self._vocabulary.tokenise(answer), *self.ending), len(prompt), task)

    def _fitted(self, group: Group) -> Group:
        """The group within the context: as it is, with the beginning of its prompts cut, or not at all.

        Answers that are compared keep one and the same prompt.
        """
        context = self._recipe.context
        if all(len(text.tokens) <= context for text in group):
            return group
        if self._recipe.overlong != "cut" or any(len(text.targets) >= context for text in group):
            return ()
        if self._recipe.objective == "dpo":
            longest = max(len(text.targets) for text in group)
            return tuple(_cut(text, context - longest) for text in group)
        return tuple(_cut(text, context - len(text.targets)) for text in group)


def ending(chat: "ChatFormat", vocabulary: "Vocabulary") -> tuple[int, ...]:
    """What ends the assistant's turn in a model's template: the tokens up to the first that ends an answer.

    Where the template has none, the vocabulary's own end; nothing where there is none either.
    """
    conversation = (("user", "Hello"), ("assistant", _MARK), ("user", _NEXT))
    try:
        after = chat.render(conversation).rpartition(_MARK)[2].partition(_NEXT)[0]
    except UserError:  # a template that takes one question and no more
        after = ""
    tokens = vocabulary.tokenise(after, special=True)
    for place, token in enumerate(tokens):
        if token in vocabulary.ends:
            return tuple(tokens[: place + 1])
    return (vocabulary.end_token,) if vocabulary.end_token >= 0 else ()


def _asking_why(messages: Messages) -> Messages:
    """The messages with the prefix before the user's last."""
    last = max((place for place, (role, _) in enumerate(messages) if role == "user"), default=-1)
    return tuple(
        (role, RATIONALE_PREFIX + text if place == last else text) for place, (role, text) in enumerate(messages)
    )


def _cut(text: Text, prompt: int) -> Text:
    """The text with no more of its prompt than its last tokens."""
    first = max(0, text.learned - prompt)
    return Text(text.tokens[first:], text.learned - first, text.task)
