"""Examples whose vectors are known, so that what is picked or grouped by meaning can be told beforehand."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.curation.vectors import Vectors, each_example, meaning
from core.documents.records import Document, Page, Part, Passage
from core.models.checksum import sha256
from core.project.project import Project
from core.project.records import ExampleDraft, RunSettings

TOPICS = {
    "glacier": ("Why does the glacier move over its bed of rock?", "Its ice slides on water that the pressure melts."),
    "harbour": ("Who built the old harbour on the northern coast?", "The engineers of the railway built it in 1874."),
    "orchard": ("When do the trees of the orchard bear their fruit?", "They bear apples in the autumn of each year."),
}


def add_rows(
    project: Project, rows: Sequence[tuple[str, str]], document: str = "", state: str = "accepted"
) -> list[int]:
    """Adds (question, answer) of a new document, or of a file where none is named; returns their ids."""
    passage = None
    if document:
        pages = (Page(1, "1", 100, 100, document),)
        digest = hashlib.sha256(document.encode()).hexdigest()
        added = project.add_document(
            Document(f"/{document}.pdf", digest, document, pages=pages),
            [Passage("", (Part(1, 0, len(document)),), document)], 1200, 200,
        )  # fmt: skip
        (passage,) = [id for id, owner in project.passage_keys() if owner == added.id]
    run = project.start_run(RunSettings("import", "", "", "", "", "", "", {}, {}, 0, "", ""))
    kind = "unanswerable" if document else "imported"  # which needs no evidence
    drafts = [ExampleDraft(passage, slot, kind, *row, None) for slot, row in enumerate(rows)]
    ids = project.add_examples(run, drafts, state="accepted" if state == "accepted" else "draft")
    project.finish_run(run, "finished", {})
    return ids


def give_vectors(project: Project, model: Path, ids: Sequence[int], vectors: Vectors) -> None:
    """Keeps these vectors as if the model had made them of these examples."""
    texts = [meaning(one) for one in each_example(project, ids)]
    keys = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    rows = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    project.add_vectors(sha256(model), {key: row.astype("<f2").tobytes() for key, row in zip(keys, rows, strict=True)})


def add_topics(project: Project, model: Path, each: int, width: int = 64, seed: int = 0) -> list[int]:
    """Adds so many questions of each topic, a document each, with vectors around a middle of its own."""
    chance, ids = np.random.default_rng(seed), []
    middles = np.linalg.qr(chance.standard_normal((width, width)))[0]
    for number, (topic, (question, answer)) in enumerate(TOPICS.items()):
        rows = [(f"{question} ({topic} {place})", f"{answer} {place}") for place in range(each)]
        some = add_rows(project, rows, document=topic)
        give_vectors(
            project, model, some, (middles[number] + 0.02 * chance.standard_normal((each, width))).astype("f4")
        )
        ids += some
    return ids
