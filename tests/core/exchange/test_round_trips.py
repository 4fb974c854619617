"""What is exported comes back as it was, from every format, whatever its texts; and is exported again byte for byte."""

import json
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from core.documents.records import Rectangle
from core.exchange.export import Exported, export
from core.exchange.files import part_of
from core.exchange.formats import FORMATS, SHAPES
from core.exchange.importing import Imported, bring_in
from core.project.project import Project
from core.project.records import Check, Evidence, Example, ExampleDraft, Step
from tests.core.project.project_material import TEXT, make_document, make_passages, make_settings

ONE_FILE = tuple(format for format in FORMATS if format != "folder")
COME_BACK = (
    *("kind", "question", "answer", "choices", "context", "evidence", "rationale", "rejected", "rating", "passage_id"),
    "document_sha256",
)
SOME = settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

# What breaks parsers: quotes, ends of lines, separators of every format, formulas, what UTF-8 cannot hold.
PIECES = st.sampled_from(
    ['"', "'", "\n", "\r", "\r\n", ",", ";", "\t", "=1+1", "+", "-", "@", "''=", "\0", "\ufeff", "😀", "ışık", "\ud800",
     "\u2028", "[", "]", "{}", "null", "None", " ", "\\", "A) ", "User: ", "####", "<<1=1>>"]
)  # fmt: skip
TEXTS = st.lists(PIECES | st.text(max_size=6), max_size=5).map("".join)
SAID = TEXTS.map(lambda text: text + "?")  # of which something is left when spaces are not counted
LINES = SAID.map(lambda text: " ".join(text.split()))


def contexts(texts: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[tuple[str, str], ...]]:
    turns = st.lists(st.tuples(texts, texts), max_size=2)
    system = st.none() | texts
    return st.builds(
        lambda system, turns: (
            *((("system", system),) if system is not None else ()),
            *(turn for asked, told in turns for turn in (("user", asked), ("assistant", told))),
        ),
        system,
        turns,
    )


@st.composite
def drafts(draw: Callable[..., Any], passages: tuple[int, ...]) -> ExampleDraft:
    """Any example that a project may hold, of a passage or of none."""
    kind = draw(st.sampled_from(["factual", "multiple_choice", "true_false", "unanswerable", "countering", "neutral"]))
    of_passage = kind not in ("countering", "neutral")
    start = draw(st.integers(0, len(TEXT) - 2))
    end = draw(st.integers(start + 1, len(TEXT)))
    place = Evidence(1, start, end, TEXT[start:end])
    cited = st.just(place) if of_passage else st.none()
    steps = st.builds(Step, LINES, st.none() | cited, st.booleans())
    choices = tuple(draw(st.lists(TEXTS, max_size=9))) if kind == "multiple_choice" else ()
    return ExampleDraft(
        passage_id=passages[0] if of_passage else None,
        slot=0,
        kind=kind,
        question=draw(TEXTS),
        answer=draw(TEXTS | st.sampled_from(choices)) if choices else draw(TEXTS),
        evidence=replace(place, rectangles=(Rectangle(1, 2.25, 3, 4),))
        if of_passage and kind != "unanswerable"
        else None,
        choices=choices,
        checks=() if of_passage else (Check("fresh", True, None, "a stem"),),
        context=draw(contexts(TEXTS)),
        rationale=tuple(draw(st.lists(steps, max_size=3))),
        rejected=draw(TEXTS),
        rating=draw(st.none() | st.integers(1, 5)),
    )


def last(steps: Generator[Any, None, Any]) -> Any:
    """What a generator returns, or yields last."""
    item = None
    while True:
        try:
            item = next(steps)
        except StopIteration as stop:
            return stop.value if stop.value is not None else item


@pytest.fixture
def projects(tmp_path: Path) -> Iterator[tuple[Project, Project, Project]]:
    """Where examples come from; a project with the same document; and one without."""
    with (
        Project.create(tmp_path / "from.elenchus") as one,
        Project.create(tmp_path / "with.elenchus") as two,
        Project.create(tmp_path / "without.elenchus") as three,
    ):
        for project in (one, two):
            project.add_document(make_document(), make_passages(), 1200, 200)
        yield one, two, three


NAMES = count()


def exported(project: Project, folder: Path, format: str, run: int, plain: bool = False, **how: Any) -> Path:
    out = folder / f"{next(NAMES)}.out"
    done: Exported = last(export(project, out, format, plain=plain, run=run, **how))
    assert done.quarantined == 0
    return out


def brought_in(project: Project, path: Path) -> list[Example]:
    done: Imported = last(bring_in(project, path, state="accepted"))
    assert done.left_out == 0
    ids = [example.id for example in project.iter_examples() if example.run_id == done.run_id]
    return project.examples_by_id(ids)


def kept(project: Project, found: list[ExampleDraft], kind: str = "ask") -> int:
    """The run that the drafts are of, all accepted."""
    run = project.start_run(make_settings(kind))
    project.add_examples(run, [replace(draft, slot=slot) for slot, draft in enumerate(found)], "accepted")
    project.finish_run(run, "finished", {})
    return run


def told(example: Example) -> dict[str, Any]:
    return {name: getattr(example, name) for name in COME_BACK} | {"checks": list(example.checks)}


@pytest.mark.parametrize("format", ONE_FILE)
@SOME
@given(data=st.data())
def test_with_its_provenance_everything_comes_back(
    projects: tuple[Project, Project, Project], tmp_path: Path, format: str, data: st.DataObject
) -> None:
    one, two, three = projects
    found = data.draw(st.lists(drafts((1,)), min_size=1, max_size=3))
    if format.startswith("dpo"):
        found = [replace(draft, rejected=draft.rejected or "worse") for draft in found]
    run = kept(one, found)
    before = [example for example in one.iter_examples() if example.run_id == run]
    first = exported(one, tmp_path, format, run)
    for project in (two, three):
        after = brought_in(project, first)
        again = exported(project, tmp_path, format, after[0].run_id)
        assert again.read_bytes() == first.read_bytes()
        if project is two:
            assert [told(example) for example in after] == [told(example) for example in before]


@pytest.mark.parametrize("format", ONE_FILE)
@SOME
@given(data=st.data())
def test_without_it_the_texts_do(
    projects: tuple[Project, Project, Project], tmp_path: Path, format: str, data: st.DataObject
) -> None:
    one, _, three = projects
    draft = st.builds(
        lambda asked, told, context, worse, steps: ExampleDraft(
            None, 0, "countering", asked, told, None, context=context, rejected=worse, rationale=steps
        ),
        SAID, SAID, contexts(SAID), SAID.map(lambda text: text + " no"), st.lists(st.builds(Step, LINES)).map(tuple),
    )  # fmt: skip
    run = kept(one, data.draw(st.lists(draft, min_size=1, max_size=3)))
    first = exported(one, tmp_path, format, run, plain=True)
    after = brought_in(three, first)
    assert exported(three, tmp_path, format, after[0].run_id, plain=True).read_bytes() == first.read_bytes()
    if format == "messages":
        before = [example for example in one.iter_examples() if example.run_id == run]
        texts = [(example.context, example.question, example.answer) for example in before]
        assert [(example.context, example.question, example.answer) for example in after] == texts


@pytest.mark.parametrize("shape", SHAPES)
def test_a_folder_comes_back_in_every_shape(
    projects: tuple[Project, Project, Project], tmp_path: Path, shape: str
) -> None:
    one, two, _ = projects
    cited = (Step("It is said.", Evidence(1, 0, 3, TEXT[:3])), Step("So it is."))
    place = Evidence(1, 0, 8, TEXT[:8], (Rectangle(1, 2, 3, 4),))
    draft = ExampleDraft(
        1, 0, "multiple_choice", "=Who?", "b", place, ("a", "b"), rationale=cited, rejected="a", rating=4
    )
    run = kept(one, [draft])
    first = exported(one, tmp_path, "folder", run, shape=shape)
    (after,) = brought_in(two, first / part_of("train"))
    assert told(after) == told(next(one.iter_examples()))
    again = exported(two, tmp_path, "folder", after.run_id, shape=shape)
    assert (again / part_of("train")).read_bytes() == (first / part_of("train")).read_bytes()


@pytest.mark.parametrize("guard", [True, False])
def test_a_formula_is_harmless_in_csv_and_comes_back(
    projects: tuple[Project, Project, Project], tmp_path: Path, guard: bool
) -> None:
    one, _, three = projects
    texts = ["=1+1", "'=1+1", "''=1+1", "'", "+", "-5", "@x", "\tx", "\rx", "\n=1", "＝1+1", "'＠x", "'x", "x=1"]
    run = kept(one, [ExampleDraft(None, 0, "neutral", text, text, None) for text in texts])
    out = exported(one, tmp_path, "csv", run, plain=True, guard=guard)
    assert (b"\r\nneutral,,=1+1" in out.read_bytes()) == (not guard)
    assert [(example.question, example.answer) for example in brought_in(three, out)] == [(t, t) for t in texts]


def test_a_row_that_was_changed_by_hand_says_what_it_says_now(
    projects: tuple[Project, Project, Project], tmp_path: Path
) -> None:
    one, two, _ = projects
    place = Evidence(1, 0, 8, TEXT[:8])
    choice = ExampleDraft(1, 0, "multiple_choice", "Who?", "b", place, ("a", "b"))
    plain = ExampleDraft(1, 1, "factual", "What?", "That.", place, rationale=(Step("As it says.", place),))
    out = exported(one, tmp_path, "messages", kept(one, [choice, plain]))
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    rows[0]["messages"][0]["content"] = "Whoever?\nA) a\nB) b"
    rows[0]["messages"][1]["content"] = "A) a"
    rows[1]["messages"][1]["content"] = "This."
    rows.append(json.loads(json.dumps(rows[0])))
    rows[2]["messages"][0]["content"] = "Whoever?\nA) a\nB) c"
    out.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    first, second, third = brought_in(two, out)
    assert (first.kind, first.question, first.answer, first.choices) == ("multiple_choice", "Whoever?", "a", ("a", "b"))
    assert (second.kind, second.question, second.answer) == ("factual", "What?", "This.")
    assert (third.kind, third.question, third.choices) == ("imported", "Whoever?\nA) a\nB) c", ())
    assert (first.evidence, second.evidence, third.evidence) == (place, place, None)
    assert second.rationale == plain.rationale


def test_evidence_is_restored_only_where_its_words_stand(
    projects: tuple[Project, Project, Project], tmp_path: Path
) -> None:
    one, two, three = projects
    place = Evidence(1, 0, 8, TEXT[:8])
    draft = ExampleDraft(1, 0, "factual", "What?", "That.", place, rationale=(Step("As it says.", place),))
    out = exported(one, tmp_path, "alpaca", kept(one, [draft]))
    (row,) = (json.loads(line) for line in out.read_text(encoding="utf-8").splitlines())
    row["elenchus"] = json.loads(row["elenchus"])  # an object is read as well, as earlier exports had it
    row["elenchus"]["evidence"]["start"] += 1
    out.write_text(json.dumps(row), encoding="utf-8")
    for project in (two, three):
        (made,) = brought_in(project, out)
        assert (made.kind, made.evidence, made.passage_id) == ("imported", None, None)
        assert made.origin["evidence"]["text"] == TEXT[:8]
        assert [step.cited for step in made.rationale] == [None]
