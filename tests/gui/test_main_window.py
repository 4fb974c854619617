"""The whole window: from a PDF to an export without the mouse, closing in the midst of a run, and what may go wrong."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QMimeData, QPointF, QSettings, Qt, QTimer, QUrl
from PySide6.QtGui import QDropEvent, QImage
from PySide6.QtWidgets import QAbstractItemView, QApplication, QLabel, QTextEdit, QTreeWidgetItem, QWidget
from pytestqt.qtbot import QtBot

from core import paths
from core.documents.passages import cut_passages
from core.documents.reader import read_document
from core.documents.records import Heading
from core.engine.requests import EngineSettings
from core.project.importing import add_pdf
from core.project.project import Project
from core.project.records import Check, ExampleDraft, RunSettings, Step
from core.questions.ask import AskOptions
from core.worker import Worker
from gui import style
from gui.about import AboutDialog
from gui.app import _Unexpected
from gui.ask_dialog import AskDialog
from gui.command_palette import CommandPalette
from gui.export_dialog import ExportDialog
from gui.jobs import Job, Jobs
from gui.keys import KeysDialog
from gui.main_window import MainWindow
from gui.messages import BugDialog
from gui.page_view import PageView
from gui.panels.panel import Panel
from gui.probe_dialog import ProbeDialog
from gui.session import Session
from gui.tune_dialog import TuneDialog
from tests.data import tuning_runs
from tests.data.gguf_tiny import write_tiny
from tests.data.probe_runs import add_run, yielding

SAMPLE = next(iter(sorted((paths.resources() / "samples").glob("*.pdf"))), Path("missing"))
HOSTILE = "<img src='file:///etc/passwd'> & <b>bold</b>"
LONG = 120_000  # milliseconds that a run may take on a busy machine


@pytest.fixture
def window(tmp_path: Path, qtbot: QtBot) -> Iterator[MainWindow]:
    window = open_window(tmp_path, qtbot)
    yield window
    window.close()


def open_window(folder: Path, qtbot: QtBot) -> MainWindow:
    settings = QSettings(str(folder / "window.ini"), QSettings.Format.IniFormat)
    window = MainWindow(Session(settings), Jobs())
    qtbot.addWidget(window)
    with qtbot.waitExposed(window):
        window.show()
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    return window


def with_questions(path: Path) -> Path:
    """A new project with three questions of a run that stopped before its end."""
    with Project.create(path) as project, Worker() as worker:
        add_pdf(project, worker, SAMPLE)
        run = project.start_run(RunSettings("ask", "m", "m", "0", "F16", "starter", "1", {}, {}, 1, "0", "0"))
        for slot in range(3):
            draft = ExampleDraft(1, slot, "unanswerable", f"Question {slot}?", "Not in the text.", None)
            project.add_example(run, draft)
    return path


def with_a_probe(path: Path) -> Path:
    """The same with a run of probes."""
    with Project.open(with_questions(path)) as project:
        add_run(project, yielding(0.5), noise=0.5)
    return path


def idle(window: MainWindow) -> bool:
    return not window.jobs.active


def drop(window: MainWindow, *files: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(file)) for file in files])
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    window.dropEvent(QDropEvent(QPointF(5, 5), Qt.DropAction.CopyAction, data, buttons, keys))
    QCoreApplication.processEvents()


def test_a_download_does_not_keep_a_project_from_being_closed(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    window.session.create(tmp_path / "one.elenchus")
    over = threading.Event()

    def work(job: Job) -> None:
        over.wait(30)

    window.jobs.start("download", "Downloading", work)
    window.open_path(tmp_path / "one.elenchus")
    window.close_project()
    assert not window.session.is_open
    over.set()


def test_from_a_pdf_to_an_export_by_keys_alone(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    window.session.create(tmp_path / "atlas.elenchus")
    drop(window, SAMPLE)
    qtbot.waitUntil(lambda: idle(window), timeout=LONG)
    assert [one.passages for one in window.session.project.documents()] == [23]

    qtbot.keyClick(window, Qt.Key.Key_2, Qt.KeyboardModifier.ControlModifier)
    panel = window.questions
    qtbot.waitUntil(panel.isVisible)
    panel.asking.start(AskOptions(paths.starter_model(), limit=8, seed=1))
    qtbot.waitUntil(lambda: panel.model.rowCount() > 0, timeout=LONG)  # rows arrive while it runs
    qtbot.waitUntil(lambda: idle(window), timeout=LONG)
    count = panel.model.rowCount()
    assert 6 <= count <= 8
    assert "in memory" in window.models._loaded_text.text().lower()

    panel.view.setFocus()
    for key in (Qt.Key.Key_A, Qt.Key.Key_A, Qt.Key.Key_A, Qt.Key.Key_R, Qt.Key.Key_5, Qt.Key.Key_U):
        qtbot.keyClick(QApplication.focusWidget(), key)
    project = window.session.project
    assert (project.counts()["accepted"], project.counts()["rejected"]) == (3, 1)
    assert not any(example.rating for example in project.iter_examples())  # U took the five stars back

    qtbot.keyClick(panel.view, Qt.Key.Key_E)
    field = QApplication.focusWidget()
    qtbot.keyClicks(field, "Aaru 12 ")  # letters that are commands elsewhere
    qtbot.keyClick(field, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    edited = [example.question for example in project.iter_examples() if example.edited_at]
    assert len(edited) == 1
    assert "Aaru 12 " in edited[0]
    assert project.counts()["accepted"] == 3

    out = tmp_path / "atlas.jsonl"
    dialog = ExportDialog(window.session, window.jobs, window)
    qtbot.addWidget(dialog)
    dialog.path.setText(str(out))
    dialog.accept()
    qtbot.waitUntil(lambda: idle(window) and out.exists(), timeout=LONG)
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    accepted = [one for one in project.iter_examples() if one.state == "accepted"]
    assert [line["messages"][0]["content"] for line in lines] == [one.question for one in accepted]


def test_the_keys_of_the_review_work_when_the_first_questions_arrive(
    window: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    with Project.create(tmp_path / "p.elenchus") as project, Worker() as worker:
        add_pdf(project, worker, SAMPLE)
    window.open_path(tmp_path / "p.elenchus")
    window.show_panel(window.questions)
    panel = window.questions
    assert panel.empty.button.hasFocus()
    panel.asking.start(AskOptions(paths.starter_model(), limit=1, seed=1))
    qtbot.waitUntil(lambda: panel.model.rowCount() > 0 and idle(window), timeout=LONG)
    assert panel.view.hasFocus()
    qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_A)
    assert window.session.project.counts()["accepted"] == 1


def test_closed_in_the_midst_of_a_run_and_opened_again(qtbot: QtBot, tmp_path: Path) -> None:
    first = open_window(tmp_path, qtbot)
    path = tmp_path / "p.elenchus"
    first.session.create(path)
    drop(first, SAMPLE)
    qtbot.waitUntil(lambda: idle(first), timeout=LONG)
    first.questions.asking.start(AskOptions(paths.starter_model(), limit=12, seed=1))
    qtbot.waitUntil(lambda: first.session.project.count() >= 2, timeout=LONG)
    first.close()
    second = open_window(tmp_path, qtbot)
    second.open_path(path)
    kept = [example.question for example in second.session.project.iter_examples()]
    assert 2 <= len(kept) < 12
    second.questions.asking.resume()  # resume
    qtbot.waitUntil(lambda: idle(second), timeout=LONG)
    project = second.session.project
    assert [example.question for example in project.iter_examples()][: len(kept)] == kept
    assert project.last_unfinished_run("ask") is None
    second.close()


def test_a_model_that_dies_again_and_again_ends_the_run_and_leaves_the_window(
    window: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    with Project.create(tmp_path / "p.elenchus") as project, Worker() as worker:
        add_pdf(project, worker, SAMPLE)
    window.open_path(tmp_path / "p.elenchus")
    asking, project, said = window.questions.asking, window.session.project, []
    window.session.notice_given.connect(said.append)
    asking.start(AskOptions(paths.starter_model(), limit=8, engine=EngineSettings(sequences=2), seed=5))
    (job,) = window.jobs.active
    killing = True

    def kill(loaded: object) -> None:
        if loaded and killing:
            with suppress(AttributeError, ValueError):  # it is dead already
                job.worker._process.kill()  # pyright: ignore[reportOptionalMemberAccess]

    asking.model_loaded.connect(kill)
    with qtbot.waitSignal(window.jobs.job_failed, timeout=LONG):
        pass
    killing = False
    assert sum(one.endswith("The run goes on in a fresh one.") for one in said) == 2
    assert "crash 3 within 90 seconds" in window.message_bar.text
    assert window.message_bar._button.text() == "Try again"
    assert "No model is in memory" in " ".join(label.text() for label in window.models.findChildren(QLabel))
    assert project.runs()[0].state == "failed"
    window.message_bar._button.click()
    qtbot.waitUntil(lambda: project.runs()[0].state == "finished", timeout=LONG)
    assert len(project.done_slots(1)) == 8
    qtbot.waitUntil(lambda: idle(window))


def test_a_project_that_is_open_elsewhere_is_said_to_be(window: MainWindow, tmp_path: Path) -> None:
    path = tmp_path / "p.elenchus"
    with Project.create(path):
        window.open_path(path)
        assert not window.session.is_open
        assert "open" in window.message_bar.text
        window.message_bar._act()  # Open to read
        assert window.session.project.read_only
    assert "read only" in window.windowTitle()


def test_names_from_outside_are_never_markup(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    window.session.create(tmp_path / f"{HOSTILE.replace('/', '_')}.elenchus")
    pdf = tmp_path / f"{HOSTILE.replace('/', '_')}.pdf"
    shutil.copy(SAMPLE, pdf)
    bad = tmp_path / "<i>bad<_i>.pdf"
    bad.write_bytes(b"no PDF")
    drop(window, pdf, bad)
    qtbot.waitUntil(lambda: idle(window), timeout=LONG)
    assert len(window.session.project.documents()) == 2
    assert "<i>bad<_i>" in window.message_bar.text
    assert window.message_bar._text.textFormat() == Qt.TextFormat.PlainText
    assert "<b>bold<_b>" in window.windowTitle()


def test_no_view_takes_outside_text_for_markup(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    """Widgets guess whether a text is markup, and markup may name files to load: none is left to guess."""
    path, h = tmp_path / "p.elenchus", HOSTILE
    with Project.create(path) as project, Worker() as worker:
        document = replace(read_document(worker, SAMPLE), title=HOSTILE, metadata={"Author": HOSTILE})
        document = replace(document, warnings=(HOSTILE,), outline=(Heading(HOSTILE, 0, 1),))
        project.add_document(document, cut_passages(document.pages, document.outline), 1200, 200)
        project.add_failed_document(tmp_path / "bad.pdf", HOSTILE)
        run = project.start_run(RunSettings("ask", h, h, h, h, h, h, {}, {}, 1, h, h))
        texts = {"question": HOSTILE, "answer": HOSTILE, "choices": (HOSTILE, "b", "c", "d")}
        checks = (Check("round_trip", False, 0.1, HOSTILE), Check(HOSTILE, True))
        for slot, kind in enumerate(("multiple_choice", "unanswerable", "true_false")):
            project.add_example(run, ExampleDraft(1, slot, kind, evidence=None, checks=checks, **texts))
        project.finish_run(run, "failed", {}, HOSTILE)
    window.open_path(path)
    dialogs = [AskDialog(window.session, window), ExportDialog(window.session, window.jobs, window)]
    for dialog in dialogs:
        qtbot.addWidget(dialog)
        dialog.show()
    for panel in window.panels:
        window.show_panel(panel)
        qtbot.wait(300)
        for widget in QApplication.allWidgets():
            assert "<img" not in widget.toolTip(), widget
            assert not isinstance(widget, QTextEdit), widget  # which reads markup; QPlainTextEdit does not
            if isinstance(widget, QLabel) and "<img" in widget.text():
                assert widget.textFormat() == Qt.TextFormat.PlainText, widget
            if isinstance(widget, QAbstractItemView) and (model := widget.model()) is not None:
                places = [model.index(row, column) for row in range(min(model.rowCount(), 50)) for column in range(9)]
                tips = [str(place.data(Qt.ItemDataRole.ToolTipRole)) for place in places if place.isValid()]
                assert "<img" not in " ".join(tips), widget


def test_what_is_no_document_is_refused_with_a_sentence(window: MainWindow, tmp_path: Path) -> None:
    drop(window, tmp_path / "notes.txt")
    assert "Only PDF files" in window.message_bar.text
    window.open_path(tmp_path / "gone.elenchus")
    assert "gone.elenchus" in window.message_bar.text


def test_the_keys_go_to_the_panel_that_was_called_for(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    window.open_path(with_questions(tmp_path / "p.elenchus"))
    assert window.message_bar.isVisible()
    assert "stopped before its end" in window.message_bar.text  # and can be resumed from there
    qtbot.keyClick(window, Qt.Key.Key_2, Qt.KeyboardModifier.ControlModifier)
    assert QApplication.focusWidget() is window.questions.view
    actions = len(window.questions.actions())
    for panel in (window.documents, window.questions, window.sycophancy, window.questions):
        window.show_panel(panel)
    assert len(window.questions.actions()) == actions
    assert len(window.panel_menu.actions()) == actions
    qtbot.keyClick(window.questions.view, Qt.Key.Key_A)
    assert window.session.project.counts()["accepted"] == 1
    window.show_panel(window.questions)
    palette = CommandPalette(window.menu_actions(), window)
    qtbot.addWidget(palette)
    palette.show()
    assert palette.focusWidget() is palette.field


@pytest.fixture
def appearance() -> Iterator[None]:
    yield
    style.set_scheme(Qt.ColorScheme.Light)


def drawn(window: MainWindow, view: PageView) -> bool:
    wanted = view._wanted()
    return wanted is not None and window.pictures.get(wanted) is not None


def documents_drawn(window: MainWindow) -> bool:
    return drawn(window, window.documents._view)


def questions_drawn(window: MainWindow) -> bool:
    return drawn(window, window.questions.detail.source.page)


def models_listed(window: MainWindow) -> bool:
    return window.models.list.count() > 0 and bool(window.models._computer.text())


def adapters_drawn(window: MainWindow) -> bool:
    return window.tuning.idle and window.tuning.empty.isVisible()


def probe_drawn(window: MainWindow) -> bool:
    return window.sycophancy.tabs.isVisible() and window.sycophancy.idle


@pytest.mark.usefixtures("appearance")
def test_a_window_that_turns_dark_looks_like_one_that_was_dark_from_the_start(tmp_path: Path, qtbot: QtBot) -> None:
    path = with_a_probe(tmp_path / "p.elenchus")

    def pictures(window: MainWindow) -> list[QImage]:
        taken = []
        window.resize(1240, 800)
        window.message_bar.hide()
        ready: dict[Panel, Callable[[MainWindow], bool]] = {
            window.documents: documents_drawn,
            window.questions: questions_drawn,
            window.sycophancy: probe_drawn,
            window.tuning: adapters_drawn,
            window.models: models_listed,
        }
        for panel in window.panels:
            window.show_panel(panel)
            qtbot.wait(60)  # a page is asked for when it has stayed for a moment
            shown = ready.get(panel, MainWindow.isVisible)
            qtbot.waitUntil(lambda shown=shown: shown(window), timeout=20_000)
            taken.append(window.grab().toImage())
        return taken

    def settled(window: MainWindow) -> list[QImage]:
        before = pictures(window)
        while (now := pictures(window)) != before:  # on a busy machine something may come a moment later
            before = now
        return now

    style.set_scheme(Qt.ColorScheme.Light)
    first = open_window(tmp_path, qtbot)
    first.open_path(path)
    light = settled(first)
    first.set_appearance(Qt.ColorScheme.Dark)
    turned = settled(first)
    first.set_appearance(Qt.ColorScheme.Light)
    assert settled(first) == light
    first.close()
    style.set_scheme(Qt.ColorScheme.Dark)
    second = open_window(tmp_path, qtbot)
    second.open_path(path)
    assert settled(second) == turned
    assert all(one != other for one, other in zip(light, turned, strict=True))
    assert second.session.settings.value("appearance") == "Light"
    second.close()


def test_ctrl_f_searches_what_is_looked_at(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    window.open_path(with_a_probe(tmp_path / "p.elenchus"))
    window.show_panel(window.sycophancy)
    qtbot.waitUntil(lambda: probe_drawn(window), timeout=20_000)
    qtbot.keyClick(window, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    assert window.focusWidget() is window.sycophancy.items.search
    window.show_panel(window.documents)
    qtbot.keyClick(window, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    assert window.focusWidget() is window.questions.filters.search


def test_whatever_takes_the_focus_has_a_name(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    """As a screen reader says it: a name of its own, its text, or the label that leads to it."""
    window.open_path(with_a_probe(tmp_path / "p.elenchus"))
    window.show_panel(window.sycophancy)
    qtbot.waitUntil(lambda: probe_drawn(window), timeout=20_000)
    led_to = {label.buddy() for label in window.findChildren(QLabel)}
    for panel in window.panels:
        window.show_panel(panel)
        nameless = [
            widget
            for widget in window.findChildren(QWidget)
            if widget.isVisible() and widget.focusPolicy() != Qt.FocusPolicy.NoFocus and widget not in led_to
            if not (widget.accessibleName() or getattr(widget, "text", str)())
        ]
        assert nameless == []


def children(item: QTreeWidgetItem | None) -> list[QTreeWidgetItem]:
    assert item is not None
    found = (item.child(row) for row in range(item.childCount()))
    return [child for child in found if child is not None]


def test_keys_lead_to_the_adapters_and_from_them_to_chat_and_probes(
    window: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = write_tiny(tmp_path / "tiny.gguf")
    with Project.create(tmp_path / "p.elenchus") as project:
        run = tuning_runs.add_run(project, model=tiny)
        adapter = tuning_runs.add_adapter(project, run, "calm", tmp_path)
    window.session.settings.setValue("models", [str(tiny)])
    window.open_path(tmp_path / "p.elenchus")
    qtbot.keyClick(window, Qt.Key.Key_6, Qt.KeyboardModifier.ControlModifier)
    assert QApplication.focusWidget() is window.tuning.list
    qtbot.keyClick(window, Qt.Key.Key_7, Qt.KeyboardModifier.ControlModifier)
    assert QApplication.focusWidget() is window.models.list
    asked: list[object] = []
    monkeypatch.setattr(TuneDialog, "exec", lambda self: asked.append(self) or 0)
    qtbot.keyClick(window, Qt.Key.Key_T, Qt.KeyboardModifier.ControlModifier)
    assert len(asked) == 1
    assert window.stack.currentWidget() is window.tuning
    monkeypatch.setattr(ProbeDialog, "exec", lambda self: asked.append(self) or 0)
    qtbot.keyClick(window.tuning.list, Qt.Key.Key_P)
    probe = asked[-1]
    assert isinstance(probe, ProbeDialog)
    assert probe.adapter.currentData() == adapter.id
    window.show_panel(window.tuning)
    qtbot.keyClick(window.tuning.list, Qt.Key.Key_C)
    assert window.stack.currentWidget() is window.models
    assert window.models.chat.first.adapter_words() == "with calm at 1"


def test_every_key_is_listed_by_where_it_works(window: MainWindow, tmp_path: Path) -> None:
    window.session.create(tmp_path / "p.elenchus")
    window.show_panel(window.questions)
    groups: dict[str, dict[str, str]] = {}

    def look() -> None:
        dialog = QApplication.activeModalWidget()
        assert isinstance(dialog, KeysDialog)
        for group in children(dialog.list.invisibleRootItem()):
            groups[group.text(0)] = {one.text(0): one.text(1) for one in children(group)}
        dialog.reject()

    QTimer.singleShot(0, look)
    window.show_keys()
    titles = [panel.title for panel in window.panels if panel.actions()]
    assert list(groups)[: len(titles) + 1] == ["Everywhere", *titles]
    assert {"While a question is edited", "On a page", "In a chat"} <= groups.keys()
    questions = groups["Questions"]
    assert (questions["Accept"], questions["Reject"], questions["Undo the last change"]) == ("A", "R", "U")
    assert not questions.keys() & groups["Everywhere"].keys()


def test_undo_and_search_stay_in_the_rationales(window: MainWindow, tmp_path: Path, qtbot: QtBot) -> None:
    window.open_path(with_questions(tmp_path / "p.elenchus"))
    project = window.session.project
    window.show_panel(window.rationales)
    project.set_rationales({1: ([Step("Because.")], 0)})
    qtbot.keyClick(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert project.example(1).rationale == ()
    qtbot.keyClick(window, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    assert window.stack.currentWidget() is window.rationales
    assert window.rationales.filters.search.hasFocus()


def test_undo_from_another_panel_shows_what_it_undoes(window: MainWindow, tmp_path: Path, qtbot: QtBot) -> None:
    window.open_path(with_questions(tmp_path / "p.elenchus"))
    window.show_panel(window.questions)
    qtbot.keyClick(window.questions.view, Qt.Key.Key_A)
    window.show_panel(window.documents)
    qtbot.keyClick(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert window.stack.currentIndex() == 1
    window.show_panel(window.documents)
    qtbot.keyClick(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert window.stack.currentIndex() == 0
    assert "nothing to undo" in window.message_bar.text
    assert window.session.project.counts()["accepted"] == 0


def test_undo_from_the_menu_takes_back_what_is_being_written_first(
    window: MainWindow, tmp_path: Path, qtbot: QtBot
) -> None:
    window.open_path(with_questions(tmp_path / "p.elenchus"))
    window.show_panel(window.questions)
    qtbot.keyClick(window.questions.view, Qt.Key.Key_A)
    qtbot.keyClick(window.questions.view, Qt.Key.Key_E)
    field = window.questions.detail.question
    before = field.text
    qtbot.keyClicks(field, "x")
    window.step(redo=False)
    assert (field.text, field.hasFocus()) == (before, True)
    assert window.session.project.counts()["accepted"] == 1


def test_closing_the_project_leads_back_to_the_start(window: MainWindow, tmp_path: Path) -> None:
    window.session.create(tmp_path / "p.elenchus")
    assert window.start_page.isHidden()
    window.close_project()
    assert window.start_page.isVisible()
    assert [path.name for path in window.session.recent()] == ["p.elenchus"]
    assert not any(action.isEnabled() for action in window._in_project)


def test_neither_model_nor_parser_is_loaded_by_the_window(window: MainWindow, tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys; import gui.main_window; "
        "print([name for name in ('llama_cpp', 'torch', 'pypdf', 'pypdfium2', 'py3langid') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_name_with_a_dot_is_a_project_all_the_same(
    window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "_ask_path", lambda *_: tmp_path / "birds v1.2[*]")
    window.new_project()
    assert window.session.project.path.name == "birds v1.2[*].elenchus"
    assert window.windowTitle() == "birds v1.2[*][*]"  # Qt shows it as it is


def test_documents_dropped_with_a_project_that_does_not_open_go_nowhere(
    window: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    window.session.create(tmp_path / "mine.elenchus")
    (tmp_path / "other.elenchus").write_bytes(b"no project")
    drop(window, tmp_path / "other.elenchus", SAMPLE)
    assert idle(window)
    assert window.session.project.path.name == "mine.elenchus"


def test_a_panel_that_is_not_there_is_not_asked_for(window: MainWindow, tmp_path: Path) -> None:
    for number, shown in (("9", 6), ("x", 0)):
        window.session.settings.setValue("panel", number)
        window.session.create(tmp_path / f"{number}.elenchus")
        assert window.stack.currentIndex() == shown


def test_a_fault_at_each_repaint_opens_one_window(
    window: MainWindow, qtbot: QtBot, capsys: pytest.CaptureFixture[str]
) -> None:
    unexpected, seen = _Unexpected(window), []

    def look() -> None:
        unexpected(ValueError, ValueError("again"), None)
        seen.extend(one for one in QApplication.topLevelWidgets() if isinstance(one, BugDialog) and one.isVisible())
        for dialog in seen:
            dialog.close()

    QTimer.singleShot(50, look)
    unexpected(ValueError, ValueError("once"), None)
    assert len(seen) == 1
    assert "again" in capsys.readouterr().err


def test_dialogs_do_not_pile_up(window: MainWindow, qtbot: QtBot) -> None:
    QTimer.singleShot(50, lambda: window.findChildren(AboutDialog)[0].close())
    window.show_about()
    qtbot.waitUntil(lambda: not window.findChildren(AboutDialog))


CLOSED_SOON = """
import sys
from pathlib import Path
from PySide6.QtCore import QTimer
from gui import app

made = app.make_application

def make_application(arguments):
    application = made(arguments)
    QTimer.singleShot(1000, application.closeAllWindows)
    return application

app.make_application = make_application
if __name__ == "__main__":
    sys.exit(app.run(Path(sys.argv[1])))
"""


def test_the_process_ends_well_when_the_window_is_closed(tmp_path: Path) -> None:
    """Icons that Python paints may crash it at its end."""
    script, path = tmp_path / "closed.py", with_questions(tmp_path / "p.elenchus")
    script.write_text(CLOSED_SOON, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(paths.resources().parent)}
    for _ in range(3 if os.environ.get("CI") else 1):
        done = subprocess.run([sys.executable, script, path], env=environment, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
