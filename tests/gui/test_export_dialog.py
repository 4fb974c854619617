"""The export dialog: what it promises is what it writes, and it says what is left out and what to do."""

import csv
import json
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QLabel, QPushButton
from pytestqt.qtbot import QtBot

from core.exchange.export import preview
from gui.export_dialog import ROWS, ExportDialog
from gui.jobs import Jobs
from gui.session import Session
from tests.core.project.project_material import SENTENCES, fill, make_draft, make_generated, make_settings

HOSTILE = '<img src="file:///etc/passwd"> & <b>'


@pytest.fixture
def session(session: Session, tmp_path: Path) -> Session:
    (tmp_path / "project").mkdir()
    session.create(tmp_path / "project" / "birds.elenchus")
    return session


@pytest.fixture
def filled(session: Session) -> Session:
    """Nine questions: five accepted, two quarantined."""
    fill(session.project, 9)
    session.project.set_state([1, 2, 3, 4, 5], "accepted")
    session.project.set_state([6], "quarantined", "Its evidence <b>moved</b>.")
    session.project.set_state([7], "quarantined")
    return session


@pytest.fixture
def dialog(qtbot: QtBot, filled: Session, jobs: Jobs) -> ExportDialog:
    return shown(qtbot, filled, jobs)


def shown(qtbot: QtBot, session: Session, jobs: Jobs) -> ExportDialog:
    dialog = ExportDialog(session, jobs, None)
    qtbot.addWidget(dialog)
    dialog.show()
    return dialog


@pytest.mark.parametrize("format", ["alpaca", "sharegpt", "messages", "completion", "csv"])
@pytest.mark.parametrize("provenance", [True, False])
def test_the_file_begins_as_the_preview_showed(
    qtbot: QtBot, filled: Session, jobs: Jobs, dialog: ExportDialog, format: str, provenance: bool
) -> None:
    dialog.formats[format].setChecked(True)
    dialog.provenance.setChecked(provenance)
    promised = dialog.preview.toPlainText().splitlines()
    path = dialog.wish.path
    with qtbot.waitSignal(filled.offer_made):
        qtbot.keyClick(dialog, Qt.Key.Key_Return)
    assert not dialog.isVisible()
    written = path.read_text(encoding="utf-8").splitlines()
    assert written[: len(promised)] == promised
    if format == "csv":
        assert path.suffix == ".csv"
        with open(path, encoding="utf-8", newline="") as file:
            ids = [row.get("id") for row in csv.DictReader(file)]
        assert ids == (["1", "2", "3", "4", "5"] if provenance else [None] * 5)
    else:
        rows = [json.loads(line) for line in written]
        assert (len(promised), len(rows)) == (ROWS, 5)
        assert all(("elenchus" in row) == provenance for row in rows)
    assert Path(f"{path}.card.md").exists()


def test_all_by_key(qtbot: QtBot, filled: Session, jobs: Jobs, dialog: ExportDialog, tmp_path: Path) -> None:
    dialog.activateWindow()
    qtbot.waitUntil(dialog.isActiveWindow)
    assert dialog.formats["messages"].hasFocus()
    qtbot.keyClick(dialog.formats["messages"], Qt.Key.Key_Up)
    assert dialog.format == "sharegpt"
    assert "conversations" in dialog.preview.toPlainText()
    qtbot.keyClick(dialog.state, Qt.Key.Key_Down)
    assert dialog.state.currentData() == "draft"
    assert "2" in dialog.summary.text()
    qtbot.keyClick(dialog.provenance, Qt.Key.Key_Space)
    assert "elenchus" not in dialog.preview.toPlainText()
    out = tmp_path / "out.jsonl"
    dialog.path.setFocus()
    dialog.path.selectAll()
    qtbot.keyClicks(dialog.path, str(out))
    with qtbot.waitSignal(filled.offer_made):
        qtbot.keyClick(dialog.path, Qt.Key.Key_Return)
    assert [sorted(json.loads(line)) for line in out.read_text().splitlines()] == [["conversations"]] * 2


def test_the_notice_says_how_many_and_shows_where(
    qtbot: QtBot, filled: Session, jobs: Jobs, dialog: ExportDialog, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: shown.append(url.toLocalFile()))
    path = dialog.wish.path
    with qtbot.waitSignal(filled.offer_made) as offer:
        dialog.accept()
    text, label, action = offer.args  # pyright: ignore[reportGeneralTypeIssues]
    assert path.name in text
    assert "5" in text
    assert label
    action()
    assert [Path(folder) for folder in shown] == [path.parent]


def test_the_name_follows_the_format_until_it_is_given(dialog: ExportDialog, qtbot: QtBot, tmp_path: Path) -> None:
    assert dialog.wish.path == tmp_path / "project" / "birds-messages.jsonl"
    dialog.formats["csv"].setChecked(True)
    assert dialog.wish.path.name == "birds-questions.csv"
    dialog.path.selectAll()
    qtbot.keyClicks(dialog.path, "mine.csv")
    dialog.formats["alpaca"].setChecked(True)
    assert dialog.path.text() == "mine.csv"


def test_a_file_that_is_there_is_not_taken_unasked(
    qtbot: QtBot, filled: Session, jobs: Jobs, dialog: ExportDialog
) -> None:
    with qtbot.waitSignal(filled.offer_made):
        dialog.accept()
    again = shown(qtbot, filled, jobs)
    assert again.wish.path.name == "birds-messages-2.jsonl"
    assert not again.replaced.isVisible()
    again.path.selectAll()
    qtbot.keyClicks(again.path, str(again.wish.path.with_name("birds-messages.jsonl")))
    assert again.replaced.isVisible()


def test_choices_are_remembered(qtbot: QtBot, filled: Session, jobs: Jobs, dialog: ExportDialog) -> None:
    dialog.formats["alpaca"].setChecked(True)
    dialog.provenance.setChecked(False)
    with qtbot.waitSignal(filled.offer_made):
        dialog.accept()
    again = shown(qtbot, filled, jobs)
    assert (again.format, again.provenance.isChecked()) == ("alpaca", False)


def test_what_is_left_out_is_said_with_its_reasons(dialog: ExportDialog) -> None:
    text = dialog.left_out.text()
    for part in ("2", "1 × Its evidence <b>moved</b>.", "1 × put there by hand"):
        assert part in text
    dialog.state.setCurrentIndex(dialog.state.findData("quarantined"))
    assert not dialog.left_out.isVisible()


def test_nothing_to_export_says_what_to_do(qtbot: QtBot, session: Session, jobs: Jobs) -> None:
    empty = shown(qtbot, session, jobs)
    assert not empty.button.isEnabled()
    assert "no questions yet" in empty.summary.text()
    assert empty.preview.toPlainText() == ""
    fill(session.project, 2)
    drafts = shown(qtbot, session, jobs)
    assert not drafts.button.isEnabled()
    assert "No question is accepted yet" in drafts.summary.text()
    drafts.state.setCurrentIndex(drafts.state.findData("draft"))
    assert drafts.button.isEnabled()
    drafts.path.selectAll()
    qtbot.keyClick(drafts.path, Qt.Key.Key_Backspace)
    assert not drafts.button.isEnabled()


def test_a_countering_set_is_exported_with_its_mixture(
    qtbot: QtBot, filled: Session, jobs: Jobs, dialog: ExportDialog
) -> None:
    assert not dialog.run.isVisible()  # there is no set yet
    project = filled.project
    run = project.start_run(replace(make_settings("counter"), settings={"mixed": [1, 2, 6]}))
    for slot in range(3):
        project.add_example(run, make_generated(slot))
    project.set_state([10, 11], "accepted")
    dialog = shown(qtbot, filled, jobs)
    assert dialog.run.isVisible()
    assert dialog.state.currentText() == "Accepted · 7"
    dialog.run.setCurrentText(f"Run {run}: countering set with its mixture")
    assert dialog.wish.run == run
    assert [dialog.state.itemText(place) for place in range(2)] == ["Accepted · 2", "Draft · 1"]
    assert "Rows to be written: 4, 2 of which are mixed in." in dialog.summary.text()
    assert not dialog.left_out.isVisible()
    path = dialog.wish.path
    assert path.stem == f"birds-run-{run}-messages"
    with qtbot.waitSignal(filled.offer_made):
        dialog.accept()
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [row["elenchus"]["id"] for row in rows] == [10, 11, 1, 2]


def test_escape_writes_nothing(qtbot: QtBot, jobs: Jobs, dialog: ExportDialog) -> None:
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert not dialog.isVisible()
    assert jobs.active == []


def test_a_failed_export_says_why_and_can_be_tried_again(
    qtbot: QtBot, filled: Session, jobs: Jobs, dialog: ExportDialog, tmp_path: Path
) -> None:
    out = tmp_path / "later" / "out.jsonl"
    dialog.path.setText(str(out))
    dialog._name_given()
    with qtbot.waitSignal(jobs.job_failed) as failed:
        dialog.accept()
    job = failed.args[0]  # pyright: ignore[reportOptionalSubscript]
    assert "could not be written" in str(job.error)
    out.parent.mkdir()
    with qtbot.waitSignal(filled.offer_made):
        job.retry()
    assert len(out.read_text().splitlines()) == 5


def test_rows_whose_evidence_is_gone_are_said(
    qtbot: QtBot, filled: Session, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = filled.project.path
    filled.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE pages SET text = replace(text, 'Izmir', 'Ankara')")
    connection.close()
    filled.open(path)
    dialog = shown(qtbot, filled, jobs)
    with qtbot.waitSignal(filled.offer_made) as offer:
        dialog.accept()
    assert "Quarantined" in offer.args[0]  # pyright: ignore[reportOptionalSubscript]
    assert filled.project.counts()["quarantined"] > 2


def test_markup_stays_text(qtbot: QtBot, session: Session, jobs: Jobs, tmp_path: Path) -> None:
    hostile = tmp_path / 'a <b>&copy; "x".elenchus'
    shutil.copy(session.project.path, hostile)
    session.open(hostile)
    fill(session.project, 1)
    session.project.edit_example(1, question=HOSTILE)
    session.project.set_state([1], "accepted")
    dialog = shown(qtbot, session, jobs)
    assert json.loads(dialog.preview.toPlainText())["messages"][0]["content"] == HOSTILE
    outside = [label for label in dialog.findChildren(QLabel) if "<" in label.text()]
    assert all(label.textFormat() == Qt.TextFormat.PlainText for label in outside)
    with qtbot.waitSignal(session.offer_made) as offer:
        dialog.accept()
    assert "<b>&copy;" in offer.args[0]  # pyright: ignore[reportOptionalSubscript]


def test_every_control_has_a_name(dialog: ExportDialog) -> None:
    for widget in (dialog.state, dialog.path, dialog.preview, *dialog.findChildren(QPushButton)):
        assert widget.accessibleName() or getattr(widget, "text", str)()


# What core promises for it.


def test_a_preview_is_short_and_sound(filled: Session) -> None:
    project = filled.project
    run = project.runs()[0].id
    project.add_example(run, make_draft(90, question="Last?"))
    assert len(preview(project, "alpaca", limit=2).splitlines()) == 2
    assert preview(project, "alpaca", state="rejected") == ""
    assert preview(project, "csv", state="rejected").startswith("id,state")
    assert project.quarantine_reasons() == {"Its evidence <b>moved</b>.": 1, "": 1}
    assert SENTENCES[0] in preview(project, "alpaca", limit=1)


@pytest.mark.parametrize("typed", ["~nobody-of-this-name/a.jsonl", "/" + 300 * "x", "/dev/null/secret/a.jsonl"])
def test_a_place_that_is_none_may_be_typed(qtbot: QtBot, dialog: ExportDialog, typed: str) -> None:
    dialog.path.clear()
    with qtbot.captureExceptions() as raised:
        qtbot.keyClicks(dialog.path, typed)
    assert raised == []
    assert dialog.button.isEnabled()
