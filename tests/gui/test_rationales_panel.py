"""The rationales panel on the real sample: steps edited by keys, citations, drafts beside them, runs and repairs."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QApplication, QLabel, QMainWindow, QToolButton, QWidget
from pytestqt.qtbot import QtBot

from core import paths
from core.documents.passages import rectangles, sentences
from core.engine.requests import EngineSettings
from core.project.importing import add_pdf
from core.project.project import Project
from core.project.records import Evidence, ExampleDraft, RunSettings, ScoreRow, Step
from core.rationales import drafts
from core.rationales.checks import CheckOptions
from core.rationales.drafting import Plan
from core.rationales.drafts import RationaleOptions
from core.rationales.findings import keep_verdict
from core.rationales.records import Candidate, Drafted, Said, Subject, Verdict
from core.worker import Worker
from gui.jobs import Job, Jobs
from gui.panels.rationales import RationalesPanel
from gui.pictures import Pictures
from gui.rationale_dialogs import CheckDialog, DraftDialog, RewriteDialog
from gui.rationale_table import CITES, GAIN, LEADS, STEPS
from gui.repair_dialog import RepairDialog
from gui.sentence_picker import SentencePicker
from gui.session import Session
from tests.data.gguf_tiny import write_tiny

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
        verdict = Verdict(True, False, 1.0, "Answer 0", "Nothing.", 1.8, -0.25)
        keep_verdict(project, run, project.example(ids[0]), verdict)
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
    assert [row.tick.accessibleName() for row in steps.rows] == ["Step 1 is accepted", "Step 2 is not accepted yet"]
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
    said = notices(panel)
    steps.split()  # with the cursor where nothing is to be cut
    assert said == ["Put the cursor into the step, where the second half is to begin."]
    assert steps.rows[2].field.hasFocus()
    qtbot.keyClick(steps.rows[2].field, Qt.Key.Key_Backspace)  # at its start: joins it again
    assert texts(panel) == [FIRST, "In other words", SECOND]
    assert steps.rows[1].field.textCursor().position() == len("In other ") - 1
    panel.undo()
    panel.undo()
    assert texts(panel) == [FIRST, "In other words", SECOND]
    panel.undo()
    assert texts(panel) == [FIRST, SECOND]


def test_steps_are_moved_merged_and_removed_by_keys(panel: RationalesPanel, qtbot: QtBot) -> None:
    steps = panel.detail.steps
    steps.setFocus()
    qtbot.keyClick(steps, Qt.Key.Key_Down)
    qtbot.keyClick(steps, Qt.Key.Key_Up, ALT)
    assert texts(panel) == [SECOND, FIRST]
    assert steps.current == 0
    qtbot.keyClick(steps, Qt.Key.Key_Down, ALT)
    assert texts(panel) == [FIRST, SECOND]
    qtbot.keyClick(steps, "M")
    assert texts(panel) == [f"{FIRST} {SECOND}"]
    cited = panel.session.project.example(1).rationale[0].cited
    assert cited == sentence(panel.session.project, 0, 1)
    qtbot.keyClick(steps, "U")
    assert texts(panel) == [FIRST, SECOND]
    steps.choose(1)
    qtbot.keyClick(steps, Qt.Key.Key_Delete)
    assert texts(panel) == [FIRST]
    qtbot.keyClick(steps, Qt.Key.Key_Delete)
    assert texts(panel) == []
    assert panel.detail.begin.isVisible()
    panel.undo()
    panel.undo()
    assert texts(panel) == [FIRST, SECOND]
    assert not panel.detail.begin.isVisible()


def test_keys_that_move_or_remove_mean_no_row_of_the_list(panel: RationalesPanel, qtbot: QtBot) -> None:
    qtbot.keyClick(panel.view, Qt.Key.Key_Delete)
    qtbot.keyClick(panel.view, Qt.Key.Key_Down, ALT)
    assert texts(panel) == [FIRST, SECOND]


def test_no_key_fires_while_a_step_is_written(panel: RationalesPanel, qtbot: QtBot) -> None:
    steps = panel.detail.steps
    before = panel.session.project.example(1).rationale
    qtbot.keyClick(panel.view, "E")
    field = steps.rows[0].field
    for key in "anmicwtdgpkuj[]":
        qtbot.keyClick(field, key)
    qtbot.keyClick(field, Qt.Key.Key_Space)
    assert field.text == f"{FIRST}anmicwtdgpkuj[] "
    said = notices(panel)
    qtbot.keyClick(field, Qt.Key.Key_Escape)
    assert field.text == FIRST
    assert steps.hasFocus()
    assert said == ["The change was dropped."]
    panel.find()
    qtbot.keyClicks(panel.filters.search, "and")
    assert panel.filters.search.text() == "and"
    assert panel.session.project.example(1).rationale == before


def test_what_is_written_is_kept_when_another_question_is_chosen(panel: RationalesPanel, qtbot: QtBot) -> None:
    qtbot.keyClick(panel.view, "N")
    field = panel.detail.steps.rows[1].field
    qtbot.keyClicks(field, "A step  between")
    panel.select_row(1)
    assert texts(panel) == [FIRST, "A step between", SECOND]
    assert panel.detail.steps.rows[1].field.text == "So it is Answer 1."
    qtbot.keyClick(panel.view, "N")
    panel.view.setFocus()  # without a word in it
    assert texts(panel, 2) == [FIRST, "So it is Answer 1."]
    assert len(panel.detail.steps.rows) == 2


def test_the_first_step_is_written_where_there_is_none(panel: RationalesPanel, qtbot: QtBot) -> None:
    panel.select_row(4)
    detail = panel.detail
    assert detail.begin.isVisible()
    assert not detail.verdict.isVisible()
    detail.add.click()
    qtbot.keyClicks(detail.steps.rows[0].field, "Because.")
    qtbot.keyClick(detail.steps.rows[0].field, Qt.Key.Key_Return, CONTROL)
    assert texts(panel, 5) == ["Because."]
    assert not detail.begin.isVisible()
    assert detail.verdict.text() == "Not checked yet."


def test_steps_that_come_while_one_is_written_take_nothing_away(panel: RationalesPanel, qtbot: QtBot) -> None:
    project, offers = panel.session.project, []
    panel.session.offer_made.connect(lambda *offer: offers.append(offer))
    panel.filters.steps.setCurrentIndex(2)
    qtbot.keyClick(panel.view, "N")
    qtbot.keyClicks(panel.detail.steps.rows[0].field, "My own")
    project.add_rationale(2, 4, 0, [Step("The model's.")], adopt=True)
    qtbot.waitUntil(lambda: [row.field.text for row in panel.detail.steps.rows] == ["The model's."])
    assert panel.current_id() == 4  # though it has steps now
    text, label, bring_back = offers[-1]
    assert (text, label) == ("The change was dropped.", "Bring it back")
    bring_back()
    panel.view.setFocus()
    assert texts(panel, 4) == ["My own"]
    panel.undo()
    assert texts(panel, 4) == ["The model's."]


# Citations


def marks(panel: RationalesPanel) -> dict[str, tuple[object, ...]]:
    page = panel.detail.source.page
    shown = panel.session.project.page(1, page.number)
    return {mark.meaning: mark.rectangles for mark in page.marks(1, shown)}


def test_the_page_marks_what_the_current_step_cites_beside_the_evidence(panel: RationalesPanel, qtbot: QtBot) -> None:
    project, steps = panel.session.project, panel.detail.steps
    cited = sentence(project, 0, 1)
    page = project.page(1, cited.page)
    qtbot.waitUntil(lambda: panel.detail.source.page.number == cited.page)
    found = marks(panel)
    assert found["citation"] == tuple(rectangles(page, cited.start, cited.end))
    assert found["evidence"] == panel.session.project.example(1).evidence.rectangles  # type: ignore[union-attr]
    steps.choose(1)
    assert "citation" not in marks(panel)
    assert "evidence" in marks(panel)
    assert steps.rows[0].citation.text().startswith("“")
    assert steps.rows[0].citation.text().endswith(f"page {cited.page}")
    assert steps.rows[1].citation.text() == "Inference: it cites nothing"
    assert steps.rows[1].field.accessibleDescription() == "Inference: it cites nothing"
    assert steps.accessibleDescription().startswith(f"Step 2. {SECOND}. Inference")


def test_words_selected_on_the_page_are_cited(panel: RationalesPanel, qtbot: QtBot) -> None:
    project, detail = panel.session.project, panel.detail
    qtbot.waitUntil(lambda: detail.source.page.number > 0)
    canvas = detail._canvas
    page = canvas.page
    assert page is not None
    first, last = (canvas._placed(page.words[n].rectangle).center().toPoint() for n in (3, 6))
    detail.steps.choose(1)
    qtbot.mousePress(canvas.viewport(), Qt.MouseButton.LeftButton, pos=first)
    qtbot.mouseMove(canvas.viewport(), last)
    qtbot.mouseRelease(canvas.viewport(), Qt.MouseButton.LeftButton, pos=last)
    text = page.text[page.words[3].start : page.words[6].end]
    assert detail.selection == Evidence(page.number, page.words[3].start, page.words[6].end, text)
    assert panel._cite.text() == "Cite the selection"
    canvas.setFocus()
    qtbot.keyClick(canvas, Qt.Key.Key_C, CONTROL)
    assert QApplication.clipboard().text() == text
    qtbot.keyClick(canvas, "C")
    assert project.example(1).rationale[1].cited == Evidence(page.number, page.words[3].start, page.words[6].end, text)
    assert detail.selection is None
    assert panel._cite.text() == "Cite a sentence…"
    qtbot.keyClick(canvas, "I")
    assert project.example(1).rationale[1].cited is None


def test_a_sentence_of_the_passage_is_picked_by_keyboard(
    panel: RationalesPanel, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = sentence(panel.session.project, 0, 2)

    def pick(dialog: SentencePicker) -> bool:
        assert dialog.chosen is None or dialog.chosen.text
        qtbot.keyClicks(dialog.search, wanted.text[4:30].lower())
        assert dialog.chosen == wanted
        dialog.search.clear()
        row = dialog.list.currentRow()
        qtbot.keyClick(dialog.search, Qt.Key.Key_Up)
        assert dialog.list.currentRow() == row - 1
        qtbot.keyClick(dialog.search, Qt.Key.Key_Down)
        dialog.accept()
        return bool(dialog.result())

    monkeypatch.setattr(SentencePicker, "exec", pick)
    panel.detail.steps.choose(1)
    panel.detail.steps.setFocus()
    qtbot.keyClick(panel.detail.steps, "C")
    assert panel.session.project.example(1).rationale[1].cited == wanted


# Drafts


def test_a_draft_stands_beside_the_steps_with_the_words_that_differ(panel: RationalesPanel, qtbot: QtBot) -> None:
    project, detail = panel.session.project, panel.detail
    assert not detail.draft.isVisible()
    qtbot.keyClick(panel.view, "W")
    assert detail.draft.isVisible()
    assert detail.draft.title.text() == "Candidate 1 of 2"  # the best, which became the steps
    assert not detail.draft.take.isEnabled()
    detail.steps.edit()
    qtbot.keyClicks(detail.steps.rows[0].field, " indeed")
    qtbot.keyClick(detail.steps.rows[0].field, Qt.Key.Key_Return, CONTROL)
    assert detail.steps.rows[0].field.marked == ["indeed"]
    assert detail.draft.take.isEnabled()
    qtbot.keyClick(detail.steps, "]")
    assert detail.draft.title.text() == "Candidate 2 of 2"
    assert detail.draft.draft is not None
    assert detail.draft.draft.slot == 1
    qtbot.keyClick(detail.steps, "T")
    assert texts(panel) == ["Another way to see row 0.", "Thus Answer 0."]
    assert project.example(1).rationale_draft == detail.draft.draft.id
    panel.undo()
    assert texts(panel) == [f"{FIRST} indeed", SECOND]
    qtbot.keyClick(detail.steps, "W")
    assert detail.steps.rows[0].field.marked == []


def test_a_new_draft_comes_up_beside_the_steps(panel: RationalesPanel, qtbot: QtBot) -> None:
    project = panel.session.project
    run = project.start_run(run_settings("rationales"))
    project.add_rationale(run, 1, 0, [Step("A shorter way.")], instruction=HOSTILE)
    qtbot.waitUntil(lambda: len(panel.detail.draft._drafts) == 3)
    panel.drafting.rewritten.emit([1])
    assert panel.detail.draft.isVisible()
    assert panel.detail.draft.title.text() == "Candidate 1 of 3"
    assert panel.detail.draft.draft is not None
    assert panel.detail.draft.draft.steps[0].text == "A shorter way."
    assert HOSTILE in [
        label.text().partition(": “")[2].rstrip("”") for label in panel.detail.draft.findChildren(QLabel)
    ]


# The list and what was found


def cells(panel: RationalesPanel, row: int) -> list[str]:
    return [panel.model.data(panel.model.index(row, column)) for column in (STEPS, CITES, LEADS, GAIN)]


def test_the_list_says_how_many_steps_cite_and_where_they_lead(panel: RationalesPanel, qtbot: QtBot) -> None:
    assert cells(panel, 0) == ["2", "1", "✓", "1.80"]
    assert cells(panel, 1) == ["2", "1", "–", ""]
    assert cells(panel, 4) == ["–", "", "", ""]
    hint = panel.model.data(panel.model.index(0, STEPS), Qt.ItemDataRole.AccessibleTextRole)
    assert hint == "2 steps, 1 of which cite the document and 0 are accepted"
    panel.filters.steps.setCurrentIndex(2)
    assert panel.model.ids == [4, 5, 6]
    panel.filters.steps.setCurrentIndex(1)
    assert panel.model.ids == [1, 2, 3]
    panel.filters.search.setText("another way, plain words")
    panel.filters.clear()
    panel.filters.search.setText("answer 2")
    qtbot.waitUntil(lambda: panel.model.ids == [3])
    panel.filters.clear()
    panel.next_without()
    assert panel.current_id() == 4


def test_checks_that_need_no_model_follow_each_edit(panel: RationalesPanel, qtbot: QtBot) -> None:
    project, detail = panel.session.project, panel.detail

    def passed() -> dict[str, bool]:
        return {check.name: check.passed for check in project.example(1).checks}

    assert passed() == {"leads": True, "last_step": True, "citations": True}
    detail.steps.setFocus()
    qtbot.keyClick(detail.steps, "A")  # changes no word: all stand
    assert passed() == {"leads": True, "last_step": True, "citations": True}
    detail.steps.write(0, "It is Answer 0, as anyone sees.")
    detail.commit()
    assert passed() == {"last_step": False, "citations": True}  # the model was shown other words
    qtbot.waitUntil(lambda: "Step 1 tells the answer already" in detail.faults.text())
    panel.undo()
    assert passed() == {"leads": True, "last_step": True, "citations": True}
    panel.redo()
    assert passed() == {"last_step": False, "citations": True}


def test_the_verdict_is_told_in_words_until_a_word_changes(panel: RationalesPanel, qtbot: QtBot) -> None:
    project, detail = panel.session.project, panel.detail
    verdict = "With these steps the model answers right; without them it does not (gain 1.80 nats a token; "
    verdict += "−0.25 without the last step, which is there to tell the answer)."
    assert detail.verdict.text() == verdict
    assert not detail.faults.isVisible()
    qtbot.keyClick(panel.view, "A")
    assert detail.verdict.text() == verdict  # who accepts a step changes no word of it
    detail.steps.setFocus()
    qtbot.keyClick(detail.steps, "M")
    assert detail.verdict.text() == f"{verdict} That was before the last change: check it again."
    panel.undo()
    assert detail.verdict.text() == verdict
    run = project.start_run(run_settings("rationale_check"))
    rows = [ScoreRow(1, "rationale_leads", 0), ScoreRow(1, "question_alone", 1), ScoreRow(1, "rationale_gain", -0.5)]
    project.add_scores(run, rows)
    qtbot.waitUntil(lambda: "answers wrong" in detail.verdict.text())
    assert detail.verdict.text().endswith(
        "without them it answers right (loss 0.50 nats a token; the last step is there to tell the answer)."
    )
    assert cells(panel, 0)[2:] == ["!", "−0.50"]


def test_hostile_text_is_shown_as_it_is(panel: RationalesPanel, qtbot: QtBot) -> None:
    panel.session.project.set_rationales({1: ([Step(HOSTILE)], 0)})
    panel.session.project.edit_example(1, question=HOSTILE, answer=HOSTILE)
    qtbot.waitUntil(lambda: panel.detail.question.text() == HOSTILE)
    assert panel.detail.answer.text() == f"Answer: {HOSTILE}"
    assert panel.detail.steps.rows[0].field.text == HOSTILE
    for label in panel.findChildren(QLabel):
        assert label.textFormat() == Qt.TextFormat.PlainText or not label.text()
    panel.grab()


def test_an_example_without_a_document_has_inferences_only(panel: RationalesPanel, qtbot: QtBot) -> None:
    project, said = panel.session.project, notices(panel)
    run = project.start_run(run_settings("import"))
    context = (("system", "Be brief."), ("user", "2 + 2?"), ("assistant", "4."))
    id = project.add_example(
        run, ExampleDraft(None, 0, "imported", "And twice that?", "8", None, context=context, rationale=(Step("2·4"),))
    )
    qtbot.waitUntil(lambda: panel.model.row_of(id) >= 0)
    panel.select_row(panel.model.row_of(id))
    source = panel.detail.source
    assert source.conversation.isVisible()
    assert "4." in source.conversation.toPlainText()
    assert source._told.text() == "Be brief."
    qtbot.keyClick(panel.view, "C")
    assert said[-1].endswith("its steps are inferences.")


def test_a_project_that_is_only_read_lets_nothing_be_changed(panel: RationalesPanel, qtbot: QtBot) -> None:
    path = panel.session.project.path
    panel.session.close()
    panel.session.open(path, read_only=True)
    before = panel.session.project.example(1).rationale
    for key in "ANMIT":
        qtbot.keyClick(panel.view, key)
    panel.detail.steps.rows[0].tick.click()
    assert panel.session.project.example(1).rationale == before
    assert panel.detail.steps.rows[0].field.isReadOnly()
    assert not panel.draft_button.isEnabled()


def test_empty_projects_say_what_to_do_first(panel: RationalesPanel, qtbot: QtBot, tmp_path: Path) -> None:
    panel.session.project.set_rationales(dict.fromkeys((1, 2, 3), ((), 0)))
    panel.filters.steps.setCurrentIndex(1)
    qtbot.waitUntil(lambda: panel.empty.head.text() == "No steps yet")
    assert panel.empty.button.text() == "Draft…"
    panel.session.create(tmp_path / "empty.elenchus")
    assert panel.empty.head.text() == "No questions yet"
    with qtbot.waitSignal(panel.questions_wanted):
        panel.empty.button.click()


def test_the_panel_is_found_as_it_was_left(panel: RationalesPanel, session: Session, qtbot: QtBot) -> None:
    panel.splitter.setSizes([600, 640])
    panel.beside.trigger()
    panel.save_state()
    jobs, pictures = Jobs(), Pictures({})
    other = RationalesPanel(session, jobs, pictures)
    qtbot.addWidget(other)
    other.resize(panel.size())
    other.show()
    assert other.splitter.sizes() == panel.splitter.sizes()
    assert other.detail.draft.isVisible()
    jobs.close()
    pictures.close()


def test_everything_can_be_reached_and_has_a_name(panel: RationalesPanel, qtbot: QtBot) -> None:
    for button in panel.detail.findChildren(QToolButton):
        assert button.accessibleName() or not button.isVisible()
    steps = panel.detail.steps
    for widget in (panel.view, panel.filters.search, steps, steps.rows[0].field, panel.detail.draft):
        assert widget.accessibleName()
    order: list[QWidget] = [panel.draft_button]
    while (following := order[-1].nextInFocusChain()) is not panel.draft_button:
        assert following is not None
        order.append(following)
    wanted = (panel.filters.search, panel.view, steps, steps.rows[0].field, steps.rows[1].field, panel.detail._canvas)
    places = [order.index(widget) for widget in wanted]
    assert places == sorted(places)


# Runs


def running(panel: RationalesPanel) -> Job:
    (job,) = panel.jobs.active
    return job


def drafting(**changes: object) -> RationaleOptions:
    few = RationaleOptions(paths.starter_model(), candidates=1, seed=5, engine=EngineSettings(sequences=2))
    return replace(few, **changes)  # type: ignore[arg-type]


@pytest.fixture
def asked(panel: RationalesPanel, qtbot: QtBot) -> list[int]:
    """Questions that the starter model can explain: their answers stand in their evidence."""
    project = panel.session.project
    told = ((0, "How long is the River Tirrow?", "38 kilometres"), (1, "When was Sarnholt founded?", "1287"))
    ids = []
    for number, question, answer in told:
        passage = next(one for one in project.passages() if answer in one.text)
        number_of_page, start, end = passage.parts[0]
        text = project.page_text(passage.document_id, number_of_page)
        first, last = next((a, b) for a, b in sentences(text[start:end]) if answer in text[start + a : start + b])
        page = project.page(passage.document_id, number_of_page)
        place = (start + first, start + last)
        found = Evidence(number_of_page, *place, text[slice(*place)], tuple(rectangles(page, *place)))
        ids.append(project.add_example(1, ExampleDraft(passage.id, 90 + number, "factual", question, answer, found)))
    project.set_state(ids, "accepted")
    qtbot.waitUntil(lambda: panel.model.row_of(ids[-1]) >= 0)
    return ids


def test_steps_are_drafted_and_checked_by_the_starter_model(
    panel: RationalesPanel, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, asked: list[int]
) -> None:
    project, said, detail = panel.session.project, notices(panel), panel.detail
    panel.select_row(panel.model.row_of(asked[0]))
    monkeypatch.setattr(DraftDialog, "options", lambda _: drafting(examples=tuple(asked)))
    monkeypatch.setattr(DraftDialog, "exec", lambda dialog: dialog.done(1) or True)
    qtbot.keyClick(panel.view, "D")
    assert not panel.draft_button.isEnabled()
    panel.check()
    assert "Wait for the end" in said[-1]
    with qtbot.waitSignal(running(panel).ended, timeout=LONG):
        pass
    assert said[-1] == "Steps were drafted for 2 questions."
    qtbot.waitUntil(lambda: detail.steps.rows != [] and detail.verdict.isVisible())
    steps = project.example(asked[0]).rationale
    assert [row.field.text for row in detail.steps.rows] == [step.text for step in steps]
    assert any(step.cited for step in steps)
    assert detail.verdict.text() not in ("", "Not checked yet.")
    qtbot.waitUntil(panel.draft_button.isEnabled)

    engine = EngineSettings(sequences=2)
    monkeypatch.setattr(
        CheckDialog, "options", lambda dialog: CheckOptions(paths.starter_model(), dialog.examples, 0, engine)
    )
    monkeypatch.setattr(CheckDialog, "exec", lambda dialog: dialog.done(1) or True)
    qtbot.keyClick(panel.view, "K")
    with qtbot.waitSignal(running(panel).ended, timeout=LONG):
        pass
    qtbot.waitUntil(lambda: said[-1] == detail.verdict.text())
    assert project.scored(project.runs()[-1].id) == {asked[0]}


def test_a_run_that_is_cancelled_is_offered_to_be_resumed(
    panel: RationalesPanel, qtbot: QtBot, asked: list[int]
) -> None:
    project, offers = panel.session.project, []
    panel.session.offer_made.connect(lambda *offer: offers.append(offer))
    panel.drafting.start(drafting(examples=tuple(asked), check=False, engine=EngineSettings(sequences=1)))
    job = running(panel)
    qtbot.waitUntil(
        lambda: bool(project.runs()[-1].request.kind == "rationales" and project.runs()[-1].id > 2), timeout=LONG
    )
    with qtbot.waitSignal(job.ended, timeout=LONG):
        job.cancel()
    assert offers[-1][0] == "Drafting steps stopped: 0 of 2 questions are done."
    dialog = DraftDialog(panel.session, [asked[0]], panel)
    qtbot.addWidget(dialog)
    assert dialog.resume.text() == "&Resume (0 of 2)"
    dialog.resume.click()
    assert dialog.resumes
    offers[-1][2]()
    with qtbot.waitSignal(running(panel).ended, timeout=LONG):
        pass
    assert len(project.rationales_of_run(project.runs()[-1].id)) == 2
    assert project.last_unfinished_run("rationales") is None


def test_an_interrupted_run_is_told_of_when_the_project_opens(panel: RationalesPanel) -> None:
    project = panel.session.project
    project.start_run(run_settings("rationale_check"))
    path = project.path
    panel.session.close()
    said = notices(panel)
    panel.session.open(path)
    assert said[-1] == "Checking steps stopped: 0 of 1 rationales are done."


def test_the_dialogs_say_what_it_comes_to(panel: RationalesPanel, qtbot: QtBot) -> None:
    panel.view.selectAll()
    dialog = DraftDialog(panel.session, panel.selected_ids(), panel)
    qtbot.addWidget(dialog)
    qtbot.waitUntil(lambda: dialog.model.model is not None)
    assert dialog.of_selected.text() == "The &selected questions (6)"
    assert dialog.of_others.text() == "All &accepted questions without steps (3)"
    assert dialog.sum.text().startswith("Up to 12 drafts for 6 questions. Time: unknown")
    dialog.of_others.setChecked(True)
    dialog.candidates.setValue(3)
    dialog.check.setChecked(False)
    assert dialog.sum.text().startswith("Up to 9 drafts for 3 questions.")
    made = dialog.options()
    assert (made.examples, made.candidates, made.check, made.language) == ((), 3, False, "")
    dialog.accept()
    dialog = DraftDialog(panel.session, [], panel)
    qtbot.addWidget(dialog)
    assert dialog.candidates.value() == 3  # as it was left
    assert not dialog.of_selected.isEnabled()
    check = CheckDialog(panel.session, [1, 4], panel)
    qtbot.addWidget(check)
    assert check.of_selected.text() == "The &selected rationales (1)"
    rewrite = RewriteDialog(panel.session, [1, 4], panel)
    qtbot.addWidget(rewrite)
    rewrite.instruction.setPlainText("Shorter.")
    for one in (check, rewrite):
        qtbot.waitUntil(lambda one=one: one.model.model is not None)
    assert check.options().examples == (1,)
    assert check.begin.isEnabled()
    assert "follows no instructions" in rewrite.model._note.text()
    assert not rewrite.begin.isEnabled()
    for one in (dialog, check, rewrite):
        one.reject()


def test_a_repair_is_shown_and_applied_to_similar_rows_as_one_step(
    panel: RationalesPanel, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, said = panel.session.project, notices(panel)
    panel.detail.steps.write(0, FIRST.replace("plain words", "clear words"))
    panel.detail.commit()

    def work(dialog: RepairDialog) -> bool:
        assert dialog.same_words.isChecked()
        assert dialog._changes.text() == "“in plain” becomes “in clear”"
        qtbot.waitUntil(lambda: dialog.model.model is not None)
        dialog.look.click()
        assert dialog.look.text() == "S&top"
        qtbot.waitUntil(lambda: dialog.list.topLevelItemCount() == 2, timeout=LONG)
        assert {one.example_id for one in dialog.ticked} == {2, 3}
        assert dialog.preview.before.marks == ["plain"]
        assert dialog.preview.after.marks == ["clear"]
        likeness = [float(dialog.list.topLevelItem(row).text(1)) for row in (0, 1)]  # type: ignore[union-attr]
        assert likeness == sorted(likeness, reverse=True)
        dialog.list.topLevelItem(1).setCheckState(0, Qt.CheckState.Unchecked)  # type: ignore[union-attr]
        assert dialog.apply.text() == "&Apply to 1 row"
        dialog.list.topLevelItem(1).setCheckState(0, Qt.CheckState.Checked)  # type: ignore[union-attr]
        dialog.accept()
        return True

    monkeypatch.setattr(RepairDialog, "exec", work)
    panel.repair()
    assert said[-1] == "2 rationales were changed."
    for id in (2, 3):
        assert texts(panel, id)[0] == "The page says so in clear words."
        assert project.example(id).rationale[0].cited is not None
    panel.undo()
    assert [texts(panel, id)[0] for id in (1, 2, 3)] == [FIRST.replace("plain", "clear"), FIRST, FIRST]


def test_a_repair_without_any_change_asks_for_an_instruction(panel: RationalesPanel, qtbot: QtBot) -> None:
    example = panel.session.project.example(1)
    dialog = RepairDialog(panel.session, panel.jobs, example, example.rationale, panel)
    qtbot.addWidget(dialog)
    qtbot.waitUntil(lambda: dialog.model.model is not None)
    assert dialog.by_model.isChecked()
    assert not dialog.same_words.isEnabled()
    assert not dialog.look.isEnabled()
    dialog.instruction.setText("Leave out the page.")
    assert dialog.look.isEnabled()
    dialog.look.click()
    qtbot.waitUntil(lambda: dialog._job is None, timeout=LONG)
    assert "follows no instructions" in dialog.state.text()  # which the starter model is
    assert not dialog.apply.isEnabled()
    dialog.reject()


def scripted_job(
    model: Path, settings: object, subjects: list[Subject], prompts: object, plan: Plan, seed: int
) -> Iterator[Drafted]:
    """The child's part, by a script: writes of each example that it did what it was told."""
    for one in subjects:
        yield Drafted(one.example_id, (Candidate((Said(f"Now: {plan.instruction}"), Said(f"So {one.answer}."))),))


def test_steps_are_written_anew_as_one_says_and_come_up_as_a_draft(
    panel: RationalesPanel, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    chat = write_tiny(tmp_path / "chat.gguf")
    monkeypatch.setattr(drafts, "draft_job", scripted_job)

    def fill_in(dialog: RewriteDialog) -> bool:
        dialog.model.add_file(chat)
        assert not dialog.begin.isEnabled()
        dialog.instruction.setPlainText("Name the year\nfirst.")
        assert dialog.sum.text().startswith("A new draft for 1 question.")
        dialog.begin.click()
        return bool(dialog.result())

    monkeypatch.setattr(RewriteDialog, "exec", fill_in)
    qtbot.keyClick(panel.view, "G")
    with qtbot.waitSignal(running(panel).ended, timeout=LONG):
        pass
    qtbot.waitUntil(panel.detail.draft.isVisible)
    draft = panel.detail.draft.draft
    assert draft is not None
    assert [step.text for step in draft.steps] == ["Now: Name the year first.", "So Answer 0."]
    assert texts(panel) == [FIRST, SECOND]  # until it is taken
    qtbot.keyClick(panel.view, "T")
    assert texts(panel) == ["Now: Name the year first.", "So Answer 0."]


def test_a_model_repairs_similar_rows_as_the_example_shows(
    panel: RationalesPanel, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(drafts, "draft_job", scripted_job)
    example = panel.session.project.example(1)
    dialog = RepairDialog(panel.session, panel.jobs, example, (*example.rationale, Step("And so on.")), panel)
    qtbot.addWidget(dialog)
    dialog.model.add_file(write_tiny(tmp_path / "chat.gguf"))
    dialog.by_model.setChecked(True)
    dialog.most.setValue(1)
    dialog.instruction.setText("Be brief.")
    dialog.look.click()
    qtbot.waitUntil(lambda: dialog.list.topLevelItemCount() == 1, timeout=LONG)
    (proposal,) = dialog.ticked
    assert proposal.after[0].text == "Now: Be brief."
    assert panel.session.project.example(proposal.example_id).rationale == proposal.before
    dialog.accept()
    assert dialog.done_to == 1
    assert panel.session.project.example(proposal.example_id).rationale_draft == proposal.draft_id
