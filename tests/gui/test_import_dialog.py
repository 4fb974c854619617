"""The import dialog: what a file is, which column is what, what becomes of its rows, and the way back."""

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QTimer, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

from core.exchange import importing
from core.project.project import Project
from core.project.records import Example
from gui import style
from gui.import_dialog import ImportDialog
from gui.jobs import Jobs
from gui.main_window import MainWindow
from gui.session import Session

HOSTILE = '<img src="file:///etc/passwd"> <b>'


@pytest.fixture
def session(session: Session, tmp_path: Path) -> Session:
    (tmp_path / "project").mkdir()
    session.create(tmp_path / "project" / "p.elenchus")
    return session


@pytest.fixture
def dialog(qtbot: QtBot, session: Session, jobs: Jobs) -> ImportDialog:
    return shown(qtbot, session, jobs)


def shown(qtbot: QtBot, session: Session, jobs: Jobs, path: Path | None = None) -> ImportDialog:
    dialog = ImportDialog(session, jobs, None, path)
    qtbot.addWidget(dialog)
    dialog.show()
    return dialog


def opened(qtbot: QtBot, dialog: ImportDialog, path: Path) -> None:
    dialog.open(path)
    settle(qtbot, dialog)


def settle(qtbot: QtBot, dialog: ImportDialog) -> None:
    qtbot.waitUntil(lambda: dialog.idle)


def lines(path: Path, rows: Iterable[Any]) -> Path:
    path.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), encoding="utf-8")
    return path


def chat(question: str, answer: str) -> dict[str, Any]:
    turns = (("system", "Be brief."), ("user", question), ("assistant", answer))
    return {"messages": [{"role": role, "content": text} for role, text in turns]}


def table(dialog: ImportDialog) -> list[list[str]]:
    return [dialog.preview.table.texts(row) for row in range(dialog.preview.table.rowCount())]


def choose(dialog: ImportDialog, name: str, column: str) -> None:
    box = dialog.fields.boxes[name]
    box.setCurrentIndex(box.findData(column))


def examples(project: Project) -> list[Example]:
    return list(project.iter_examples())


def test_conversations_are_imported_with_one_key(
    qtbot: QtBot, session: Session, dialog: ImportDialog, tmp_path: Path
) -> None:
    opened(qtbot, dialog, lines(tmp_path / "chats.jsonl", [chat("Işık?", "Light."), chat("2 + 2?", "4")]))
    assert dialog.found.text() == "✓ Recognised: conversations."
    assert table(dialog) == [["1", "✓", "Işık?", "Light.", "context"], ["2", "✓", "2 + 2?", "4", "context"]]
    assert dialog.preview.texts.shown[:2] == [("System", "Be brief."), ("Question", "Işık?")]
    assert dialog.verdict.sum.text() == "Rows to be imported: 2."
    with qtbot.waitSignal(session.offer_made) as offer:
        qtbot.keyClick(dialog, Qt.Key.Key_Return)
    assert not dialog.isVisible()
    assert offer.args[0] == "Rows imported from chats.jsonl: 2."  # pyright: ignore[reportOptionalSubscript]
    made = examples(session.project)
    assert [(one.question, one.answer, one.state, one.kind) for one in made] == [
        ("Işık?", "Light.", "draft", "imported"),
        ("2 + 2?", "4", "draft", "imported"),
    ]
    assert made[0].context == (("system", "Be brief."),)


def test_all_of_it_is_taken_back_as_one_action(
    qtbot: QtBot, session: Session, dialog: ImportDialog, tmp_path: Path
) -> None:
    opened(qtbot, dialog, lines(tmp_path / "q.jsonl", [{"question": str(n), "answer": "x"} for n in range(5)]))
    dialog.state.setCurrentIndex(dialog.state.findData("accepted"))
    with qtbot.waitSignal(session.offer_made) as offer:
        dialog.accept()
    project = session.project
    assert project.counts()["accepted"] == 5
    _, label, undo = offer.args  # pyright: ignore[reportGeneralTypeIssues]
    assert label == "Undo"
    with qtbot.waitSignal(session.notice_given) as notice:
        undo()
    assert notice.args == ["Taken back: 5 rows are rejected."]
    assert project.counts()["rejected"] == 5
    project.undo()
    assert project.counts()["accepted"] == 5


def test_columns_of_an_unknown_file_are_chosen(
    qtbot: QtBot, session: Session, dialog: ImportDialog, tmp_path: Path
) -> None:
    path = tmp_path / "survey.csv"
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["Frage", "Antwort", "falsch", "Weg"], ["Wer?", "Ich.", "Du.", "Erst.\nDann."]])
    opened(qtbot, dialog, path)
    assert "Not a shape that is known" in dialog.found.text()
    assert dialog.verdict.sum.text() == "Choose the column of the question, or of a whole conversation."
    assert not dialog.button.isEnabled()
    assert dialog.head.text() == "The first row of the file"
    assert ("Weg", "Erst.\nDann.") in dialog.preview.texts.shown
    qtbot.keyClicks(dialog.fields.boxes["question"], "Fr")
    choose(dialog, "answer", "Antwort")
    choose(dialog, "rationale", "Weg")
    choose(dialog, "rejected", "falsch")
    settle(qtbot, dialog)
    assert table(dialog) == [["2", "✓", "Wer?", "Ich.", "2 steps, worse answer"]]
    assert dialog.fields.mapping.to_text() == "question=Frage,answer=Antwort,rationale=Weg,rejected=falsch"
    with qtbot.waitSignal(session.offer_made):
        dialog.button.click()
    (made,) = examples(session.project)
    assert [step.text for step in made.rationale] == ["Erst.", "Dann."]
    assert (made.question, made.answer, made.rejected) == ("Wer?", "Ich.", "Du.")


def test_bad_rows_are_told_by_number_and_left_out(
    qtbot: QtBot, session: Session, dialog: ImportDialog, tmp_path: Path
) -> None:
    bad = [{"question": "Q?", "answer": ""}] * 4
    opened(
        qtbot, dialog, lines(tmp_path / "s.jsonl", [{"question": "Which?", "answer": "red"}, *bad, {"question": "?"}])
    )
    assert dialog.verdict.faults.text().splitlines() == [
        "Row 2: its answer is empty.",
        "Row 3: its answer is empty.",
        "Row 4: its answer is empty.",
        "… and 2 more",
    ]
    assert table(dialog)[1][:3] == ["2", "!", "its answer is empty"]
    assert not dialog.button.isEnabled()
    assert dialog.verdict.skip.text().replace("&", "") == "Leave out 5 rows that cannot be used"
    qtbot.keyClick(dialog.verdict.skip, Qt.Key.Key_Space)
    assert dialog.verdict.sum.text() == "Rows to be imported: 1."
    with qtbot.waitSignal(session.offer_made) as offer:
        dialog.accept()
    assert offer.args[0].endswith("1. Left out: 5.")  # pyright: ignore[reportOptionalSubscript]
    assert len(examples(session.project)) == 1


def test_worked_solutions_become_steps(qtbot: QtBot, dialog: ImportDialog, shared: Path) -> None:
    opened(qtbot, dialog, shared / "gsm8k" / "train.jsonl")
    assert dialog.found.text() == "✓ Recognised: worked solutions, as in GSM8K."
    assert not dialog.fields.boxes["worked"].isHidden()
    first = dict(dialog.preview.texts.shown)
    assert first["Answer"] == "72"
    assert first["Steps"].splitlines()[0] == "Natalia sold 48/2 = 24 clips in May."
    rows = len((shared / "gsm8k" / "train.jsonl").read_text(encoding="utf-8").splitlines())
    assert dialog.verdict.sum.text() == f"Rows to be imported: {dialog.locale().toString(rows)}."


def test_the_same_file_again_is_said(
    qtbot: QtBot, session: Session, jobs: Jobs, dialog: ImportDialog, tmp_path: Path
) -> None:
    path = lines(tmp_path / "q.jsonl", [{"question": "a", "answer": "b"}])
    opened(qtbot, dialog, path)
    with qtbot.waitSignal(session.offer_made):
        dialog.accept()
    again = shown(qtbot, session, jobs, path)
    settle(qtbot, again)
    assert "was imported before" in again.verdict.sum.text()
    assert again.button.isEnabled()


def test_a_file_that_is_none_is_said_and_another_can_be_dropped(
    qtbot: QtBot, dialog: ImportDialog, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_bytes(b"\xff\xfe\x00")
    opened(qtbot, dialog, bad)
    assert "bad.csv is in UTF-16" in dialog.empty.text.text()
    assert dialog.empty.button.isVisible()
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(lines(tmp_path / "good.jsonl", [chat("a", "b")])))])
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    dialog.dropEvent(QDropEvent(QPointF(9, 9), Qt.DropAction.CopyAction, data, buttons, keys))
    settle(qtbot, dialog)
    assert dialog.file.text() == "good.jsonl"


def test_the_window_stays_awake_while_a_long_file_is_read_and_closing_ends_that(
    qtbot: QtBot, session: Session, jobs: Jobs, tmp_path: Path
) -> None:
    path = lines(tmp_path / "long.jsonl", ({"question": f"{n}?", "answer": "x"} for n in range(30_000)))
    dialog = shown(qtbot, session, jobs, path)
    qtbot.waitUntil(lambda: dialog.preview.table.rowCount() > 0)  # long before all of it is read
    assert dialog._check is not None
    check = dialog._check
    dialog.reject()
    assert not check.alive


def test_an_import_that_is_stopped_says_how_to_go_on(
    qtbot: QtBot, session: Session, jobs: Jobs, dialog: ImportDialog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "_CHUNK", 20)
    rows = 60
    path = lines(tmp_path / "q.jsonl", ({"question": f"{n}?", "answer": "x"} for n in range(rows)))
    opened(qtbot, dialog, path)
    session.project.changed.append(lambda what, _: jobs.cancel_all() if what == "examples" else None)
    with qtbot.waitSignal(session.offer_made) as offer:
        dialog.accept()
    assert offer.args[0] == "The import was stopped. Import q.jsonl again to go on with it."  # pyright: ignore
    assert 0 < len(examples(session.project)) < rows
    session.project.changed.pop()
    again = shown(qtbot, session, jobs, path)
    settle(qtbot, again)
    with qtbot.waitSignal(session.offer_made):
        again.accept()
    assert [one.question for one in examples(session.project)] == [f"{n}?" for n in range(rows)]


def test_a_failed_import_keeps_nothing_and_can_be_tried_again(
    qtbot: QtBot, session: Session, jobs: Jobs, dialog: ImportDialog, tmp_path: Path
) -> None:
    path = lines(tmp_path / "q.jsonl", [{"question": "a", "answer": "b"}])
    opened(qtbot, dialog, path)
    path.unlink()
    with qtbot.waitSignal(jobs.job_failed) as failed:
        dialog.accept()
    job = failed.args[0]  # pyright: ignore[reportOptionalSubscript]
    assert "could not be read" in str(job.error)
    assert examples(session.project) == []
    lines(path, [{"question": "a", "answer": "b"}])
    with qtbot.waitSignal(session.offer_made):
        job.retry()
    assert len(examples(session.project)) == 1


def test_files_that_are_dropped_on_the_window_are_imported_one_after_the_other(
    qtbot: QtBot, session: Session, jobs: Jobs, tmp_path: Path
) -> None:
    files = [lines(tmp_path / f"{name}.jsonl", [chat(name, "x")]) for name in ("one", "two")]
    window = MainWindow(session, jobs)
    qtbot.addWidget(window)
    with qtbot.waitExposed(window):
        window.show()
    shown: list[str] = []

    def press() -> None:
        dialog = QApplication.activeModalWidget()
        assert isinstance(dialog, ImportDialog)
        settle(qtbot, dialog)
        shown.append(dialog.file.text())
        if len(shown) < len(files):
            QTimer.singleShot(0, window, press)
        dialog.accept()

    QTimer.singleShot(0, window, press)
    window.add_files(files)
    qtbot.waitUntil(lambda: not jobs.active)
    assert shown == ["one.jsonl", "two.jsonl"]
    assert window.stack.currentWidget() is window.questions
    made = examples(session.project)
    assert [one.question for one in made] == ["one", "two"]
    filters = window.questions.filters
    qtbot.waitUntil(lambda: filters.run.count() == 3)
    assert filters.run.itemText(2).endswith(" · import · one.jsonl")
    assert filters.kind.findText("Imported") > 0
    assert ("Imported from", "two.jsonl") in window.questions.detail.why._list(made[1])
    keys = {action.shortcut().toString(): action.text().replace("&", "") for action in window.menu_actions()}
    assert keys["Ctrl+I"] == "Import rows…"


def test_a_project_that_is_read_only_takes_in_nothing(
    qtbot: QtBot, session: Session, jobs: Jobs, tmp_path: Path
) -> None:
    path = session.project.path
    session.close()
    session.open(path, read_only=True)
    window = MainWindow(session, jobs)
    qtbot.addWidget(window)
    with qtbot.waitSignal(session.notice_given):
        window.add_files([lines(tmp_path / "one.jsonl", [chat("a", "b")])])
    assert QApplication.activeModalWidget() is None


def test_every_control_has_a_name_and_markup_stays_text(qtbot: QtBot, dialog: ImportDialog, tmp_path: Path) -> None:
    opened(qtbot, dialog, lines(tmp_path / "a <b>b.jsonl", [{"question": HOSTILE, "answer": "x", "<i>": 1}]))
    dialog.fields.fold.click()
    for widget in (*dialog.fields.boxes.values(), dialog.state, dialog.preview.view, dialog.verdict.sum, dialog.found):
        assert widget.accessibleName()
    assert dialog.preview.texts.shown[0] == ("Question", HOSTILE)
    outside = [label for label in dialog.findChildren(QLabel) if "<" in label.text()]
    assert outside
    assert all(label.textFormat() == Qt.TextFormat.PlainText for label in outside)


def test_it_follows_the_colours_of_the_day(qtbot: QtBot, dialog: ImportDialog, tmp_path: Path) -> None:
    opened(qtbot, dialog, lines(tmp_path / "q.jsonl", [chat("a", "b")]))
    seen = []
    for scheme in (Qt.ColorScheme.Dark, Qt.ColorScheme.Light):
        style.set_scheme(scheme)
        QApplication.processEvents()
        assert dialog.found.palette().windowText().color() == style.colour("good")
        seen.append(style.colour("good").name())
    style.set_scheme(Qt.ColorScheme.Unknown)
    assert len(set(seen)) == 2
