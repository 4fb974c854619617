"""The export dialog: what it promises is what it writes, and it says what is left out and what to do."""

import csv
import json
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QLabel, QPushButton
from pytestqt.qtbot import QtBot

from core.exchange.export import preview
from core.exchange.formats import FORMATS, KEY
from core.project.records import PickRow
from core.project.tuning import SPLITS, DatasetRow
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


def shown(qtbot: QtBot, session: Session, jobs: Jobs, dataset: str = "") -> ExportDialog:
    dialog = ExportDialog(session, jobs, None, dataset)
    qtbot.addWidget(dialog)
    dialog.show()
    settle(qtbot, dialog)
    return dialog


def settle(qtbot: QtBot, dialog: ExportDialog) -> None:
    qtbot.waitUntil(lambda: dialog.idle)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("provenance", [True, False])
def test_the_file_begins_as_the_preview_showed(
    qtbot: QtBot, filled: Session, jobs: Jobs, format: str, provenance: bool
) -> None:
    filled.project.set_rejected({id: f"Worse {id}." for id in range(1, 6)})
    dialog = shown(qtbot, filled, jobs)
    dialog.choice.buttons[format].setChecked(True)
    dialog.provenance.setChecked(provenance)
    settle(qtbot, dialog)
    promised = dialog.preview.toPlainText().splitlines()
    path = dialog.wish.path
    with qtbot.waitSignal(filled.offer_made):
        qtbot.keyClick(dialog, Qt.Key.Key_Return)
    assert not dialog.isVisible()
    rows = rows_of(path, format)
    assert len(rows) == 5
    if format == "csv":
        assert path.suffix == ".csv"
        assert path.read_text(encoding="utf-8").splitlines()[: len(promised)] == promised
        assert all(("document_sha256" in row) == provenance for row in rows)
    else:
        assert [json.loads(line) for line in promised] == rows[:ROWS]
        assert all(("elenchus" in row) == provenance for row in rows)
    assert (path / "README.md" if format == "folder" else Path(f"{path}.card.md")).exists()


def rows_of(path: Path, format: str) -> list[dict[str, Any]]:
    """What an export wrote, as whoever trains on it reads it."""
    if format == "csv":
        with open(path, encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    if format not in ("parquet", "folder"):
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    from pyarrow import parquet

    rows = parquet.read_table(path / "data" / "train-00000-of-00001.parquet" if format == "folder" else path)
    return rows.to_pylist()


def test_rows_of_a_pick_and_of_a_split_are_exported(qtbot: QtBot, filled: Session, jobs: Jobs, tmp_path: Path) -> None:
    project = filled.project
    project.add_pick("best <b>", {}, [PickRow(3), PickRow(1), PickRow(5, baseline=True)])
    rows = [DatasetRow((("user", f"{n}?"),), "x", split=split) for n, split in enumerate(SPLITS * 2)]
    project.add_dataset("pilot", {"what": "accepted"}, rows)
    dialog = shown(qtbot, filled, jobs)
    assert [dialog.rows.source.itemText(place) for place in range(3)] == [
        "Questions of this project",
        "Dataset “pilot”",
        "Pick “best <b>”",
    ]
    dialog.rows.source.setCurrentIndex(2)
    settle(qtbot, dialog)
    assert dialog.summary.text().startswith("Rows to be written: 2.")
    assert not dialog.left_out.isVisible()
    assert [json.loads(json.loads(line)[KEY])["id"] for line in dialog.preview.toPlainText().splitlines()] == [3, 1]
    of_dataset = shown(qtbot, filled, jobs, dataset="pilot")
    assert [of_dataset.rows.part.itemText(place) for place in range(4)] == [
        "All rows · 6",
        "Train · 2",
        "Validation · 2",
        "Test · 2",
    ]
    of_dataset.rows.part.setCurrentIndex(2)
    path = of_dataset.wish.path
    assert path.name == "pilot-validation-messages.jsonl"
    with qtbot.waitSignal(filled.offer_made):
        of_dataset.accept()
    assert [row["messages"][0]["content"] for row in rows_of(path, "messages")] == ["1?", "4?"]


def test_pairs_say_what_is_left_out(qtbot: QtBot, filled: Session, jobs: Jobs, dialog: ExportDialog) -> None:
    filled.project.set_rejected({2: "Worse."})
    dialog.choice.buttons["dpo"].setChecked(True)
    settle(qtbot, dialog)
    assert "worse answer are left out" in dialog.choice.about.text()
    assert dialog.summary.text() == "Rows to be written: those of 5 that have a worse answer."
    with qtbot.waitSignal(filled.offer_made) as offer:
        dialog.accept()
    assert "Left out, for want of a worse answer: 4." in offer.args[0]  # pyright: ignore[reportOptionalSubscript]


def test_what_is_rarely_needed_is_folded_until_it_is_used(
    qtbot: QtBot, filled: Session, jobs: Jobs, dialog: ExportDialog
) -> None:
    assert not dialog.guard.isVisible()
    dialog.fold.click()
    assert dialog.configs["axolotl"].isVisible()
    assert not dialog.guard.isVisible()  # only a spreadsheet runs formulas
    dialog.configs["axolotl"].setChecked(True)
    dialog.choice.buttons["two-task"].setChecked(True)
    assert not dialog.configs["axolotl"].isEnabled()
    dialog.choice.buttons["csv"].setChecked(True)
    assert dialog.guard.isVisible()
    dialog.choice.buttons["messages"].setChecked(True)
    path = dialog.wish.path
    with qtbot.waitSignal(filled.offer_made) as offer:
        dialog.accept()
    assert "axolotl" in offer.args[0]  # pyright: ignore[reportOptionalSubscript]
    assert list(path.parent.glob("*axolotl*"))
    assert shown(qtbot, filled, jobs).fold.isChecked()


def test_formulas_are_guarded_unless_they_are_wanted(
    qtbot: QtBot, filled: Session, jobs: Jobs, dialog: ExportDialog
) -> None:
    filled.project.edit_example(1, answer="=1+1")
    dialog.choice.buttons["csv"].setChecked(True)
    settle(qtbot, dialog)
    assert "'=1+1" in dialog.preview.toPlainText()
    dialog.guard.setChecked(False)
    settle(qtbot, dialog)
    assert "'=1+1" not in dialog.preview.toPlainText()
    assert "=1+1" in dialog.preview.toPlainText()


def test_all_by_key(qtbot: QtBot, filled: Session, jobs: Jobs, dialog: ExportDialog, tmp_path: Path) -> None:
    dialog.activateWindow()
    qtbot.waitUntil(dialog.isActiveWindow)
    assert dialog.choice.buttons["messages"].hasFocus()
    qtbot.keyClick(dialog.choice.buttons["messages"], Qt.Key.Key_Up)
    assert dialog.format == "sharegpt"
    settle(qtbot, dialog)
    assert "conversations" in dialog.preview.toPlainText()
    qtbot.keyClick(dialog.rows.part, Qt.Key.Key_Down)
    assert dialog.rows.part.currentData() == "draft"
    assert "2" in dialog.summary.text()
    qtbot.keyClick(dialog.fold, Qt.Key.Key_Space)
    qtbot.keyClick(dialog.provenance, Qt.Key.Key_Space)
    settle(qtbot, dialog)
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
    dialog.choice.buttons["csv"].setChecked(True)
    assert dialog.wish.path.name == "birds-questions.csv"
    dialog.path.selectAll()
    qtbot.keyClicks(dialog.path, "mine.csv")
    dialog.choice.buttons["alpaca"].setChecked(True)
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
    dialog.choice.buttons["alpaca"].setChecked(True)
    dialog.provenance.setChecked(False)
    with qtbot.waitSignal(filled.offer_made):
        dialog.accept()
    again = shown(qtbot, filled, jobs)
    assert (again.format, again.provenance.isChecked()) == ("alpaca", False)


def test_what_is_left_out_is_said_with_its_reasons(dialog: ExportDialog) -> None:
    text = dialog.left_out.text()
    for part in ("2", "1 × Its evidence <b>moved</b>.", "1 × put there by hand"):
        assert part in text
    dialog.rows.part.setCurrentIndex(dialog.rows.part.findData("quarantined"))
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
    drafts.rows.part.setCurrentIndex(drafts.rows.part.findData("draft"))
    assert drafts.button.isEnabled()
    drafts.path.selectAll()
    qtbot.keyClick(drafts.path, Qt.Key.Key_Backspace)
    assert not drafts.button.isEnabled()


def test_a_countering_set_is_exported_with_its_mixture(
    qtbot: QtBot, filled: Session, jobs: Jobs, dialog: ExportDialog
) -> None:
    assert not dialog.rows.source.isVisible()  # there is no set yet
    project = filled.project
    run = project.start_run(replace(make_settings("counter"), settings={"mixed": [1, 2, 6]}))
    for slot in range(3):
        project.add_example(run, make_generated(slot))
    project.set_state([10, 11], "accepted")
    dialog = shown(qtbot, filled, jobs)
    assert dialog.rows.source.isVisible()
    assert dialog.rows.part.currentText() == "Accepted · 7"
    dialog.rows.source.setCurrentText(f"Run {run}: countering set with its mixture")
    assert dialog.wish.rows.run == run
    assert [dialog.rows.part.itemText(place) for place in range(2)] == ["Accepted · 2", "Draft · 1"]
    assert "Rows to be written: 4, 2 of which are mixed in." in dialog.summary.text()
    assert not dialog.left_out.isVisible()
    path = dialog.wish.path
    assert path.stem == f"birds-run-{run}-messages"
    with qtbot.waitSignal(filled.offer_made):
        dialog.accept()
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [json.loads(row["elenchus"])["id"] for row in rows] == [10, 11, 1, 2]


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
    for widget in (
        dialog.rows.part,
        dialog.rows.source,
        dialog.path,
        dialog.preview,
        *dialog.findChildren(QPushButton),
    ):
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
