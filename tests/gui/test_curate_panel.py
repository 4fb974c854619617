"""Curate: its pages on real project files, and the keys that judge what is selected on them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QWidget
from pytestqt.qtbot import QtBot

from core import datasets
from core.curation.duplicates import Group
from core.curation.leaks import Leak
from core.curation.plane import Plane
from core.curation.scoring import CERTAINTY
from core.project.project import Project
from core.project.records import PassageMark, PickRow, ScoreRow, wording
from gui.answer_pairs import Text
from gui.curate_dialogs import DuplicatesDialog, ScoreDialog
from gui.freeze_dialog import FreezeDialog
from gui.jobs import Jobs
from gui.panels.curate import CuratePanel
from gui.pick_dialog import PickDialog
from gui.session import Session
from tests.core.project.project_material import make_document, make_passages
from tests.data.gguf_tiny import write_tiny
from tests.data.to_curate import NEAR, SAME, add_scores, make_curated, rate

LONG = 60_000  # milliseconds: the machine may be busy


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made") / "made.elenchus"
    make_curated(path)
    return path


@pytest.fixture
def session(session: Session, tmp_path: Path, made: Path) -> Session:
    path = tmp_path / "project.elenchus"
    path.write_bytes(made.read_bytes())
    session.open(path)
    return session


@pytest.fixture
def panel(session: Session, jobs: Jobs, qtbot: QtBot) -> Iterator[CuratePanel]:
    panel = CuratePanel(session, jobs)
    qtbot.addWidget(panel)
    panel.resize(1100, 760)
    with qtbot.waitExposed(panel):
        panel.show()
    settle(panel, qtbot)
    yield panel
    panel.save_state()


def settle(panel: CuratePanel, qtbot: QtBot) -> None:
    """Waits until what was changed is announced, and what is shown reckoned."""
    gather = panel.session._gather
    qtbot.waitUntil(lambda: not gather.isActive() and panel.idle, timeout=LONG)


def states(session: Session, *ids: int) -> list[str]:
    return [example.state for example in session.project.examples_by_id(ids)]


def words(widget: QWidget) -> str:
    return "\n".join(label.text() for label in widget.findChildren(QLabel) if not label.isHidden())


def plane(session: Session) -> Plane:
    """Every question in its place on a circle, its subject as its topic."""
    ids = session.project.example_ids()
    turns = np.linspace(0, 6, len(ids))
    points = np.column_stack((np.cos(turns), np.sin(turns))).astype(np.float32)
    topics = np.array([min(3, place // 10) for place in range(len(ids))])
    return Plane(tuple(ids), points, topics, ("ice", "bread", "bees <b>", "others"), 0.4)


# Empty


def test_with_nothing_in_the_project_it_says_what_to_do_first(session: Session, jobs: Jobs, qtbot: QtBot) -> None:
    session.create(session.project.path.with_name("new.elenchus"))
    panel = CuratePanel(session, jobs)
    qtbot.addWidget(panel)
    panel.show()
    assert panel.empty.isVisible()
    with qtbot.waitSignal(panel.documents_wanted):
        panel.empty.button.click()
    session.project.add_document(make_document(), make_passages(), 1200, 200)
    qtbot.waitUntil(panel.tabs.isVisible, timeout=LONG)
    for page in panel.pages:
        panel.tabs.setCurrentWidget(page)
        settle(panel, qtbot)
        assert page.is_filled == (page is panel.passages)
        assert page.empty.isVisible() != page.is_filled
    panel.save_state()


def test_what_is_only_read_cannot_be_changed(session: Session, jobs: Jobs, qtbot: QtBot) -> None:
    path = session.project.path
    session.close()
    session.open(path, read_only=True)
    panel = CuratePanel(session, jobs)
    qtbot.addWidget(panel)
    panel.show()
    settle(panel, qtbot)
    assert not panel.scores.score_button.isEnabled()
    assert not panel.pick.pick_button.isEnabled()
    panel.tabs.setCurrentWidget(panel.passages)
    settle(panel, qtbot)
    assert not panel.passages.card.yes.isEnabled()
    assert panel.duplicates.find_button.isEnabled()
    panel.save_state()


# Scores


def test_scores_are_shown_beside_ratings_with_what_they_are_worth(
    panel: CuratePanel, session: Session, qtbot: QtBot
) -> None:
    page = panel.scores
    add_scores(session.project)
    rate(session.project)
    settle(panel, qtbot)
    found = page.figures
    assert found is not None
    assert found.calibration.n == 34
    assert found.calibration.useful
    assert page.charts.matrix.table()[1:] == [
        (str(1 + row), *(str(sum(1 + id % 5 == 1 + row == 1 + column for id in range(1, 35))) for column in range(5)))
        for row in range(5)
    ]  # as `add_scores` and `rate` agree
    assert "Kendall" in page.charts.figures_line.text()
    assert page.charts.curve.isVisible()
    bars = page.charts.spread.table()
    assert [row[0] for row in bars[1:]] == ["Model's score"] * 5 + ["Your rating"] * 5
    assert bars[1][5] == "6 / 34"


def test_a_score_that_follows_nothing_is_not_trusted(panel: CuratePanel, session: Session, qtbot: QtBot) -> None:
    add_scores(session.project, agreeing=False)
    settle(panel, qtbot)
    page = panel.scores
    assert page.charts.trust.text().startswith("! No example has both")
    assert not page.charts.matrix.isVisible()
    rate(session.project)
    settle(panel, qtbot)
    assert page.charts.trust.text().startswith("! ")
    assert "Do not pick by them" in page.charts.trust.text()


def test_stars_are_not_taken_for_scores(panel: CuratePanel, session: Session, qtbot: QtBot) -> None:
    rate(session.project)
    settle(panel, qtbot)
    page = panel.scores
    assert page.charts.spread.title == "How your ratings are spread"
    assert page.charts.hint.text() == "No model has scored these questions yet: the stars are your own."
    assert page.charts.hint.isVisible()
    assert not page.order.isVisible()
    add_scores(session.project)
    settle(panel, qtbot)
    assert page.charts.spread.title == "How the scores are spread"
    assert not page.charts.hint.isVisible()
    assert page.order.isVisible()


def test_a_score_of_other_words_no_longer_counts(panel: CuratePanel, session: Session, qtbot: QtBot) -> None:
    project, run = session.project, add_scores(session.project)
    examples = project.examples_by_id(project.example_ids())
    project.add_scores(run, [ScoreRow(one.id, CERTAINTY, 1.0, wording(one, steps=False)) for one in examples])
    rate(project)
    panel.map.show_plane(plane(session))
    panel.map.by.setCurrentIndex(panel.map.by.findData("score"))
    panel.tabs.setCurrentWidget(panel.map)
    settle(panel, qtbot)
    assert "Not scored" not in {group.name for group in panel.map.chart.groups}
    project.edit_example(1, answer="Something else altogether.")
    for page in (panel.map, panel.scores):
        panel.tabs.setCurrentWidget(page)
        settle(panel, qtbot)
    found = panel.scores.figures
    assert found is not None
    assert set(found.scores) == set(range(2, 35))
    assert found.calibration.n == 33
    assert {group.name: len(group.rows) for group in panel.map.chart.groups}["Not scored"] == 1


def test_a_threshold_says_what_it_keeps_before_it_does_and_is_undone(
    panel: CuratePanel, session: Session, qtbot: QtBot
) -> None:
    add_scores(session.project)
    settle(panel, qtbot)
    page, project = panel.scores, session.project
    drafts = {id: row.value for id, row in project.scores("rubric").items() if id > 20}
    kept = [id for id, value in drafts.items() if value >= 4]
    page.threshold.setValue(4)
    assert page.kept.text().startswith(f"Would be accepted: {len(kept)}.")
    page.keep_button.click()
    assert [id for id in range(21, 35) if states(session, id) == ["accepted"]] == kept
    assert states(session, *range(1, 21)) == ["accepted"] * 20
    panel.undo()
    assert project.counts()["draft"] == 14
    settle(panel, qtbot)
    page.whom.setCurrentIndex(1)
    among = project.scores("rubric")
    assert page.kept.text().startswith(f"Would be accepted: {sum(row.value >= 4 for row in among.values())}.")


def test_keys_rate_and_the_next_comes_up(panel: CuratePanel, session: Session, qtbot: QtBot) -> None:
    add_scores(session.project)
    settle(panel, qtbot)
    rows = panel.scores.rows
    assert rows is not None
    best = rows.ids[:2]
    panel.take_focus()
    rows.view.selectRow(0)
    qtbot.keyClick(rows.view, Qt.Key.Key_4)
    assert session.project.example(best[0]).rating == 4
    assert rows.selected_ids() == best[1:]
    qtbot.keyClick(rows.view, Qt.Key.Key_R)
    assert states(session, best[1]) == ["rejected"]
    qtbot.keyClick(rows.view, Qt.Key.Key_U)
    assert states(session, best[1]) != ["rejected"]


def test_letters_and_digits_choose_an_entry_of_a_box_and_judge_nothing(
    panel: CuratePanel, session: Session, qtbot: QtBot
) -> None:
    add_scores(session.project)
    settle(panel, qtbot)
    before = session.project.examples_by_id(session.project.example_ids())
    assert panel.scores.rows is not None
    panel.scores.rows.view.selectRow(0)
    assert panel.scores.selected_ids()
    panel.scores.order.setFocus()
    for key in (Qt.Key.Key_N, Qt.Key.Key_R, Qt.Key.Key_D, Qt.Key.Key_3):
        qtbot.keyClick(panel.scores.order, key)
    assert session.project.examples_by_id(session.project.example_ids()) == before
    assert panel.scores.order.currentText() == "Not rated yet"


def test_two_runs_are_compared_pair_by_pair(panel: CuratePanel, session: Session, qtbot: QtBot) -> None:
    add_scores(session.project)
    settle(panel, qtbot)
    assert not panel.scores.charts.versus.isVisible()
    add_scores(session.project, agreeing=False, name="Smaller")
    settle(panel, qtbot)
    scores = [session.project.scores_of_run(run) for run in (2, 3)]
    means = [sum(one.value for one in some) / len(some) for some in scores]
    text = panel.scores.charts.difference.text()
    assert text.startswith(f"34 questions, {means[0]:.2f} on average and then {means[1]:.2f}")


def test_the_dialog_scores_only_with_a_model_that_can_judge(
    panel: CuratePanel, session: Session, qtbot: QtBot, tmp_path: Path
) -> None:
    dialog = ScoreDialog(session, {"draft": [3, 4], "accepted": [1, 2]}, [4], panel)
    qtbot.addWidget(dialog)
    qtbot.waitUntil(lambda: dialog.model.model is not None, timeout=LONG)  # the starter is found
    assert "cannot judge" in words(dialog)
    assert not dialog.begin.isEnabled()
    dialog.model.add_file(write_tiny(tmp_path / "tiny.gguf"))
    assert dialog.begin.isEnabled()
    assert dialog.ids() == (4,)
    dialog.which.setCurrentIndex(1)
    assert dialog.ids() == (1, 2, 3, 4)
    dialog.reject()


# Duplicates

GROUPS = [
    Group("exact", SAME, 1.0, SAME[0], "it is accepted, and the others are not"),
    Group("near", NEAR, 0.86, NEAR[1], "its answer is the longest"),
]


def test_groups_show_what_differs_and_the_best_is_kept(panel: CuratePanel, session: Session, qtbot: QtBot) -> None:
    page = panel.duplicates
    panel.tabs.setCurrentWidget(page)
    settle(panel, qtbot)
    assert "Nobody has looked yet" in words(page.empty)
    page._show_found(GROUPS)
    settle(panel, qtbot)
    assert page.about.text() == "2 groups; 2 questions would be rejected."
    assert page.list.current is not None
    assert "word for word the same" in words(page.view)
    page.list.setCurrentIndex(page.list.model().index(1, 0))
    marked = [mark for text in page.view.findChildren(Text) for mark in text.marks]
    assert marked == ["good?"]
    assert "its answer is the longest" in words(page.view)
    page.choose(NEAR[0])
    assert page.list.current.kept.id == NEAR[0]
    qtbot.keyClick(page.list, Qt.Key.Key_K)
    assert states(session, *NEAR, *SAME) == ["draft", "rejected", "draft", "draft"]
    settle(panel, qtbot)
    assert page.about.text().startswith("1 groups")
    panel.undo()
    settle(panel, qtbot)
    assert page.about.text().startswith("2 groups")
    with qtbot.waitSignal(session.offer_made) as offer:
        page.all_button.click()
    assert states(session, *SAME, *NEAR) == ["draft", "rejected", "draft", "rejected"]
    assert "duplicate of question 31" in session.project.example(SAME[1]).reason
    settle(panel, qtbot)
    assert not page.is_filled
    assert offer.args is not None
    assert offer.args[:2] == ["2 duplicates were rejected.", "Undo"]
    offer.args[2]()
    assert session.project.counts()["rejected"] == 0


def test_what_stands_in_a_test_set_is_listed_to_be_rejected(panel: CuratePanel, session: Session, qtbot: QtBot) -> None:
    page = panel.duplicates
    panel.tabs.setCurrentWidget(page)
    page._against = "held.jsonl"
    page._show_leaks([Leak(3, 7, 1.0, "exact", "How fast?"), Leak(5, 2, 0.81, "near", "How slow <b>?")])
    settle(panel, qtbot)
    assert page.leaked.ids == [3, 5]
    assert page.leaked.model.note(5) == "row 2, alike 0.81: How slow <b>?"
    page.leaked.select([3, 5])
    panel.judge("rejected")
    assert states(session, 3, 5) == ["rejected"] * 2


def test_the_dialog_of_duplicates_asks_for_a_model_only_for_meaning(
    panel: CuratePanel, session: Session, qtbot: QtBot
) -> None:
    dialog = DuplicatesDialog(session, panel)
    qtbot.addWidget(dialog)
    assert dialog.begin.isEnabled()
    assert dialog.model_path() is None
    dialog.semantic.setChecked(True)
    qtbot.waitUntil(dialog.begin.isEnabled, timeout=LONG)
    assert dialog.model_path() is not None
    dialog.reject()


# The map


def test_the_lasso_fills_the_table_and_the_table_marks_the_map(
    panel: CuratePanel, session: Session, qtbot: QtBot
) -> None:
    page = panel.map
    panel.tabs.setCurrentWidget(page)
    settle(panel, qtbot)
    assert "No map yet" in words(page.empty)
    page.show_plane(plane(session))
    settle(panel, qtbot)
    assert [group.name for group in page.chart.groups] == ["Draft", "Accepted"]
    view = page.chart.canvas.view
    corner = view.pixel(-1.5, 1.5), view.pixel(-1.5, 0.01), view.pixel(1.5, 0.01), view.pixel(1.5, 1.5)
    page.chart.canvas._choose_in(corner, Qt.KeyboardModifier.NoModifier)  # the upper half
    upper = [id for id, (_, y) in zip(page.plane.ids, page.plane.points, strict=True) if y > 0.01]  # type: ignore[union-attr]
    rows = page.rows
    assert rows is not None
    assert rows.ids == upper
    assert rows.selected_ids() == upper
    rows.view.selectRow(2)
    assert [page.plane.ids[row] for row in page.chart.chosen_rows] == [upper[2]]  # type: ignore[union-attr]
    with qtbot.waitSignal(page.chart.pointed):
        qtbot.mouseMove(page.chart.canvas, view.pixel(*map(float, plane(session).points[0])).toPoint())
    assert page.hint.text().startswith("How fast does the glacier Arun move?")
    assert page._describe(0) == "How fast does the glacier Arun move?\nSome 2 metres in a year.\nice"


def test_keys_judge_what_the_lasso_chose_as_one_action(panel: CuratePanel, session: Session, qtbot: QtBot) -> None:
    page = panel.map
    panel.tabs.setCurrentWidget(page)
    page.show_plane(plane(session))
    settle(panel, qtbot)
    page.show_ids(range(1, 11))
    qtbot.keyClick(page.chart.canvas, Qt.Key.Key_R)
    assert states(session, *range(1, 12)) == ["rejected"] * 10 + ["accepted"]
    settle(panel, qtbot)
    counts = {group.name: len(group.rows) for group in page.chart.groups}
    assert counts == {"Draft": 14, "Accepted": 10, "Rejected": 10}
    panel.undo()
    settle(panel, qtbot)
    assert session.project.counts()["rejected"] == 0
    qtbot.keyClick(page.chart.canvas, Qt.Key.Key_5)
    assert [session.project.example(id).rating for id in (1, 10, 11)] == [5, 5, None]


def test_points_are_coloured_by_any_column(panel: CuratePanel, session: Session, qtbot: QtBot) -> None:
    project, page = session.project, panel.map
    add_scores(project)
    rate(project)
    project.add_pick("ten", {}, [*(PickRow(id) for id in range(1, 11)), *(PickRow(id, True) for id in range(9, 13))])
    panel.tabs.setCurrentWidget(page)
    page.show_plane(plane(session))
    settle(panel, qtbot)

    def legend(key: object) -> dict[str, int]:
        page.by.setCurrentIndex(page.by.findData(key))
        settle(panel, qtbot)
        return {group.name: len(group.rows) for group in page.chart.groups}

    assert legend("topic") == {"ice": 10, "bread": 10, "bees <b>": 10, "others": 4}
    assert legend("kind") == {"Factual": 30, "Why or how": 4}
    assert sum(legend("document").values()) == 34
    assert list(legend("rating")) == ["★★★★★", "★★★★", "★★★", "★★", "★"]
    assert legend("score") == {str(band): sum(1 + id % 5 == band for id in range(1, 35)) for band in range(5, 0, -1)}
    assert legend(1) == {"Picked": 8, "Picked and at random": 2, "At random": 2, "Others": 22}
    assert set(legend("checks")) == {"All passed", "Answer given away"}


# Picks


def coverage(share: float, chosen: int) -> dict[str, object]:
    part = [{"name": "The ice", "all": 17, "chosen": chosen, "coverage": share}]
    return {"size": chosen, "coverage": share, "least": 0.1, "quality": 0.7, "parts": {"document": part}}


def test_a_pick_shows_its_rows_with_reasons_and_its_figures_beside_chance(
    panel: CuratePanel, session: Session, qtbot: QtBot
) -> None:
    recipe = {"coverage": {"picked": coverage(0.8, 3), "baseline": coverage(0.6, 2)}, "method": "facility",
              "candidates": 20, "quality_weight": 0.5, "note": "The quotas allow 3 and no more."}  # fmt: skip
    rows = [PickRow(4, False, "adds 12 % to <b>"), PickRow(2, False, "2 of 3"), PickRow(9, True)]
    session.project.add_pick("three", recipe, rows)
    page = panel.pick
    panel.tabs.setCurrentWidget(page)
    settle(panel, qtbot)
    assert page.rows is not None
    assert page.rows.ids == [4, 2]  # in the order in which they were picked
    assert page.rows.model.note(4) == "adds 12 % to <b>"
    assert "adds 12 % to <b>" in words(page.rows)
    assert page.charts.note.text() == "The quotas allow 3 and no more."
    assert page.charts.how.text().startswith("facility location")
    lines = [item for row in range(2) if (item := page.charts.figures.topLevelItem(row))]
    figures = [[item.text(column) for column in range(3)] for item in lines]
    assert figures == [["Coverage", "80.0 %", "60.0 %"], ["Mean quality", "0.70", "0.70"]]
    assert [row[:3] for row in page.charts.covered.table()[1:]] == [
        ("At random", "The ice", "0.6"),
        ("Picked", "The ice", "0.8"),
    ]
    page.switch.setCurrentIndex(1)
    assert page.rows.ids == [9]
    page.remove_button.click()
    assert session.project.picks() == []
    settle(panel, qtbot)
    assert not page.is_filled


def test_a_pick_is_frozen_as_it_is_or_as_its_baseline(
    panel: CuratePanel, session: Session, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.project.add_pick("three", {}, [PickRow(4), PickRow(2), PickRow(9, True)])
    panel.tabs.setCurrentWidget(panel.pick)
    settle(panel, qtbot)
    asked: list[str] = []

    def look(dialog: FreezeDialog) -> None:
        asked.append(dialog.source.currentData())
        dialog.reject()

    monkeypatch.setattr(FreezeDialog, "exec", look)
    panel.pick.freeze_button.click()
    panel.pick.switch.setCurrentIndex(1)
    panel.pick.freeze_button.click()
    assert asked == ["pick:three", "baseline:three"]
    qtbot.waitUntil(lambda: not panel.findChildren(FreezeDialog))


def test_a_pick_of_another_version_is_shown_as_far_as_it_goes(
    panel: CuratePanel, session: Session, qtbot: QtBot
) -> None:
    session.project.add_pick("odd", {"coverage": ["?"], "method": 7}, [PickRow(1)])
    panel.tabs.setCurrentWidget(panel.pick)
    settle(panel, qtbot)
    assert panel.pick.charts.title.text() == "odd"
    assert panel.pick.charts.bars.is_empty


def test_the_dialog_picks_no_more_than_there_are(panel: CuratePanel, session: Session, qtbot: QtBot) -> None:
    dialog = PickDialog(session, panel)
    qtbot.addWidget(dialog)
    dialog.size_box.setValue(5)
    qtbot.waitUntil(dialog.begin.isEnabled, timeout=LONG)
    dialog.sound.setChecked(False)
    dialog.size_box.setValue(20)
    assert dialog.begin.isEnabled()
    dialog.size_box.setValue(21)
    assert not dialog.begin.isEnabled()
    assert "only 20" in dialog.note.text()
    check, share = dialog.quotas["topic"]
    check.setChecked(True)
    share.setValue(40)
    dialog.weight.setValue(30)
    options = dialog.options()
    assert [(quota.by, quota.most) for quota in options.quotas] == [("topic", 0.4)]
    assert (options.quality_weight, options.state, options.without_failed) == (0.3, "accepted", False)
    dialog.reject()


# Passages


def test_passages_are_labelled_by_keys_one_after_the_other(panel: CuratePanel, session: Session, qtbot: QtBot) -> None:
    page = panel.passages
    panel.tabs.setCurrentWidget(page)
    settle(panel, qtbot)
    panel.take_focus()
    seen = []
    for key in (Qt.Key.Key_W, Qt.Key.Key_N, Qt.Key.Key_1, Qt.Key.Key_0):
        assert page.current is not None
        seen.append(page.current.id)
        qtbot.keyClick(page.card, key)
    assert len(set(seen)) == 4
    marks = session.project.passage_marks()
    assert [marks[id].label for id in seen] == [1, 0, 1, 0]
    assert session.project.example(1).rating is None  # the digits label here
    assert page.about.text() == "2 labelled worth it, 2 not"
    qtbot.keyClick(page.card, Qt.Key.Key_B)
    assert page.current is not None
    assert page.current.id == seen[-1]
    qtbot.keyClick(page.card, Qt.Key.Key_S)
    assert page.current.id not in seen
    settle(panel, qtbot)
    assert not page.learn_button.isEnabled()


def test_a_threshold_sets_passages_aside_and_takes_them_back(
    panel: CuratePanel, session: Session, qtbot: QtBot
) -> None:
    project, page = session.project, panel.passages
    project.mark_passages([PassageMark(id, None, id / 13) for id in range(1, 13)])
    project.mark_passages([PassageMark(12, 0, 0.9), PassageMark(1, 1, 0.1)])
    panel.tabs.setCurrentWidget(page)
    settle(panel, qtbot)
    page.filter.slider.setValue(40)
    assert page.filter.aside_button.text() == "Set 5 aside"  # 2 to 5 by their values, 12 by its label, and not 1
    nearest = [page.filter.beside.item(row).text()[:5] for row in range(page.filter.beside.count())]
    assert nearest[3:5] == ["✓ 46 ", "✕ 38 "]
    page.filter.aside_button.click()
    assert sorted(id for id, mark in project.passage_marks().items() if mark.set_aside) == [2, 3, 4, 5, 12]
    settle(panel, qtbot)
    assert "5 of 24 set aside" in page.about.text()
    page.restore_button.click()
    assert not any(mark.set_aside for mark in project.passage_marks().values())


def test_the_next_passage_is_the_one_that_the_filter_is_least_sure_of(
    panel: CuratePanel, session: Session, qtbot: QtBot
) -> None:
    values = {3: 0.9, 4: 0.52, 5: 0.2, 6: 0.47}
    others = [PassageMark(id, 1) for id in range(1, 25) if id not in values]
    session.project.mark_passages([*others, *(PassageMark(id, None, value) for id, value in values.items())])
    page = panel.passages
    panel.tabs.setCurrentWidget(page)
    settle(panel, qtbot)
    seen = []
    while page.current is not None:
        seen.append(page.current.id)
        page.judge(1)
    assert seen == [4, 6, 5, 3]
    assert "Every passage has a label." in words(page.card)


def test_whatever_takes_the_focus_has_a_name(panel: CuratePanel, session: Session, qtbot: QtBot) -> None:
    add_scores(session.project)
    session.project.add_pick("ten", {"coverage": {}}, [PickRow(1)])
    session.project.mark_passages([PassageMark(id, None, id / 25) for id in range(1, 25)])
    panel.map.show_plane(plane(session))
    panel.duplicates._show_found(GROUPS)
    led_to = {label.buddy() for label in panel.findChildren(QLabel)}
    for page in panel.pages:
        panel.tabs.setCurrentWidget(page)
        settle(panel, qtbot)
        assert page.is_filled
        nameless = [
            widget
            for widget in page.findChildren(QWidget)
            if widget.isVisible() and widget.focusPolicy() != Qt.FocusPolicy.NoFocus and widget not in led_to
            if not (widget.accessibleName() or getattr(widget, "text", str)())
        ]
        assert nameless == []


def test_another_project_begins_anew(panel: CuratePanel, session: Session, qtbot: QtBot, tmp_path: Path) -> None:
    panel.tabs.setCurrentWidget(panel.map)
    panel.map.show_plane(plane(session))
    panel.duplicates._show_found(GROUPS)
    settle(panel, qtbot)
    other = tmp_path / "other.elenchus"
    Project.create(other).close()
    session.open(other)
    assert panel.map.plane is None
    assert panel.duplicates.found is None
    assert panel.empty.isVisible()


# Datasets


def test_a_pick_is_frozen_and_shown_among_the_datasets(panel: CuratePanel, qtbot: QtBot) -> None:
    project = panel.session.project
    pick = project.add_pick("best", {}, [PickRow(example_id) for example_id in project.example_ids()[:6]])
    settle(panel, qtbot)
    dataset = datasets.freeze(project, f"pick:{pick.id}", name="pilot")
    panel.pick.frozen.emit(dataset)
    settle(panel, qtbot)
    assert panel.tabs.currentWidget() is panel.datasets
    assert panel.datasets.dataset == dataset
    with qtbot.waitSignal(panel.tune_wanted) as wanted:
        panel.datasets.tune()
    assert wanted.args == ["pilot"]


def test_the_keys_of_datasets_are_the_panels_and_bring_their_page(
    panel: CuratePanel, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {action.shortcut().toString(): action for action in panel.actions() if action.shortcut().toString()}
    assert {"A", "F", "F2"} <= keys.keys()
    assert panel.tabs.currentWidget() is not panel.datasets
    monkeypatch.setattr(FreezeDialog, "exec", FreezeDialog.reject)
    keys["F"].trigger()
    assert panel.tabs.currentWidget() is panel.datasets
    assert not panel._judging[0].isEnabled()  # whose key is the datasets' own there
    before = panel.session.project.counts()
    panel.judge("rejected")  # nothing is selected there that could be judged
    assert panel.session.project.counts() == before
