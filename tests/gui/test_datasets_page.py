"""Frozen datasets in the window: their rows by split, how two differ, names, removal and what they are handed to."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QInputDialog, QLabel, QWidget
from pytestqt.qtbot import QtBot

from core.project.tuning import DatasetRow
from gui.datasets_page import DatasetsPage
from gui.jobs import Jobs
from gui.session import Session
from tests.data import tuning_runs

HOSTILE = "<img src=x> <b>"


def row(number: int, split: str = "train", **changes: object) -> DatasetRow:
    values = {"messages": (("user", f"Question {number}?"),), "answer": f"Answer {number}.", "split": split}
    return DatasetRow(**(values | {"example_id": None} | changes))  # pyright: ignore[reportArgumentType]


ASKED = (("system", "Be brief."), ("user", "Işık nedir?"))
ROWS = [
    *(row(number) for number in range(1, 9)),
    row(9, "validation", rationale="First.\nThen.", messages=ASKED),
    row(10, "test", rejected=HOSTILE),
]


@pytest.fixture
def session(session: Session, tmp_path: Path) -> Session:
    session.create(tmp_path / "p.elenchus")
    project = session.project
    project.add_dataset("first", {"what": "accepted", "seed": 3}, ROWS)
    nine = row(9, "validation", messages=ASKED, answer="Another 9.")
    project.add_dataset("second", {"what": "accepted", "seed": 4}, [row(1, "test"), *ROWS[2:8], nine, ROWS[9], row(11)])
    return session


@pytest.fixture
def page(session: Session, jobs: Jobs, qtbot: QtBot) -> Iterator[DatasetsPage]:
    page = shown(session, jobs, qtbot)
    yield page
    page.save_state()


def shown(session: Session, jobs: Jobs, qtbot: QtBot) -> DatasetsPage:
    page = DatasetsPage(session, jobs)
    qtbot.addWidget(page)
    page.resize(1000, 700)
    with qtbot.waitExposed(page):
        page.show()
    settle(page, qtbot)
    return page


def settle(page: DatasetsPage, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: page.idle)


def choose(page: DatasetsPage, qtbot: QtBot, name: str) -> None:
    page.list.select(page.session.project.dataset(name).id)
    settle(page, qtbot)


def questions(page: DatasetsPage) -> list[str]:
    return [page.rows.table.texts(place)[2] for place in range(page.rows.table.rowCount())]


def entries(page: DatasetsPage) -> list[list[str]]:
    return [page.list.item(place).text().splitlines() for place in range(page.list.count())]


def test_the_newest_is_on_top_with_its_splits_and_shown(page: DatasetsPage) -> None:
    assert [entry[0] for entry in entries(page)] == ["second", "first"]
    assert entries(page)[1][1] == "Train 8 · Validation 1 · Test 1"
    assert entries(page)[1][2].startswith("Accepted questions · ")
    assert page.name.text() == "second"
    assert page.rows.split.itemText(0) == "All rows · 10"


def test_rows_are_seen_by_split_and_in_full(page: DatasetsPage, qtbot: QtBot) -> None:
    choose(page, qtbot, "first")
    assert questions(page)[0] == "Question 1?"
    page.rows.split.setCurrentIndex(page.rows.split.findData("validation"))
    settle(page, qtbot)
    assert page.rows.split.currentText() == "Validation · 1"
    assert page.rows.table.texts(0) == ["9", "Validation", "Işık nedir?", "Answer 9.", "steps"]
    assert page.rows.texts.shown == [
        ("System", "Be brief."),
        ("User", "Işık nedir?"),
        ("Steps", "First.\nThen."),
        ("Answer", "Answer 9."),
    ]


def test_rows_are_searched_whatever_the_case(page: DatasetsPage, qtbot: QtBot) -> None:
    choose(page, qtbot, "first")
    page.rows.search.setText("IŞIK")
    settle(page, qtbot)
    assert questions(page) == ["Işık nedir?"]


def test_rows_are_searched_only_where_they_are_seen(page: DatasetsPage, qtbot: QtBot) -> None:
    page.activateWindow()
    qtbot.waitUntil(page.isActiveWindow)
    assert page.find_rows()
    assert page.rows.search.hasFocus()
    page.list.selectAll()
    settle(page, qtbot)
    assert not page.find_rows()  # two are compared


def test_facts_are_folded_until_asked_for(page: DatasetsPage, qtbot: QtBot) -> None:
    choose(page, qtbot, "first")
    page.facts.fold.setChecked(True)
    facts = dict(page.facts.facts())
    assert facts["Checksum"] == page.session.project.dataset("first").sha256
    assert '"seed": 3' in facts["Recipe"]


def test_it_is_renamed_by_key(page: DatasetsPage, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    choose(page, qtbot, "first")
    monkeypatch.setattr(QInputDialog, "getText", lambda *_, **__: (" pilot <b> ", True))
    page.list.setFocus()
    page.activateWindow()
    qtbot.waitUntil(page.isActiveWindow)
    with qtbot.waitSignal(page.session.datasets_changed):
        qtbot.keyClick(page.list, Qt.Key.Key_F2)
    settle(page, qtbot)
    assert [entry[0] for entry in entries(page)] == ["second", "pilot <b>"]
    assert page.dataset is not None
    assert page.dataset.name == page.name.text() == "pilot <b>"
    assert page.name.textFormat() == Qt.TextFormat.PlainText


def test_one_that_is_removed_comes_back(page: DatasetsPage, qtbot: QtBot) -> None:
    choose(page, qtbot, "first")
    before = page.dataset
    assert before is not None
    with qtbot.waitSignal(page.session.offer_made) as offer:
        page.remove()
    qtbot.waitUntil(lambda: [entry[0] for entry in entries(page)] == ["second"])
    words, label, undo = offer.args  # pyright: ignore[reportGeneralTypeIssues]
    assert ("first" in words, label) == (True, "Undo")
    undo()
    qtbot.waitUntil(lambda: len(entries(page)) == 2)
    back = page.session.project.dataset("first")
    assert (back.sha256, back.recipe, back.rows) == (before.sha256, before.recipe, before.rows)
    assert page.session.project.dataset_rows(back.id) == ROWS


def test_one_that_was_tuned_on_stays(session: Session, jobs: Jobs, qtbot: QtBot, tmp_path: Path) -> None:
    project = session.project
    run = project.start_run(tuning_runs.settings())
    dataset = project.dataset("first")
    project.add_settings(run, dataset={"id": dataset.id, "name": dataset.name, "sha256": dataset.sha256})
    tuning_runs.add_adapter(project, run, "calm", tmp_path)
    page = shown(session, jobs, qtbot)
    choose(page, qtbot, "first")
    assert entries(page)[1][0] == "first · 1 adapter"
    with qtbot.waitSignal(session.error_reported) as told:
        page.remove()
    assert "It stays." in str(told.args[0])  # pyright: ignore[reportOptionalSubscript]
    assert len(project.datasets()) == 2
    page.save_state()


def test_it_is_handed_to_tuning(page: DatasetsPage, qtbot: QtBot) -> None:
    choose(page, qtbot, "first")
    with qtbot.waitSignal(page.tune_wanted) as wanted:
        page.tune()
    assert wanted.args == ["first"]


def test_nothing_yet_says_what_to_do(session: Session, jobs: Jobs, qtbot: QtBot, tmp_path: Path) -> None:
    session.create(tmp_path / "empty.elenchus")
    page = shown(session, jobs, qtbot)
    assert page.empty.isVisible()
    assert "frozen" in page.empty.text.text()
    assert page.empty.button.text() == "Freeze…"
    page.save_state()


def test_one_that_is_read_only_cannot_be_changed(session: Session, jobs: Jobs, qtbot: QtBot) -> None:
    path = session.project.path
    session.close()
    session.open(path, read_only=True)
    page = shown(session, jobs, qtbot)
    enabled = {action.text().replace("&", ""): action.isEnabled() for action in page.actions()}
    assert enabled == {
        "Freeze a dataset…": False,
        "Tune a model on it…": False,
        "Export the dataset…": True,
        "Rename…": False,
        "Remove": False,
    }
    page.save_state()


def test_every_control_has_a_name_and_markup_stays_text(page: DatasetsPage, qtbot: QtBot) -> None:
    choose(page, qtbot, "first")
    widgets: tuple[QWidget, ...] = (page.list, page.rows.split, page.rows.search, page.rows.view, page.rows.texts)
    assert all(widget.accessibleName() for widget in widgets)
    page.rows.view.selectRow(9)
    assert ("Worse answer", HOSTILE) in page.rows.texts.shown
    assert all(
        label.textFormat() == Qt.TextFormat.PlainText for label in page.findChildren(QLabel) if "<" in label.text()
    )


# Comparing


def test_two_that_are_selected_are_compared(page: DatasetsPage, qtbot: QtBot) -> None:
    page.list.selectAll()
    settle(page, qtbot)
    found = page.difference
    assert page._right.currentWidget() is found
    assert found.title.text() == "first → second"
    assert found.recipe.text() == "Made otherwise: seed 3 → 4."
    assert [found.kind.itemText(place) for place in range(5)] == [
        "All differences · 4",
        "Added · 1",
        "Removed · 1",
        "Changed · 1",
        "Moved · 1",
    ]
    rows = [found.table.texts(place) for place in range(4)]
    assert [row[:3] for row in rows] == [
        ["+", "Added", "Train"],
        ["−", "Removed", "Train"],
        ["≠", "Changed", "Validation"],
        ["⇄", "Moved", "Train → Test"],
    ]
    assert found.same.text() == "7 rows are the same in both."
    found.kind.setCurrentIndex(3)
    (row,) = (found.table.texts(place) for place in range(found.table.rowCount()))
    assert row[1] == "Changed"
    assert ("Answer before", "Answer 9.") in found.texts.shown
    assert ("Answer after", "Another 9.") in found.texts.shown


def test_three_are_too_many_to_compare(page: DatasetsPage, qtbot: QtBot) -> None:
    page.session.project.add_dataset("third", {"what": "accepted"}, ROWS[:3])
    qtbot.waitUntil(lambda: len(entries(page)) == 3)
    page.list.selectAll()
    assert "two to compare" in page.problem.head.text()
    assert page.dataset is None
    assert not page._tune.isEnabled()


# Freezing


def test_a_new_one_is_selected_and_offered_to_tuning(page: DatasetsPage, qtbot: QtBot) -> None:
    project = page.session.project
    dataset = project.add_dataset("third", {"what": "accepted"}, ROWS[:3])
    with qtbot.waitSignal(page.session.offer_made) as offer:
        page.show_frozen(dataset)
    settle(page, qtbot)
    words, label, tune = offer.args  # pyright: ignore[reportGeneralTypeIssues]
    assert (words, label) == ("“third” is frozen: 3 rows.", "Tune…")
    assert page.dataset == dataset
    with qtbot.waitSignal(page.tune_wanted) as wanted:
        tune()
    assert wanted.args == ["third"]
    with qtbot.waitSignal(page.session.offer_made) as offer:
        page.show_frozen(dataset)
    assert offer.args[0].startswith("These very rows were frozen before")  # pyright: ignore[reportOptionalSubscript]
