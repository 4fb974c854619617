"""Reads the prompts of a style from `resources/prompts` and fills them in."""

import hashlib
import re
import tomllib
from collections.abc import Collection
from dataclasses import dataclass

from core import paths
from core.errors import UserError
from core.project.records import Run

# The prompts that a kind of question is made with, in the order of their use.
NEEDS = {
    "factual": ("pick_factual", "ask_factual", "cite", "answer"),
    "definition": ("pick_definition", "ask_definition", "cite", "answer"),
    "why_how": ("pick_why_how", "ask_why_how", "cite", "answer"),
    "comparison": ("pick_comparison", "ask_comparison", "cite", "answer"),
    "multiple_choice": ("pick_factual", "ask_factual", "distractors", "cite", "choose"),
    "true_false": ("pick_factual", "claim_true", "claim_false", "judge"),
    "unanswerable": ("ask_unanswerable", "answer"),
}
RATIONALE = "rationale"  # the part of a style that explains answers: a step at a time, or all at once
STEP_BY_STEP = ("first", "next", "last", "basis", "cite")
AT_ONCE = ("explain",)
CHECKS_STEPS = ("leads", "alone")
WITHOUT_TEXT = ("no_text",)  # besides, where there is no passage
REWRITES = ("wish", "repair")  # besides, to follow an instruction
Messages = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Prompts:
    """The prompts of one style. A style may leave tasks out: then it cannot ask the kinds that need them."""

    style: str
    texts: dict[str, str]  # task → text with {placeholders}
    default_kinds: tuple[str, ...]
    temperature: float

    @property
    def version(self) -> str:
        """The style and a fingerprint of every text in it: it changes when any of them does."""
        content = "\0".join(f"{name}\0{text}" for name, text in sorted(self.texts.items()))
        return f"{self.style}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of question that this style has prompts for."""
        return tuple(kind for kind, needs in NEEDS.items() if self.has(needs))

    @property
    def explains_by_steps(self) -> bool:
        """Whether rationales are asked for a step at a time."""
        return self.has(STEP_BY_STEP)

    @property
    def explains(self) -> bool:
        """Whether these are prompts for rationales, that is of the part RATIONALE."""
        return (self.explains_by_steps or self.has(AT_ONCE)) and self.has(CHECKS_STEPS)

    def has(self, tasks: tuple[str, ...]) -> bool:
        """Whether there is a prompt for each of these tasks."""
        return all(task in self.texts for task in tasks)

    @property
    def writes_any_language(self) -> bool:
        """Whether the model is told which language to write in."""
        return any("{language}" in text for text in self.texts.values())

    def messages(self, task: str, **values: str) -> Messages:
        """The chat messages of a task. A {placeholder} inside a value stays as it is."""
        text = re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], match[0]), self.texts[task])
        system = self.texts.get("system")
        return (*((("system", system),) if system else ()), ("user", text))


def load_prompts(style: str, part: str = "") -> Prompts:
    """The prompts of a style for making questions, or those of a part of it: none where it has no such part.

    Raises UserError for a style that this version does not have.
    """
    folder = paths.resources() / "prompts" / style
    if not re.fullmatch(r"[a-z][a-z0-9_-]*", style) or not folder.is_dir():
        raise UserError(
            f"The model asks for the prompt style “{style[:40]}”, which this version does not have. "
            "Use another model, or a newer version of Elenchus."
        )
    texts = {path.stem: _body(path.read_text(encoding="utf-8")) for path in sorted((folder / part).glob("*.txt"))}
    about = tomllib.loads((folder / "style.toml").read_text(encoding="utf-8"))
    return Prompts(style, texts, tuple(about["kinds"]), float(about["temperature"]))


def refuse_changed(run: Run, prompts: Prompts, needed: Collection[str]) -> None:
    """Raises UserError when a run that is to go on was begun with other prompts, or lacks settings that it needs."""
    if prompts.version != run.request.prompt_version:
        raise UserError(
            f"Run {run.id} was begun with the prompts {run.request.prompt_version}, and this version of Elenchus has "
            f"{prompts.version}. What it made is kept: start a new run."
        )
    if set(needed) - run.request.settings.keys():
        raise UserError(f"The settings of run {run.id} are not whole, so it cannot go on. Start a new run.")


def _body(text: str) -> str:
    return text.removeprefix("[user]\n").strip("\n")
