"""A project to be curated: questions on three subjects from two documents, some of which repeat others."""

from dataclasses import replace
from pathlib import Path

from core.project.project import Project
from core.project.records import ScoreRow
from tests.core.project.project_material import make_document, make_draft, make_passages, make_settings

ASKED = {
    "glacier": ("How fast does the glacier {} move?", "Some {} metres in a year."),
    "bread": ("Why does the baker of {} wait before she bakes?", "So that the dough of {} hours can rise."),
    "bees": ("Where do the bees of {} fly in spring?", "To the {} lindens behind the mill."),
}
NAMES = ("Arun", "Bela", "Corvo", "Dunn", "Elm", "Farro", "Goss", "Hale", "Iver", "Jura")
SAME, NEAR = (31, 32), (33, 34)  # ids of a question and its copy, and of one and the same with a word more


def make_curated(path: Path) -> None:
    """Thirty questions in three subjects, then a pair of equal ones and a pair that nearly are; ids count from 1.

    The first twenty are accepted. None is rated or scored.
    """
    with Project.create(path) as project:
        for name in ("ice", "mill"):
            project.add_document(make_document(name, 12), make_passages(12), 1200, 200)
        run = project.start_run(make_settings())
        drafts = []
        for question, answer in ASKED.values():
            for number, name in enumerate(NAMES):
                slot = len(drafts)
                texts = {"question": question.format(name), "answer": answer.format(number + 2)}
                draft = make_draft(slot, 1 + slot % 24, kind="factual", choices=(), **texts)
                assert draft.evidence is not None
                drafts.append(replace(draft, evidence=replace(draft.evidence, page=1 + slot % 12)))
        long = "In which year did the town council of Vell vote to close the old stone quarry by the river for good?"
        for text in ("Who built the bridge?",) * 2 + (long, long.replace("good", "good and all")):
            drafts.append(make_draft(len(drafts), 1, kind="why_how", choices=(), question=text, answer="Ada Korel"))
        project.add_examples(run, drafts)
        project.finish_run(run, "finished", {})
        project.set_state(list(range(1, 21)), "accepted")


def add_scores(project: Project, agreeing: bool = True, name: str = "Small") -> int:
    """A run that scored all questions, and its id; where it agrees, its scores follow the ratings that `rate` gives."""
    run = project.start_run(replace(make_settings("score"), model_name=name))
    scores = []
    for id in project.example_ids():
        value = 1 + (id % 5) + (id % 3) * 0.2 if agreeing else 3 + (id % 7) * 0.1
        scores.append(ScoreRow(id, "rubric", min(5.0, value), "It is clear."))
    project.add_scores(run, scores)
    project.finish_run(run, "finished", {})
    return run


def rate(project: Project) -> None:
    """Rates all questions from 1 to 5."""
    ids = project.example_ids()
    for stars in range(1, 6):
        project.rate_all([id for id in ids if 1 + id % 5 == stars], stars)
