"""The door: what is put in comes out, once; what the user did can be undone, also tomorrow; pages are complete."""

import random
import threading
from pathlib import Path

import pytest
from project_material import (
    SENTENCES,
    TEXT,
    fill,
    make_document,
    make_draft,
    make_generated,
    make_passages,
    make_settings,
)

from core.documents.records import Part, Passage
from core.errors import UserError
from core.project import backup
from core.project.errors import ProjectDamaged
from core.project.project import Project
from core.project.records import KINDS, SORTS, STATES, Discard, Evidence, Example, ExampleFilter


def test_document_comes_out_as_it_went_in(project: Project) -> None:
    document = make_document(pages=3)
    row = project.add_document(document, make_passages(3), 900, 100)
    assert (row.state, row.pages, row.passages, row.passage_size, row.overlap) == ("ready", 3, 3, 900, 100)
    assert (row.title, row.path, row.sha256) == (document.title, document.path, document.sha256)
    assert (row.warnings, row.metadata) == (document.warnings, document.metadata)
    assert project.documents() == [row] == [project.document(row.id)]
    assert project.document_outline(row.id) == document.outline
    assert [project.page(row.id, number) for number in (1, 2, 3)] == list(document.pages)
    assert project.page_text(row.id, 2) == document.pages[1].text
    passages = project.passages(row.id)
    assert [passage.ordinal for passage in passages] == [0, 1, 2]
    assert passages[1].parts == ((2, 0, len(TEXT)),)
    assert project.passage(passages[1].id) == passages[1]
    assert project.passages() == passages


def test_same_document_is_refused_unless_it_failed(project: Project) -> None:
    document = make_document()
    failed = project.add_failed_document(document.path, "It needs a password.", document.sha256)
    assert (failed.state, failed.reason) == ("failed", "It needs a password.")
    again = project.add_failed_document(document.path, "It is damaged.")
    assert again.id == failed.id
    row = project.add_document(document, make_passages(), 1200, 200)
    assert project.documents() == [row]
    for add in (
        lambda: project.add_document(document, make_passages(), 1200, 200),
        lambda: project.add_failed_document(document.path, "no", document.sha256),
    ):
        with pytest.raises(UserError, match="already in this project"):
            add()
    project.add_failed_document("/other.pdf", "no")
    project.add_failed_document("/another.pdf", "no")
    assert len(project.documents()) == 3


def test_documents_with_examples_stay_as_they_are(project: Project) -> None:
    row = project.add_document(make_document(), make_passages(), 1200, 200)
    halves = [Passage("", (Part(1, 0, 20),), TEXT[:20]), Passage("", (Part(1, 20, 60),), TEXT[20:60])]
    run_id = project.start_run(make_settings())
    project.add_discard(run_id, Discard(project.passages()[0].id, 0, "factual", "no"))
    for change in (lambda: project.recut(row.id, halves, 40, 0), lambda: project.remove_document(row.id)):
        with pytest.raises(UserError, match="while questions are being asked"):
            change()
    project.finish_run(run_id, "finished", {})
    recut = project.recut(row.id, halves, 40, 0)
    assert (recut.passages, recut.passage_size, recut.overlap) == (2, 40, 0)
    assert [passage.text for passage in project.passages(row.id)] == [half.text for half in halves]
    assert project.discards() == []
    first = project.passages()[0].id
    evidence = Evidence(1, 0, 9, TEXT[:9])
    project.add_example(run_id, make_draft(0, first, evidence=evidence))
    for change in (lambda: project.recut(row.id, halves, 40, 0), lambda: project.remove_document(row.id)):
        with pytest.raises(UserError, match="1 question of this project"):
            change()
    other = project.add_document(make_document("two"), make_passages(), 1200, 200)
    project.remove_document(other.id)
    assert project.documents() == [recut]
    assert len(project.passages()) == 2
    assert project.add_document(make_document("two"), make_passages(), 1200, 200).id != other.id


def test_text_that_utf8_cannot_hold(project: Project) -> None:
    fill(project, 0)
    hostile = "a\ud800b \0 <b>x</b> 'quote\" ; DROP TABLE"
    id = project.add_example(1, make_draft(0, question=hostile, choices=(hostile,), answer=hostile))
    assert project.example(id).question == project.example(id).choices[0] == hostile.replace("\ud800", "\ufffd")
    project.edit_example(id, question="\udfff", choices=["\udfff"])
    assert project.example(id).choices == ("\ufffd",)
    assert project.count(ExampleFilter(text="\ud800")) == 1
    assert project.count(ExampleFilter(text="drop table")) == 1


def test_runs(tmp_path: Path) -> None:
    path = tmp_path / "runs.elenchus"
    with Project.create(path) as project:
        settings = make_settings()
        run_id = project.start_run(settings)
        run = project.run(run_id)
        assert (run.state, run.request, run.ended_at) == ("running", settings, None)
        project.finish_run(run_id, "finished", {"tokens": 5}, "")
        assert project.last_unfinished_run("ask") is None
        second = project.start_run(settings)
    with Project.open(path) as project:
        assert [run.state for run in project.runs()] == ["finished", "interrupted"]
        assert project.runs()[0].usage == {"tokens": 5}
        unfinished = project.last_unfinished_run("ask")
        assert unfinished is not None
        assert unfinished.id == second
        assert unfinished.reason.endswith("before the run had finished.")
        assert project.last_unfinished_run("tune") is None
        project.resume_run(second)
        assert (project.run(second).state, project.run(second).reason) == ("running", "")
        with pytest.raises(UserError, match="no run 99"):
            project.resume_run(99)


def test_examples_are_kept_once(project: Project) -> None:
    run_id = fill(project, 2)
    draft = make_draft(0)
    assert project.add_example(run_id, draft) == 1
    assert project.add_example(run_id, make_draft(0, question="Another?")) == 1
    other_run = project.start_run(make_settings())
    assert project.add_example(other_run, draft) == 3
    for _ in range(2):
        project.add_discard(run_id, Discard(1, 5, "factual", "nothing"))
    assert project.done_slots(run_id) == {(1, 0), (1, 1), (1, 5), (1, 10_000)}
    assert len(project.discards(run_id)) == 2
    assert len(project.discards()) == 2
    example = project.example(1)
    assert (example.question, example.answer, example.evidence) == (draft.question, draft.answer, draft.evidence)
    assert set(example.checks) == set(draft.checks)
    assert (example.document, example.model_sha256, example.prompt_version, example.seed) == (
        "The one",
        "ab" * 32,
        "1",
        7,
    )
    with pytest.raises(ValueError, match="unknown kind"):
        project.add_example(run_id, make_draft(9, kind="poem"))
    with pytest.raises(UserError, match="no passage 77"):
        project.add_example(run_id, make_draft(9, passage_id=77))


def test_an_example_need_not_come_from_a_passage(project: Project) -> None:
    asked = fill(project, 2)
    run_id = project.start_run(make_settings("counter"))
    draft = make_generated(0)
    id = project.add_example(run_id, draft)
    assert project.add_example(run_id, make_generated(0, question="Another?")) == id  # once, by run and slot
    assert project.add_example(run_id, make_generated(1, kind="neutral", context=())) == id + 1
    assert project.add_example(asked, make_generated(0)) == id + 2  # a passage's slot 0 is another
    assert project.add_example(run_id, make_draft(0)) == id + 3
    assert project.done_slots(run_id) == {(None, 0), (None, 1), (1, 0)}
    example = project.example(id)
    assert (example.state, example.reason, example.evidence) == ("draft", "", None)
    assert (example.passage_id, example.document_id) == (None, None)
    assert (example.document, example.document_path, example.document_sha256) == ("", "", "")
    assert example.context == draft.context
    assert example.model_sha256 == "ab" * 32
    assert project.example_ids(ExampleFilter(run_id=run_id)) == [id, id + 1, id + 3]
    assert project.example_ids(ExampleFilter(text="ışık: a)")) == [id, id + 2]  # what was said before is found too
    project.edit_example(id, answer="A) light")
    project.set_state([id], "accepted")
    assert project.example_ids(ExampleFilter(text="a) light", run_id=run_id)) == [id]
    assert (project.undo(), project.undo()) == ("Accept 1 question", "Edit 1 question")
    assert project.example(id) == example
    assert project.count(ExampleFilter(document_id=1)) == 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "factual"},
        {"kind": "unanswerable"},
        {"evidence": Evidence(1, 0, 28, SENTENCES[0])},
        {"context": (("user", "A or B?"),)},
        {"context": (("assistant", "A"), ("user", "Why?"))},
        {"context": (("user", "A or B?"), ("system", "A"))},
    ],
)
def test_what_cannot_be_generated_is_refused(project: Project, wrong: dict[str, object]) -> None:
    run_id = fill(project, 0)
    with pytest.raises(ValueError, match=r"comes from a passage|speak in turn"):
        project.add_example(run_id, make_generated(0, **wrong))
    assert project.count() == 0


@pytest.mark.parametrize("context", ['[["user","A?"]]', '[["user",1],["assistant","A"]]', "{}", "not JSON"])
def test_a_context_of_another_shape_is_damage(project: Project, context: str) -> None:
    id = project.add_example(fill(project, 0), make_generated(0))
    project._file.connection.execute("UPDATE examples SET context = ?", (context,))
    with pytest.raises(ProjectDamaged, match="cannot be read"):
        project.example(id)


@pytest.mark.parametrize(
    ("evidence", "reason"),
    [
        (Evidence(1, 0, 28, SENTENCES[0]), ""),
        (Evidence(1, 0, 27, SENTENCES[0]), "word for word"),
        (Evidence(1, 1, 29, SENTENCES[0]), "word for word"),
        (Evidence(2, 0, 28, SENTENCES[0]), "outside the passage"),
        (Evidence(1, 5, 5000, SENTENCES[0]), "outside the passage"),
        (None, "no evidence"),
    ],
)
def test_evidence_is_verified(project: Project, evidence: Evidence | None, reason: str) -> None:
    run_id = fill(project, 0)
    example = project.example(project.add_example(run_id, make_draft(0, evidence=evidence)))
    assert example.state == ("quarantined" if reason else "draft")
    assert reason in example.reason
    assert example.evidence == evidence
    unanswerable = project.add_example(run_id, make_draft(1, kind="unanswerable", evidence=None))
    assert project.example(unanswerable).state == "draft"


def snapshot(project: Project) -> list[Example]:
    return list(project.iter_examples())


def test_undo_and_redo_across_restarts(tmp_path: Path) -> None:
    path = tmp_path / "undo.elenchus"
    actions = [
        ("Accept 3 questions", lambda project: project.set_state([1, 2, 3], "accepted")),
        ("Rate 1 question", lambda project: project.rate(2, 4)),
        ("Edit 1 question", lambda project: project.edit_example(2, question="New?", choices=["a", "b"])),
        ("Quarantine 1 question", lambda project: project.set_state([2, 2], "quarantined", "It is wrong.")),
        ("Edit 1 question", lambda project: project.edit_example(2, answer="Newer.")),
        ("Return 2 questions to draft", lambda project: project.set_state([1, 2, 4], "draft")),
    ]
    with Project.create(path) as project:
        fill(project, 4)
        states = [snapshot(project)]
        for _, act in actions:
            act(project)
            states.append(snapshot(project))
    labels = [label for label, _ in actions]
    for number in reversed(range(len(actions))):
        with Project.open(path) as project:
            assert project.undo() == labels[number]
            assert snapshot(project) == states[number]
    with Project.open(path) as project:
        assert project.undo() is None
    for number in range(len(actions)):
        with Project.open(path) as project:
            assert project.redo() == labels[number]
            assert snapshot(project) == states[number + 1]
    with Project.open(path) as project:
        assert project.redo() is None
        project.undo()
        project.rate(1, 1)  # a new action: what was undone is gone
        assert project.redo() is None
        assert [review.label for review in project.reviews(1)] == ["Accept 3 questions", "Rate 1 question"]
        assert project.undo() == "Rate 1 question"
        assert project.reviews(1)[-1].undone


def test_what_changes_nothing_is_no_action(project: Project) -> None:
    fill(project, 2)
    assert project.set_state([1, 2], "draft") == 0
    project.rate(1, None)
    project.edit_example(1)
    project.edit_example(1, question=project.example(1).question)
    assert project.example(1).edited_at is None
    assert project.undo() is None
    with pytest.raises(UserError, match="no question 9"):
        project.set_state([1, 9], "accepted")
    assert project.counts()["accepted"] == 0
    for wrong in (lambda: project.set_state([1], "done"), lambda: project.rate(1, 6)):
        with pytest.raises(ValueError, match=r"unknown state|not a rating"):
            wrong()


def test_draft_stays_beside_the_edit(project: Project) -> None:
    fill(project, 3)
    before = project.example(3)
    project.edit_example(3, question="Q", answer="A", choices=["c"])
    after = project.example(3)
    assert (after.question, after.answer, after.choices) == ("Q", "A", ("c",))
    assert (after.draft_question, after.draft_answer, after.draft_choices) == (
        before.question,
        before.answer,
        before.choices,
    )
    assert after.edited_at is not None
    fields = {review.field: (review.before, review.after) for review in project.reviews(3)}
    assert fields["question"] == (before.question, "Q")
    project.undo()
    assert project.example(3) == before


def spread(project: Project, count: int) -> None:
    """Examples of two documents and of none, in all states, kinds and ratings."""
    run_id = fill(project, 0)
    project.add_document(make_document("two"), make_passages(), 1200, 200)
    chance = random.Random(5)
    for slot in range(count):
        passage = chance.choice((1, 2, None))
        asked = make_draft(slot, passage, kind=chance.choice(KINDS))
        project.add_example(run_id, asked if passage else make_generated(slot))
    for state in STATES:
        project.set_state(chance.sample(project.example_ids(), count // 6), state)
    for id in chance.sample(project.example_ids(), count // 2):
        project.rate(id, chance.randint(1, 5))


def test_pages_are_ordered_and_complete(project: Project) -> None:
    project._file.connection.pragma("synchronous", "OFF")
    spread(project, 90)
    everything = snapshot(project)
    for sort in SORTS:
        for descending in (False, True):
            for state in (None, "draft"):
                filter = ExampleFilter(sort=sort, descending=descending, state=state)
                expected = sorted(
                    (example for example in everything if state in (None, example.state)),
                    key=lambda example: (getattr(example, sort) or 0, example.id),
                    reverse=descending,
                )
                pages, after = [], None
                while page := project.examples(filter, after, limit=7):
                    pages += page
                    after = page[-1]
                assert pages == expected
                assert project.example_ids(filter) == [example.id for example in expected]


def test_filters(project: Project) -> None:
    project._file.connection.pragma("synchronous", "OFF")
    spread(project, 60)
    everything = snapshot(project)
    tests = {
        ExampleFilter(state="accepted"): lambda example: example.state == "accepted",
        ExampleFilter(kind="definition"): lambda example: example.kind == "definition",
        ExampleFilter(document_id=2): lambda example: example.document_id == 2,
        ExampleFilter(run_id=2): lambda example: example.run_id == 2,
        ExampleFilter(failed_check="leak"): lambda example: any(
            check.name == "leak" and not check.passed for check in example.checks
        ),
        ExampleFilter(failed_check="round_trip"): lambda example: False,
        ExampleFilter(text="question 4"): lambda example: "Question 4" in example.question,
        ExampleFilter(state="draft", document_id=1, text="IZMIR"): lambda example: (
            (example.state, example.document_id) == ("draft", 1)
        ),
    }
    for filter, matches in tests.items():
        expected = [example for example in everything if matches(example)]
        assert list(project.iter_examples(filter)) == expected
        assert project.count(filter) == len(expected)
    counts = project.counts()
    assert counts == {state: sum(example.state == state for example in everything) for state in STATES}
    assert list(project.questions()) == [(example.id, example.question) for example in everything]
    with pytest.raises(ValueError, match="unknown order"):
        project.examples(ExampleFilter(sort="; DROP TABLE examples"))


def test_pages_while_examples_arrive(project: Project) -> None:
    project._file.connection.pragma("synchronous", "OFF")
    run_id = fill(project, 20)
    seen: list[int] = []
    after, slot = None, 20
    while page := project.examples(after=after, limit=6):
        seen += [example.id for example in page]
        after = page[-1]
        for _ in range(3 if slot < 40 else 0):
            project.add_example(run_id, make_draft(slot))
            slot += 1
    assert seen == project.example_ids()
    before = set(project.example_ids(ExampleFilter(sort="kind")))
    seen, after = [], None
    while page := project.examples(ExampleFilter(sort="kind"), after, limit=6):
        seen += [example.id for example in page]
        after = page[-1]
        if slot < 60:
            project.add_example(run_id, make_draft(slot))
            slot += 1
    assert len(seen) == len(set(seen))
    assert before <= set(seen)


def test_changing_what_is_iterated(project: Project) -> None:
    fill(project, 5)
    for example in project.iter_examples(ExampleFilter(state="draft")):
        project.set_state([example.id], "accepted")
    assert project.counts()["accepted"] == 5


def test_changes_are_announced_after_the_commit(project: Project) -> None:
    told: list[tuple[str, list[int], int]] = []
    project.changed.append(lambda table, ids: told.append((table, ids, project.count())))
    run_id = fill(project, 1)
    project.add_example(run_id, make_draft(0))  # is there already: nothing to announce
    project.set_state([1], "accepted")
    project.undo()
    project.undo()
    tables = [(table, ids) for table, ids, _ in told]
    assert tables[:4] == [("documents", [1]), ("runs", [1]), ("examples", [1]), ("discards", [1])]
    assert tables[4:] == [("examples", [1]), ("examples", [1])]
    assert told[2][2] == 1


def test_a_backup_is_made_while_the_work_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup, "SLICE", 2)
    monkeypatch.setattr(backup, "INTERVAL", 0.0)
    path = tmp_path / "work.elenchus"
    with Project.create(path) as project:
        run_id = fill(project, 3)
        for slot in range(100, 160):
            project.add_example(run_id, make_draft(slot))
        assert project.backup_problem == ""
    kept = list((backup.folder() / project.id).iterdir())
    assert 1 <= len(kept) <= backup.KEPT
    newest = backup.newest_backup(path)
    assert newest is not None
    assert newest == max(kept)
    with Project.open(newest, read_only=True) as copy:
        assert copy.counts()["draft"] >= 3
    assert backup.newest_backup(tmp_path / "another.elenchus") is None


def test_no_backup_too_soon(project: Project) -> None:
    run_id = fill(project, 1)
    project._backups.wait()
    for slot in range(10, 20):
        project.add_example(run_id, make_draft(slot))
    project._backups.wait()
    assert len(list(backup.folder().glob("*/*"))) == 1


def test_who_reads_long_holds_nobody_up(project: Project) -> None:
    """The window asks for little and at once; the list of a large project is read beside it."""
    fill(project)
    counted: list[int] = []
    with project._read_aside() as database:
        other = threading.Thread(target=lambda: counted.append(project.count()), daemon=True)
        other.start()
        other.join(10)
        assert counted == [len(list(database.execute_sql("SELECT id FROM examples")))]
    assert project.example_ids() == sorted(project.example_ids())


def test_a_list_may_be_read_while_a_backup_is_made(project: Project) -> None:
    """SQLite's connection is at work in the backup's thread, and refuses to be asked even for its name."""
    fill(project)
    at_work, enough = threading.Event(), threading.Event()

    def work(*_: object) -> int:
        at_work.set()
        return int(enough.wait(10))

    connection = project._file.connection
    connection.create_scalar_function("work", work)
    other = threading.Thread(target=lambda: connection.execute("SELECT work()").fetchall(), daemon=True)
    other.start()
    assert at_work.wait(10)
    try:
        assert project.example_ids()
    finally:
        enough.set()
        other.join(10)
