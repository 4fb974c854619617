"""A project with questions to explain, and a worker whose child keeps its model warm from test to test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.documents.records import Document, Page, Part, Passage
from core.project.project import Project
from core.project.records import Evidence, ExampleDraft, RunSettings
from core.worker import Worker

SENTENCES = (
    "The town of Belmar was founded in 1902.",
    "Mira Sol built the bridge of Corda.",
    "The River Tirrow flows from Lanrick to Ulm.",
)
QUESTIONS = (
    ("When was Belmar founded?", "1902"),
    ("Who built the bridge of Corda?", "Mira Sol"),
    ("Where does the River Tirrow end?", "Ulm"),
)
TEXT = " ".join(SENTENCES)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.create(tmp_path / "p.elenchus") as project:
        yield project


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as worker:
        yield worker


@pytest.fixture
def asked(project: Project) -> list[int]:
    """Accepted questions of one passage, each with the sentence that answers it."""
    pages = (Page(1, "1", 100, 100, TEXT),)
    project.add_document(
        Document("/d.pdf", "ab" * 32, "D", pages=pages), [Passage("", (Part(1, 0, len(TEXT)),), TEXT)], 1200, 200
    )
    run = project.start_run(RunSettings("ask", "", "", "", "", "", "", {}, {}, 0, "", ""))
    drafts = []
    for slot, (sentence, (question, answer)) in enumerate(zip(SENTENCES, QUESTIONS, strict=True)):
        start = TEXT.index(sentence)
        evidence = Evidence(1, start, start + len(sentence), sentence)
        drafts.append(ExampleDraft(1, slot, "factual", question, answer, evidence))
    ids = project.add_examples(run, drafts)
    project.finish_run(run, "finished", {})
    project.set_state(ids, "accepted")
    return ids
