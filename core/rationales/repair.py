"""What a person changed in one rationale, done to others: which are alike, what would become of them, applying it."""

import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import product
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.project.project import Project
from core.project.records import ExampleFilter, Step, rationale_text
from core.questions.checks import normalise, token_f1
from core.rationales.findings import refresh
from core.rationales.running import by_id
from core.worker import Worker

SAME_STEP = 0.8  # F1 of shared words, from which on a step is one that was dropped elsewhere
REWORDED = 0.3  # from which on one step became another by other words, and not by other thoughts
SHORT = 2  # words or marks that a replacement takes at least: “is” alone would change what nobody meant
_PIECES = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class Repair:
    """What became of the steps of one example, and what a model is told when it is to do the same elsewhere."""

    before: tuple[Step, ...]
    after: tuple[Step, ...]
    instruction: str = ""


@dataclass(frozen=True)
class Changes:
    """What a person did, as far as it can be done literally elsewhere: words for words, and steps that were dropped."""

    replaced: tuple[tuple[str, str], ...]
    dropped: tuple[str, ...]


@dataclass(frozen=True)
class Proposal:
    """What would become of an example's steps. `draft_id` is that of the Rationale they come from; 0: of none."""

    example_id: int
    before: tuple[Step, ...]
    after: tuple[Step, ...]
    draft_id: int = 0


def changes(before: Sequence[Step], after: Sequence[Step]) -> Changes:
    """What was replaced and dropped between two lists of steps; what was added or moved says nothing of others."""
    replaced: list[tuple[str, str]] = []
    dropped: list[str] = []
    old, new = [step.text for step in before], [step.text for step in after]
    for tag, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag in ("equal", "insert") or normalise(" ".join(old[a:b])) == normalise(" ".join(new[c:d])):
            continue  # cutting a step in two, or joining two, changes no words
        pairs = _paired(old[a:b], new[c:d])
        dropped += [text for text in old[a:b] if text not in pairs and text not in new]
        for text, instead in pairs.items():
            replaced += _replacements(text, instead) if token_f1(text, instead) >= REWORDED else []
    return Changes(tuple(dict.fromkeys(replaced)), tuple(dropped))


def propose(repair: Repair, steps: Sequence[Step]) -> tuple[Step, ...] | None:
    """The steps with the same literal changes, and no model asked; None where there is nothing to change.

    A step that is changed keeps what it cites, and is to be accepted anew. One step at least is left.
    """
    return _changed(changes(repair.before, repair.after), steps)


def _changed(found: Changes, steps: Sequence[Step]) -> tuple[Step, ...] | None:
    kept = [step for step in steps if not any(token_f1(step.text, gone) >= SAME_STEP for gone in found.dropped)]
    proposed = tuple(_replace(step, found.replaced) for step in kept or steps)
    return None if proposed == tuple(steps) else proposed


def literal(project: Project, repair: Repair, example_ids: Sequence[int]) -> list[Proposal]:
    """What the repair would change in these examples, to be looked at before it is applied."""
    found = changes(repair.before, repair.after)
    made = ((one, _changed(found, one.rationale)) for one in by_id(project, example_ids))
    return [Proposal(one.id, one.rationale, after, one.rationale_draft) for one, after in made if after is not None]


def drafted(project: Project, run_id: int) -> list[Proposal]:
    """What a run that wrote steps anew would change: its best draft of each example."""
    best = {draft.example_id: draft for draft in project.rationales_of_run(run_id) if draft.slot == 0}
    made = (Proposal(one.id, one.rationale, best[one.id].steps, best[one.id].id) for one in by_id(project, list(best)))
    return [one for one in made if one.before != one.after]


def apply(project: Project, proposals: Sequence[Proposal], label: str = "Repair the rationales of {}") -> int:
    """Makes what was proposed the examples' own, as one action that can be undone; gives how many were changed.

    Raises UserError when a rationale is no longer as it was when the proposal was made, and changes nothing then.
    """
    now = {one.id: one.rationale for one in by_id(project, [one.example_id for one in proposals])}
    if stale := [str(one.example_id) for one in proposals if now.get(one.example_id) != one.before]:
        raise UserError(
            f"The rationale of question {', '.join(stale)} was changed since this was proposed. Propose it anew."
        )
    changed = {one.example_id: (one.after, one.draft_id) for one in proposals}
    count = project.set_rationales(changed, label) if changed else 0
    refresh(project, list(changed))
    return count


def similar(
    project: Project,
    worker: Worker,
    model: Path,
    example_id: int,
    among: Sequence[int] | None = None,
    limit: int = 20,
    cancelled: Callable[[], bool] = bool,
) -> Generator[Any, None, list[tuple[int, float]]]:
    """The examples whose questions and steps are nearest in meaning, with the cosine of their vectors, nearest first.

    Looked for among those that have steps, or those named. Yields as `embed` does. Raises UserError when the model
    cannot make vectors, and Cancelled.
    """
    from core.project.embedding import embed

    ids = project.example_ids(ExampleFilter(rationale=True)) if among is None else among
    others = [one for one in by_id(project, ids) if one.rationale and one.id != example_id]
    texts = [f"{one.question}\n{rationale_text(one.rationale)}" for one in (project.example(example_id), *others)]
    if not others:
        return []
    wanted, *vectors = yield from embed(project, worker, model, texts, cancelled)
    found = [(one.id, float(vector @ wanted)) for one, vector in zip(others, vectors, strict=True)]
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:limit]


def _paired(old: list[str], new: list[str]) -> dict[str, str]:
    """What each old text became: those that are most alike first, until there are no more of one side."""
    pairs: dict[str, str] = {}
    likely = sorted(product(old, new), key=lambda pair: -token_f1(*pair))
    for text, instead in likely:
        if text not in pairs and instead not in pairs.values():
            pairs[text] = instead
    return pairs


def _replacements(old: str, new: str) -> list[tuple[str, str]]:
    """The stretches of words that differ between two texts, each with so much around it that it is told apart."""
    a, b = list(_PIECES.finditer(old)), list(_PIECES.finditer(new))
    words, instead = [piece[0] for piece in a], [piece[0] for piece in b]
    found: list[tuple[str, str]] = []
    for tag, i, j, k, m in SequenceMatcher(None, words, instead, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        while j - i < SHORT and (i > 0 or j < len(a)):
            if i > 0 and k > 0 and words[i - 1] == instead[k - 1]:
                i, k = i - 1, k - 1
            elif j < len(a) and m < len(b) and words[j] == instead[m]:
                j, m = j + 1, m + 1
            else:
                break
        if j > i:
            found.append((old[a[i].start() : a[j - 1].end()], new[b[k].start() : b[m - 1].end()] if m > k else ""))
    return found


def _replace(step: Step, replaced: Sequence[tuple[str, str]]) -> Step:
    text = step.text
    for old, new in replaced:
        text = re.sub(_whole(old) if new else rf"\s*{_whole(old)}", lambda _, new=new: new, text).strip()
    return step if text in (step.text, "") else replace(step, text=text, accepted=False)


def _whole(text: str) -> str:
    """A pattern that finds a text where no word is cut."""
    before, after = (r"(?<!\w)" if text[0].isalnum() else ""), (r"(?!\w)" if text[-1].isalnum() else "")
    return before + re.escape(text) + after
