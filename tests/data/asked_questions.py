"""Accepted questions of a made-up document of one page, each with the sentence that answers it."""

from core.documents.records import Document, Page, Part, Passage
from core.project.project import Project
from core.project.records import Evidence, ExampleDraft, RunSettings

FACTS = (
    ("The town of Belmar was founded in 1902.", "When was Belmar founded?", "1902"),
    ("Mira Sol built the bridge of Corda.", "Who built the bridge of Corda?", "Mira Sol"),
    ("The River Tirrow flows from Lanrick to Ulm.", "Where does the River Tirrow end?", "Ulm"),
)
TEXT = " ".join(sentence for sentence, _, _ in FACTS)


def add_asked(project: Project, count: int = len(FACTS)) -> list[int]:
    """Adds the document and so many questions, the facts by turns; returns their ids."""
    pages = (Page(1, "1", 100, 100, TEXT),)
    passages = [Passage("", (Part(1, 0, len(TEXT)),), TEXT)]
    project.add_document(Document("/d.pdf", "ab" * 32, "D", pages=pages), passages, 1200, 200)
    run = project.start_run(RunSettings("ask", "", "", "", "", "", "", {}, {}, 0, "", ""))
    drafts = []
    for slot in range(count):
        sentence, question, answer = FACTS[slot % len(FACTS)]
        start = TEXT.index(sentence)
        evidence = Evidence(1, start, start + len(sentence), sentence)
        drafts.append(ExampleDraft(1, slot, "factual", question, answer, evidence))
    ids = project.add_examples(run, drafts)
    project.finish_run(run, "finished", {})
    project.set_state(ids, "accepted")
    return ids
