"""The questions panel on the real sample: review by keys, edits and undo, filters, runs that stop and go on."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pypdf import PdfWriter
from pypdf.constants import PageLabelStyle
from PySide6.QtCore import (
    QCoreApplication,
    QItemSelectionModel,
    Qt,
)
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QApplication, QLabel, QLineEdit, QMainWindow, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from core import paths
from core.documents.passages import rectangles
from core.engine.requests import EngineSettings, Loaded
from core.project.importing import add_pdf
from core.project.project import Project
from core.project.records import Check, Evidence, ExampleDraft, ExampleFilter, RunSettings
from core.questions.ask import AskOptions
from core.worker import Worker
from gui.ask_dialog import AskDialog, duration
from gui.example_filters import ALL_PASSED
from gui.example_table import CHECKS, DOCUMENT, KIND, PAGE, QUESTION, RATING, STATE, spans
from gui.jobs import Job, Jobs
from gui.panels import example_panel
from gui.panels.questions import QuestionsPanel
from gui.pictures import Pictures
from gui.session import Session

SAMPLE = Path(__file__).resolve().parents[2] / "resources/samples/veyra.pdf"
LONG = 180_000  # milliseconds: the machine may be busy
HOSTILE = '<img src="file:///etc/passwd"><b>bold</b> & co'
ROWS = 9


def run_settings() -> RunSettings:
    model = str(paths.starter_model().resolve())
    settings = {"kinds": ["factual"], "per_passage": 2, "limit": None, "documents": [], "last_passage": 99}
    return RunSettings("ask", model, "Starter", "ab" * 32, "F16", "starter", "1", {}, settings, 3, "0.1", "0.3")


def draft(project: Project, number: int, **changes: object) -> ExampleDraft:
    """An example about the passage of this number; its evidence is the first words of it."""
    passage = project.passages()[number % 20]
    page_number, start, _ = passage.parts[0]
    page = project.page(passage.document_id, page_number)
    stop = start + 40
    evidence = Evidence(page_number, start, stop, page.text[start:stop], tuple(rectangles(page, start, stop)))
    values = {
        "passage_id": passage.id,
        "slot": number,
        "kind": "factual",
        "question": f"Question {number}?",
        "answer": f"Answer {number}",
        "evidence": evidence,
        "checks": (Check("verbatim", True), Check("round_trip", number % 4 != 3, 0.4 + number / 20, "Asked again: x")),
    }
    return ExampleDraft(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the sample and nine drafts, to be copied."""
    path = tmp_path_factory.mktemp("made") / "made.elenchus"
    with Project.create(path) as project, Worker() as worker:
        add_pdf(project, worker, SAMPLE)
        run = project.start_run(run_settings())
        for number in range(ROWS):
            project.add_example(run, draft(project, number))
        project.finish_run(run, "finished", {"engine": {"seconds": 9.0}})
    return path


@pytest.fixture
def session(session: Session, tmp_path: Path, made: Path) -> Session:
    path = tmp_path / "project.elenchus"
    path.write_bytes(made.read_bytes())
    session.open(path)
    return session


@pytest.fixture
def panel(session: Session, qtbot: QtBot) -> Iterator[QuestionsPanel]:
    """The panel on the project, in a window with Undo and Redo in its menu as the app has them."""
    jobs, pictures, window = Jobs(), Pictures(session.passwords), QMainWindow()
    panel = QuestionsPanel(session, jobs, pictures)
    window.setCentralWidget(panel)
    for key, do in ((QKeySequence.StandardKey.Undo, panel.undo), (QKeySequence.StandardKey.Redo, panel.redo)):
        action = window.addAction(str(key))
        action.setShortcuts(key)
        action.triggered.connect(do)
    qtbot.addWidget(window)
    window.resize(1100, 760)
    with qtbot.waitExposed(window):
        window.show()
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    panel.view.setFocus()
    yield panel
    panel.save_state()
    jobs.close()
    pictures.close()


def press(panel: QuestionsPanel, qtbot: QtBot, keys: str) -> None:
    """Keys in the table, one after the other."""
    for key in keys:
        qtbot.keyClick(panel.view, key)


def states(panel: QuestionsPanel) -> str:
    """The states of all questions in order: the first letter of each."""
    project = panel.session.project
    return "".join(example.state[0] for example in project.iter_examples())


def notices(panel: QuestionsPanel) -> list[str]:
    said: list[str] = []
    panel.session.notice_given.connect(said.append)
    panel.session.offer_made.connect(lambda text, label, action: said.append(text))
    return said


# Review


def test_review_by_keys_goes_from_draft_to_draft(panel: QuestionsPanel, qtbot: QtBot) -> None:
    assert panel.current_id() == 1
    press(panel, qtbot, "AAR")
    assert states(panel) == "aardddddd"
    assert panel.current_id() == 4
    panel.select_row(0)
    press(panel, qtbot, "N")
    assert panel.current_id() == 4  # the reviewed are skipped
    panel.select_row(8)
    press(panel, qtbot, "A")
    assert panel.current_id() == 4  # from the beginning again after the end
    press(panel, qtbot, "4")
    assert panel.session.project.example(4).rating == 4
    press(panel, qtbot, "0D")
    assert panel.session.project.example(4).rating is None
    assert panel.current_id() == 4


def test_undo_takes_back_one_verdict_after_the_other_and_says_which(panel: QuestionsPanel, qtbot: QtBot) -> None:
    said = notices(panel)
    press(panel, qtbot, "AR")
    press(panel, qtbot, "U")
    assert (states(panel), panel.current_id(), said[-1]) == ("adddddddd", 2, "Undone: Reject 1 question")
    qtbot.keyClick(panel.view, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert (states(panel), panel.current_id()) == ("d" * ROWS, 1)
    qtbot.keyClick(panel.view, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    assert (states(panel), said[-1]) == ("adddddddd", "Done again: Accept 1 question")
    press(panel, qtbot, "UU")
    assert said[-1] == "There is nothing to undo."


def test_the_draft_queue_empties_and_offers_the_export(panel: QuestionsPanel, qtbot: QtBot) -> None:
    panel.filters.queues.setCurrentIndex(1)
    assert panel.filters.queues.tabText(1) == "Draft 9"
    press(panel, qtbot, "AA")
    assert panel.model.ids == list(range(3, 10))
    assert panel.current_id() == 3
    assert panel.filters.queues.tabText(1) == "Draft 7"
    panel.select_row(6)
    press(panel, qtbot, "R")
    assert panel.current_id() == 3
    press(panel, qtbot, "AAAAAA")
    assert not panel.view.isVisible()
    assert panel.empty.text.text() == "8 accepted, 1 rejected."
    with qtbot.waitSignal(panel.export_wanted):
        panel.empty.button.click()
    assert panel.empty.button.hasFocus()  # and no text field, where keys would write
    qtbot.keyClick(panel.empty.button, "U")
    assert panel.model.ids == [8]
    assert panel.view.hasFocus()


def test_many_are_accepted_in_one_step(panel: QuestionsPanel, qtbot: QtBot) -> None:
    panel.view.selectAll()
    press(panel, qtbot, "A")
    assert states(panel) == "a" * ROWS
    assert panel.session.project.undo() == "Accept 9 questions"
    assert states(panel) == "d" * ROWS


def test_very_many_are_changed_by_a_job(panel: QuestionsPanel, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(example_panel, "MANY", 5)
    panel.view.selectAll()
    press(panel, qtbot, "R")
    qtbot.waitUntil(lambda: panel.filters.queues.tabText(3) == "Rejected 9")
    assert states(panel) == "r" * ROWS
    said = notices(panel)
    press(panel, qtbot, "U")
    qtbot.waitUntil(lambda: panel.filters.queues.tabText(3) == "Rejected 0")
    assert said == ["Undone: Reject 9 questions"]
    panel.view.selectAll()
    press(panel, qtbot, "2")
    qtbot.waitUntil(lambda: panel.session.project.step_size() == ROWS)
    assert panel.session.project.undo() == "Rate 9 questions"
    assert panel.session.project.step_size(redo=True) == ROWS


def test_no_key_of_the_review_fires_in_a_text_field(panel: QuestionsPanel, qtbot: QtBot) -> None:
    field = panel.detail.question
    press(panel, qtbot, "E")
    assert field.hasFocus()
    for key in "arden1":
        qtbot.keyClick(field, key)
    assert field.text == "Question 0?arden1"
    qtbot.keyClick(field, Qt.Key.Key_Escape)
    assert field.text == "Question 0?"
    panel.find()
    assert panel.filters.search.hasFocus()
    for key in "aru":
        qtbot.keyClick(panel.filters.search, key)
    assert panel.filters.search.text() == "aru"
    assert states(panel) == "d" * ROWS
    assert panel.session.project.reviews(1) == []


# Edits


def test_an_edit_is_one_step_and_lasts(panel: QuestionsPanel, qtbot: QtBot) -> None:
    field, project = panel.detail.question, panel.session.project
    press(panel, qtbot, "E")
    qtbot.keyClicks(field, " Really?")
    qtbot.keyClick(field, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert project.example(1).question == "Question 0? Really?"
    assert panel.view.hasFocus()
    assert panel.model.data(panel.model.index(0, QUESTION)) == "Question 0? Really?"
    assert "Question 0?" in shown(panel)  # the draft stays to be seen
    assert panel.detail._checks_label.text().startswith("Checks of the draft")
    assert panel.model.data(panel.model.index(0, CHECKS)) == "edited"
    press(panel, qtbot, "U")
    assert (field.text, project.example(1).question) == ("Question 0?", "Question 0?")
    panel.redo()
    assert field.text == "Question 0? Really?"
    panel.undo()
    assert panel.detail._checks_label.text() == "Checks"
    panel.redo()
    path = project.path
    panel.session.close()
    panel.session.open(path)
    assert panel.detail.question.text == "Question 0? Really?"
    panel.undo()
    assert panel.detail.question.text == "Question 0?"


def test_a_field_undoes_its_own_steps_first(panel: QuestionsPanel, qtbot: QtBot) -> None:
    press(panel, qtbot, "A")
    press(panel, qtbot, "E")
    field = panel.detail.question
    qtbot.keyClicks(field, "xyz")
    qtbot.keyClick(field, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert (field.text, states(panel)[0]) == ("Question 1?", "a")
    qtbot.keyClick(field, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert states(panel)[0] == "d"


def test_leaving_a_field_or_its_row_keeps_what_was_written(panel: QuestionsPanel, qtbot: QtBot) -> None:
    press(panel, qtbot, "E")
    panel.detail.answer.setFocus()
    qtbot.keyClicks(panel.detail.answer, "!")
    panel.view.setFocus()
    assert panel.session.project.example(1).answer == "Answer 0!"
    press(panel, qtbot, "E")
    qtbot.keyClicks(panel.detail.question, "!")
    panel.select_row(3)
    assert panel.session.project.example(1).question == "Question 0?!"
    assert panel.detail.question.text == "Question 3?"
    assert panel.session.project.example(4).question == "Question 3?"


def test_a_verdict_is_on_what_was_being_written_though_that_leaves_the_list(
    panel: QuestionsPanel, qtbot: QtBot
) -> None:
    panel.filters.search.setText("question")
    panel.filters.search.returnPressed.emit()
    press(panel, qtbot, "E")
    panel.detail.question.setPlainText("Another one?")
    panel.detail._buttons[0].click()  # by the mouse, which leaves the focus in the field
    assert states(panel) == "adddddddd"
    assert panel.session.project.example(1).question == "Another one?"


def test_a_row_that_goes_while_it_is_written_takes_no_other_with_it(panel: QuestionsPanel, qtbot: QtBot) -> None:
    panel.filters.queues.setCurrentIndex(1)
    press(panel, qtbot, "E")
    panel.detail.question.setPlainText("Written meanwhile?")
    panel.session.project.set_state([1], "rejected")  # as a run does that asks it again
    qtbot.waitUntil(lambda: panel.model.row_of(1) < 0)
    assert panel.model.ids == list(range(2, 10))
    assert panel.session.project.example(1).question == "Written meanwhile?"
    assert panel.detail.question.text == "Question 1?"


def test_letters_in_a_filter_are_no_commands(panel: QuestionsPanel, qtbot: QtBot) -> None:
    kind = panel.filters.kind
    kind.setFocus()
    for key in "ARU5":
        qtbot.keyClick(kind, key)
    assert states(panel) == "ddddddddd"
    qtbot.wait(QApplication.keyboardInputInterval() + 50)  # else it would be one word with those before
    qtbot.keyClick(kind, "D")
    assert kind.currentData() == "definition"
    kind.setCurrentIndex(0)
    kind.showPopup()
    qtbot.keyClick(kind.view(), "A")
    kind.hidePopup()
    assert states(panel) == "ddddddddd"
    assert not any(example.rating for example in panel.session.project.iter_examples())


def test_an_empty_question_is_refused(panel: QuestionsPanel, qtbot: QtBot) -> None:
    said = notices(panel)
    press(panel, qtbot, "E")
    panel.detail.question.selectAll()
    qtbot.keyClick(panel.detail.question, Qt.Key.Key_Delete)
    panel.view.setFocus()
    assert panel.detail.question.text == "Question 0?"
    assert "needs some text" in said[-1]


def test_choices_and_truth_are_edited_as_what_they_are(panel: QuestionsPanel, qtbot: QtBot) -> None:
    project = panel.session.project
    choices = ("Tirrow", "Pellan", "Ostmere")
    one = project.add_example(1, draft(project, 20, kind="multiple_choice", choices=choices, answer="Pellan"))
    two = project.add_example(1, draft(project, 21, kind="true_false", answer="Doğru"))
    qtbot.waitUntil(lambda: panel.model.row_of(two) > 0)
    panel.select_row(panel.model.row_of(one))
    boxes = panel.detail._choices
    assert [box.right.isChecked() for box in boxes] == [False, True, False]
    boxes[1].text.setFocus()
    qtbot.keyClicks(boxes[1].text, "s")
    panel.view.setFocus()
    changed = project.example(one)
    assert (changed.choices, changed.answer) == (("Tirrow", "Pellans", "Ostmere"), "Pellans")
    boxes[2].right.click()
    assert project.example(one).answer == "Ostmere"
    panel.select_row(panel.model.row_of(two))
    assert [button.text() for button in (panel.detail._true, panel.detail._false)] == ["Doğru", "Yanlış"]
    panel.detail._false.click()
    assert project.example(two).answer == "Yanlış"


# The list


def test_a_page_is_called_as_the_document_calls_it(panel: QuestionsPanel, qtbot: QtBot, tmp_path: Path) -> None:
    project, pdf = panel.session.project, PdfWriter(clone_from=SAMPLE)
    pdf.set_page_label(0, 3, style=PageLabelStyle.LOWERCASE_ROMAN)
    pdf.add_metadata({"/Title": "Romans"})
    pdf.write(tmp_path / "romans.pdf")
    with Worker() as worker:
        document = add_pdf(project, worker, tmp_path / "romans.pdf")
    passage = next(one for one in project.passages(document.id) if one.parts[0][0] == 2)
    page = project.page(document.id, 2)
    evidence = Evidence(2, 0, 20, page.text[:20], tuple(rectangles(page, 0, 20)))
    id = project.add_example(1, draft(project, 40, passage_id=passage.id, evidence=evidence))
    qtbot.waitUntil(lambda: panel.model.row_of(id) >= 0)
    panel.select_row(panel.model.row_of(id))
    assert panel.model.data(panel.model.index(panel.model.row_of(id), PAGE)) == "ii"
    assert panel.model.data(panel.model.index(0, PAGE)).isdecimal()
    assert "page ii" in shown(panel)


def test_a_state_that_only_a_newer_version_knows_is_drawn(panel: QuestionsPanel) -> None:
    example = replace(panel.session.project.example(1), state="archived", document="\u00a0")
    panel.model._rows[1] = example
    roles = Qt.ItemDataRole
    for role in (roles.DisplayRole, roles.ForegroundRole, roles.ToolTipRole):
        assert panel.model.data(panel.model.index(0, STATE), role) is not None
    panel.detail.why.fold.setChecked(True)
    panel.detail.show_example(example)  # whose document has a blank for its title
    assert panel.detail._head.text().startswith("? archived")


def test_a_narrow_table_keeps_question_and_checks(panel: QuestionsPanel, qtbot: QtBot) -> None:
    view = panel.view
    view.setColumnWidth(KIND, 133)
    panel.splitter.setSizes([900, 400])
    assert not view.isColumnHidden(RATING)
    view.resize(300, view.height())
    assert [view.isColumnHidden(column) for column in (RATING, PAGE, KIND)] == [True, True, True]
    assert not view.isColumnHidden(CHECKS)
    assert view.columnWidth(QUESTION) >= view._least
    view.resize(900, view.height())
    assert [view.isColumnHidden(column) for column in (RATING, PAGE, KIND)] == [False, False, False]
    assert view.columnWidth(KIND) == 133


def test_escape_empties_the_search_and_then_leaves_it(panel: QuestionsPanel, qtbot: QtBot) -> None:
    panel.find()
    qtbot.keyClicks(panel.filters.search, "zzz")
    qtbot.keyClick(panel.filters.search, Qt.Key.Key_Escape)
    assert panel.filters.search.text() == ""
    qtbot.keyClick(panel.filters.search, Qt.Key.Key_Escape)
    assert panel.view.hasFocus()


def test_filters_search_and_order(panel: QuestionsPanel, qtbot: QtBot) -> None:
    project, filters = panel.session.project, panel.filters
    project.add_example(1, draft(project, 30, kind="why_how", question="Niçin IŞIK söndü?"))
    qtbot.waitUntil(lambda: len(panel.model.ids) == 10)
    filters.search.setText("ışık")
    qtbot.waitUntil(lambda: panel.model.ids == [10])
    assert filters._found.text() == "1 of 10"
    filters.clear()
    assert filters._found.isHidden()
    filters.kind.setCurrentIndex(filters.kind.findData("why_how"))
    assert panel.model.ids == [10]
    filters.clear()
    filters.check.setCurrentIndex(filters.check.findData("round_trip"))
    assert panel.model.ids == [4, 8]
    assert panel.model.data(panel.model.index(0, CHECKS)) == "✕ Round trip"
    filters.check.setCurrentIndex(filters.check.findData(ALL_PASSED))
    assert panel.model.ids == [1, 2, 3, 5, 6, 7, 9, 10]
    filters.clear()
    panel.rate(5)
    panel.view.horizontalHeader().sectionClicked.emit(KIND)
    assert (panel.filter.sort, panel.model.ids[-1]) == ("kind", 10)
    panel.view.horizontalHeader().sectionClicked.emit(KIND)
    assert (panel.filter.descending, panel.model.ids[0]) == (True, 10)
    filters.search.setText("no such thing")
    filters.search.returnPressed.emit()
    assert panel.empty.head.text() == "Nothing here"
    panel.empty.button.click()
    assert len(panel.model.ids) == 10


def test_rows_that_arrive_leave_selection_and_place_alone(panel: QuestionsPanel, qtbot: QtBot) -> None:
    project = panel.session.project
    for number in range(40, 100):
        project.add_example(1, draft(project, number))
    qtbot.waitUntil(lambda: len(panel.model.ids) == 69)
    panel.select_row(30)
    panel.view.selectionModel().select(
        panel.model.index(33, 0), QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows
    )
    bar = panel.view.verticalScrollBar()
    bar.setValue(200)
    wanted = (panel.selected_ids(), panel.current_id())
    thread = threading.Thread(target=lambda: [project.add_example(1, draft(project, n)) for n in range(100, 110)])
    thread.start()
    qtbot.waitUntil(lambda: len(panel.model.ids) == 79)
    thread.join()
    assert (panel.selected_ids(), panel.current_id(), bar.value()) == (*wanted, 200)
    panel.filters.sort.setCurrentIndex(1)  # newest first: each new row moves all others
    panel.select_row(40)
    bar.setValue(300)
    current, top = panel.current_id(), panel.model.ids[bar.value() // panel.view.rowHeight(0)]
    project.add_example(1, draft(project, 120))
    qtbot.waitUntil(lambda: len(panel.model.ids) == 80)
    assert panel.current_id() == current
    assert panel.model.ids[bar.value() // panel.view.rowHeight(0)] == top


def test_a_large_project_is_fetched_in_a_thread(
    panel: QuestionsPanel, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(example_panel, "AT_ONCE", 3)
    press(panel, qtbot, "A")
    panel.filters.queues.setCurrentIndex(1)
    panel.filters.queues.setCurrentIndex(2)  # before the first has come
    qtbot.waitUntil(lambda: panel.model.ids == [1])
    panel.filters.clear()
    qtbot.waitUntil(lambda: len(panel.model.ids) == ROWS)
    panel.filters.queues.setCurrentIndex(1)
    panel.session.close()  # while a thread reads
    qtbot.wait(100)
    assert panel.model.ids == []


def test_stretches_of_rows() -> None:
    assert spans([1, 2, 3, 7, 9, 10]) == [(1, 3), (7, 7), (9, 10)]
    assert spans([]) == []


# What is shown


def shown(panel: QuestionsPanel) -> str:
    """All text that can be seen and not be edited in the detail."""
    QCoreApplication.processEvents()  # what was just added is shown by an event
    widgets = (*panel.detail.findChildren(QLabel), *panel.detail.findChildren(QLineEdit))
    return "\n".join(widget.text() for widget in widgets if widget.isVisible())


def test_hostile_text_is_shown_as_it_is(panel: QuestionsPanel, qtbot: QtBot) -> None:
    project = panel.session.project
    checks = (Check("leak", False, None, HOSTILE),)
    id = project.add_example(1, draft(project, 50, question=HOSTILE, answer=HOSTILE, checks=checks))
    project.edit_example(id, answer="other")
    project.set_state([id], "quarantined", HOSTILE)
    qtbot.waitUntil(lambda: panel.model.row_of(id) >= 0)
    panel.select_row(panel.model.row_of(id))
    panel.detail.why.fold.setChecked(True)
    row = panel.model.row_of(id)
    assert panel.model.data(panel.model.index(row, QUESTION)) == HOSTILE
    for column in (QUESTION, STATE, CHECKS):
        hint = panel.model.data(panel.model.index(row, column), Qt.ItemDataRole.ToolTipRole)
        assert "&lt;img" in hint
        assert "<img" not in hint
    assert panel.detail.question.text == HOSTILE
    assert shown(panel).count(HOSTILE) >= 3  # the reason, the check, the draft
    for label in panel.findChildren(QLabel):
        assert label.textFormat() == Qt.TextFormat.PlainText or not label.text()
    panel.grab()


def test_the_detail_says_why_a_row_is_here(panel: QuestionsPanel, qtbot: QtBot) -> None:
    press(panel, qtbot, "A")
    panel.select_row(0)
    panel.detail.why.fold.setChecked(True)
    text = shown(panel)
    for part in ("Starter", "Seed", "Attempts", "Quantisation", "Draft → Accepted", "A Small Atlas"):
        assert part in text
    panel.select_row(3)
    assert "✕ Round trip 0.55: Asked again: x" in shown(panel)


@pytest.fixture
def generated(panel: QuestionsPanel, qtbot: QtBot) -> int:
    """A countering set of two examples; one follows a conversation, and is returned."""
    project = panel.session.project
    known = Check("known", True, 0.97, "Asked alone, the model is right.")
    context = (("user", "2 + 2?"), ("assistant", HOSTILE))
    with qtbot.waitSignals([panel.session.runs_changed, panel.session.examples_changed]):
        run = project.start_run(replace(run_settings(), kind="counter"))
        draft = ExampleDraft(None, 0, "countering", "I say 5.", "It is 4.", None, checks=(known,), context=context)
        id = project.add_example(run, draft)
        project.add_example(run, replace(draft, slot=1, kind="neutral", context=()))
    return id


def test_what_was_said_before_a_question_stands_in_place_of_its_page(
    panel: QuestionsPanel, qtbot: QtBot, generated: int
) -> None:
    detail, again = panel.detail, next(action for action in panel.writing if action.text() == "Ask again")
    said = notices(panel)
    panel.select_row(panel.model.row_of(generated))
    assert detail.source.conversation.isVisible()
    assert not detail.source.page.isVisible()
    assert detail.source.conversation.toPlainText().split() == ["User", "2", "+", "2?", "Model", *HOSTILE.split()]
    assert detail.source.conversation.isReadOnly()
    assert not detail._again.isVisible()
    assert not detail._evidence.isVisible()
    press(panel, qtbot, "G")
    assert not again.isEnabled()
    assert not panel.asking.active
    press(panel, qtbot, "5")
    detail.question.setPlainText("I still say 5.")
    detail.commit()
    example = panel.session.project.example(generated)
    assert (example.rating, example.question) == (5, "I still say 5.")
    assert said == []
    panel.select_row(panel.model.row_of(generated + 1))
    assert not detail.source.conversation.isVisible()
    assert not detail.source.page.isVisible()
    panel.select_row(0)
    qtbot.waitUntil(lambda: detail.source.page.isVisible() and detail.source.page.number > 0)
    assert detail._again.isVisible()
    assert again.isEnabled()


def test_generated_questions_have_names_and_filters_of_their_own(panel: QuestionsPanel, generated: int) -> None:
    row = panel.model.row_of(generated)
    cells = [panel.model.data(panel.model.index(row, column)) for column in (KIND, DOCUMENT, PAGE)]
    assert cells == ["Countering", "—", ""]
    panel.filters.kind.setCurrentText("Neutral control")
    assert panel.model.ids == [generated + 1]
    panel.filters.clear()
    panel.filters.run.setCurrentIndex(1)
    assert panel.filters.run.currentText().endswith("countering set")
    assert panel.model.ids == [generated, generated + 1]
    panel.select_row(0)
    panel.detail.why.fold.setChecked(True)
    text = shown(panel)
    assert "countering set" in text
    assert "✓ Known without opinion: Asked alone, the model is right." in text
    assert "File" not in text.splitlines()


def test_kinds_that_nothing_has_are_not_offered(panel: QuestionsPanel) -> None:
    assert panel.filters.kind.findText("Countering") == -1


def test_the_evidence_is_marked_on_its_page(panel: QuestionsPanel, qtbot: QtBot) -> None:
    panel.select_row(5)
    evidence = panel.detail.example and panel.detail.example.evidence
    assert evidence is not None
    qtbot.waitUntil(lambda: panel.detail.source.page.number == evidence.page)
    page = panel.session.project.page(1, evidence.page)
    marks = {mark.meaning: mark.rectangles for mark in panel.detail.source.page.marks(1, page)}
    assert marks["evidence"] == evidence.rectangles
    assert "outline" in marks


def test_a_project_that_is_only_read_lets_nothing_be_changed(panel: QuestionsPanel, qtbot: QtBot) -> None:
    path, said = panel.session.project.path, notices(panel)
    panel.session.close()
    panel.session.open(path, read_only=True)
    press(panel, qtbot, "AE3")
    assert states(panel) == "d" * ROWS
    assert not panel.ask_button.isEnabled()
    assert panel.detail.question.isReadOnly()
    panel.undo()
    assert "read only" in said[-1]


def test_empty_projects_say_what_to_do_first(panel: QuestionsPanel, qtbot: QtBot, tmp_path: Path) -> None:
    panel.session.create(tmp_path / "empty.elenchus")
    assert panel.empty.head.text() == "No documents yet"
    with qtbot.waitSignal(panel.documents_wanted):
        panel.empty.button.click()
    with Worker() as worker:
        add_pdf(panel.session.project, worker, SAMPLE)
    qtbot.waitUntil(lambda: panel.empty.head.text() == "No questions yet")
    assert panel.empty.button.text() == "Ask…"


# Runs


def options(**changes: object) -> AskOptions:
    few = AskOptions(paths.starter_model(), kinds=("factual",), limit=8, engine=EngineSettings(sequences=2), seed=5)
    return replace(few, **changes)  # type: ignore[arg-type]


def running(panel: QuestionsPanel) -> Job:
    (job,) = panel.jobs.active
    return job


def test_the_dialog_says_what_it_comes_to(panel: QuestionsPanel, qtbot: QtBot) -> None:
    dialog = AskDialog(panel.session, panel)
    qtbot.addWidget(dialog)
    qtbot.waitUntil(lambda: dialog.model.models.count() > 0)
    passages = len(panel.session.project.passages())
    assert dialog.chosen_kinds() == ("factual",)
    assert not dialog.kinds["comparison"].isEnabled()
    assert not dialog._cannot.isHidden()
    assert dialog.sum.text() == f"Up to {2 * passages} questions. Time: {duration(2.0 * passages)}."
    dialog.limit.setValue(1)
    assert dialog.sum.text().startswith("1 question.")
    assert dialog.sum.text().endswith("from the beginning on.")
    dialog.kinds["factual"].click()
    assert not dialog.start.isEnabled()
    dialog.kinds["true_false"].click()
    dialog._choose_model()  # another model, or the same once more: what the user said of kinds stays
    made = dialog.options()
    assert (made.kinds, made.limit, made.per_passage, made.language) == (("true_false",), 1, 2, "")
    dialog.accept()
    dialog = AskDialog(panel.session, panel)  # the next time, as it was left
    qtbot.addWidget(dialog)
    qtbot.waitUntil(lambda: dialog.model.models.count() > 0)
    again = dialog.options()
    assert (again.kinds, again.limit, again.per_passage) == (("true_false",), 1, 2)
    dialog.model.add_file(SAMPLE)
    assert "veyra.pdf" in dialog.model._note.text()
    assert dialog.model.models.count() == 1
    dialog.reject()


def test_a_run_is_begun_stopped_and_resumed_from_the_dialog(
    panel: QuestionsPanel, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, project, before = notices(panel), panel.session.project, panel.current_id()

    monkeypatch.setattr(AskDialog, "options", lambda _: options())

    def accept(dialog: AskDialog) -> bool:
        dialog.done(1)
        return True

    monkeypatch.setattr(AskDialog, "exec", accept)
    panel.ask()
    job = running(panel)
    assert not panel.ask_button.isEnabled()
    panel.ask()
    assert "already" in said[-1]
    qtbot.waitUntil(lambda: len(panel.model.ids) > ROWS, timeout=LONG)
    assert panel.current_id() == before
    with qtbot.waitSignal(job.ended, timeout=LONG):
        job.cancel()
    assert job.state == "cancelled"
    done = project.count(ExampleFilter(run_id=2))
    assert 0 < done < 8
    qtbot.waitUntil(lambda: said[-1].startswith(f"Stopped: {len(project.done_slots(2))} of 8 are done"))

    def resume(dialog: AskDialog) -> bool:
        assert dialog.resume.text().startswith(f"&Resume ({len(project.done_slots(2))} of 8)")
        dialog.resume.click()
        return True

    monkeypatch.setattr(AskDialog, "exec", resume)
    panel.ask()
    with qtbot.waitSignal(running(panel).ended, timeout=LONG):
        pass
    assert project.run(2).state == "finished"
    assert len(project.done_slots(2)) == 8
    assert "made" in said[-1]
    qtbot.waitUntil(panel.ask_button.isEnabled)


def test_a_child_that_is_killed_costs_a_sentence_and_the_run_goes_on(panel: QuestionsPanel, qtbot: QtBot) -> None:
    project, in_memory, said = panel.session.project, [], notices(panel)
    panel.asking.model_loaded.connect(in_memory.append)
    panel.asking.start(options())
    job = running(panel)
    qtbot.waitUntil(lambda: len(panel.model.ids) > ROWS, timeout=LONG)
    assert job.worker is not None
    job.worker._process.kill()
    qtbot.waitUntil(lambda: any("perhaps because the computer ran out of memory" in one for one in said), timeout=LONG)
    assert any(one.endswith("The run goes on in a fresh one.") for one in said)
    with qtbot.waitSignal(job.ended, timeout=LONG):
        pass
    assert job.state == "finished"
    assert [type(one) for one in in_memory[:3]] == [Loaded, type(None), Loaded]
    assert len(project.done_slots(2)) == 8
    qtbot.waitUntil(panel.ask_button.isEnabled)


def test_a_question_is_asked_again(panel: QuestionsPanel, qtbot: QtBot) -> None:
    said, project = notices(panel), panel.session.project
    panel.asking.start(options(limit=1))
    with qtbot.waitSignal(running(panel).ended, timeout=LONG):
        pass
    qtbot.waitUntil(lambda: len(panel.model.ids) == ROWS + 1)
    for _ in range(8):  # at one seed the model may have nothing else to ask; the next try has another
        panel.select_row(panel.model.row_of(ROWS + 1))
        press(panel, qtbot, "G")
        with qtbot.waitSignal(running(panel).ended, timeout=LONG):
            pass
        qtbot.waitUntil(lambda: not panel.jobs.active)
        if project.example(ROWS + 1).state == "rejected":
            break
        assert "Nothing came of it" in said[-1]
    new = project.example_ids()[-1]
    assert [example.state for example in project.examples_by_id([ROWS + 1, new])] == ["rejected", "draft"]
    assert panel.current_id() == new
    panel.undo()
    assert project.example(ROWS + 1).state == "draft"


def test_the_panel_is_found_as_it_was_left(panel: QuestionsPanel, session: Session, qtbot: QtBot) -> None:
    panel.splitter.setSizes([560, 540])
    panel.view.setColumnWidth(KIND, 141)
    panel.save_state()
    jobs, pictures = Jobs(), Pictures({})
    other = QuestionsPanel(session, jobs, pictures)
    qtbot.addWidget(other)
    other.resize(panel.size())
    other.show()
    assert other.splitter.sizes() == panel.splitter.sizes()
    assert other.view.columnWidth(KIND) == 141
    jobs.close()
    pictures.close()


def test_the_keyboard_goes_through_the_panel_in_reading_order(panel: QuestionsPanel, qtbot: QtBot) -> None:
    order: list[QWidget] = [panel.filters.queues]
    while (following := order[-1].nextInFocusChain()) is not panel.filters.queues:
        assert following is not None
        order.append(following)
    filters, detail = panel.filters, panel.detail
    above = (filters.queues, panel.ask_button, filters.search, filters.kind)
    wanted = (*above, panel.view, detail.question, detail.answer)
    places = [order.index(widget) for widget in wanted]
    assert places == sorted(places)


def test_everything_that_can_be_pressed_has_a_name(panel: QuestionsPanel, qtbot: QtBot) -> None:
    for button in panel.findChildren(QPushButton):
        assert button.text() or button.accessibleName() or not button.isVisible()
    for widget in (panel.view, panel.filters.search, panel.detail.question, panel.detail.answer, panel.detail.rating):
        assert widget.accessibleName()
