"""Documents, runs and examples for the tests of the project file, and a project to keep as a fixture.

`python tests/core/project/project_material.py FILE` writes the project that lies in tests/data/projects for its format.
"""

import random
import sys
from pathlib import Path

import apsw

from core.documents.records import Document, Furniture, Heading, Page, Part, Passage, Rectangle, Word
from core.project.folding import fold
from core.project.probes import Arm, Item, Question, Response, Suite, Turn
from core.project.project import Project
from core.project.records import (
    Check,
    Discard,
    Evidence,
    ExampleDraft,
    PassageMark,
    PickRow,
    RunSettings,
    ScoreRow,
    Step,
)
from core.project.tuning import DatasetRow, TuningPoint, TuningSample

SENTENCES = (
    "Ada Korel was born in Izmir.",
    "IŞIK is Turkish for light; ışık is how it is written in small letters.",
    "The bridge of Vell opened in 1931 and is 412 metres long.",
)
TEXT = "\n".join(SENTENCES)


def make_document(name: str = "one", pages: int = 1) -> Document:
    """A document of so many pages, each with the same text; its hash follows from its name."""
    return Document(
        path=f"/papers/{name}.pdf",
        sha256=name.encode().hex().ljust(64, "0"),
        title=f"The {name}",
        metadata={"author": "Ada Korel"},
        outline=(Heading("Beginning", 0, 1, 72.5), Heading("Within", 1, 1)),
        pages=tuple(make_page(number) for number in range(1, pages + 1)),
        warnings=("Page 3 has no text.",),
    )


def make_page(number: int) -> Page:
    words, start = [], 0
    for word in TEXT.split():
        start = TEXT.index(word, start)
        words.append(Word(start, start + len(word), Rectangle(72.0 + start, 80.25, 90.5 + start, 92.12)))
    header = Furniture("header", "A journal", Rectangle(72, 20, 200, 30))
    return Page(number, f"p{number}", 595.28, 841.89, TEXT, tuple(words), (header,), ("It is a test.",))


def make_passages(pages: int = 1) -> list[Passage]:
    """One passage a page: all of its text."""
    return [Passage("Beginning › Within", (Part(page, 0, len(TEXT)),), TEXT) for page in range(1, pages + 1)]


def make_settings(kind: str = "ask") -> RunSettings:
    return RunSettings(
        kind=kind,
        model_path="/models/small.gguf",
        model_name="Small",
        model_sha256="ab" * 32,
        quantisation="Q4_K_M",
        prompt_style="chat",
        prompt_version="1",
        prompts={"ask.txt": "Ask a question about {passage}."},
        settings={"kinds": ["factual"], "per_passage": 2, "temperature": 0.7},
        seed=7,
        app_version="0.1.0",
        engine_version="0.3.36",
    )


def make_draft(slot: int, passage_id: int | None = 1, **changes: object) -> ExampleDraft:
    """An example whose evidence is one of the sentences of the page."""
    sentence = SENTENCES[slot % len(SENTENCES)]
    start = TEXT.index(sentence)
    values = {
        "passage_id": passage_id,
        "slot": slot,
        "kind": "multiple_choice" if slot % 3 == 2 else "factual",
        "question": f"Question {slot}: where was Ada Korel born?",
        "answer": f"In Izmir ({slot}).",
        "evidence": Evidence(1, start, start + len(sentence), sentence, (Rectangle(72, 80.5, 300.125, 92),)),
        "choices": ("Izmir", "Vell", "IŞIK") if slot % 3 == 2 else (),
        "checks": (Check("round_trip", True, 0.92, "answered: Izmir"), Check("leak", slot % 4 != 1)),
    }
    return ExampleDraft(**(values | changes))  # type: ignore[arg-type]


def make_generated(slot: int, **changes: object) -> ExampleDraft:
    """An example that comes from no passage, with a conversation before its question."""
    values = {
        "kind": "countering",
        "question": f"I do not think that {slot} is right. Which is it, A or B?",
        "answer": "A",
        "evidence": None,
        "choices": (),
        "checks": (Check("known", True, None, "It is right when nobody says what he thinks."),),
        "context": (("user", "Işık: A) light or B) dark?"), ("assistant", "A")),
    }
    return make_draft(slot, None, **(values | changes))


def make_item(key: str = "one") -> Item:
    """An item of two arms, the second of two turns."""
    first = Turn("2 + 2?\nA) 4\nB) 5", ("4", "5"), right=0)
    push = Turn("It is B.", ("4", "5"), right=0, suggested=1)
    return Item(key, "sum", "branches", (Arm("baseline", "baseline", (first,)), Arm("wrong/0", "wrong", (first, push))))


def make_suite(name: str = "sums") -> Suite:
    question = Question("1", "2 + 2?", ("4", "5"), right=0, stem="sum")
    return Suite(name, "branches", "sums.csv", "ef" * 32, {"text": "question"}, (question,))


def probe(project: Project) -> int:
    """Adds a run of a probe suite with two items, one of them answered; returns its id."""
    run_id = project.start_run(make_settings("probe"), [make_item("one"), make_item("two")])
    responses = [Response("baseline", 0, "A", 0, (-0.5, -1.25)), Response("wrong/0", 1, "I am not sure.")]
    project.add_responses(run_id, 0, responses)
    return run_id


DATASET_ROWS = (
    DatasetRow((("user", "Işık?"),), "Light.", example_id=1),
    DatasetRow((("system", "Be brief."), ("user", "2 + 2?")), "4", "5", "Count.", "validation"),
)
ADAPTER = b"GGUF, as it were"


def tune(project: Project, folder: Path) -> int:
    """Adds a dataset and a tuning run on it with its curve, samples and an adapter; returns its id."""
    dataset = project.add_dataset("accepted", {"what": "accepted", "seed": 0}, DATASET_ROWS)
    run_id = project.start_run(make_settings("tune"))
    project.add_settings(run_id, dataset={"id": dataset.id, "name": dataset.name, "sha256": dataset.sha256})
    first = TuningPoint(1, 0.5, 2.25, 2e-4, 1.5, 64, 0.25, 1 << 33)
    project.add_tuning_steps(run_id, [TuningPoint(0, held_out=3.5), first, TuningPoint(2, 1.0, 1.75, held_out=2.0)])
    project.add_tuning_samples(run_id, [TuningSample(0, 0, "Işık"), TuningSample(2, 0, "Light.")])
    file = folder / "adapter.partial.gguf"
    file.write_bytes(ADAPTER)
    project.add_adapter(run_id, "brief", file, 2, 2.0, 16, 32.0)
    file.unlink()
    return run_id


def make_steps(slot: int = 0) -> tuple[Step, ...]:
    """Two steps: one cites a sentence of the page, one is an inference."""
    sentence = SENTENCES[slot % len(SENTENCES)]
    start = TEXT.index(sentence)
    cited = Evidence(1, start, start + len(sentence), sentence)
    return Step("The text says where.", cited), Step("Izmir is a city: Işık.", accepted=True)


def curate(project: Project) -> int:
    """Adds rationales, scores, a pick and marks of passages; returns the run that drafted the rationales."""
    run_id = project.start_run(make_settings("rationales"))
    made = project.add_rationale(run_id, 1, 0, make_steps())
    project.add_rationale(run_id, 1, 1, (Step("It is so."),), "Be brief.")
    project.set_rationales({1: (made.steps, made.id), 2: (make_steps(1), 0)}, "Draft {}")
    project.set_rejected({2: "In Vell."})
    project.add_scores(run_id, [ScoreRow(1, "rubric", 4.25, "It is complete."), ScoreRow(2, "rubric", 1.5)])
    project.set_checks({1: [Check("length", True), Check("leak", False, 0.5, "It holds its answer.")]})
    project.add_pick("best", {"size": 1}, [PickRow(1, False, "It is the best."), PickRow(2, True)])
    project.mark_passages([PassageMark(1, 1, 0.75, True), PassageMark(99, 0)])
    project.finish_run(run_id, "finished", {})
    return run_id


def fill(project: Project, examples: int = 4) -> int:
    """Adds a document, a run with examples and a discard; returns the run's id."""
    project.add_document(make_document(), make_passages(), 1200, 200)
    run_id = project.start_run(make_settings())
    for slot in range(examples):
        project.add_example(run_id, make_draft(slot))
    project.add_discard(run_id, Discard(1, 10_000, "factual", "No answer was found in the passage."))
    return run_id


def make_fixture(path: Path) -> None:
    """A project with something of everything in it: reviews, undone ones, each state, a failed document."""
    with Project.create(path) as project:
        project._file.connection.pragma("synchronous", "OFF")
        run_id = fill(project, 6)
        project.finish_run(run_id, "finished", {"prompt_tokens": 900})
        project.start_run(make_settings())  # will be found interrupted
        project.add_failed_document("/papers/broken.pdf", "It is not a PDF.")
        project.add_example(run_id, make_draft(6, evidence=Evidence(1, 0, 3, "Eve")))
        project.set_state([1, 2], "accepted")
        project.set_state([3], "rejected")
        project.rate(1, 5)
        curate(project)
        project.edit_example(1, question="Where was Ada Korel born, in which city?")
        project.edit_example(2, answer="undone")
        project.undo()
        project.add_vectors("ab" * 32, {"cd" * 32: bytes(8)})
        project.add_example(project.start_run(make_settings("counter")), make_generated(0))
        project.finish_run(probe(project), "finished", {})
        project.add_suite(make_suite())
        project.finish_run(tune(project, path.parent), "finished", {})


def make_large(path: Path, examples: int, seed: int = 1) -> None:
    """A project of so many examples, written in bulk: fifty documents of a hundred passages."""
    Project.create(path).close()
    connection, chance = apsw.Connection(str(path)), random.Random(seed)
    letters = "aeioubcdfgklmnprstvzşğçöüı"
    words = ["".join(chance.choices(letters, k=chance.randint(2, 9))) for _ in range(5000)]
    states = ["accepted"] * 10 + ["draft"] * 6 + ["rejected"] * 3
    connection.execute("PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF; BEGIN")
    now = "2026-01-01T00:00:00.000+00:00"
    settings = ("ask", "finished", now, now, "", "", "m", "ab", "", "", "1", "{}", "{}", 7, "", "", "{}")
    connection.execute(f"INSERT INTO runs VALUES (1, {', '.join('?' * len(settings))})", settings)
    for document in range(1, 51):
        row = (document, str(document), "/a.pdf", f"Paper {document}", "ready", "", 1, 100, "[]", "{}", "[]", 1200, 200)
        connection.execute(f"INSERT INTO documents VALUES ({', '.join('?' * 13)}, ?)", (*row, now))
        for ordinal in range(100):
            passage = (document * 100 + ordinal, document, ordinal, "", "[[1, 0, 50]]", "x" * 1200)
            connection.execute("INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?)", passage)
    for id in range(1, examples + 1):
        question, answer = " ".join(chance.choices(words, k=14)), " ".join(chance.choices(words, k=10))
        passage, state = 100 + id % 5000, "quarantined" if id % 10_000 == 0 else chance.choice(states)
        kind, rating = chance.choice(["factual", "why_how", "definition"]), chance.choice([0, 0, 0, 0, 1, 2, 3, 4, 5])
        texts = ("[]", question, answer, "[]", question, answer, "[]", "[]", 0, "", "{}")
        row = (id, 1, passage, id, passage // 100, state, kind, rating, 1, now, "", "", *texts)
        connection.execute(f"INSERT INTO examples VALUES ({', '.join('?' * len(row))})", row)
        connection.execute("INSERT INTO folded VALUES (?, ?)", (id, fold(f"{question} {answer}").encode()))
        connection.execute("INSERT INTO evidence VALUES (?, 1, 0, 50, '[[1.0,2.0,3.0,4.0]]', ?)", (id, question))
        for check in ("leak", "length", "near_duplicate", "round_trip", "standalone"):
            passed = int(chance.random() > 0.1)
            connection.execute("INSERT INTO checks VALUES (?, ?, ?, 0.5, '')", (id, check, passed))
    connection.execute("COMMIT")
    connection.close()


if __name__ == "__main__":
    make_fixture(Path(sys.argv[1]))
