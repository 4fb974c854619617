"""The rationales panel on the real sample: steps edited by keys, citations, drafts beside them, runs and repairs."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QMainWindow
from pytestqt.qtbot import QtBot

from core import paths
from core.documents.passages import rectangles, sentences
from core.project.importing import add_pdf
from core.project.project import Project
from core.project.records import Check, Evidence, ExampleDraft, RunSettings, ScoreRow, Step
from core.worker import Worker
from gui.jobs import Jobs
from gui.panels.rationales import RationalesPanel
from gui.pictures import Pictures
from gui.session import Session

SAMPLE = Path(__file__).resolve().parents[2] / "resources/samples/veyra.pdf"
LONG = 180_000  # milliseconds: the machine may be busy
HOSTILE = '<img src="file:///etc/passwd"><b>bold</b> & co'
ROWS = 6
CONTROL, ALT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.AltModifier


def run_settings(kind: str) -> RunSettings:
    model = str(paths.starter_model().resolve())
    return RunSettings(kind, model, "Starter", "ab" * 32, "F16", "starter", "1", {}, {"examples": [1]}, 3, "0.1", "0.3")


def sentence(project: Project, number: int, place: int = 0) -> Evidence:
    """The sentence at a place of the passage of this number."""
    passage = project.passages()[number]
    page, start, end = passage.parts[0]
    text = project.page_text(passage.document_id, page)[start:end]
    first, last = sentences(text)[place]
    return Evidence(page, start + first, start + last, text[first:last])


def draft(project: Project, number: int) -> ExampleDraft:
    """An example about the passage of this number, whose evidence is its first sentence."""
    passage, found = project.passages()[number], sentence(project, number)
    page = project.page(passage.document_id, found.page)
    evidence = replace(found, rectangles=tuple(rectangles(page, found.start, found.end)))
    return ExampleDraft(passage.id, number, "factual", f"Question {number}?", f"Answer {number}", evidence)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of six examples; the first three have two candidates of two steps, and the first was checked."""
    path = tmp_path_factory.mktemp("made") / "made.elenchus"
    with Project.create(path) as project, Worker() as worker:
        add_pdf(project, worker, SAMPLE)
        asked = project.start_run(run_settings("ask"))
        ids = [project.add_example(asked, draft(project, number)) for number in range(ROWS)]
        project.set_state(ids, "accepted")
        run = project.start_run(run_settings("rationales"))
        for number in range(3):
            cited = sentence(project, number, 1)
            other = (Step(f"Another way to see row {number}.", cited), Step(f"Thus Answer {number}."))
            best = (Step("The page says so in plain words.", cited), Step(f"So it is Answer {number}."))
            project.add_rationale(run, ids[number], 1, other)
            project.add_rationale(run, ids[number], 0, best, adopt=True)
        names = {"rationale_leads": 1.0, "question_alone": 0.0, "rationale_gain": 1.8}
        project.add_scores(run, [ScoreRow(ids[0], name, value) for name, value in names.items()])
        project.set_checks({ids[0]: (Check("leads", True), Check("last_step", False, None, "Too early."))})
        for one in (asked, run):
            project.finish_run(one, "finished", {})
    return path


@pytest.fixture
def session(session: Session, tmp_path: Path, made: Path) -> Session:
    path = tmp_path / "project.elenchus"
    path.write_bytes(made.read_bytes())
    session.open(path)
    return session


@pytest.fixture
def panel(session: Session, qtbot: QtBot) -> Iterator[RationalesPanel]:
    """The panel on the project, in a window with Undo and Redo in its menu as the app has them."""
    jobs, pictures, window = Jobs(), Pictures(session.passwords), QMainWindow()
    panel = RationalesPanel(session, jobs, pictures)
    window.setCentralWidget(panel)
    for key, do in ((QKeySequence.StandardKey.Undo, panel.undo), (QKeySequence.StandardKey.Redo, panel.redo)):
        action = window.addAction(str(key))
        action.setShortcuts(key)
        action.triggered.connect(do)
    qtbot.addWidget(window)
    window.resize(1250, 800)
    with qtbot.waitExposed(window):
        window.show()
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    panel.view.setFocus()
    yield panel
    panel.save_state()
    jobs.close()
    pictures.close()


def texts(panel: RationalesPanel, id: int = 1) -> list[str]:
    """The steps as the project has them."""
    return [step.text for step in panel.session.project.example(id).rationale]


def notices(panel: RationalesPanel) -> list[str]:
    said: list[str] = []
    panel.session.notice_given.connect(said.append)
    panel.session.offer_made.connect(lambda text, label, action: said.append(text))
    return said


FIRST, SECOND = "The page says so in plain words.", "So it is Answer 0."


# Steps by keys


def test_steps_are_accepted_by_keys_one_after_the_other(panel: RationalesPanel, qtbot: QtBot) -> None:
    project, steps = panel.session.project, panel.detail.steps
    qtbot.keyClick(panel.view, "A")
    assert [step.accepted for step in project.example(1).rationale] == [True, False]
    assert steps.current == 1
    qtbot.keyClick(panel.view, Qt.Key.Key_Return)
    assert steps.hasFocus()
    qtbot.keyClick(steps, Qt.Key.Key_Space)
    assert [step.accepted for step in project.example(1).rationale] == [True, True]
    qtbot.keyClick(steps, Qt.Key.Key_Space)  # takes it back
    assert [step.accepted for step in project.example(1).rationale] == [True, False]
    qtbot.keyClick(steps, "A", Qt.KeyboardModifier.ShiftModifier)
    assert [step.accepted for step in project.example(1).rationale] == [True, True]
    qtbot.keyClick(steps, Qt.Key.Key_Z, CONTROL)
    assert [step.accepted for step in project.example(1).rationale] == [True, False]
    assert steps.rows[0].tick.isChecked()
    assert not steps.rows[1].tick.isChecked()
    steps.rows[1].tick.click()
    assert project.example(1).rationale[1].accepted


def test_enter_at_the_end_begins_a_step_and_enter_inside_splits(panel: RationalesPanel, qtbot: QtBot) -> None:
    steps = panel.detail.steps
    qtbot.keyClick(panel.view, "E")
    field = steps.rows[0].field
    assert field.hasFocus()
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert texts(panel) == [FIRST, SECOND]  # nothing is kept yet
    assert len(steps.rows) == 3
    assert steps.rows[1].field.hasFocus()
    qtbot.keyClicks(steps.rows[1].field, "In other words")
    qtbot.keyClick(steps.rows[1].field, Qt.Key.Key_Return, CONTROL)
    assert texts(panel) == [FIRST, "In other words", SECOND]
    assert steps.hasFocus()
    qtbot.keyClick(steps, "E")
    field = steps.rows[1].field
    cursor = field.textCursor()
    cursor.setPosition(len("In other"))
    field.setTextCursor(cursor)
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert texts(panel) == [FIRST, "In other", "words", SECOND]
    assert steps.rows[2].field.hasFocus()
    qtbot.keyClick(steps.rows[2].field, Qt.Key.Key_Backspace)  # at its start: joins it again
    assert texts(panel) == [FIRST, "In other words", SECOND]
    assert steps.rows[1].field.textCursor().position() == len("In other ") - 1
    panel.undo()
    panel.undo()
    assert texts(panel) == [FIRST, "In other words", SECOND]
    panel.undo()
    assert texts(panel) == [FIRST, SECOND]
