"""The freeze dialog: what it says comes of it is what is kept, and nothing that belongs together is parted."""

from collections import Counter
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from core.project.project import Project
from core.project.records import PickRow
from core.project.tuning import Dataset
from gui.freeze_dialog import FreezeDialog
from gui.session import Session
from tests.core.project.project_material import make_document, make_draft, make_passages, make_settings

DOCUMENTS, EACH = 10, 4

TOPICS = (
    "glaciers carve valleys", "bees dance directions", "paper began in China", "steel needs carbon",
    "tides follow the moon", "opera grew in Florence", "salt lowers freezing", "maps distort poles",
    "yeast makes bread rise", "comets have two tails",
)  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten documents with four accepted questions each, all of them different."""
    path = tmp_path_factory.mktemp("made") / "made.elenchus"
    with Project.create(path) as project:
        for number in range(DOCUMENTS):
            project.add_document(make_document(f"paper {number}"), make_passages(), 1200, 200)
        asked = ("Why", "When", "Where", "For whom")
        drafts = [
            make_draft(
                EACH * number + slot,
                number + 1,
                kind="factual",
                choices=(),
                question=f"{asked[slot]} does it matter that {topic}, case {number}{slot}?",
            )
            for number, topic in enumerate(TOPICS)
            for slot in range(EACH)
        ]
        project.add_examples(project.start_run(make_settings()), drafts, "accepted")
    return path


@pytest.fixture
def session(session: Session, tmp_path: Path, made: Path) -> Session:
    path = tmp_path / "p.elenchus"
    path.write_bytes(made.read_bytes())
    session.open(path)
    return session


@pytest.fixture
def dialog(qtbot: QtBot, session: Session) -> FreezeDialog:
    return shown(qtbot, session)


def shown(qtbot: QtBot, session: Session, what: str = "accepted") -> FreezeDialog:
    dialog = FreezeDialog(session, what, None)
    qtbot.addWidget(dialog)
    dialog.show()
    settle(qtbot, dialog)
    return dialog


def settle(qtbot: QtBot, dialog: FreezeDialog) -> None:
    qtbot.waitUntil(lambda: dialog.idle)


def kept(qtbot: QtBot, dialog: FreezeDialog) -> Dataset:
    with qtbot.waitSignal(dialog.frozen) as frozen:
        qtbot.keyClick(dialog.name, Qt.Key.Key_Return)
    return frozen.args[0]  # pyright: ignore[reportOptionalSubscript]


def test_what_it_says_is_what_is_kept(qtbot: QtBot, session: Session, dialog: FreezeDialog) -> None:
    said = dialog.counts.text()
    assert said == "Train 32 · Validation 4 · Test 4"
    assert "no document" in dialog.said.text()
    dataset = kept(qtbot, dialog)
    assert not dialog.isVisible()
    rows = session.project.dataset_rows(dataset.id)
    assert Counter(row.split for row in rows) == {"train": 32, "validation": 4, "test": 4}
    examples = {one.id: one.document_id for one in session.project.iter_examples()}
    sides = {(examples[row.example_id or 0], row.split) for row in rows}
    assert len(sides) == DOCUMENTS  # each document is on one side


def test_shares_are_chosen_by_slider_and_number(qtbot: QtBot, dialog: FreezeDialog) -> None:
    dialog.splits.sliders["validation"].setValue(20)
    assert dialog.splits.shares["validation"].value() == 20
    dialog.splits.shares["test"].setValue(0)
    assert dialog.splits.sliders["test"].value() == 0
    assert dialog.splits.train.text() == "80 %"
    settle(qtbot, dialog)
    assert dialog.counts.text() == "Train 32 · Validation 8"


def test_the_seed_draws_others(qtbot: QtBot, session: Session, dialog: FreezeDialog) -> None:
    first = kept(qtbot, dialog)
    again = shown(qtbot, session)
    again.fold.click()
    again.seed.setValue(7)
    settle(qtbot, again)
    second = kept(qtbot, again)
    assert second.recipe["seed"] == 7
    assert second.sha256 != first.sha256


def test_its_name_is_offered_until_one_is_given(qtbot: QtBot, session: Session, dialog: FreezeDialog) -> None:
    assert dialog.name.text() == "accepted, 40 rows"
    dialog.name.selectAll()
    qtbot.keyClicks(dialog.name, " pilot  study ")
    dialog.splits.shares["test"].setValue(0)
    settle(qtbot, dialog)
    assert kept(qtbot, dialog).name == "pilot study"


def test_a_pick_is_called_by_its_name(qtbot: QtBot, session: Session) -> None:
    pick = session.project.add_pick("best <b>", {}, [PickRow(id, id > 20) for id in range(1, 41)])
    dialog = shown(qtbot, session, f"baseline:{pick.id}")
    assert dialog.source.currentText() == "Random rows beside “best <b>”"
    dialog.source.setCurrentIndex(dialog.source.findData("pick:best <b>"))
    settle(qtbot, dialog)
    dataset = kept(qtbot, dialog)
    assert (dataset.rows, dataset.recipe["what"]) == (20, "pick:best <b>")


def test_pairs_need_a_worse_answer(qtbot: QtBot, session: Session, dialog: FreezeDialog) -> None:
    dialog.pairs.setChecked(True)
    settle(qtbot, dialog)
    assert not dialog.button.isEnabled()
    assert "no worse answer" in dialog.said.text()
    session.project.set_rejected(dict.fromkeys(range(1, 13), "Worse."))
    dialog.pairs.setChecked(False)
    dialog.pairs.setChecked(True)
    settle(qtbot, dialog)
    assert "28 have no worse answer" in dialog.said.text()
    dataset = kept(qtbot, dialog)
    assert all(row.rejected == "Worse." for row in session.project.dataset_rows(dataset.id))


def test_nothing_to_freeze_says_why(qtbot: QtBot, session: Session, tmp_path: Path) -> None:
    session.create(tmp_path / "empty.elenchus")
    dialog = shown(qtbot, session)
    assert "nothing to train on" in dialog.said.text()
    assert not dialog.button.isEnabled()


def test_escape_keeps_nothing(qtbot: QtBot, session: Session, dialog: FreezeDialog) -> None:
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert session.project.datasets() == []
    assert dialog.idle


def test_every_control_has_a_name_and_markup_stays_text(qtbot: QtBot, session: Session, dialog: FreezeDialog) -> None:
    fields = (
        dialog.source,
        dialog.name,
        dialog.seed,
        *dialog.splits.sliders.values(),
        *dialog.splits.shares.values(),
        dialog.splits.bar,
    )
    assert all(widget.accessibleName() for widget in fields)
    dialog.name.setText("<b>x")
    dialog.splits.shares["test"].setValue(0)
    settle(qtbot, dialog)
    dialog._named = True
    outside = [label for label in dialog.findChildren(QLabel) if "<" in label.text()]
    assert all(label.textFormat() == Qt.TextFormat.PlainText for label in outside)
