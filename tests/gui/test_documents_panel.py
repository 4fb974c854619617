"""The documents panel on real files: reading, failing, passwords, removing, cutting anew; names are never markup."""

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pypdf
import pytest
from PySide6.QtCore import Qt, SignalInstance
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QLabel, QPushButton
from pytestqt.qtbot import QtBot

from core.documents.passages import cut_passages
from core.documents.picture import MISSING
from core.documents.records import Document, Heading, Page
from core.errors import UserError
from core.project.importing import add_pdf, pages_to_cut, recut_document
from core.project.project import Project
from core.project.records import DocumentRow, Evidence, ExampleDraft, RunSettings
from core.worker import Worker
from gui.jobs import Jobs
from gui.panels.documents import DocumentsPanel
from gui.pictures import Pictures
from gui.reading import PasswordDialog
from gui.session import Session

SAMPLE = Path(__file__).resolve().parents[2] / "resources/samples/veyra.pdf"
LONG = 120_000  # milliseconds: the machine may be busy
HOSTILE = '<img src="file:///etc/passwd"><b>bold</b>'


class Panel(DocumentsPanel):
    """Answers the password dialog from a list, and keeps what it was asked."""

    answers: list[str | None]
    asked: list[tuple[str, bool]]

    def ask_password(self, name: str, wrong: bool) -> str | None:
        self.asked.append((name, wrong))
        return self.answers.pop(0)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the sample in it, to be copied."""
    path = tmp_path_factory.mktemp("made") / "made.elenchus"
    with Project.create(path) as project, Worker() as worker:
        add_pdf(project, worker, SAMPLE)
    return path


@pytest.fixture
def panel(session: Session, tmp_path: Path, qtbot: QtBot) -> Iterator[Panel]:
    """The panel on an empty project."""
    session.create(tmp_path / "test.elenchus")
    with closing(Jobs()) as jobs, closing(Pictures(session.passwords)) as pictures:
        panel = Panel(session, jobs, pictures)
        panel.answers, panel.asked = [], []
        qtbot.addWidget(panel)
        panel.resize(1000, 700)
        panel.show()
        yield panel


@pytest.fixture
def filled(panel: Panel, made: Path, tmp_path: Path) -> Panel:
    """The panel on a project with the sample in it."""
    shutil.copy(made, tmp_path / "filled.elenchus")
    panel.session.open(tmp_path / "filled.elenchus")
    return panel


def documents(panel: Panel) -> list[DocumentRow]:
    return panel._model.documents


def wait_until_read(panel: Panel, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: not panel.jobs.active and not panel._reading, timeout=LONG)


@contextmanager
def said(qtbot: QtBot, signal: SignalInstance) -> Iterator[list[Any]]:
    """Waits for the signal; its arguments are in the list then."""
    arguments: list[Any] = []
    with qtbot.waitSignal(signal, timeout=LONG) as blocker:
        yield arguments
    arguments.extend(blocker.args or [])


def action(panel: Panel, text: str) -> QAction:
    return next(action for action in panel.actions() if action.text() == text)


def row_texts(panel: Panel) -> list[str]:
    model = panel._model
    rows = [model.index(row) for row in range(model.rowCount())]
    return [str(model.data(index, Qt.ItemDataRole.AccessibleTextRole)) for index in rows]


def test_a_read_document_appears_with_its_numbers_and_its_first_page(panel: Panel, qtbot: QtBot) -> None:
    assert any(button.text() == "Add PDFs…" and button.isVisible() for button in panel.findChildren(QPushButton))
    panel.add_files([SAMPLE])
    wait_until_read(panel, qtbot)
    (document,) = documents(panel)
    assert row_texts(panel) == ["A Small Atlas of the Veyra Islands. 5 pages · 23 passages"]
    assert panel._view.number == 1
    meanings = {mark.meaning for mark in panel._cutting.marks(document.id, panel.session.project.page(document.id, 1))}
    assert meanings >= {"passage", "passage_other"}
    qtbot.waitUntil(lambda: panel._view._canvas._picture is not None, timeout=LONG)


def test_a_bad_file_does_not_stop_the_others(panel: Panel, tmp_path: Path, qtbot: QtBot) -> None:
    bad = tmp_path / "<b>bad.pdf"
    bad.write_bytes(b"no PDF at all")
    with said(qtbot, panel.session.error_reported) as reported:
        panel.add_files([bad, SAMPLE, tmp_path / "none.pdf"])
    wait_until_read(panel, qtbot)
    head, *reasons = str(reported[0]).splitlines()
    assert head == "2 files were not read."
    assert reasons[0].startswith("<b>bad.pdf is not a PDF")
    assert reasons[1].startswith("There is no file")
    assert [document.state for document in documents(panel)] == ["failed", "ready"]
    assert "is not a PDF" in row_texts(panel)[0]
    panel._select([documents(panel)[0].id])
    assert "is not a PDF" in panel._reason.text()
    assert panel._view.number == 0


def test_a_mended_file_is_read_again_in_place(panel: Panel, tmp_path: Path, qtbot: QtBot) -> None:
    path = tmp_path / "later.pdf"
    path.write_bytes(b"no PDF at all")
    panel.add_files([path])
    wait_until_read(panel, qtbot)
    shutil.copy(SAMPLE, path)
    panel._retry.click()
    wait_until_read(panel, qtbot)
    assert [(document.state, document.pages) for document in documents(panel)] == [("ready", 5)]
    with path.open("ab") as file:
        file.write(b"\n% changed\n")
    before = documents(panel)[0].sha256
    action(panel, "Read again").trigger()
    wait_until_read(panel, qtbot)
    assert len(documents(panel)) == 1
    assert documents(panel)[0].sha256 != before
    path.write_bytes(b"broken")
    action(panel, "Read again").trigger()
    wait_until_read(panel, qtbot)
    assert documents(panel)[0].state == "ready"  # what was read before stays


def test_a_password_is_asked_for_until_it_is_right(panel: Panel, tmp_path: Path, qtbot: QtBot) -> None:
    panel.answers = ["wrong", "secret"]
    panel.add_files([locked(tmp_path)])
    qtbot.waitUntil(lambda: len(documents(panel)) == 1, timeout=LONG)
    assert panel.asked == [("locked.pdf", False), ("locked.pdf", True)]
    assert panel.session.passwords == {str(tmp_path / "locked.pdf"): "secret"}
    qtbot.waitUntil(lambda: panel._view._canvas._picture is not None, timeout=LONG)


def test_a_file_without_its_password_is_skipped(panel: Panel, tmp_path: Path, qtbot: QtBot) -> None:
    panel.answers = [None]
    panel.add_files([locked(tmp_path), SAMPLE])
    qtbot.waitUntil(lambda: bool(panel.asked), timeout=LONG)
    wait_until_read(panel, qtbot)
    assert [document.path for document in documents(panel)] == [str(SAMPLE)]
    assert panel.session.passwords == {}


def locked(folder: Path) -> Path:
    writer = pypdf.PdfWriter(clone_from=SAMPLE)
    writer.encrypt("secret", algorithm="AES-256")
    writer.write(folder / "locked.pdf")
    return folder / "locked.pdf"


def test_the_delete_key_removes(filled: Panel, qtbot: QtBot) -> None:
    for elsewhere in (filled._view._canvas, filled._about, filled._outline):
        elsewhere.setFocus()
        qtbot.keyClick(elsewhere, Qt.Key.Key_Delete)
    assert len(filled.session.project.documents()) == 1
    filled._list.setFocus()
    with said(qtbot, filled.session.notice_given) as notice:
        qtbot.keyClick(filled._list, Qt.Key.Key_Delete)
    assert "A Small Atlas of the Veyra Islands" in notice[0]
    qtbot.waitUntil(lambda: documents(filled) == [])
    assert filled._view.number == 0
    assert filled._pages.currentIndex() == 1


def test_the_preview_shows_what_cutting_anew_makes(filled: Panel, qtbot: QtBot) -> None:
    (document,) = documents(filled)
    project = filled.session.project
    assert not action(filled, "Cut anew").isEnabled()
    filled._cutting._size.setValue(300)
    filled._cutting._overlap.setValue(50)
    outline = project.document_outline(document.id)
    pages = [project.page(document.id, number) for number in range(1, document.pages + 1)]
    cuts = cut_passages(pages, outline, 300, 50)
    assert cuts == cut_passages(pages_to_cut(project, document.id, outline), outline, 300, 50)
    assert len(cuts) != document.passages
    qtbot.waitUntil(
        lambda: filled._cutting._count.text() == f"23 passages now, {len(cuts)} after cutting", timeout=LONG
    )
    marks = [mark for mark in filled._cutting.marks(document.id, pages[0]) if mark.meaning.startswith("passage")]
    assert len(marks) == sum(part.page == 1 for cut in cuts for part in cut.parts)
    assert project.document(document.id).passages == 23
    action(filled, "Cut anew").trigger()
    qtbot.waitUntil(lambda: documents(filled)[0].passages == len(cuts), timeout=LONG)
    assert [passage.text for passage in project.passages(document.id)] == [cut.text for cut in cuts]
    assert not action(filled, "Cut anew").isEnabled()


def test_the_overlap_outlives_a_length_that_is_being_typed(filled: Panel, qtbot: QtBot) -> None:
    cutting = filled._cutting
    cutting._size.selectAll()
    qtbot.keyClicks(cutting._size, "1500")  # 150 on the way
    assert cutting.numbers == (1500, 200)
    cutting._size.setValue(100)
    assert cutting.numbers == (100, 99)


def test_the_preview_is_taken_back_with_the_numbers(filled: Panel, qtbot: QtBot) -> None:
    filled._cutting._size.setValue(300)
    qtbot.waitUntil(lambda: "now" in filled._cutting._count.text(), timeout=LONG)
    filled._cutting._size.setValue(1200)
    qtbot.waitUntil(lambda: filled._cutting._count.text() == "23 passages", timeout=LONG)


def test_documents_with_questions_stay_as_they_are(filled: Panel, qtbot: QtBot) -> None:
    (document,) = documents(filled)
    add_question(filled.session.project, document.id)
    with said(qtbot, filled.session.error_reported) as refused:
        action(filled, "Remove").trigger()
    assert "1 question" in str(refused[0])
    with said(qtbot, filled.session.error_reported) as refused:
        action(filled, "Read again").trigger()
    assert "cannot be read again because 1 question" in str(refused[0])
    filled._cutting._size.setValue(300)
    assert not action(filled, "Cut anew").isEnabled()
    assert "Questions come from these passages" in filled._cutting._reason.text()
    with pytest.raises(UserError, match="cannot be cut anew because 1 question"):
        recut_document(filled.session.project, document.id, 300, 0)
    assert filled.session.project.document(document.id).passages == 23


def add_question(project: Project, document_id: int) -> None:
    passage = project.passages(document_id)[0]
    page, start, _ = passage.parts[0]
    text = project.page_text(document_id, page)[start : start + 5]
    run = project.start_run(RunSettings("ask", "m", "m", "0", "", "chat", "0", {}, {}, 1, "0", "0"))
    evidence = Evidence(page, start, start + 5, text)
    project.add_example(run, ExampleDraft(passage.id, 0, "factual", "What?", "This.", evidence))


def test_names_and_titles_are_never_markup(panel: Panel, tmp_path: Path, qtbot: QtBot) -> None:
    page = Page(1, HOSTILE, 595, 842, "Some text.", warnings=(HOSTILE,))
    outline = (Heading(HOSTILE, 0, 1), Heading(HOSTILE, 1, 1))
    document = Document(f"/{HOSTILE}.pdf", "0", HOSTILE, {"Author": HOSTILE}, outline, (page,), (HOSTILE,))
    panel.session.project.add_document(document, (), 1200, 200)
    panel.session.project.add_failed_document(f"/{HOSTILE}", HOSTILE)
    qtbot.waitUntil(lambda: len(documents(panel)) == 2)
    assert row_texts(panel)[0].startswith(HOSTILE)
    assert panel._heading.text() == HOSTILE
    assert HOSTILE in panel._about.toPlainText()
    assert panel._warnings.toPlainText() == HOSTILE
    flags = Qt.MatchFlag.MatchExactly | Qt.MatchFlag.MatchRecursive
    assert len(panel._outline.findItems(HOSTILE, flags)) == 2
    panel._select([documents(panel)[1].id])
    assert panel._reason.text() == HOSTILE
    dialog = PasswordDialog(HOSTILE, True, panel)
    labels = [*panel.findChildren(QLabel), *dialog.findChildren(QLabel)]
    assert all(label.textFormat() == Qt.TextFormat.PlainText for label in labels if "<" in label.text())
    assert any(label.text() == HOSTILE for label in labels)


def test_a_document_whose_file_is_gone_shows_its_words(panel: Panel, tmp_path: Path, qtbot: QtBot) -> None:
    path = tmp_path / "soon gone.pdf"
    shutil.copy(SAMPLE, path)
    with Worker() as worker:
        add_pdf(panel.session.project, worker, path)
    path.unlink()
    qtbot.waitUntil(lambda: panel._view.number == 1, timeout=LONG)
    qtbot.waitUntil(lambda: panel._view._reason.text() == MISSING, timeout=LONG)
    assert panel._view._canvas._words
    panel._view._remedy.click()
    qtbot.waitUntil(lambda: panel._view._reason.text() == MISSING, timeout=LONG)
    shutil.copy(SAMPLE, path)
    panel._view._remedy.click()
    qtbot.waitUntil(lambda: panel._view._canvas._picture is not None, timeout=LONG)
    assert not panel._view._banner.isVisible()


def test_the_outline_goes_to_its_pages(filled: Panel, qtbot: QtBot) -> None:
    (document,) = documents(filled)
    last = filled.session.project.document_outline(document.id)[-1]
    flags = Qt.MatchFlag.MatchExactly | Qt.MatchFlag.MatchRecursive
    item = filled._outline.findItems(last.title, flags)[-1]
    filled._outline.itemActivated.emit(item, 0)
    assert filled._view.number == last.page > 1


def test_the_selection_and_the_page_stay(filled: Panel, tmp_path: Path, qtbot: QtBot) -> None:
    project = filled.session.project
    project.add_failed_document("/one.pdf", "It is broken.")
    qtbot.waitUntil(lambda: len(documents(filled)) == 2)
    filled._view.turn(2)
    project.add_failed_document("/two.pdf", "It is broken.")
    qtbot.waitUntil(lambda: len(documents(filled)) == 3)
    assert [document.path for document in filled._selected()] == [str(SAMPLE)]
    assert filled._view.number == 3
    assert not filled._reason.isVisible()


def test_a_read_only_project_offers_nothing_that_writes(filled: Panel, qtbot: QtBot) -> None:
    path = filled.session.project.path
    filled.session.open(path, read_only=True)
    for text in ("Add PDFs…", "Read again", "Remove", "Cut anew", "Ask questions…"):
        assert not action(filled, text).isEnabled(), text
    assert filled._view.number == 1
    with qtbot.waitSignal(filled.session.error_reported):
        filled.add_files([SAMPLE])


def test_a_closed_project_leaves_nothing_behind(filled: Panel, qtbot: QtBot) -> None:
    filled._cutting._size.setValue(300)
    filled._cutting.preview()
    filled.session.close()
    assert documents(filled) == []
    assert filled._view.number == 0
    assert not action(filled, "Add PDFs…").isEnabled()


def test_asking_is_offered_and_widths_are_kept(filled: Panel, qtbot: QtBot) -> None:
    with qtbot.waitSignal(filled.ask_wanted):
        action(filled, "Ask questions…").trigger()
    filled._splitters["across"].setSizes([500, 400])
    sizes = filled._splitters["across"].sizes()
    filled.save_state()
    again = DocumentsPanel(filled.session, filled.jobs, filled._pictures)
    qtbot.addWidget(again)
    again.resize(filled.size())
    again.show()
    assert abs(again._splitters["across"].sizes()[0] - sizes[0]) < 3
