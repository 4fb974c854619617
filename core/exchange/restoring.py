"""Brings back what an exported row was made of: its kind, its steps, and its evidence, where that stands here."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from core.documents.records import Rectangle
from core.errors import UserError
from core.exchange import formats
from core.exchange.mapping import Read
from core.project.project import Project
from core.project.records import (
    FRESH,
    GENERATED_KINDS,
    IMPORTED,
    KINDS,
    WITHOUT_EVIDENCE,
    Check,
    Evidence,
    ExampleDraft,
    Step,
    rationale_text,
    takes_turns,
)


def restored(plain: ExampleDraft, made: Read, places: "Places | None") -> ExampleDraft:
    """The example that an exported row was made of, as far as the row still says the same.

    What it rests on is restored where `places` finds it, and cited no more where it does not.
    """
    said = made.origin
    full = replace(
        plain,
        origin=said,
        question=_text(said.get("question"), plain.question),
        answer=_text(said.get("answer"), plain.answer),
        choices=_texts(said.get("choices")),
        context=_context(said.get("context"), plain.context),
        rating=_stars(said.get("rating")) if made.rating is None else made.rating,
    )
    kind = said["kind"]
    if not _says_the_same(full, made):  # it was changed since: its texts count
        full = _changed(full, plain)
        if not _says_the_same(full, made):
            kind, full = IMPORTED, replace(plain, rating=full.rating, origin=said | {"kind": IMPORTED})
    full = replace(full, rejected=_rejected(full, made), rationale=_steps(said.get("rationale"), made))
    if kind in GENERATED_KINDS:
        checks = (Check(FRESH, True, None, stem),) if (stem := _text(said.get("stem"), "")) else ()
        return replace(full, kind=kind, checks=checks)
    found = places.find(said) if places and kind in KINDS else None
    if found is None or (found.evidence is None and kind not in WITHOUT_EVIDENCE):
        return replace(full, rationale=tuple(replace(step, cited=None) for step in full.rationale))
    return found.put(full, kind)


def _says_the_same(full: ExampleDraft, made: Read) -> bool:
    """Whether the row still says what is restored: as a model reads it, or, in CSV, as it was kept."""
    asked = formats.prompt_and_answer(full)
    for question, answer in (asked, (full.question, full.answer)):
        messages = tuple(turn for turn in (*full.context, ("user", question)) if turn != ("system", ""))
        told = (messages, (("user", formats.as_one_prompt((*full.context, ("user", question)))),))
        if made.answer == answer and tuple(turn for turn in made.messages if turn != ("system", "")) in told:
            return True
    return False


def _changed(full: ExampleDraft, plain: ExampleDraft) -> ExampleDraft:
    """What is restored, with the row's own texts: what the kind puts around a question or an answer is taken off."""
    before, _, after = formats.prompt_and_answer(full)[0].partition(full.question)
    question = plain.question
    if question.startswith(before) and question.endswith(after) and len(question) >= len(before) + len(after):
        question = question[len(before) : len(question) - len(after)]
    answers = {formats.prompt_and_answer(replace(full, answer=choice))[1]: choice for choice in full.choices}
    answer = answers.get(plain.answer, plain.answer)
    return replace(full, question=question, answer=answer, context=plain.context)


def _rejected(full: ExampleDraft, made: Read) -> str:
    """The worse answer: what is kept beside the row, unless the row itself says another."""
    kept = _text(made.origin.get("rejected"), "")
    as_told = formats.prompt_and_answer(replace(full, answer=kept))[1] if kept else ""
    return kept if made.rejected in ("", kept, as_told) else made.rejected


def _steps(said: object, made: Read) -> tuple[Step, ...]:
    """The steps as they are kept beside the row, unless the row itself says others."""
    try:
        steps = tuple(_step(one) for one in said) if isinstance(said, list) else ()
    except (KeyError, TypeError, ValueError, AttributeError):
        steps = ()
    own = tuple(Step(text) for text in made.steps)
    return own if own and rationale_text(own) != rationale_text(steps) else steps


def _step(said: Any) -> Step:
    cited = said.get("cited")
    return Step(str(said["text"]), _evidence(cited) if cited else None, bool(said.get("accepted")))


def _text(value: object, otherwise: str) -> str:
    return value if isinstance(value, str) else otherwise


def _texts(value: object) -> tuple[str, ...]:
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def _context(value: object, otherwise: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, list):
        return otherwise
    turns = [(turn.get("role"), turn.get("content")) for turn in value if isinstance(turn, dict)]
    found = tuple((role, text) for role, text in turns if isinstance(role, str) and isinstance(text, str))
    return found if len(found) == len(value) and takes_turns(found) else otherwise


def _stars(value: object) -> int | None:
    return value if type(value) is int and 1 <= value <= 5 else None


@dataclass(frozen=True)
class _Place:
    """A passage of the project that a row was asked about, and its evidence there."""

    passage_id: int
    evidence: Evidence | None
    page_text: Callable[[int], str]

    def put(self, full: ExampleDraft, kind: str) -> ExampleDraft:
        """The example at its place; of its steps, those that cite what stands in the document still do."""
        steps = tuple(step if self._stands(step.cited) else replace(step, cited=None) for step in full.rationale)
        return replace(full, kind=kind, passage_id=self.passage_id, evidence=self.evidence, rationale=steps)

    def _stands(self, cited: Evidence | None) -> bool:
        return cited is None or _stands(cited, self.page_text(cited.page))


def _stands(found: Evidence, text: str) -> bool:
    return 0 <= found.start < found.end and text[found.start : found.end] == found.text


@dataclass
class Places:
    """Finds where in the documents of a project a row's evidence stands."""

    project: Project
    _documents: dict[str, int] = field(default_factory=dict)
    _parts: dict[int, list[tuple[int, int, int, int]]] = field(default_factory=dict)  # page, start, end, passage

    def __post_init__(self) -> None:
        self._documents = {one.sha256: one.id for one in self.project.documents() if one.state == "ready"}
        self._page_text = lru_cache(64)(self._read_page)

    def find(self, said: dict[str, Any]) -> _Place | None:
        """The place that a row's origin tells, if it is in this project and has the same words."""
        told = said.get("evidence") or said.get("passage")
        if not isinstance(told, dict):
            return None
        document = self._documents.get(str(told.get("document_sha256")))
        if document is None:
            return None
        try:
            place, found = _place(told), _evidence(said["evidence"]) if said.get("evidence") else None
        except (KeyError, TypeError, ValueError):
            return None
        passage = self._passage(document, *place)
        if passage is None or (found and not _stands(found, self._page_text(document, place[0]))):
            return None
        return _Place(passage, found, lambda page: self._page_text(document, page))

    def _passage(self, document: int, page: int, start: int, end: int) -> int | None:
        if document not in self._parts:
            passages = self.project.passages(document)
            self._parts[document] = [(*part, passage.id) for passage in passages for part in passage.parts]
        within = (one for one in self._parts[document] if one[0] == page and one[1] <= start <= end <= one[2])
        return next((id for *_, id in within), None)

    def _read_page(self, document: int, page: int) -> str:
        try:
            return self.project.page_text(document, page)
        except UserError:
            return ""  # it has no such page


def _evidence(said: Any) -> Evidence:
    """Evidence as an export told it. Raises KeyError, TypeError or ValueError where it is told otherwise."""
    boxes = [[float(side) for side in box] for box in said.get("rectangles") or ()]
    if any(len(box) != 4 for box in boxes):
        raise ValueError("not a rectangle")
    return Evidence(*_place(said), str(said["text"]), tuple(Rectangle(*box) for box in boxes))


def _place(said: Any) -> tuple[int, int, int]:
    """Page, start and end, as numbers that a project can be asked for."""
    page, start, end = (said[name] for name in ("page", "start", "end"))
    if not all(type(number) is int and 0 <= number < 2**31 for number in (page, start, end)):
        raise ValueError("not a place")
    return page, start, end
