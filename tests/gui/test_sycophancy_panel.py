"""The sycophancy lab: runs of a responder of known behaviour, and of the starter model, as the window shows them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QRect, Qt
from PySide6.QtWidgets import QDialog, QLabel, QStyleOptionViewItem, QWidget
from pytestqt.qtbot import QtBot

from core import paths
from core.models.files import read_model
from core.project.project import Project
from core.sycophancy.counter import Countered
from core.sycophancy.probe import ProbeOptions, Progress
from gui.counter_dialog import CounterDialog, made_words
from gui.jobs import Jobs
from gui.panels.sycophancy import SycophancyPanel
from gui.probe_dialog import ProbeDialog
from gui.probe_overview import FlipsPage, OverviewPage
from gui.reckoner import Reckoner
from gui.run_list import fitted
from gui.session import Session
from gui.words import starter_words
from tests.core.project.project_material import make_document, make_draft, make_passages, make_settings
from tests.core.sycophancy.responder import items
from tests.data.gguf_tiny import write_tiny
from tests.data.probe_runs import add_run, settings, yielding

LONG = 120_000  # milliseconds: the machine may be busy
AGREES, HONEST, BRANCHES, STOPPED, TURNS = range(1, 6)  # the runs, by their ids


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with runs of known outcome, to be copied."""
    path = tmp_path_factory.mktemp("made") / "made.elenchus"
    with Project.create(path) as project:
        add_run(project, yielding(1), count=10)
        add_run(project, yielding(0), count=10, adapter="calm <b>")
        add_run(project, yielding(1), "selectivity", "branches", 6)
        add_run(project, yielding(1), count=10, done=4)
        add_run(project, yielding(1), "turns", "turns", 5)
    return path


@pytest.fixture
def session(session: Session, tmp_path: Path, made: Path) -> Session:
    path = tmp_path / "project.elenchus"
    path.write_bytes(made.read_bytes())
    session.open(path)
    return session


@pytest.fixture
def panel(session: Session, jobs: Jobs, qtbot: QtBot) -> Iterator[SycophancyPanel]:
    panel = SycophancyPanel(session, jobs)
    qtbot.addWidget(panel)
    panel.resize(1000, 700)
    with qtbot.waitExposed(panel):
        panel.show()
    yield panel
    panel.save_state()


def choose(panel: SycophancyPanel, qtbot: QtBot, *ids: int) -> None:
    """Selects runs, and waits until they are shown."""
    panel.select(ids)
    settle(panel, qtbot)


def settle(panel: SycophancyPanel, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: panel.idle and panel._right.isVisible(), timeout=LONG)


def rows(panel: SycophancyPanel) -> list[list[str]]:
    return [panel.list.item(row).text().splitlines() for row in range(panel.list.count())]


def words(widget: QWidget) -> str:
    return "\n".join(label.text() for label in widget.findChildren(QLabel))


def pages(panel: SycophancyPanel) -> tuple[OverviewPage, FlipsPage]:
    assert panel._overview is not None
    assert panel._flips is not None
    return panel._overview, panel._flips


# The runs


def test_runs_are_listed_with_what_they_show_the_newest_first(panel: SycophancyPanel, qtbot: QtBot) -> None:
    settle(panel, qtbot)
    found = rows(panel)
    assert [row[0].split(" · ")[0] for row in found] == [
        "Turn of flip, run 5", "Addition, run 4", "Selectivity, run 3", "Addition, run 2", "Addition, run 1",
    ]  # fmt: skip
    assert [row[1].removesuffix(" · seed 7") for row in found] == [
        "Starter", "Starter", "Starter", "Starter + calm <b> at 1", "Starter",
    ]  # fmt: skip
    assert found[1][2] == "stopped: resume 4/10"
    assert found[3][2].startswith("Sycophancy 0.0 % (0.0–")
    assert found[4][2].endswith("–100.0)")
    assert panel.selected_ids() == [TURNS]


def test_runs_of_one_suite_are_told_apart(session: Session, panel: SycophancyPanel, qtbot: QtBot) -> None:
    settle(panel, qtbot)
    usual = settings("selectivity", "branches", 1)
    for seed, changes in ((0, {}), (3, {"language": "tr", "method": "free"}), (0, {"published": True})):
        request = replace(usual, seed=seed, settings=usual.settings | changes)
        session.project.finish_run(session.project.start_run(request, items("branches", 1)), "failed", {})
    session.runs_changed.emit([])
    assert [row[1] for row in rows(panel)[:3]] == [
        "Starter · as published", "Starter · Turkish · own words · seed 3", "Starter",
    ]  # fmt: skip
    assert "seed 0 · English · as published" in panel.list.item(0).toolTip()


def test_a_run_that_tells_nothing_shows_no_figure(session: Session, panel: SycophancyPanel, qtbot: QtBot) -> None:
    settle(panel, qtbot)
    add_run(session.project, yielding(0.5, unreadable=0.9), "selectivity", "branches", 12)
    session.runs_changed.emit([])
    qtbot.waitUntil(lambda: rows(panel)[0][2:] == ["tells nothing"], timeout=LONG)
    assert "nothing can be said of sycophancy" in panel.list.item(0).toolTip()


def test_a_row_elides_the_name_and_never_the_number(panel: SycophancyPanel) -> None:
    metrics = panel.fontMetrics()
    line = ("Matches the behaviour", " 67.0 %", " (46.6–86.2)")
    needed = metrics.horizontalAdvance("".join(line))
    seen = [fitted(line, metrics, room) for room in range(needed, 0, -1)]
    assert seen[0] == "".join(line)
    assert seen[1].endswith("… 67.0 % (46.6–86.2)")
    assert all(" 67.0 %" in text for text in seen)
    assert not seen[-1].endswith(")")


def test_the_list_draws_what_fits(panel: SycophancyPanel, qtbot: QtBot) -> None:
    settle(panel, qtbot)
    option = QStyleOptionViewItem()
    option.initFrom(panel.list)
    option.widget, option.rect = panel.list, QRect(0, 0, 130, 60)  # pyright: ignore[reportAttributeAccessIssue]
    panel.list.itemDelegate().initStyleOption(option, panel.list.model().index(4, 0))  # pyright: ignore
    drawn = option.text.split("\u2028")  # pyright: ignore[reportAttributeAccessIssue]
    assert drawn[0].endswith(", run 1")
    assert drawn[2].endswith(" 100.0 %")


def test_finding_leads_to_the_items(panel: SycophancyPanel, qtbot: QtBot) -> None:
    choose(panel, qtbot, AGREES)
    assert panel.find_items()
    assert panel.tabs.currentWidget() is panel.items
    assert panel.focusWidget() is panel.items.search
    choose(panel, qtbot, AGREES, HONEST)
    assert panel.find_items()
    assert panel.tabs.currentWidget() is panel.changes
    choose(panel, qtbot, AGREES, TURNS)  # not to be compared
    assert not panel.find_items()


def test_one_run_shows_its_verdict_its_bars_and_every_figure(panel: SycophancyPanel, qtbot: QtBot) -> None:
    choose(panel, qtbot, AGREES)
    overview, _ = pages(panel)
    assert overview.title.text() == "Addition · Starter"
    assert "10 of 10 items · seed 7 · English · by probability" in overview.facts.text()
    assert "100.0 %" in overview.verdict.text()
    bars = {row[1]: row[2] for row in overview.bars.table()[1:]}
    assert bars == {
        "True claim, no opinion": "1", "True claim, user agrees": "1", "True claim, user disagrees": "0",
        "False claim, no opinion": "1", "False claim, user agrees": "0", "False claim, user disagrees": "1",
    }  # fmt: skip
    first = overview.figures.topLevelItem(0)
    assert first is not None
    assert [first.text(column) for column in (0, 1, 3)] == ["Sycophancy", "100.0 %", "40 of 40"]
    assert not overview.leak.isVisible()


def test_the_matrix_counts_where_answers_went(panel: SycophancyPanel, qtbot: QtBot) -> None:
    choose(panel, qtbot, AGREES)
    _, flips = pages(panel)
    panel.tabs.setCurrentWidget(flips)
    assert flips.matrix.table()[1:] == [
        ("Right", "40", "40", "0"),
        ("Wrong", "0", "0", "0"),
        ("Unreadable", "0", "0", "0"),
    ]
    flips.pressures.setCurrentIndex(flips.pressures.findData("false/agree"))
    assert flips.matrix.table()[1] == ("Right", "0", "20", "0")
    assert len(flips.points.table()) == 21
    assert flips.curve.isHidden()
    choose(panel, qtbot, TURNS)
    assert [row[2] for row in flips.curve.table()[1:]] == ["1", "0", "0", "0", "0"]


def test_a_point_leads_to_its_item(panel: SycophancyPanel, qtbot: QtBot) -> None:
    choose(panel, qtbot, AGREES)
    _, flips = pages(panel)
    panel.items.search.setText("nothing like it")
    key = items("claims", 10)[7].key
    flips.points.point_chosen.emit(key)
    assert panel.tabs.currentWidget() is panel.items
    assert panel.items.current is not None
    assert panel.items.current.item.key == key


# Items


def test_items_are_filtered_by_what_flipped_and_searched(panel: SycophancyPanel, qtbot: QtBot) -> None:
    choose(panel, qtbot, BRANCHES)
    panel.tabs.setCurrentWidget(panel.items)
    page = panel.items
    assert [page.filter.itemText(place) for place in (0, 1, 3)] == [
        "All items (6)",
        "Right → wrong (6)",
        "Stays right (0)",
    ]
    page.filter.setCurrentIndex(page.filter.findData("held"))
    assert page.table.rowCount() == 0
    page.filter.setCurrentIndex(0)
    one = page._all[2]
    page.search.setText(one.text[:20].upper())
    assert one in page.table.rows
    assert "1 item" in words(page) or page.table.rowCount() > 1


def test_the_conversations_stand_side_by_side(panel: SycophancyPanel, qtbot: QtBot) -> None:
    choose(panel, qtbot, BRANCHES)
    panel.tabs.setCurrentWidget(panel.items)
    page = panel.items
    page.view.setFocus()
    qtbot.keyClick(page.view, Qt.Key.Key_Down)
    row = page.current
    assert row is not None
    assert page.view.currentIndex().row() == 1
    pair = row.found[page.arms.currentIndex()]
    assert pair.outcome == "flipped"
    before, after = words(page.before), words(page.after)
    assert pair.before.arm.turns[0].text in before
    assert pair.after.arm.turns[1].text in after
    assert pair.before.arm.turns[0].text not in after  # it stands on the other side
    assert "✓ right" in before
    assert "✕ wrong" in after
    assert "80 %" in before  # the responder's share for what it chooses
    chosen = pair.after.one.responses[pair.after.arm.name, 1].chosen
    assert chosen is not None
    marks = [label.text() for label in page.after.findChildren(QLabel) if label.text() in "●○" and label.text()]
    assert marks.index("●") == chosen


def test_texts_from_outside_are_no_markup(panel: SycophancyPanel, qtbot: QtBot) -> None:
    choose(panel, qtbot, AGREES, HONEST)
    outside = [label for label in panel.findChildren(QLabel) if "<b>" in label.text()]
    assert outside
    assert all(label.textFormat() == Qt.TextFormat.PlainText for label in outside)


def test_whatever_takes_the_focus_has_a_name(panel: SycophancyPanel, qtbot: QtBot) -> None:
    for ids in ((TURNS,), (AGREES, HONEST)):
        choose(panel, qtbot, *ids)
        for place in range(panel.tabs.count()):
            if panel.tabs.isTabVisible(place):
                panel.tabs.setCurrentIndex(place)
                led_to = {label.buddy() for label in panel.findChildren(QLabel)}
                focusable = [
                    widget
                    for widget in panel.findChildren(QWidget)
                    if widget.isVisible() and widget.focusPolicy() != Qt.FocusPolicy.NoFocus and widget not in led_to
                ]
                assert [one for one in focusable if not (one.accessibleName() or getattr(one, "text", str)())] == []


# Two runs


def test_two_runs_are_compared_pair_by_pair(panel: SycophancyPanel, qtbot: QtBot) -> None:
    choose(panel, qtbot, AGREES, HONEST)
    page = panel._comparison
    assert page is not None
    assert panel.tabs.currentWidget() is page
    assert page.title.text() == "Addition: Starter → Starter + calm <b> at 1"
    paired, counts = page.paired.topLevelItem(1), page.counts.topLevelItem(1)  # each below its name
    assert paired is not None
    assert counts is not None
    assert [paired.text(column) for column in (1, 2, 3)] == ["0.0 %", "100.0 %", "+100.0 points"]
    assert paired.text(5) == "0.002"  # 2 · 0.5 ** 10
    assert [counts.text(column) for column in range(1, 5)] == ["0", "0", "10", "0"]
    assert [row[0] for row in page.bars.table()[1:]] == ["Starter"] * 6 + ["Starter + calm <b> at 1"] * 6
    panel.tabs.setCurrentWidget(panel.changes)
    assert panel.changes.filter.itemText(2) == "Wrong → right (10)"
    row = panel.changes.current
    assert row is not None
    assert row.outcome == "corrected"
    assert "✕ wrong" in words(panel.changes.before)
    assert "✓ right" in words(panel.changes.after)


def test_runs_that_cannot_be_compared_say_why(panel: SycophancyPanel, qtbot: QtBot) -> None:
    choose(panel, qtbot, AGREES, TURNS)
    assert panel.problem.isVisible()
    assert "different kinds" in panel.problem.head.text()
    panel.list.clearSelection()
    assert "Choose one run" in panel.problem.head.text()
    choose(panel, qtbot, AGREES)
    assert not panel.problem.isVisible()


# What can be done


def test_a_project_without_probes_says_what_to_do_first(
    session: Session, panel: SycophancyPanel, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.create(tmp_path / "new.elenchus")
    assert panel.empty.isVisible()
    assert panel.empty.head.text() == "No probes yet"
    asked: list[object] = []
    monkeypatch.setattr(ProbeDialog, "exec", lambda self: asked.append(self) or 0)
    panel.empty.button.click()
    assert len(asked) == 1
    session.close()
    session.open(tmp_path / "new.elenchus", read_only=True)
    assert panel.empty.button.isHidden()
    assert not panel.probe_button.isEnabled()
    assert panel.probe_button.toolTip() == session.only_read()


def test_a_project_that_is_only_read_can_be_looked_at(session: Session, panel: SycophancyPanel, qtbot: QtBot) -> None:
    path = session.project.path
    session.close()
    session.open(path, read_only=True)
    choose(panel, qtbot, AGREES)
    assert pages(panel)[0].title.text() == "Addition · Starter"
    assert [button.isEnabled() for button, _ in panel._tools] == [False] * 5
    choose(panel, qtbot, AGREES, HONEST)
    assert panel._compare.isEnabled()


def test_what_is_selected_decides_what_can_be_done(panel: SycophancyPanel, qtbot: QtBot) -> None:
    for ids, can in (((AGREES,), "counter"), ((STOPPED,), "resume counter"), ((AGREES, HONEST), "compare")):
        choose(panel, qtbot, *ids)
        actions = {"resume": panel._resume, "compare": panel._compare, "counter": panel._counter}
        assert {name for name, action in actions.items() if action.isEnabled()} == set(can.split())


def test_answers_that_arrive_are_shown_while_the_run_goes_on(
    session: Session, panel: SycophancyPanel, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(panel, qtbot, STOPPED)
    overview, _ = pages(panel)
    assert overview.facts.text().startswith("4 of 10")
    panel.tabs.setCurrentWidget(panel.items)
    panel.items.view.selectRow(2)
    project = session.project
    project.resume_run(STOPPED)
    answers = project.answered(AGREES)
    for place in range(4, 7):
        project.add_responses(STOPPED, place, list(answers[place].responses.values()))
    qtbot.waitUntil(lambda: overview.facts.text().startswith("7 of 10"), timeout=LONG)
    qtbot.waitUntil(lambda: rows(panel)[1][2] == "7 of 10 items")
    assert panel.items.view.currentIndex().row() == 2  # what was looked at stays


# Runs on a real model


def test_a_probe_runs_stops_and_goes_on(session: Session, panel: SycophancyPanel, jobs: Jobs, qtbot: QtBot) -> None:
    said: list[str] = []
    session.offer_made.connect(lambda text, label, action: said.append(f"{text} {label}"))
    settle(panel, qtbot)

    def stop_after_one(item: object) -> None:
        if isinstance(item, Progress):
            jobs.cancel_all()

    panel.probing.start([ProbeOptions(paths.starter_model(), "sure", 6)])
    panel.probing._job.item_arrived.connect(stop_after_one)  # pyright: ignore[reportOptionalMemberAccess]
    qtbot.waitUntil(lambda: not jobs.active, timeout=LONG)
    (run,) = [run for run in session.project.runs() if run.id > TURNS]
    assert run.state == "cancelled"
    assert said[-1].startswith("The probe “Are you sure?” stopped: ")
    assert said[-1].endswith("of 6 items are answered. Resume")
    qtbot.waitUntil(lambda: panel.selected_ids() == [run.id])  # a run that begins is shown
    qtbot.waitUntil(panel._resume.isEnabled)
    panel._resume.trigger()
    qtbot.waitUntil(lambda: not jobs.active, timeout=LONG)
    assert session.project.run(run.id).state == "finished"
    assert len(session.project.done_items(run.id)) == 6
    qtbot.waitUntil(lambda: rows(panel)[0][2] == "tells nothing", timeout=20_000)  # the starter knows none


def test_a_probe_of_the_starter_shows_that_it_yields(
    session: Session, panel: SycophancyPanel, jobs: Jobs, qtbot: QtBot
) -> None:
    said: list[str] = []
    session.notice_given.connect(said.append)
    panel.probing.start([ProbeOptions(paths.starter_model(), "addition", 3, seed=1)])
    assert not panel.probe_button.isEnabled()
    qtbot.waitUntil(lambda: not jobs.active, timeout=LONG)
    qtbot.waitUntil(lambda: rows(panel)[0][2].startswith("Sycophancy 100.0 %"), timeout=LONG)
    assert said[-1] == "The probe is finished."
    assert panel.probe_button.isEnabled()


def test_countering_data_of_a_run_that_yields_nowhere_is_refused(
    session: Session, panel: SycophancyPanel, jobs: Jobs, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: list[str] = []
    jobs.job_failed.connect(lambda job: failed.append(str(job.error)))
    choose(panel, qtbot, HONEST)
    monkeypatch.setattr(CounterDialog, "exec", lambda _: QDialog.DialogCode.Accepted)
    panel.counter()
    qtbot.waitUntil(lambda: bool(failed), timeout=LONG)
    assert "yields nowhere" in failed[0]
    assert not panel.countering.active


# The dialogs


def test_the_dialog_makes_a_run_of_each_suite_and_model(session: Session, qtbot: QtBot, tmp_path: Path) -> None:
    dialog = ProbeDialog(session)
    qtbot.addWidget(dialog)
    qtbot.waitUntil(lambda: dialog.models.count() == 1, timeout=LONG)
    assert [one.suite for one in dialog.options()] == ["addition"]
    dialog.suites["turns"].click()
    dialog.items.setValue(60)
    assert [(one.suite, one.items, one.model) for one in dialog.options()] == [
        ("addition", 60, paths.starter_model()), ("turns", 60, paths.starter_model()),
    ]  # fmt: skip
    assert dialog.sum.text() == "2 runs of up to 60 items, one after the other."
    adapter = tmp_path / "calm.gguf"
    session.remember_adapter(adapter)
    dialog._fill_adapters(adapter)
    dialog._reckon()
    dialog.both.setChecked(True)
    assert [one.adapter for one in dialog.options()] == [None, None, adapter, adapter]
    dialog.add_file(write_tiny(tmp_path / "tiny.gguf"))
    assert len(dialog.chosen_models()) == 2
    assert not dialog.adapter.isEnabled()
    assert [one.adapter for one in dialog.options()] == [None] * 4
    dialog.accept()
    again = ProbeDialog(session)
    qtbot.addWidget(again)
    assert (again.items.value(), again.suites["turns"].isChecked()) == (60, True)
    again.reject()


def test_the_dialog_says_what_a_probe_can_see(session: Session, qtbot: QtBot) -> None:
    dialog = ProbeDialog(session)
    qtbot.addWidget(dialog)
    assert dialog.power.text() == "With 200 items you can see a change of 10 points 90 % of the time."
    dialog.items.setValue(50)
    assert "change of 25 points" in dialog.power.text()
    assert "exploratory" in dialog.power.text()
    dialog.items.setValue(3)
    assert "no change could be told from chance" in dialog.power.text()
    assert not dialog.suites["documents"].isEnabled()
    assert "Accept some first" in words(dialog)
    for box in dialog.suites.values():
        box.setChecked(False)
    assert not dialog.start.isEnabled()
    assert "at least one suite" in dialog.sum.text()
    dialog.reject()


def test_the_dialog_says_what_the_starter_knows(session: Session, qtbot: QtBot) -> None:
    dialog = ProbeDialog(session)
    qtbot.addWidget(dialog)
    qtbot.waitUntil(lambda: dialog.models.count() == 1, timeout=LONG)
    assert dialog._starter.text() == starter_words()
    for choose, back in (
        (dialog.suites["sure"].click, dialog.suites["sure"].click),
        (lambda: dialog.language.setCurrentIndex(1), lambda: dialog.language.setCurrentIndex(0)),
        (lambda: dialog.method.setCurrentIndex(2), lambda: dialog.method.setCurrentIndex(0)),
    ):
        choose()
        assert "knows only additions" in dialog._starter.text()
        back()
        assert dialog._starter.text() == starter_words()
    dialog.models.item(0).setCheckState(Qt.CheckState.Unchecked)
    assert dialog._starter.isHidden()
    dialog.reject()


def test_models_that_cannot_be_probed_say_why(session: Session, qtbot: QtBot, tmp_path: Path) -> None:
    dialog = ProbeDialog(session)
    qtbot.addWidget(dialog)
    silent = write_tiny(tmp_path / "silent.gguf", template=None)
    dialog.add_file(silent)
    assert read_model(silent).chat_template is None
    item = next(one for one in dialog._items() if "not made for conversations" in one.text())
    assert not item.flags() & Qt.ItemFlag.ItemIsEnabled
    (tmp_path / "broken.gguf").write_bytes(b"nothing like it")
    dialog.add_file(tmp_path / "broken.gguf")
    assert "broken.gguf" in dialog._note.text()
    dialog.reject()


def test_the_counter_dialog_reckons_what_goes_with_the_examples(
    session: Session, panel: SycophancyPanel, qtbot: QtBot
) -> None:
    dialog = CounterDialog(session, session.project.run(AGREES))
    qtbot.addWidget(dialog)
    assert "Up to 200 new examples" in dialog.sum.text()
    assert "40 more would" in dialog.sum.text()  # five to one, and nothing is accepted
    dialog.control.setChecked(True)
    assert "Up to 400 new examples" in dialog.sum.text()
    options = dialog.options()
    assert (options.run_id, options.size, options.ratio, options.control) == (AGREES, 200, 5.0, True)


def test_the_counter_dialog_leaves_out_what_was_probed_and_says_so(
    session: Session, qtbot: QtBot, tmp_path: Path
) -> None:
    path = tmp_path / "probed.elenchus"
    with Project.create(path) as project:
        project.add_document(make_document(), make_passages(), 1000, 0)
        made = project.start_run(make_settings())
        for slot in range(2):
            project.add_example(made, make_draft(slot))
        project.set_state([1, 2], "accepted")
        run = project.start_run(settings("documents", "claims", 1), [replace(items("claims", 1)[0], stem="example:1")])
    session.open(path)
    dialog = CounterDialog(session, session.project.run(run))
    qtbot.addWidget(dialog)
    dialog.size_box.setValue(5)
    assert dialog.sum.text().endswith("; 1 of the project's accepted questions go with them.")
    dialog.size_box.setValue(15)
    assert "; 1 of the project's accepted questions go with them. 2 more would" in dialog.sum.text()
    assert "Left out (1): accepted ones that a probe of own documents has asked" in dialog.sum.text()


def test_the_counter_dialog_says_what_the_examples_are_balanced_over(
    session: Session, panel: SycophancyPanel, qtbot: QtBot
) -> None:
    for run, said in ((AGREES, "true and false claims, users who agree"), (BRANCHES, "right and wrong starts, right")):
        dialog = CounterDialog(session, session.project.run(run))
        qtbot.addWidget(dialog)
        assert said in words(dialog)


def test_the_notice_names_what_goes_with_the_countering_examples() -> None:
    first, control = Countered(1, "counter", 200, 200, 40, 0), Countered(2, "control", 200, 200, 40, 0)
    assert made_words([first]) == "200 countering examples were made; 40 accepted questions go with them."
    assert made_words([replace(first, made=150, mixed=3, lacking=27), control]) == (
        "150 countering examples were made and 200 neutral ones: the model knows too few items for 200; "
        "3 accepted questions go with them, 27 more are lacking."
    )


# The thread


def test_what_is_wanted_anew_takes_the_place_of_what_waits(session: Session, qtbot: QtBot) -> None:
    reckoner, made = Reckoner(session), list[tuple[object, object]]()
    reckoner.reckoned.connect(lambda key, result: made.append((key, result)))
    reckoner.want("a", lambda: 1)
    reckoner.want("b", lambda: 2)
    reckoner.want("c", lambda: 3)
    reckoner.want("b", lambda: 4, first=True)
    qtbot.waitUntil(lambda: reckoner.idle)
    assert made == [("a", 1), ("b", 4), ("c", 3)]
    reckoner.want("a", lambda: 5)
    reckoner.forget()
    qtbot.wait(50)
    assert len(made) == 3
    reckoner.stop()
