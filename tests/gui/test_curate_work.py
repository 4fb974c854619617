"""Curate at work: what it begins runs as jobs with the real starter model, and what comes of them is shown."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from core import paths
from core.curation import educational
from core.curation.pick import PickOptions, Quota
from core.curation.scoring import ScoreOptions
from gui.jobs import Jobs
from gui.panels.curate import CuratePanel
from gui.session import Session
from tests.data.gguf_tiny import write_tiny
from tests.data.to_curate import NEAR, SAME, make_curated

LONG = 120_000  # milliseconds: the machine may be busy


@pytest.fixture
def panel(session: Session, jobs: Jobs, qtbot: QtBot, tmp_path: Path) -> Iterator[CuratePanel]:
    path = tmp_path / "project.elenchus"
    make_curated(path)
    session.open(path)
    panel = CuratePanel(session, jobs)
    qtbot.addWidget(panel)
    with qtbot.waitExposed(panel):
        panel.show()
    yield panel
    panel.save_state()


def finish(panel: CuratePanel, qtbot: QtBot) -> None:
    """Waits for the end of the work, and until what came of it is shown."""
    said: list[object] = []
    panel.jobs.job_failed.connect(lambda job: said.append((job.error, job.details)))
    qtbot.waitUntil(
        lambda: bool(said) or (not (panel.curating._job or panel.session._gather.isActive()) and panel.idle),
        timeout=LONG,
    )
    assert said == []


def test_from_vectors_to_a_map_duplicates_and_a_pick(panel: CuratePanel, session: Session, qtbot: QtBot) -> None:
    """One model, whose vectors are made once, and one child that reckons it all."""
    project, model = session.project, paths.starter_model()
    project.set_state([21], "rejected")
    panel.tabs.setCurrentWidget(panel.map)
    panel.map.draw(model)
    assert panel.curating.active
    assert panel.map.empty.button.isHidden()  # it is being made
    assert not panel.map.draw_button.isEnabled()
    finish(panel, qtbot)
    assert panel.map.plane is not None
    assert panel.map.plane.ids == tuple(id for id in project.example_ids() if id != 21)
    assert sum(len(group.rows) for group in panel.map.chart.groups) == 33

    assert "newer than the map" not in panel.map.about.text()  # the rejected one is left out

    panel.tabs.setCurrentWidget(panel.duplicates)
    panel.duplicates.look(0.8, None, 0.95)
    finish(panel, qtbot)
    found = {group.ids for group in panel.duplicates.found or ()}
    assert {SAME, NEAR} <= found
    assert panel.duplicates.list.current is not None
    assert panel.duplicates.list.current.group.ids == SAME  # the surest first

    panel.tabs.setCurrentWidget(panel.pick)
    quotas = (Quota("document", 0.5),)
    panel.pick.pick(PickOptions(6, model, quotas=quotas, state="accepted", without_failed=False, name="six"))
    finish(panel, qtbot)
    assert panel.pick.rows is not None
    assert panel.pick.current is not None
    assert panel.pick.current.name == "six"
    assert len(panel.pick.rows.ids) == 6
    assert all(map(panel.pick.rows.model.note, panel.pick.rows.ids))
    assert panel.pick.charts.figures.isVisible()
    assert not panel.pick.charts.bars.is_empty


def test_a_model_learns_which_passages_are_worth_it(panel: CuratePanel, session: Session, qtbot: QtBot) -> None:
    project, page = session.project, panel.passages
    labelled = range(1, 2 * educational.LEAST + 1)
    educational.label(project, {id: id % 2 for id in labelled})
    panel.tabs.setCurrentWidget(page)
    qtbot.waitUntil(page.learn_button.isEnabled)
    page.learn_with(paths.starter_model())
    finish(panel, qtbot)
    assert page.fitted is not None
    assert not page.filter.curve.is_empty
    assert {mark.value is not None for mark in project.passage_marks().values()} == {True}
    assert page.filter.sure.text().startswith("Precision")
    assert page.current is not None
    assert page.current.id not in labelled


def test_questions_of_a_file_are_found_here(panel: CuratePanel, qtbot: QtBot, tmp_path: Path) -> None:
    file = tmp_path / "held.jsonl"
    rows = [{"question": "Who built the bridge?", "answer": "Nobody"}, {"question": "And now?", "answer": "x"}]
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    page = panel.duplicates
    panel.tabs.setCurrentWidget(page)
    page.look_against(file)
    finish(panel, qtbot)
    qtbot.waitUntil(lambda: page.leaked.ids == list(SAME))
    assert page.switch.currentIndex() == 1
    assert page.leaked.model.note(SAME[0]) == "row 1, alike 1.00: Who built the bridge?"


def test_a_model_scores_and_rules_are_checked(
    panel: CuratePanel, session: Session, qtbot: QtBot, tmp_path: Path
) -> None:
    page = panel.scores
    page.score(ScoreOptions(write_tiny(tmp_path / "tiny.gguf"), examples=(1, 2)))
    finish(panel, qtbot)
    assert set(session.project.scores("rubric")) == {1, 2}
    assert page.rows is not None
    assert set(page.rows.ids) == {1, 2}
    assert page.about.text().startswith("2 questions are scored")
    page.check_rules()
    finish(panel, qtbot)
    checked = {check.name for check in session.project.example(20).checks}
    assert {"length", "repetition", "language", "profanity", "personal_data"} <= checked
    assert {row[1] for row in page.charts.checks.table()[1:]} >= {"No profanity", "No personal data"}


def test_what_is_cancelled_or_fails_leaves_all_as_it_was(panel: CuratePanel, session: Session, qtbot: QtBot) -> None:
    panel.tabs.setCurrentWidget(panel.map)
    panel.map.draw(paths.starter_model())
    panel.jobs.cancel_all()
    qtbot.waitUntil(lambda: not panel.curating.active, timeout=LONG)
    assert panel.map.plane is None
    assert panel.map.draw_button.isEnabled()
    assert panel.map.empty.button.isVisible()
    with qtbot.waitSignal(panel.jobs.job_failed, timeout=LONG) as failed:
        panel.pick.pick(PickOptions(500, paths.starter_model()))
    assert failed.args is not None
    assert "Pick fewer" in str(failed.args[0].error)
    assert session.project.picks() == []
