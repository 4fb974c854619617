"""What was found of the steps that examples have, kept beside them for as long as it is about these very words."""

from collections.abc import Mapping, Sequence

from core.errors import UserError
from core.project.project import CHUNK, Project
from core.project.records import OF_WORDING, Check, Evidence, Example, ScoreRow, wording
from core.rationales import checking
from core.rationales.records import Verdict


def keep_verdict(project: Project, run_id: int, example: Example, verdict: Verdict | None) -> tuple[ScoreRow, ...]:
    """Commits what the checks of an example's steps show; without a verdict, those that need no model."""
    checks, scores = _without_model(project, example), ()
    if verdict:
        checks.append(checking.leads(verdict.leads, verdict.likeness, verdict.answered, verdict.answered_alone))
        scores = (
            *checking.scores(example.id, verdict),
            ScoreRow(example.id, OF_WORDING, verdict.likeness, wording(example)),
        )
    project.set_checks({example.id: checks})
    project.add_scores(run_id, scores)  # last: who has any is done, and a resumed run does not ask again
    return scores


def refresh(project: Project, ids: Sequence[int]) -> None:
    """Brings the checks of steps up to date with steps, question and answer, after an edit, an undo or a redo.

    What needs no model is reckoned anew; where a model was led counts again if the words are those that it was shown.
    """
    for start in range(0, len(ids), CHUNK):
        some = list(ids[start : start + CHUNK])
        led = _led(project, some)
        found = {one.id: _present(project, one, led) for one in project.examples_by_id(some) if one.rationale}
        if changed := {id: checks for id, checks in found.items() if checks}:
            project.set_checks(changed)


def is_stale(project: Project, example: Example) -> bool:
    """Whether what a model was led to by steps and question was found with other words than there are now."""
    kept = project.scores(OF_WORDING, [example.id]).get(example.id)
    return kept is not None and kept.detail != wording(example)


def misplaced(project: Project, example: Example) -> list[int]:
    """The steps, counted from 1, whose citation does not stand at its place in the document."""
    return [
        number
        for number, step in enumerate(example.rationale, 1)
        if step.cited and not _stands(project, example, step.cited)
    ]


def _without_model(project: Project, example: Example) -> list[Check]:
    texts = [step.text for step in example.rationale]
    cited = sum(step.cited is not None for step in example.rationale)
    placed = checking.citations(misplaced(project, example), cited, len(texts))
    return [checking.last_step(texts, example.answer), placed]


def _led(project: Project, ids: Sequence[int]) -> dict[str, dict[int, ScoreRow]]:
    return {name: project.scores(name, ids) for name in (OF_WORDING, "rationale_leads", "question_alone")}


def _present(project: Project, example: Example, led: Mapping[str, Mapping[int, ScoreRow]]) -> list[Check]:
    """The checks of an example's steps that it does not have yet as they are now."""
    checks = _without_model(project, example)
    of, leads, alone = (found.get(example.id) for found in led.values())
    if of and leads and alone and of.detail == wording(example):
        checks.append(checking.leads(bool(leads.value), of.value, leads.detail, alone.detail))
    return [check for check in checks if check not in example.checks]


def _stands(project: Project, example: Example, cited: Evidence) -> bool:
    if example.document_id is None:
        return False
    try:
        text = project.page_text(example.document_id, cited.page)
    except UserError:
        return False
    return bool(cited.text) and text[cited.start : cited.end] == cited.text
